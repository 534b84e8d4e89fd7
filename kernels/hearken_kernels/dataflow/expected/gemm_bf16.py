"""Expectation of the bf16 product, with B packed by the loops of kernels/MANIFEST.md, inner "k": in
every block product the k of A are the k of B, each k of a result is taken once, and the result
lands in its row and column."""

from collections.abc import Iterator

from hearken_kernels.dataflow import model
from hearken_kernels.dataflow.expected import Case, Label

K_TILE, TILE, SLICE, BAND, BLOCK, OUT = 512, 64, 128, 32, 8, 512
SHAPES = [(256, 1024, 512), (512, 512, 1024), (512, 3072, 512), (256, 4096, 512)]


def packed(k: int, n: int) -> list[Label]:
    """Returns B's groups of 8 values, ("b", first k of 8, n), in the order of the manifest with
    k_slice 128, k_block 8, n_block 8."""
    return [
        ("b", t * K_TILE + s * SLICE + kb * BLOCK, column * TILE + nb * BLOCK + ni)
        for column in range(n // TILE)
        for t in range(k // K_TILE)
        for s in range(K_TILE // SLICE)
        for nb in range(TILE // BLOCK)
        for kb in range(SLICE // BLOCK)
        for ni in range(BLOCK)
    ]


def cases(design) -> Iterator[Case]:
    group = model.DType("bfp16ebs8 group", 9)
    for m, k, n in SHAPES:
        yield (
            f"{m}×{k}×{n}",
            design.design(m, k, n, group),
            {
                "a": ([("a", i // k, i % k) for i in range(m * k)], n // 512),
                "b": (packed(k, n), m // 256),
                "c": (lambda i, n=n, k=k: ("c", i // n, i % n, k), None),
            },
        )


def begin(total):
    total[0] = total[1] = None


def step(a, b, total, band):
    """mm_fused_mmul_2x2: A in blocks [row][k] of 8×8, B in blocks [column][k] whose groups are 8
    consecutive k of one n."""
    (_, row, first), (_, depth, column) = a[0], b[0]
    expected_a = [
        ("a", row + r + i, first + k + j)
        for r in range(0, BAND, BLOCK)
        for k in range(0, SLICE, BLOCK)
        for i in range(BLOCK)
        for j in range(BLOCK)
    ]
    expected_b = [
        ("b", first + k, column + c + j)
        for c in range(0, TILE, BLOCK)
        for k in range(0, SLICE, BLOCK)
        for j in range(BLOCK)
    ]
    if a != expected_a or b != expected_b:
        raise ValueError(
            f"A from ({row}, {first}) and B from ({depth}, {column}) are not what one step "
            "multiplies"
        )
    state = total[band] or (row, column, 0)
    if state != (row, column, first):
        raise ValueError(f"k from {first} for ({row}, {column}) comes after {state}")
    total[band] = (row, column, first + SLICE)


def end(out, total, piece):
    """512 results at a time: a row of 8 blocks of 8×8."""
    row, column, depth = total[piece * BLOCK // BAND]
    row += piece * BLOCK % BAND
    at = 0
    for c in range(0, TILE, BLOCK):
        for i in range(BLOCK):
            for j in range(BLOCK):
                out[at] = ("c", row + i, column + c + j, depth)
                at += 1


MODELS = {"mm_fused_acc_init": begin, "mm_fused_k_step": step, "mm_fused_epilogue_chunk": end}
