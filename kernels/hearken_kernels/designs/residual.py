"""Data flow of out = residual + (x + bias) over 16 tiles.

In: x, a product's result, bf16 [M][D]; residual, the residual stream, f32 [M][D]; bias, f32 [D].
Out: out, f32 [M][D], which may be the residual's own buffer. Column c of the array takes the groups
of rows c, c + 8, ...; each of its two tiles takes half the rows of a group.

A tile has two channels in, and three tensors come: the bias precedes the residual, repeated until
it fills the ring of buffers that the residual is then taken from. The instruction stream writes the
number of blocks that follow into the tile, behind a barrier that the tile shuts again (as in
gemm_i8). Two of a column's four tiles are used: with four, a memory tile would need nine channels
out and has six, and the operator is bound by memory.
"""

from typing import Any, NamedTuple

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Buffer, Kernel, ObjectFifo, Program, Runtime, Worker, WorkerRuntimeBarrier
from aie.iron.controlflow import range_
from aie.iron.device import NPU2
from ml_dtypes import bfloat16

from hearken_kernels.array import ARRAY_COLUMNS, MODEL_WIDTH, STACK
from hearken_kernels.designs.parts import bound, core_tile, memory_tile, names, shim, vector

TILES = 2  # of a column's four
WIDTH = MODEL_WIDTH
ROWS = 4  # of a tile's block
GROUP = TILES * ROWS
RING = 2

OBJECT = "residual.o"
DEFINES = {"WIDTH": WIDTH, "ROWS": ROWS}


class Array(NamedTuple):
    """The workers with what the host writes to them, and the host's ends of the fifos."""

    workers: list[Worker]
    parameters: list[Buffer]
    barriers: list[WorkerRuntimeBarrier]
    x_in: list[Any]
    residual_in: list[Any]
    out_back: list[Any]


def design(m: int):
    """Returns the program for x [m][WIDTH]."""
    if m % (ARRAY_COLUMNS * GROUP * RING):
        raise ValueError(
            f"residual: M must be a multiple of {ARRAY_COLUMNS * GROUP * RING}, not {m}"
        )
    array = topology()
    whole = vector(m * WIDTH, np.float32)
    tensors = [vector(m * WIDTH, bfloat16), whole, vector(WIDTH, np.float32), whole]
    ends = [array.x_in, array.residual_in, array.out_back]
    transfers = bound(sequence, m, array.parameters, array.barriers)
    runtime = Runtime(transfers, [*tensors, *ends])
    return Program(NPU2(), runtime, workers=array.workers).resolve_program()


def topology() -> Array:
    array = Array([], [], [], [], [], [])
    block, x_block = vector(ROWS * WIDTH, np.float32), vector(ROWS * WIDTH, bfloat16)
    row = vector(WIDTH, np.float32)
    keep = Kernel("residual_bias", OBJECT, [block, row])
    add = Kernel("residual_add", OBJECT, [x_block, block, row, block])
    for column in range(ARRAY_COLUMNS):
        _add_column(array, column, keep, add)
    return array


def sequence(
    m: int,
    written: list[Buffer],
    barriers: list[WorkerRuntimeBarrier],
    x,
    residual,
    bias,
    out,
    x_in,
    residual_in,
    out_back,
) -> None:
    groups = m // GROUP // ARRAY_COLUMNS
    for parameters in written:
        parameters[0] = groups // RING
    for barrier in barriers:
        barrier.set(1)
    every = TensorAccessPattern((WIDTH,), 0, [RING * GROUP, 1, 1, WIDTH], [0, 0, 0, 1])
    for c in range(ARRAY_COLUMNS):
        sizes = [groups, 1, 1, GROUP * WIDTH]
        strides = [ARRAY_COLUMNS * GROUP * WIDTH, 0, 0, 1]
        rows = TensorAccessPattern((m * WIDTH,), c * GROUP * WIDTH, sizes, strides)
        residual_in[c].fill(bias, every)
        residual_in[c].fill(residual, rows)
        x_in[c].fill(x, rows)
        out_back[c].drain(out, rows, wait=True)


def _add_column(array: Array, column: int, keep: Kernel, add: Kernel) -> None:
    block, x_block = vector(ROWS * WIDTH, np.float32), vector(ROWS * WIDTH, bfloat16)
    group, x_group = vector(GROUP * WIDTH, np.float32), vector(GROUP * WIDTH, bfloat16)
    x = ObjectFifo(x_group, name=f"x_{column}")
    residual = ObjectFifo(group, depth=RING, name=f"residual_{column}")
    out = ObjectFifo(group, name=f"out_{column}")
    parts = [tile * ROWS * WIDTH for tile in range(TILES)]
    x_dealt = x.cons().split(
        parts,
        tile=memory_tile(column),
        obj_types=[x_block] * TILES,
        names=names("x", column, TILES),
    )
    dealt = residual.cons().split(
        parts,
        tile=memory_tile(column),
        obj_types=[block] * TILES,
        names=names("residual", column, TILES),
    )
    joined = out.prod().join(
        parts,
        tile=memory_tile(column),
        obj_types=[block] * TILES,
        names=names("out", column, TILES),
    )
    for row in range(TILES):
        words = vector(1, np.int32)
        parameters = Buffer(words, name=f"parameters_{column}_{row}", use_write_rtp=True)
        barrier = WorkerRuntimeBarrier()
        bias = Buffer(vector(WIDTH, np.float32), name=f"bias_{column}_{row}")
        ends = [x_dealt[row].cons(), dealt[row].cons(depth=RING), joined[row].prod()]
        arguments = [*ends, parameters, barrier, bias, keep, add]
        array.parameters.append(parameters)
        array.barriers.append(barrier)
        array.workers.append(
            Worker(_core, arguments, tile=core_tile(column, row), stack_size=STACK)
        )
    array.x_in.append(x.prod(tile=shim(column)))
    array.residual_in.append(residual.prod(tile=shim(column)))
    array.out_back.append(out.cons(tile=shim(column)))


def _core(x, residual, out, parameters, barrier, bias, keep, add):
    barrier.wait_for_value(1)
    pairs = parameters[0]
    barrier.release_with_value(1)
    # The bias fills the ring, so that the loop starts at the ring's first place.
    header = residual.acquire(RING)
    keep(header[0], bias)
    residual.release(RING)
    for _ in range_(pairs):
        for _ in range(RING):
            x_in, before, after = x.acquire(1), residual.acquire(1), out.acquire(1)
            add(x_in, before, bias, after)
            x.release(1)
            residual.release(1)
            out.release(1)
