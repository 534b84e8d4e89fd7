"""Data flow of bias + GELU(erf) over 32 tiles, in IRON.

x, a product's result, bf16 [M][N], and bias, f32 [N], come from memory; y, bf16 [M][N], goes back. A tile works on 8 rows by
256 columns at a time and knows nothing of M and N: they are in the instruction stream alone, so one xclbin serves all
shapes with M a multiple of 32 and N of 256.

Column c of the array takes the groups of 32 rows c, c + 8, ...; its memory tile deals a group's rows to its four
tiles and joins what they return.
"""

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Kernel, ObjectFifo, Program, Runtime, Worker
from aie.iron.device import NPU2, Tile
from ml_dtypes import bfloat16

ARRAY_COLUMNS, ARRAY_ROWS = 8, 4
ROWS, COLUMNS = 8, 256  # of a tile's block; passed to tile.cc as -DROWS and -DCOLUMNS
GROUP = ARRAY_ROWS * ROWS
STACK = 0xD00  # bytes; the compiler's default of 1,024 overflows into the buffers, silently

OBJECT = "bias_gelu.o"
DEFINES = {"ROWS": ROWS, "COLUMNS": COLUMNS}


def design(m, n, gelu=True):
    """The program for x [m][n]; `gelu` false adds the bias only."""
    if m % GROUP or n % COLUMNS:
        raise ValueError(f"bias_gelu: M must be a multiple of {GROUP} and N of {COLUMNS}, not {m} and {n}")
    block = np.ndarray[(ROWS * COLUMNS,), np.dtype[bfloat16]]
    group = np.ndarray[(GROUP * COLUMNS,), np.dtype[bfloat16]]
    bias_part = np.ndarray[(COLUMNS,), np.dtype[np.float32]]
    whole = np.ndarray[(m * n,), np.dtype[bfloat16]]
    whole_bias = np.ndarray[(n,), np.dtype[np.float32]]

    kernel = Kernel("bias_gelu" if gelu else "bias_add", OBJECT, [block, bias_part, block])

    def core(x, bias, y, kernel):
        x_block, bias_block, y_block = x.acquire(1), bias.acquire(1), y.acquire(1)
        kernel(x_block, bias_block, y_block)
        x.release(1)
        bias.release(1)
        y.release(1)

    workers, x_in, bias_in, y_out = [], [], [], []
    parts = [r * ROWS * COLUMNS for r in range(ARRAY_ROWS)]
    for c in range(ARRAY_COLUMNS):
        x = ObjectFifo(group, name=f"x_{c}")
        bias = ObjectFifo(bias_part, name=f"bias_{c}")
        y = ObjectFifo(group, name=f"y_{c}")
        dealt = x.cons().split(
            parts, tile=Tile(c, 1), obj_types=[block] * ARRAY_ROWS, names=[f"x_{c}_{r}" for r in range(ARRAY_ROWS)]
        )
        joined = y.prod().join(
            parts, tile=Tile(c, 1), obj_types=[block] * ARRAY_ROWS, names=[f"y_{c}_{r}" for r in range(ARRAY_ROWS)]
        )
        for r in range(ARRAY_ROWS):
            arguments = [dealt[r].cons(), bias.cons(), joined[r].prod(), kernel]
            workers.append(Worker(core, arguments, tile=Tile(c, 2 + r), stack_size=STACK))
        x_in.append(x.prod(tile=Tile(c, 0)))
        bias_in.append(bias.prod(tile=Tile(c, 0)))
        y_out.append(y.cons(tile=Tile(c, 0)))

    def sequence(x, bias, y, x_in, bias_in, y_out):
        groups, blocks = m // GROUP, n // COLUMNS
        for c in range(min(ARRAY_COLUMNS, groups)):
            mine = (groups - c + ARRAY_COLUMNS - 1) // ARRAY_COLUMNS
            rows = TensorAccessPattern(
                (m * n,), c * GROUP * n, [mine, blocks, GROUP, COLUMNS], [ARRAY_COLUMNS * GROUP * n, COLUMNS, n, 1]
            )
            every = TensorAccessPattern((n,), 0, [mine, blocks, COLUMNS], [0, COLUMNS, 1])
            x_in[c].fill(x, rows)
            bias_in[c].fill(bias, every)
            y_out[c].drain(y, rows, wait=True)

    runtime = Runtime(sequence, [whole, whole_bias, whole, x_in, bias_in, y_out])
    return Program(NPU2(), runtime, workers=workers).resolve_program()
