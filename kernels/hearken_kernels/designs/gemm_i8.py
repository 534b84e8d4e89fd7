"""Data flow of C = A × B in int8 over 32 tiles: exact sums in i32.

In: A, i8 row-major [M][K]; B, i8 packed as kernels/MANIFEST.md defines (k_tile 512, n_tile 64,
k_slice 128, k_block 8, n_block 8, inner "n"). Out: C, i32 row-major [M][N]. Row r of the array
takes rows 64 r ... of every 256, column c the columns 64 c ... of every 512; A goes past the eight
tiles of a row, B past the four of a column.

The instruction stream writes two words into each tile, the number of its results and their depth,
and opens its barrier; one xclbin serves all shapes. A tile shuts its barrier as soon as it has read
the words: left open, it would not wait for the words of the next run.
"""

from typing import Any, NamedTuple

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Buffer, Kernel, ObjectFifo, Program, Runtime, Worker, WorkerRuntimeBarrier
from aie.iron.controlflow import range_
from aie.iron.device import NPU2

from hearken_kernels.array import ARRAY_COLUMNS, ARRAY_ROWS, STACK
from hearken_kernels.designs.parts import bound, core_tile, memory_tile, names, shim, vector

TILE, SLICE, BLOCK = (
    64,
    128,
    8,
)  # rows and columns of a tile's result, depth of a step, of a product
K_TILE = 512  # depth that the memory tile holds
RING = 2
PARTS = 4  # pieces in which a result leaves its tile
ROW_BLOCK, COLUMN_BLOCK = ARRAY_ROWS * TILE, ARRAY_COLUMNS * TILE
# With several blocks of rows, A and B take a transfer for each pass, beside C's one: a shim has 16
# descriptors. Beyond 4096, the stride between C's blocks of rows would be too large, too.
MOST_COLUMNS = 7 * COLUMN_BLOCK

OBJECT = "gemm_i8.o"
DEFINES: dict[str, int] = {}


class Array(NamedTuple):
    """The workers with what the host writes to them, and the host's ends of the fifos."""

    workers: list[Worker]
    parameters: list[Buffer]
    barriers: list[WorkerRuntimeBarrier]
    a_in: list[Any]
    b_in: list[Any]
    c_out: list[Any]


class Kernels(NamedTuple):
    """The functions of the tile program, in the order in which a core calls them."""

    begin: Kernel
    step: Kernel
    end: Kernel


def design(m: int, k: int, n: int):
    """Returns the program for A [m][k] and B [k][n]."""
    if m % ROW_BLOCK or k % K_TILE or n % COLUMN_BLOCK:
        raise ValueError(
            f"gemm_i8: M, K and N must be multiples of {ROW_BLOCK}, {K_TILE} and {COLUMN_BLOCK}, "
            f"not {m}, {k}, {n}"
        )
    if m > ROW_BLOCK and n > MOST_COLUMNS:
        raise ValueError(
            f"gemm_i8: with more than {ROW_BLOCK} rows, N must be at most {MOST_COLUMNS}, not {n}"
        )
    array = topology()
    tensors = [vector(m * k, np.int8), vector(k * n, np.int8), vector(m * n, np.int32)]
    ends = [array.a_in, array.b_in, array.c_out]
    transfers = bound(sequence, m, k, n, array.parameters, array.barriers)
    runtime = Runtime(transfers, [*tensors, *ends])
    return Program(NPU2(), runtime, workers=array.workers).resolve_program()


