"""Checks of the designs' data flow without the toolchain.

model       stands in for IRON: a design gives a model of the array instead of MLIR
simulate    moves labels through that model instead of numbers
limits      compares memory, DMA channels and descriptors with the hardware's
expected    what each operator has to do, on labels
check       runs it all: `python3 -m hearken_kernels.dataflow [DESIGN ...]`
"""
