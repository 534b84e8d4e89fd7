"""What residual's data movement has to do: each element meets the residual of its own row and column and the bias of its
column, and lands where it came from."""

WIDTH = 512
SHAPES = [256, 512, 128]


def cases(design):
    for m in SHAPES:
        yield f"{m}×{WIDTH}", design.design(m), {
            "x": ([("x", i // WIDTH, i % WIDTH) for i in range(m * WIDTH)], 1),
            "residual": ([("residual", i // WIDTH, i % WIDTH) for i in range(m * WIDTH)], 1),
            # To each of 8 columns, 2 objects of 8 rows.
            "bias": ([("bias", i) for i in range(WIDTH)], 8 * 2 * 8),
            "out": (lambda i: ("out", i // WIDTH, i % WIDTH), None),
        }


def keep(header, bias):
    for c in range(WIDTH):
        if header[c] != ("bias", c):
            raise ValueError(f"column {c} of the bias is {header[c]}")
        bias[c] = header[c]


def add(x, residual, bias, out):
    for i, (what, row, column) in enumerate(x):
        if what != "x" or residual[i] != ("residual", row, column) or bias[i % WIDTH] != ("bias", column):
            raise ValueError(f"{what} {row} {column} meets {residual[i]} and {bias[i % WIDTH]}")
        out[i] = ("out", row, column)


MODELS = {"residual_bias": keep, "residual_add": add}
