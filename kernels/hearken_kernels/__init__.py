"""Kernels for the XDNA2 NPU: designs, the build of overlays, checks with and without hardware.

overlays    what is built: one entry for each overlay; what the manifest says of it
build       compiles overlays with the toolchain and writes the manifest
designs     data flow of each operator in IRON; the tile programs are C++, in ../<operator>/
dataflow    checks the designs without the toolchain
bringup     checks for a machine with an NPU
array       constants of the array and of the model
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The directory `kernels/`."""
