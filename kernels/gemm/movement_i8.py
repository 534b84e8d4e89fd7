"""What the int8 product's data movement has to do: in every block product the k of A are the k of B, each k of a result is
taken once, and the result lands in its row and column. B is packed here by the loops of kernels/MANIFEST.md."""

TILE, SLICE, BLOCK, K_TILE = 64, 128, 8, 512
SHAPES = [(256, 1024, 512), (512, 512, 1024)]


def packed(k, n, k_tile=K_TILE, n_tile=TILE, k_slice=SLICE, k_block=BLOCK, n_block=BLOCK):
    """B's labels (k, n) in the order of the manifest, inner "n"."""
    return [
        ("b", t * k_tile + s * k_slice + kb * k_block + ki, column * n_tile + nb * n_block + ni)
        for column in range(n // n_tile) for t in range(k // k_tile) for s in range(k_tile // k_slice)
        for nb in range(n_tile // n_block) for kb in range(k_slice // k_block)
        for ki in range(k_block) for ni in range(n_block)
    ]


def cases(design):
    for m, k, n in SHAPES:
        yield f"{m}×{k}×{n}", design.design(m, k, n), {
            "a": ([("a", i // k, i % k) for i in range(m * k)], n // 512),
            "b": (packed(k, n), m // 256),
            "c": (lambda i, n=n, k=k: ("c", i // n, i % n, k), None),
        }


def begin(total):
    total[0] = None


def step(a, b, total):
    """Every product of 8×8 by 8×8 that the tile program makes of the two blocks."""
    (_, row, first), (_, depth, column) = a[0], b[0]
    expected_a = [
        ("a", row + r + i, first + k + j)
        for r in range(0, TILE, BLOCK) for k in range(0, SLICE, BLOCK) for i in range(BLOCK) for j in range(BLOCK)
    ]
    expected_b = [
        ("b", first + k + i, column + c + j)
        for c in range(0, TILE, BLOCK) for k in range(0, SLICE, BLOCK) for i in range(BLOCK) for j in range(BLOCK)
    ]
    if a != expected_a or b != expected_b:
        raise ValueError(f"A from ({row}, {first}) and B from ({depth}, {column}) are not what one step multiplies")
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
