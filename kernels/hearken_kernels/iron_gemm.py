"""The bf16 × bfp16ebs8 product: amd/IRON's operator with run-time shapes, built as it stands at one
commit.

In: a shape, and a directory to work in. Out: the xclbin, the same for all shapes, and the
instruction stream. Chosen here: 64 columns for each tile at every K, so that all shapes share one
xclbin (the operator's own choice is 128 at K = 512); no activation compiled in; rounding to
nearest.
"""

from pathlib import Path

REPOSITORY = "https://github.com/amd/IRON"
COMMIT = "038e91b1b0c470a9338fa47843f4940f5aa686e5"
TILE_N = 64


def build(shape: dict[str, int], directory: Path) -> tuple[Path, Path]:
    """Compiles the product for a shape, m, k and n; returns the xclbin and the instruction stream.

    Raises `RuntimeError` if the operator did not write them, or is not at the pinned commit.
    """
    import aie.utils  # pyright: ignore[reportMissingImports]
    from aie.iron.device import NPU2
    from iron.common import AIEContext  # pyright: ignore[reportMissingImports]
    from iron.operators.flm.gemm.design import (  # pyright: ignore[reportMissingImports]
        Epilogue,
        Rounding,
    )
    from iron.operators.flm.gemm.op import GEMM  # pyright: ignore[reportMissingImports]

    aie.utils.set_current_device(NPU2())
    try:
        # IRON fixes its directory when the context is made, which it does itself if none is given:
        # then in the working directory of whoever calls.
        context = AIEContext(build_dir=directory)
    except TypeError as error:
        raise RuntimeError(f"amd/IRON is not at commit {COMMIT}: {error}") from None
    operator = GEMM(
        M=shape["m"],
        K=shape["k"],
        N=shape["n"],
        tile_n=TILE_N,
        epilogue_modes=(Epilogue.NONE,),
        rounding=Rounding.CONV_EVEN,
        context=context,
    )
    operator.compile()
    xclbin = _built(directory, f"{operator.config_name}.xclbin")
    return xclbin, _built(directory, f"{operator.name}.bin")


def _built(directory: Path, name: str) -> Path:
    found = sorted(directory.rglob(name))
    if not found:
        raise RuntimeError(
            f"amd/IRON did not build {name} below {directory}; is it at commit {COMMIT}?"
        )
    return found[0]
