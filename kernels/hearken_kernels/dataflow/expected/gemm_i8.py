"""Expectation of the int8 product: in every block product the k of A are the k of B, each k of a
result is taken once, and the result lands in its row and column. B is packed here by the loops of
kernels/MANIFEST.md, inner "n"."""

from collections.abc import Iterator

from hearken_kernels.dataflow.expected import Case, Label

TILE, SLICE, BLOCK, K_TILE = 64, 128, 8, 512
SHAPES = [(256, 1024, 512), (512, 512, 1024)]


def packed(k: int, n: int) -> list[Label]:
    """Returns B's labels, ("b", k, n), in the order of the manifest with k_slice 128, k_block 8,
    n_block 8."""
    return [
        ("b", t * K_TILE + s * SLICE + kb * BLOCK + ki, column * TILE + nb * BLOCK + ni)
        for column in range(n // TILE)
        for t in range(k // K_TILE)
        for s in range(K_TILE // SLICE)
        for nb in range(TILE // BLOCK)
        for kb in range(SLICE // BLOCK)
        for ki in range(BLOCK)
        for ni in range(BLOCK)
    ]


def cases(design) -> Iterator[Case]:
    for m, k, n in SHAPES:
        yield (
            f"{m}×{k}×{n}",
            design.design(m, k, n),
            {
                "a": ([("a", i // k, i % k) for i in range(m * k)], n // 512),
                "b": (packed(k, n), m // 256),
                "c": (lambda i, n=n, k=k: ("c", i // n, i % n, k), None),
            },
        )


def begin(total):
    total[0] = None


def step(a, b, total):
    """Every product of 8×8 by 8×8 that the tile program makes of the two blocks."""
    (_, row, first), (_, depth, column) = a[0], b[0]
    expected_a = [
        ("a", row + r + i, first + k + j)
        for r in range(0, TILE, BLOCK)
        for k in range(0, SLICE, BLOCK)
        for i in range(BLOCK)
        for j in range(BLOCK)
    ]
    expected_b = [
        ("b", first + k + i, column + c + j)
        for c in range(0, TILE, BLOCK)
        for k in range(0, SLICE, BLOCK)
        for i in range(BLOCK)
        for j in range(BLOCK)
    ]
    if a != expected_a or b != expected_b:
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
                    part[at] = ("c", row + r + i, column + c + j, depth)
                    at += 1


MODELS = {"gemm_i8_begin": begin, "gemm_i8_step": step, "gemm_i8_end": end}
