from hearken_kernels.dataflow.model import DType, NdArray

ndarray: NdArray
dtype: DType
float32: DType
int32: DType
int8: DType
