"""The overlays: which there are, their shapes, and their entries in the manifest.

In: an overlay's xclbin and instruction streams. Out: its entry of manifest.json, as MANIFEST.md
defines it.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearken_kernels.array import RUN_HEIGHTS

Shape = dict[str, int]

HOST_ARGUMENTS = ["opcode", "instructions", "instruction_words"]
KERNEL = "MLIR_AIE"
"""What the name of the kernel in an xclbin begins with."""


class Mistake(Exception):
    """The build cannot continue."""


@dataclass(frozen=True)
class Overlay:
    """An xclbin with a stream for each shape."""

    name: str
    operator: str
    roles: list[str]
    """Names of the data arguments, in order."""
    shapes: list[Shape]
    design: str | None
    """Module in `hearken_kernels.designs`; `None`: amd/IRON's operator, by iron_gemm.py."""
    tile: str | None
    """Source of the tile program, below kernels/."""
    options: dict[str, Any] = field(default_factory=dict)
    """Arguments of the design beside the shape."""
    numbers: dict[str, Any] = field(default_factory=dict)
    """Formats of a product, for the manifest."""


# K and N of the encoder's products for Whisper base (MANIFEST.md). In bf16, activations come in two
# terms.
PRODUCTS = {
    "i8": [(512, 512), (1536, 512), (512, 1536), (512, 2048), (2048, 512)],
    "bf16": [(512, 512), (1024, 512), (3072, 512), (1024, 1536), (1024, 2048), (4096, 512)],
}


def _padded(width: int) -> int:
    return -(-width // 512) * 512


def _model_products(width: int, mel_bins: int) -> list[tuple[int, int]]:
    """Returns K and N, padded to multiples of 512, of a model's products in int8."""
    real = [(3 * mel_bins, width), (3 * width, width), (width, 3 * width)]
    real += [(width, width), (width, 4 * width), (4 * width, width)]
    return list(dict.fromkeys((_padded(k), _padded(n)) for k, n in real))


LARGER_MODELS = {"small": (768, 80), "large-v3-turbo": (1280, 128)}
"""Width and mel bins of the larger models that the movement check covers."""

LARGER_PRODUCTS = [
    (256, k, n) for model in LARGER_MODELS.values() for k, n in _model_products(*model)
]
"""M, K and N of their products. With 512 rows, N is limited (designs/gemm_i8.py)."""

BLOCKS = {"k_tile": 512, "n_tile": 64, "k_slice": 128, "k_block": 8, "n_block": 8}

BF16_NUMBERS = {
    "multiply": "bfp16ebs8",
    "accumulate": "f32",
    "a": {"type": "bf16"},
    "b": {"type": "bfp16ebs8", "layout": BLOCKS | {"inner": "k"}},
    "c": {"type": "bf16"},
    "rounding": "conv_even",
}
I8_NUMBERS = {
    "multiply": "i8",
    "accumulate": "i32",
    "a": {"type": "i8"},
    "b": {"type": "i8", "layout": BLOCKS | {"inner": "n"}},
    "c": {"type": "i32"},
    "rounding": "conv_even",
}


def _products(kind: str) -> list[Shape]:
    return [{"m": m, "k": k, "n": n} for k, n in PRODUCTS[kind] for m in RUN_HEIGHTS]


OVERLAYS = {  # built in this order: the default of `--device npu` first
    overlay.name: overlay
    for overlay in [
        Overlay(
            name="gemm-i8",
            operator="gemm",
            roles=["a", "b", "c"],
            shapes=_products("i8"),
            design="gemm_i8",
            tile="gemm/tile_i8.cc",
            numbers=I8_NUMBERS,
        ),
        Overlay(
            name="gemm-bf16",
            operator="gemm",
            roles=["a", "b", "c"],
            shapes=_products("bf16"),
            design=None,
            tile=None,
            numbers=BF16_NUMBERS,
        ),
        Overlay(
            name="bias-gelu",
            operator="bias_gelu",
            roles=["x", "bias", "y"],
            shapes=[
                {"m": 256, "n": 2048},
                {"m": 512, "n": 2048},
                {"m": 256, "n": 512},
                {"m": 512, "n": 512},
                {"m": 1024, "n": 512},
            ],
            design="bias_gelu",
            tile="bias_gelu/tile.cc",
            options={"gelu": True},
        ),
        Overlay(
            name="bias-add",
            operator="bias_add",
            roles=["x", "bias", "y"],
            shapes=[{"m": m, "n": 1536} for m in RUN_HEIGHTS],
            design="bias_gelu",
            tile="bias_gelu/tile.cc",
            options={"gelu": False},
        ),
        Overlay(
            name="layer-norm",
            operator="layer_norm",
            roles=["x", "parameters", "y"],
            shapes=[{"m": m} for m in RUN_HEIGHTS],
            design="layer_norm",
            tile="layer_norm/tile.cc",
        ),
        Overlay(
            name="residual",
            operator="residual",
            roles=["x", "residual", "bias", "out"],
            shapes=[{"m": m} for m in RUN_HEIGHTS],
            design="residual",
            tile="residual/tile.cc",
        ),
        Overlay(
            name="attention",
            operator="attention",
            roles=["qkv", "parameters", "out"],
            shapes=[{"m": m, "heads": 8} for m in RUN_HEIGHTS],
            design="attention",
            tile="attention/tile.cc",
        ),
    ]
}


def manifest(entries: list[dict[str, Any]], provenance: dict[str, str]) -> dict[str, Any]:
    return {
        "format": "hearken-npu-overlay",
        "version": 1,
        "target": "npu2",
        "overlays": entries,
        "provenance": provenance,
    }


def entry(overlay: Overlay, xclbin: Path, streams: list[tuple[Shape, Path]]) -> dict[str, Any]:
    """Returns the manifest's entry of an overlay with its files.

    Raises `Mistake` if a stream is no sequence of 32-bit words.
    """
    roles = HOST_ARGUMENTS + overlay.roles
    return {
        "name": overlay.name,
        "operator": overlay.operator,
        "xclbin": _file(xclbin),
        "kernel": KERNEL,
        "arguments": [{"index": index, "role": role} for index, role in enumerate(roles)],
        **overlay.numbers,
        "streams": [_stream(shape, path) for shape, path in streams],
    }


def _stream(shape: Shape, path: Path) -> dict[str, Any]:
    made = _file(path)
    if made["bytes"] % 4:
        raise Mistake(f"{path.name} is {made['bytes']} bytes long, not whole 32-bit words")
    return {"file": made["file"], "words": made["bytes"] // 4, "sha256": made["sha256"]} | shape


def _file(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"file": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
