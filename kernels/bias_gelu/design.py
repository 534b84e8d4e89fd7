"""Data flow of bias + GELU(erf) over 32 tiles, in IRON.

x, a product's result, bf16 [M][N], and bias, f32 [N], come from memory; y, bf16 [M][N], goes back. A tile works on 8 rows by
256 columns at a time and knows nothing of M and N: they are in the instruction stream alone, so one xclbin serves all
shapes with M a multiple of 32 and N of 256. Column c of the array takes the groups of 32 rows c, c + 8, ...
"""

import numpy as np
import rowwise
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Kernel, Program, Runtime
from aie.iron.device import NPU2
from ml_dtypes import bfloat16

ROWS, COLUMNS = 8, 256  # of a tile's block; passed to tile.cc as -DROWS and -DCOLUMNS
GROUP = rowwise.ARRAY_ROWS * ROWS

OBJECT = "bias_gelu.o"
DEFINES = {"ROWS": ROWS, "COLUMNS": COLUMNS}


def design(m, n, gelu=True):
    """The program for x [m][n]; `gelu` false adds the bias only."""
    if m % GROUP or n % COLUMNS:
        raise ValueError(f"bias_gelu: M must be a multiple of {GROUP} and N of {COLUMNS}, not {m} and {n}")
    block = np.ndarray[(ROWS * COLUMNS,), np.dtype[bfloat16]]
    bias_part = np.ndarray[(COLUMNS,), np.dtype[np.float32]]
    whole = np.ndarray[(m * n,), np.dtype[bfloat16]]
    whole_bias = np.ndarray[(n,), np.dtype[np.float32]]
    kernel = Kernel("bias_gelu" if gelu else "bias_add", OBJECT, [block, bias_part, block])
    workers, x_in, bias_in, y_out = rowwise.array(kernel, ROWS * COLUMNS, bfloat16, bias_part, bfloat16)

    def sequence(x, bias, y, x_in, bias_in, y_out):
        blocks = n // COLUMNS
        for c, mine in rowwise.share(m // GROUP):
            # A group's blocks of 256 columns, one after the other, each with its biases.
            strides = [rowwise.ARRAY_COLUMNS * GROUP * n, COLUMNS, n, 1]
            rows = TensorAccessPattern((m * n,), c * GROUP * n, [mine, blocks, GROUP, COLUMNS], strides)
            every = TensorAccessPattern((n,), 0, [mine, blocks, COLUMNS], [0, COLUMNS, 1])
            x_in[c].fill(x, rows)
            bias_in[c].fill(bias, every)
            y_out[c].drain(y, rows, wait=True)

    runtime = Runtime(sequence, [whole, whole_bias, whole, x_in, bias_in, y_out])
    return Program(NPU2(), runtime, workers=workers).resolve_program()
