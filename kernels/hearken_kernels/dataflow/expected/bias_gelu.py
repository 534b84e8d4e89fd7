"""Expectation of bias_gelu: each element meets the bias of its own column and lands where it came
from."""

from collections.abc import Iterator

from hearken_kernels.dataflow.expected import Case

SHAPES = [(256, 2048), (512, 512), (32, 256)]


def cases(design) -> Iterator[Case]:
    for m, n in SHAPES:
        yield (
            f"{m}×{n}",
            design.design(m, n),
            {
                "x": ([("x", i // n, i % n) for i in range(m * n)], 1),
                "bias": ([("bias", i) for i in range(n)], m // 32),
                "y": (lambda i, n=n: ("y", i // n, i % n), None),
            },
        )


def bias_gelu(x, bias, y):
    for i, (what, row, column) in enumerate(x):
        if what != "x" or bias[i % len(bias)] != ("bias", column):
            raise ValueError(f"{what} {row} {column} meets {bias[i % len(bias)]}")
        y[i] = ("y", row, column)


MODELS = {"bias_gelu": bias_gelu}
