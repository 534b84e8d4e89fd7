"""Data flow of layer normalisation over 32 tiles, in IRON.

x, the residual stream, f32 [M][D], and parameters, f32 [2][D] (gamma, beta), come from memory; y, bf16 [M][D], goes back. A
tile works on a few whole rows at a time and knows nothing of M, which is in the instruction stream alone.

Column c of the array takes the groups of rows c, c + 8, ...; its memory tile deals a group's rows to its four tiles and
joins what they return. gamma and beta come once for each group, straight from memory to the four tiles of a column.
"""

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Kernel, ObjectFifo, Program, Runtime, Worker
from aie.iron.device import NPU2, Tile
from ml_dtypes import bfloat16

ARRAY_COLUMNS, ARRAY_ROWS = 8, 4
WIDTH, ROWS = 512, 8  # Whisper base; of a tile's block; passed to tile.cc as -DWIDTH and -DROWS
GROUP = ARRAY_ROWS * ROWS
STACK = 0xD00

OBJECT = "layer_norm.o"
DEFINES = {"WIDTH": WIDTH, "ROWS": ROWS}


def design(m):
    """The program for x [m][WIDTH]."""
    if m % GROUP:
        raise ValueError(f"layer_norm: M must be a multiple of {GROUP}, not {m}")
    x_block = np.ndarray[(ROWS * WIDTH,), np.dtype[np.float32]]
    y_block = np.ndarray[(ROWS * WIDTH,), np.dtype[bfloat16]]
    x_group = np.ndarray[(GROUP * WIDTH,), np.dtype[np.float32]]
    y_group = np.ndarray[(GROUP * WIDTH,), np.dtype[bfloat16]]
    both = np.ndarray[(2 * WIDTH,), np.dtype[np.float32]]
    x_whole = np.ndarray[(m * WIDTH,), np.dtype[np.float32]]
    y_whole = np.ndarray[(m * WIDTH,), np.dtype[bfloat16]]

    kernel = Kernel("layer_norm", OBJECT, [x_block, both, y_block])

    def core(x, parameters, y, kernel):
        x_rows, both, y_rows = x.acquire(1), parameters.acquire(1), y.acquire(1)
        kernel(x_rows, both, y_rows)
        x.release(1)
        parameters.release(1)
        y.release(1)

    workers, x_in, parameters_in, y_out = [], [], [], []
    parts = [r * ROWS * WIDTH for r in range(ARRAY_ROWS)]
    for c in range(ARRAY_COLUMNS):
        x = ObjectFifo(x_group, name=f"x_{c}")
        parameters = ObjectFifo(both, name=f"parameters_{c}")
        y = ObjectFifo(y_group, name=f"y_{c}")
        dealt = x.cons().split(
            parts, tile=Tile(c, 1), obj_types=[x_block] * ARRAY_ROWS, names=[f"x_{c}_{r}" for r in range(ARRAY_ROWS)]
        )
        joined = y.prod().join(
            parts, tile=Tile(c, 1), obj_types=[y_block] * ARRAY_ROWS, names=[f"y_{c}_{r}" for r in range(ARRAY_ROWS)]
        )
        for r in range(ARRAY_ROWS):
            arguments = [dealt[r].cons(), parameters.cons(), joined[r].prod(), kernel]
            workers.append(Worker(core, arguments, tile=Tile(c, 2 + r), stack_size=STACK))
        x_in.append(x.prod(tile=Tile(c, 0)))
        parameters_in.append(parameters.prod(tile=Tile(c, 0)))
        y_out.append(y.cons(tile=Tile(c, 0)))

    def sequence(x, parameters, y, x_in, parameters_in, y_out):
        groups = m // GROUP
        for c in range(min(ARRAY_COLUMNS, groups)):
            mine = (groups - c + ARRAY_COLUMNS - 1) // ARRAY_COLUMNS
            step = ARRAY_COLUMNS * GROUP * WIDTH
            rows = TensorAccessPattern((m * WIDTH,), c * GROUP * WIDTH, [mine, GROUP, WIDTH], [step, WIDTH, 1])
            every = TensorAccessPattern((2 * WIDTH,), 0, [mine, 2 * WIDTH], [0, 1])
            x_in[c].fill(x, rows)
            parameters_in[c].fill(parameters, every)
            y_out[c].drain(y, rows, wait=True)

    runtime = Runtime(sequence, [x_whole, both, y_whole, x_in, parameters_in, y_out])
    return Program(NPU2(), runtime, workers=workers).resolve_program()
