"""Number formats as the array has them, and the packing of a product's B."""

import struct


def to_bf16(x):
    """The bits of x in bf16, to nearest, ties to even."""
    u = struct.unpack("<I", struct.pack("<f", x))[0]
    if x != x:
        return u >> 16 | 0x40
    return (u + 0x7FFF + (u >> 16 & 1)) >> 16 & 0xFFFF


def from_bf16(bits):
    return struct.unpack("<f", struct.pack("<I", bits << 16))[0]


def bf16(x):
    return from_bf16(to_bf16(x))


def bfp16_group(values):
    """9 bytes for 8 values: the greatest exponent, then mantissas at its scale (MANIFEST.md)."""
    exponent = max(struct.unpack("<I", struct.pack("<f", v))[0] >> 23 & 0xFF for v in values)
    scale = 2.0 ** (exponent - 127 - 6)
    return bytes([exponent]) + bytes(max(-128, min(127, round(v / scale))) & 0xFF for v in values)


def packed(b, k, n, layout):
    """B[k][n], a function of (k, n), in the order of the manifest; a bytearray."""
    out = bytearray()
    tile, columns, slice_, kb, nb = (layout[key] for key in ("k_tile", "n_tile", "k_slice", "k_block", "n_block"))
    for column in range(0, n, columns):
        for k_slice in range(0, k, slice_):  # tiles and their slices, one after the other
            for nn in range(column, column + columns, nb):
                for kk in range(k_slice, k_slice + slice_, kb):
                    if layout["inner"] == "k":
                        for j in range(nn, nn + nb):
                            out += bfp16_group([b(i, j) for i in range(kk, kk + kb)])
                    else:
                        out += bytes(b(i, j) & 0xFF for i in range(kk, kk + kb) for j in range(nn, nn + nb))
    assert tile % slice_ == 0
    return out


def bf16s(data):
    return [from_bf16(v) for v in struct.unpack(f"<{len(data) // 2}H", data)]


def as_bf16(values):
    return struct.pack(f"<{len(values)}H", *map(to_bf16, values))


def as_f32(values):
    return struct.pack(f"<{len(values)}f", *values)
