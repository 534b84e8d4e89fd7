"""Expectation of layer_norm: whole rows in order, with gamma and beta of each column."""

from collections.abc import Iterator

from hearken_kernels.array import MODEL_WIDTH as WIDTH
from hearken_kernels.dataflow.expected import Case

SHAPES = [256, 512, 96]


def cases(design) -> Iterator[Case]:
    parameters = [("gamma", i) for i in range(WIDTH)] + [("beta", i) for i in range(WIDTH)]
    for m in SHAPES:
        yield (
            f"{m}×{WIDTH}",
            design.design(m),
            {
                "x": ([("x", i // WIDTH, i % WIDTH) for i in range(m * WIDTH)], 1),
                "parameters": (list(parameters), m // 32),
                "y": (lambda i: ("y", i // WIDTH, i % WIDTH), None),
            },
        )


def layer_norm(x, parameters, y):
    for c in range(WIDTH):
        if parameters[c] != ("gamma", c) or parameters[WIDTH + c] != ("beta", c):
            raise ValueError(f"column {c} has {parameters[c]} and {parameters[WIDTH + c]}")
    for start in range(0, len(x), WIDTH):
        row = x[start][1]
        if x[start : start + WIDTH] != [("x", row, c) for c in range(WIDTH)]:
            raise ValueError(f"row {row} is not whole")
        y[start : start + WIDTH] = [("y", row, c) for c in range(WIDTH)]


MODELS = {"layer_norm": layer_norm}
