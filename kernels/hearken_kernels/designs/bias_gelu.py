"""Data flow of bias + GELU(erf) over 32 tiles.

In: x, a product's result, bf16 [M][N]; bias, f32 [N]. Out: y, bf16 [M][N]. A tile works on 8 rows
by 256 columns at a time. M and N are in the instruction stream alone, so one xclbin serves all
shapes with M a multiple of 32 and N of 256. Column c of the array takes the groups of 32 rows c,
c + 8, ...
"""

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Kernel, Program, Runtime
from aie.iron.device import NPU2
from ml_dtypes import bfloat16

from hearken_kernels.array import ARRAY_COLUMNS, ARRAY_ROWS
from hearken_kernels.designs import rowwise
from hearken_kernels.designs.parts import bound, vector

ROWS, COLUMNS = 8, 256  # of a tile's block
GROUP = ARRAY_ROWS * ROWS

OBJECT = "bias_gelu.o"
DEFINES = {"ROWS": ROWS, "COLUMNS": COLUMNS}


def design(m: int, n: int, gelu: bool = True):
    """Returns the program for x [m][n]; without `gelu` it only adds the bias."""
    if m % GROUP or n % COLUMNS:
        raise ValueError(
            f"bias_gelu: M must be a multiple of {GROUP} and N of {COLUMNS}, not {m} and {n}"
        )
    array = topology(gelu)
    tensors = [vector(m * n, bfloat16), vector(n, np.float32), vector(m * n, bfloat16)]
    ends = [array.x_in, array.shared_in, array.y_out]
    runtime = Runtime(bound(sequence, m, n), [*tensors, *ends])
    return Program(NPU2(), runtime, workers=array.workers).resolve_program()


def topology(gelu: bool) -> rowwise.Array:
    block = vector(ROWS * COLUMNS, bfloat16)
    bias_part = vector(COLUMNS, np.float32)
    kernel = Kernel("bias_gelu" if gelu else "bias_add", OBJECT, [block, bias_part, block])
    return rowwise.topology(kernel, ROWS * COLUMNS, bfloat16, bias_part, bfloat16)


def sequence(m: int, n: int, x, bias, y, x_in, bias_in, y_out) -> None:
    blocks = n // COLUMNS
    for c, mine in rowwise.share(m // GROUP):
        # A group's blocks of 256 columns, one after the other, each with its biases.
        sizes = [mine, blocks, GROUP, COLUMNS]
        strides = [ARRAY_COLUMNS * GROUP * n, COLUMNS, n, 1]
        rows = TensorAccessPattern((m * n,), c * GROUP * n, sizes, strides)
        every = TensorAccessPattern((n,), 0, [mine, 1, blocks, COLUMNS], [0, 0, COLUMNS, 1])
        x_in[c].fill(x, rows)
        bias_in[c].fill(bias, every)
        y_out[c].drain(y, rows, wait=True)
