"""Data flow of layer normalisation over 32 tiles, in IRON.

x, the residual stream, f32 [M][D], and parameters, f32 [2][D] (gamma, beta), come from memory; y, bf16 [M][D], goes back. A
tile works on a few whole rows at a time and knows nothing of M, which is in the instruction stream alone. Column c of the
array takes the groups of rows c, c + 8, ...; gamma and beta come once for each group.
"""

import numpy as np
import rowwise
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Kernel, Program, Runtime
from aie.iron.device import NPU2
from ml_dtypes import bfloat16

WIDTH, ROWS = 512, 8  # Whisper base; rows of a tile's block; passed to tile.cc as -DWIDTH and -DROWS
GROUP = rowwise.ARRAY_ROWS * ROWS

OBJECT = "layer_norm.o"
DEFINES = {"WIDTH": WIDTH, "ROWS": ROWS}


def design(m):
    """The program for x [m][WIDTH]."""
    if m % GROUP:
        raise ValueError(f"layer_norm: M must be a multiple of {GROUP}, not {m}")
    x_block = np.ndarray[(ROWS * WIDTH,), np.dtype[np.float32]]
    y_block = np.ndarray[(ROWS * WIDTH,), np.dtype[bfloat16]]
    both = np.ndarray[(2 * WIDTH,), np.dtype[np.float32]]
    x_whole = np.ndarray[(m * WIDTH,), np.dtype[np.float32]]
    y_whole = np.ndarray[(m * WIDTH,), np.dtype[bfloat16]]
    kernel = Kernel("layer_norm", OBJECT, [x_block, both, y_block])
    workers, x_in, parameters_in, y_out = rowwise.array(kernel, ROWS * WIDTH, np.float32, both, bfloat16)

    def sequence(x, parameters, y, x_in, parameters_in, y_out):
        for c, mine in rowwise.share(m // GROUP):
            strides = [rowwise.ARRAY_COLUMNS * GROUP * WIDTH, WIDTH, 1]
            rows = TensorAccessPattern((m * WIDTH,), c * GROUP * WIDTH, [mine, GROUP, WIDTH], strides)
            every = TensorAccessPattern((2 * WIDTH,), 0, [mine, 2 * WIDTH], [0, 1])
            x_in[c].fill(x, rows)
            parameters_in[c].fill(parameters, every)
            y_out[c].drain(y, rows, wait=True)

    runtime = Runtime(sequence, [x_whole, both, y_whole, x_in, parameters_in, y_out])
    return Program(NPU2(), runtime, workers=workers).resolve_program()
