"""Checks for a machine with an NPU, which kernels/bring-up.sh runs in order.

device          Hearken's C ABI to NPUs from Python
number_formats  bf16 and bfp16ebs8, and the packing of a product's B
checks          the checks: `python3 -m hearken_kernels.bringup SHIM OVERLAYS CHECK`
operators       the checks of the operators that the encoder does not use yet
"""
