"""Expectation of the int8 product: in every block product the k of A are the k of B, each k of a
result is taken once, and the result lands in its row and column. B is packed here by the loops of
kernels/MANIFEST.md, inner "n"."""

from array import array
from collections.abc import Iterator

from hearken_kernels.dataflow.expected import Case
from hearken_kernels.overlays import LARGER_PRODUCTS, OVERLAYS

TILE, SLICE, BLOCK, K_TILE = 64, 128, 8, 512

DECLARED = [(shape["m"], shape["k"], shape["n"]) for shape in OVERLAYS["gemm-i8"].shapes]
"""All that are built for Whisper base."""

# Labels are numbers, since the larger matrices have millions of elements: row and column of a
# matrix, and which it is.
COLUMN_BITS = 20
A, B, C = 0, 1 << 40, 2 << 40
PLACE = (1 << 40) - 1


def label(matrix: int, row: int, column: int) -> int:
    return matrix | row << COLUMN_BITS | column


def place(of: int) -> tuple[int, int]:
    """Returns row and column of a label."""
    return (of & PLACE) >> COLUMN_BITS, of & ((1 << COLUMN_BITS) - 1)


def packed(k: int, n: int) -> Iterator[tuple[int, int]]:
    """Yields k and n of B's elements in the order of the manifest with k_slice 128, k_block 8,
    n_block 8."""
    for column in range(n // TILE):
        for first in range(0, k, SLICE):
            for nb in range(TILE // BLOCK):
                for kb in range(SLICE // BLOCK):
                    for ki in range(BLOCK):
                        for ni in range(BLOCK):
                            yield first + kb * BLOCK + ki, column * TILE + nb * BLOCK + ni


def cases(design) -> Iterator[Case]:
    for m, k, n in [*DECLARED, *LARGER_PRODUCTS]:
        a_reads, b_reads = n // 512, m // 256
        yield (
            f"{m}×{k}×{n}",
            design.design(m, k, n),
            {
                "a": (array("q", (label(A, i // k, i % k) for i in range(m * k))), a_reads),
                "b": (array("q", (label(B, *at) for at in packed(k, n))), b_reads),
                "c": (lambda i, n=n, k=k: (label(C, i // n, i % n), k), None),
            },
        )


# What one step multiplies, relative to the first element of each block: every product of 8×8 by
# 8×8 that the tile program makes.
STEP_A = [
    label(0, r + i, k + j)
    for r in range(0, TILE, BLOCK)
    for k in range(0, SLICE, BLOCK)
    for i in range(BLOCK)
    for j in range(BLOCK)
]
STEP_B = [
    label(0, k + i, c + j)
    for c in range(0, TILE, BLOCK)
    for k in range(0, SLICE, BLOCK)
    for i in range(BLOCK)
    for j in range(BLOCK)
]


def begin(total):
    total[0] = None


def step(a, b, total):
    (row, first), (depth, column) = place(a[0]), place(b[0])
    start_a, start_b = label(A, row, first), label(B, first, column)
    if a != [start_a + at for at in STEP_A] or b != [start_b + at for at in STEP_B]:
        raise ValueError(
            f"A from ({row}, {first}) and B from ({depth}, {column}) are not what one step "
            "multiplies"
        )
    state = total[0] or (row, column, 0)
    if state != (row, column, first):
        raise ValueError(f"k from {first} for ({row}, {column}) comes after {state}")
    total[0] = (row, column, first + SLICE)


def end(total, part, piece):
    row, column, depth = total[0]
    at = 0
    for r in range(piece * TILE // 4, (piece + 1) * TILE // 4, BLOCK):
        for c in range(0, TILE, BLOCK):
            for i in range(BLOCK):
                for j in range(BLOCK):
                    part[at] = (label(C, row + r + i, column + c + j), depth)
                    at += 1


MODELS = {"gemm_i8_begin": begin, "gemm_i8_step": step, "gemm_i8_end": end}
