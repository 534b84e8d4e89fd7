"""The array for an operator that works on each row alone: shared by bias_gelu and layer_norm.

Each column of the array takes groups of rows. Its memory tile deals a group to the column's four
tiles and joins their results. Values that all rows share go straight to the four tiles, again with
each group. A tile processes one block after the other, for ever, and knows no shape.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from aie.iron import Kernel, ObjectFifo, Worker

from hearken_kernels.array import ARRAY_COLUMNS, ARRAY_ROWS, STACK
from hearken_kernels.designs.parts import core_tile, memory_tile, names, shim, vector


class Array(NamedTuple):
    """The workers, and the host's ends of the fifos: one of each for a column."""

    workers: list[Worker]
    x_in: list[Any]
    shared_in: list[Any]
    y_out: list[Any]


def topology(kernel: Kernel, length: int, x_dtype: Any, shared_type: Any, y_dtype: Any) -> Array:
    """Returns the array for blocks of `length` elements; a group is four blocks."""
    array = Array([], [], [], [])
    for column in range(ARRAY_COLUMNS):
        _add_column(array, column, kernel, length, x_dtype, shared_type, y_dtype)
    return array


def share(groups: int) -> Iterator[tuple[int, int]]:
    """Yields (column, number of its groups) for each column that has any.

    Groups c, c + 8, ... belong to column c.
    """
    for column in range(min(ARRAY_COLUMNS, groups)):
        yield column, (groups - column + ARRAY_COLUMNS - 1) // ARRAY_COLUMNS


def _add_column(
    array: Array,
    column: int,
    kernel: Kernel,
    length: int,
    x_dtype: Any,
    shared_type: Any,
    y_dtype: Any,
) -> None:
    x = ObjectFifo(vector(ARRAY_ROWS * length, x_dtype), name=f"x_{column}")
    shared = ObjectFifo(shared_type, name=f"shared_{column}")
    y = ObjectFifo(vector(ARRAY_ROWS * length, y_dtype), name=f"y_{column}")
    parts = [row * length for row in range(ARRAY_ROWS)]
    dealt = x.cons().split(
        parts,
        tile=memory_tile(column),
        obj_types=[vector(length, x_dtype)] * ARRAY_ROWS,
        names=names("x", column),
    )
    joined = y.prod().join(
        parts,
        tile=memory_tile(column),
        obj_types=[vector(length, y_dtype)] * ARRAY_ROWS,
        names=names("y", column),
    )
    for row in range(ARRAY_ROWS):
        arguments = [dealt[row].cons(), shared.cons(), joined[row].prod(), kernel]
        array.workers.append(
            Worker(_core, arguments, tile=core_tile(column, row), stack_size=STACK)
        )
    array.x_in.append(x.prod(tile=shim(column)))
    array.shared_in.append(shared.prod(tile=shim(column)))
    array.y_out.append(y.cons(tile=shim(column)))


def _core(x, shared, y, kernel):
    x_block, values, y_block = x.acquire(1), shared.acquire(1), y.acquire(1)
    kernel(x_block, values, y_block)
    x.release(1)
    shared.release(1)
    y.release(1)
