"""Data flow of layer normalisation over 32 tiles.

In: x, the residual stream, f32 [M][D]; parameters, f32 [2][D] (gamma, beta). Out: y, bf16 [M][D]. A
tile works on a few whole rows at a time; M is in the instruction stream alone. Column c of the
array takes the groups of rows c, c + 8, ...; gamma and beta come once for each group.
"""

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Kernel, Program, Runtime
from aie.iron.device import NPU2
from ml_dtypes import bfloat16

from hearken_kernels.array import ARRAY_COLUMNS, ARRAY_ROWS, MODEL_WIDTH
from hearken_kernels.designs import rowwise
from hearken_kernels.designs.parts import bound, vector

WIDTH = MODEL_WIDTH
ROWS = 8  # of a tile's block
GROUP = ARRAY_ROWS * ROWS

OBJECT = "layer_norm.o"
DEFINES = {"WIDTH": WIDTH, "ROWS": ROWS}


def design(m: int):
    """Returns the program for x [m][WIDTH]."""
    if m % GROUP:
        raise ValueError(f"layer_norm: M must be a multiple of {GROUP}, not {m}")
    array = topology()
    tensors = [
        vector(m * WIDTH, np.float32),
        vector(2 * WIDTH, np.float32),
        vector(m * WIDTH, bfloat16),
    ]
    ends = [array.x_in, array.shared_in, array.y_out]
    runtime = Runtime(bound(sequence, m), [*tensors, *ends])
    return Program(NPU2(), runtime, workers=array.workers).resolve_program()


def topology() -> rowwise.Array:
    x_block = vector(ROWS * WIDTH, np.float32)
    y_block = vector(ROWS * WIDTH, bfloat16)
    parameters = vector(2 * WIDTH, np.float32)
    kernel = Kernel("layer_norm", OBJECT, [x_block, parameters, y_block])
    return rowwise.topology(kernel, ROWS * WIDTH, np.float32, parameters, bfloat16)


def sequence(m: int, x, parameters, y, x_in, parameters_in, y_out) -> None:
    for c, mine in rowwise.share(m // GROUP):
        sizes = [mine, 1, 1, GROUP * WIDTH]
        strides = [ARRAY_COLUMNS * GROUP * WIDTH, 0, 0, 1]
        rows = TensorAccessPattern((m * WIDTH,), c * GROUP * WIDTH, sizes, strides)
        every = TensorAccessPattern((2 * WIDTH,), 0, [mine, 1, 1, 2 * WIDTH], [0, 0, 0, 1])
        x_in[c].fill(x, rows)
        parameters_in[c].fill(parameters, every)
        y_out[c].drain(y, rows, wait=True)
