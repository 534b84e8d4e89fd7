"""What the designs share: buffer types, places in the array, sequences bound to a shape."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from aie.iron.device import Tile

from hearken_kernels.array import ARRAY_ROWS, FIRST_CORE_ROW, MEMORY_ROW, SHIM_ROW


def vector(length: int, dtype: Any) -> Any:
    """Returns the type of a buffer of `length` elements."""
    return np.ndarray[(length,), np.dtype[dtype]]


def shim(column: int) -> Tile:
    return Tile(column, SHIM_ROW)


def memory_tile(column: int) -> Tile:
    return Tile(column, MEMORY_ROW)


def core_tile(column: int, row: int) -> Tile:
    """Returns the compute tile in `row` of the array, counted from 0."""
    return Tile(column, FIRST_CORE_ROW + row)


def names(what: str, column: int, count: int = ARRAY_ROWS) -> list[str]:
    """Returns the names of the fifos to a column's tiles."""
    return [f"{what}_{column}_{row}" for row in range(count)]


def bound(sequence: Callable[..., None], *leading: Any) -> Callable[..., None]:
    """Returns a sequence with its leading arguments given, under the sequence's own name."""
    function = partial(sequence, *leading)
    function.__name__ = sequence.__name__  # type: ignore[attr-defined]
    return function
