from hearken_kernels.dataflow.model import DType

bfloat16: DType
