"""The bf16 × bfp16ebs8 product: amd/IRON's operator with run-time shapes, built as it stands at one commit.

In: shapes, and a directory to work in. Out: for each shape the xclbin, the same for all, and the instruction stream. What of
the operator is chosen here: 64 columns for each tile at every K, so that all shapes share one xclbin (its own choice is
128 at K = 512); no activation compiled in; rounding to nearest.
"""

import os

REPOSITORY = "https://github.com/amd/IRON"
COMMIT = "038e91b1b0c470a9338fa47843f4940f5aa686e5"
TILE_N = 64


def build(m, k, n, directory):
    """Compiles the product for one shape; returns the paths (xclbin, instruction stream). Raises RuntimeError."""
    import aie.utils
    from aie.iron.device import NPU2
    from iron.operators.flm.gemm.design import Epilogue, Rounding
    from iron.operators.flm.gemm.op import GEMM

    aie.utils.set_current_device(NPU2())
    operator = GEMM(
        M=m, K=k, N=n, tile_n=TILE_N, epilogue_modes=(Epilogue.NONE,), rounding=Rounding.CONV_EVEN
    )
    before = os.getcwd()
    os.chdir(directory)  # IRON builds beneath the working directory
    try:
        operator.compile()
    finally:
        os.chdir(before)
    return tuple(_built(directory, name) for name in (f"{operator.config_name}.xclbin", f"{operator.name}.bin"))


def _built(directory, name):
    found = sorted(directory.rglob(name))
    if not found:
        raise RuntimeError(f"amd/IRON did not build {name} beneath {directory}; is it at commit {COMMIT}?")
    return found[0]