def topology() -> Array:
    a_slice, b_slice = vector(TILE * SLICE, np.int8), vector(SLICE * TILE, np.int8)
    part, result = vector(TILE * TILE // PARTS, np.int32), vector(TILE * TILE, np.int32)
    kernels = Kernels(
        begin=Kernel("gemm_i8_begin", OBJECT, [result]),
        step=Kernel("gemm_i8_step", OBJECT, [a_slice, b_slice, result]),
        end=Kernel("gemm_i8_end", OBJECT, [result, part, np.int32]),
    )
    array = Array([], [], [], [], [], [])
    a_past = [_add_row(array, row) for row in range(ARRAY_ROWS)]
    for column in range(ARRAY_COLUMNS):
        _add_column(array, column, a_past, kernels)
    return array


def sequence(
    m: int,
    k: int,
    n: int,
    written: list[Buffer],
    barriers: list[WorkerRuntimeBarrier],
    a,
    b,
    c,
    a_in,
    b_in,
    c_out,
) -> None:
    row_blocks, passes = m // ROW_BLOCK, n // COLUMN_BLOCK
    for parameters in written:
        parameters[0], parameters[1] = row_blocks * passes, k // (2 * SLICE)
    for barrier in barriers:
        barrier.set(1)
    for p in range(1 if row_blocks == 1 else passes):
        for r in range(ARRAY_ROWS):
            a_in[r].fill(a, _rows(m, k, n, r))
        for column in range(ARRAY_COLUMNS):
            b_in[column].fill(b, _columns(m, k, n, p * ARRAY_COLUMNS + column))
        if p > 0:
            continue
        # All results of a column in one transfer, given as soon as there is something to compute:
        # a queue holds four transfers, and to wait for room in B's is to wait for results to leave.
        sizes, strides = [passes, row_blocks, ROW_BLOCK, TILE], [COLUMN_BLOCK, ROW_BLOCK * n, n, 1]
        for column in range(ARRAY_COLUMNS):
            back = TensorAccessPattern((m * n,), column * TILE, sizes, strides)
            c_out[column].drain(c, back, wait=True)


# The outermost loop of a shim's walk is the descriptor's iteration, the only one that may read the
# same again (stride 0): with one block of rows it is the passes over N, of which each reads A; with
# several it is the blocks of rows, of which each reads B, and every pass has its own transfers.


def _rows(m: int, k: int, n: int, row: int) -> TensorAccessPattern:
    """Returns the walk over A for a row of the array: all passes, or one."""
    start, inner = row * TILE * k, [k // K_TILE, TILE, K_TILE]
    if m == ROW_BLOCK:
        sizes, strides = [n // COLUMN_BLOCK, *inner], [0, K_TILE, k, 1]
    else:
        sizes, strides = [m // ROW_BLOCK, *inner], [ROW_BLOCK * k, K_TILE, k, 1]
    return TensorAccessPattern((m * k,), start, sizes, strides)


def _columns(m: int, k: int, n: int, tile: int) -> TensorAccessPattern:
    """Returns the walk over B from the `tile`th 64 columns: in all passes, or in one."""
    if m == ROW_BLOCK:
        sizes, strides = [n // COLUMN_BLOCK, 1, 1, TILE * k], [COLUMN_BLOCK * k, 0, 0, 1]
    else:
        sizes, strides = [m // ROW_BLOCK, 1, 1, TILE * k], [0, 0, 0, 1]
    return TensorAccessPattern((k * n,), tile * TILE * k, sizes, strides)


def _add_row(array: Array, row: int) -> ObjectFifo:
    """Adds the way of A to the tiles of a row, and returns its last fifo."""
    # Into the memory tile: from row-major to [8 blocks of rows][64 blocks of k][8][8].
    into = TensorAccessPattern(
        (TILE * K_TILE,),
        0,
        [TILE // BLOCK, BLOCK, K_TILE // BLOCK, BLOCK],
        [BLOCK * K_TILE, BLOCK, BLOCK * BLOCK, 1],
    )
    # Out of it: a slice of k at a time. A loop of a descriptor has at most 1,023 elements, so the
    # contiguous 1,024 of a row of blocks are two halves.
    half = SLICE * BLOCK // 2
    out_of = TensorAccessPattern(
        (TILE * K_TILE,),
        0,
        [K_TILE // SLICE, TILE // BLOCK, 2, half],
        [SLICE * BLOCK, K_TILE * BLOCK, half, 1],
    )
    a = ObjectFifo(vector(TILE * K_TILE, np.int8), name=f"a_{row}")
    array.a_in.append(a.prod(tile=shim(2 * row)))
    return a.cons(from_stream=into).forward(
        tile=memory_tile(2 * row),
        obj_type=vector(TILE * SLICE, np.int8),
        depth=RING,
        name=f"a_{row}_tiles",
        to_stream=out_of,
    )


def _add_column(array: Array, column: int, a_past: list[ObjectFifo], kernels: Kernels) -> None:
    part, result = vector(TILE * TILE // PARTS, np.int32), vector(TILE * TILE, np.int32)
    # Results leave a tile in blocks of 8 by 8 and are written back to row-major.
    untiled = TensorAccessPattern(
        (TILE * TILE,),
        0,
        [TILE // BLOCK, TILE // BLOCK, BLOCK, BLOCK],
        [BLOCK * TILE, BLOCK, TILE, 1],
    )
    b = ObjectFifo(vector(SLICE * TILE, np.int8), depth=RING, name=f"b_{column}")
    back = ObjectFifo(vector(ROW_BLOCK * TILE, np.int32), name=f"c_{column}")
    joined = back.prod().join(
        [row * TILE * TILE for row in range(ARRAY_ROWS)],
        tile=memory_tile(column),
        obj_types=[part] * ARRAY_ROWS,
        names=names("c", column),
        from_stream=[untiled] * ARRAY_ROWS,
    )
    for row in range(ARRAY_ROWS):
        words = vector(2, np.int32)
        parameters = Buffer(words, name=f"parameters_{column}_{row}", use_write_rtp=True)
        barrier = WorkerRuntimeBarrier()
        total = Buffer(result, name=f"sum_{column}_{row}")
        ends = [a_past[row].cons(), b.cons(), joined[row].prod()]
        arguments = [*ends, parameters, barrier, total, *kernels]
        array.parameters.append(parameters)
        array.barriers.append(barrier)
        array.workers.append(
            Worker(_core, arguments, tile=core_tile(column, row), stack_size=STACK)
        )
    array.b_in.append(b.prod(tile=shim(column)))
    array.c_out.append(back.cons(tile=shim(column)))


def _core(a, b, c, parameters, barrier, total, begin, step, end):
    barrier.wait_for_value(1)
    results, pairs = parameters[0], parameters[1]
    barrier.release_with_value(1)
    for _ in range_(results):
        begin(total)
        for _ in range_(pairs):
            for _ in range(2):
                a_block, b_block = a.acquire(1), b.acquire(1)
                step(a_block, b_block, total)
                a.release(1)
                b.release(1)
        for piece in range(PARTS):
            c_block = c.acquire(1)
            end(total, c_block, piece)
            c.release(1)
