"""Data flow of the operators in IRON, mlir-aie's Python interface.

In: a shape. Out: `design(*shape)` returns the resolved program. Each module has a topology function
(workers and the host's ends of the fifos, the same for all shapes, so that one xclbin serves them)
and a sequence function (the transfers of one run), and names the object file of its tile program
(`OBJECT`) and the macros that the tile program is compiled with (`DEFINES`).

`aie`, `numpy` and `ml_dtypes` are the toolchain's, or the model's (dataflow/model.py).
"""
