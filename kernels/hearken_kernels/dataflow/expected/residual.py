"""Expectation of residual: each element meets the residual of its own row and column and the bias
of its column, and lands where it came from."""

from collections.abc import Iterator

from hearken_kernels.array import MODEL_WIDTH as WIDTH
from hearken_kernels.dataflow.expected import Case

SHAPES = [256, 512, 128]


def cases(design) -> Iterator[Case]:
    for m in SHAPES:
        yield (
            f"{m}×{WIDTH}",
            design.design(m),
            {
                "x": ([("x", i // WIDTH, i % WIDTH) for i in range(m * WIDTH)], 1),
                "residual": ([("residual", i // WIDTH, i % WIDTH) for i in range(m * WIDTH)], 1),
                # To each of 8 columns, 2 objects of 8 rows.
                "bias": ([("bias", i) for i in range(WIDTH)], 8 * 2 * 8),
                "out": (lambda i: ("out", i // WIDTH, i % WIDTH), None),
            },
        )


def keep(header, bias):
    for c in range(WIDTH):
        if header[c] != ("bias", c):
            raise ValueError(f"column {c} of the bias is {header[c]}")
        bias[c] = header[c]


def add(x, residual, bias, out):
    for i, (what, row, column) in enumerate(x):
        own = residual[i], bias[i % WIDTH]
        if what != "x" or own != (("residual", row, column), ("bias", column)):
            raise ValueError(f"{what} {row} {column} meets {own[0]} and {own[1]}")
        out[i] = ("out", row, column)


MODELS = {"residual_bias": keep, "residual_add": add}
