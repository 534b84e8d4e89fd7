"""The array for an operator that works on rows by themselves: what bias_gelu and layer_norm have in common.

Each column of the array takes groups of rows: its memory tile deals a group to the column's four tiles and joins what they
return, and values that all rows share come straight to the four tiles, anew with each group. A tile runs one block after the
other, for ever, and knows no shape.
"""

import numpy as np
from aie.iron import ObjectFifo, Worker
from aie.iron.device import Tile

ARRAY_COLUMNS, ARRAY_ROWS = 8, 4
STACK = 0xD00  # bytes; the compiler's default of 1,024 overflows into the buffers, silently


def _core(x, shared, y, kernel):
    x_block, values, y_block = x.acquire(1), shared.acquire(1), y.acquire(1)
    kernel(x_block, values, y_block)
    x.release(1)
    shared.release(1)
    y.release(1)


def array(kernel, length, x_dtype, shared_type, y_dtype):
    """The workers, and the host's ends for x, the shared values and y, one of each for a column. A tile's block has `length`
    elements, a group four times as many."""
    def of(count, dtype):
        return np.ndarray[(count,), np.dtype[dtype]]

    workers, x_in, shared_in, y_out = [], [], [], []
    parts = [r * length for r in range(ARRAY_ROWS)]
    for c in range(ARRAY_COLUMNS):
        x = ObjectFifo(of(ARRAY_ROWS * length, x_dtype), name=f"x_{c}")
        shared = ObjectFifo(shared_type, name=f"shared_{c}")
        y = ObjectFifo(of(ARRAY_ROWS * length, y_dtype), name=f"y_{c}")
        x_types, x_names = [of(length, x_dtype)] * ARRAY_ROWS, [f"x_{c}_{r}" for r in range(ARRAY_ROWS)]
        y_types, y_names = [of(length, y_dtype)] * ARRAY_ROWS, [f"y_{c}_{r}" for r in range(ARRAY_ROWS)]
        dealt = x.cons().split(parts, tile=Tile(c, 1), obj_types=x_types, names=x_names)
        joined = y.prod().join(parts, tile=Tile(c, 1), obj_types=y_types, names=y_names)
        for r in range(ARRAY_ROWS):
            arguments = [dealt[r].cons(), shared.cons(), joined[r].prod(), kernel]
            workers.append(Worker(_core, arguments, tile=Tile(c, 2 + r), stack_size=STACK))
        x_in.append(x.prod(tile=Tile(c, 0)))
        shared_in.append(shared.prod(tile=Tile(c, 0)))
        y_out.append(y.cons(tile=Tile(c, 0)))
    return workers, x_in, shared_in, y_out


def share(groups):
    """(column, number of its groups) for each column that has any: groups c, c + 8, ... are column c's."""
    for c in range(min(ARRAY_COLUMNS, groups)):
        yield c, (groups - c + ARRAY_COLUMNS - 1) // ARRAY_COLUMNS
