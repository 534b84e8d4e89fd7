"""Number formats of the array, and the packing of a product's B (MANIFEST.md)."""

import struct
from collections.abc import Callable, Iterable
from typing import Any


def to_bf16(x: float) -> int:
    """Returns the bits of x in bf16, to nearest, ties to even."""
    u = struct.unpack("<I", struct.pack("<f", x))[0]
    if x != x:
        return u >> 16 | 0x40
    return (u + 0x7FFF + (u >> 16 & 1)) >> 16 & 0xFFFF


def from_bf16(bits: int) -> float:
    return struct.unpack("<f", struct.pack("<I", bits << 16))[0]


def bf16(x: float) -> float:
    """Rounds x to bf16."""
    return from_bf16(to_bf16(x))


def f32(values: Iterable[float]) -> list[float]:
    """Rounds values to f32."""
    data = as_f32(list(values))
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def bfp16_group(values: list[float]) -> bytes:
    """Returns 9 bytes for 8 values: the greatest exponent, then mantissas at its scale."""
    exponent = max(struct.unpack("<I", struct.pack("<f", v))[0] >> 23 & 0xFF for v in values)
    scale = 2.0 ** (exponent - 127 - 6)
    mantissas = bytes(max(-128, min(127, round(v / scale))) & 0xFF for v in values)
    return bytes([exponent]) + mantissas


def packed(b: Callable[[int, int], Any], k: int, n: int, layout: dict[str, Any]) -> bytes:
    """Returns B [k][n], a function of (k, n), in the order of the manifest."""
    k_slice, n_tile = layout["k_slice"], layout["n_tile"]
    k_block, n_block = layout["k_block"], layout["n_block"]
    if layout["k_tile"] % k_slice:
        raise ValueError(f"k_tile {layout['k_tile']} is no multiple of k_slice {k_slice}")
    out = bytearray()
    for column in range(0, n, n_tile):
        for first in range(0, k, k_slice):  # tiles and their slices, one after the other
            for nn in range(column, column + n_tile, n_block):
                for kk in range(first, first + k_slice, k_block):
                    rows, columns = range(kk, kk + k_block), range(nn, nn + n_block)
                    if layout["inner"] == "k":
                        for j in columns:
                            out += bfp16_group([b(i, j) for i in rows])
                    else:
                        out += bytes(b(i, j) & 0xFF for i in rows for j in columns)
    return bytes(out)


def bf16s(data: bytes) -> list[float]:
    return [from_bf16(v) for v in struct.unpack(f"<{len(data) // 2}H", data)]


def as_bf16(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}H", *map(to_bf16, values))


def as_f32(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)
