"""Data flow of softmax(Q K^T / 8) V over 32 tiles.

In: qkv, the result of the product for Q, K and V with its bias added, bf16 [M][3 × D]; parameters.
Out: bf16 [M][D]. Column c of the array takes the heads c, c + 8, ...; of a head, each of its four
tiles takes 64 queries at a time, and the keys and values go past all four. Shapes and the number of
valid keys are parameters, which come as data in front of the keys: no tile keeps anything from run
to run.

parameters: bf16 [RING × 32 × 64] whose first 16 bytes are i32: work items (heads of the column ×
M / 256), pairs of blocks of 32 keys, valid keys, 0. There is one for each column, [8][...]: the
last columns may have fewer heads.
"""

from typing import Any, NamedTuple

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Buffer, Kernel, ObjectFifo, Program, Runtime, Worker
from aie.iron.controlflow import range_
from aie.iron.device import NPU2
from ml_dtypes import bfloat16

from hearken_kernels.array import ARRAY_COLUMNS, ARRAY_ROWS, HEAD_WIDTH, STACK
from hearken_kernels.designs.parts import bound, core_tile, memory_tile, names, shim, vector

QUERIES, KEYS = 64, 32  # that a tile takes at a time
WIDTH = HEAD_WIDTH
STRIP, BLOCK = 4, 8  # of the tile program's products
GROUP = ARRAY_ROWS * QUERIES
RING = 4  # blocks of keys or values that a tile holds
HEADER = RING * KEYS * WIDTH

OBJECT = "attention.o"
DEFINES: dict[str, int] = {}


class Array(NamedTuple):
    """The workers, and the host's ends of the fifos: one of each for a column."""

    workers: list[Worker]
    q_in: list[Any]
    kv_in: list[Any]
    out_back: list[Any]


class Kernels(NamedTuple):
    """The functions of the tile program, in the order in which a core calls them."""

    take: Kernel
    begin: Kernel
    block: Kernel
    end: Kernel


def design(m: int, heads: int):
    """Returns the program for m positions and `heads` heads."""
    if m % GROUP:
        raise ValueError(f"attention: M must be a multiple of {GROUP}, not {m}")
    d = heads * WIDTH
    array = topology()
    tensors = [
        vector(m * 3 * d, bfloat16),
        vector(ARRAY_COLUMNS * HEADER, bfloat16),
        vector(m * d, bfloat16),
    ]
    ends = [array.q_in, array.kv_in, array.out_back]
    runtime = Runtime(bound(sequence, m, heads), [*tensors, *ends])
    return Program(NPU2(), runtime, workers=array.workers).resolve_program()


def topology() -> Array:
    queries, keys = vector(QUERIES * WIDTH, bfloat16), vector(KEYS * WIDTH, bfloat16)
    state, total = vector(2 * QUERIES, np.float32), vector(QUERIES * WIDTH, np.float32)
    words = vector(4, np.int32)
    block_arguments = [queries, keys, keys, keys, state, total, np.int32, words]
    kernels = Kernels(
        take=Kernel("attention_parameters", OBJECT, [keys, words]),
        begin=Kernel("attention_begin", OBJECT, [state, total]),
        block=Kernel("attention_block", OBJECT, block_arguments),
        end=Kernel("attention_end", OBJECT, [state, total, queries]),
    )
    array = Array([], [], [], [])
    for column in range(ARRAY_COLUMNS):
        _add_column(array, column, kernels)
    return array


def sequence(m: int, heads: int, qkv, parameters, out, q_in, kv_in, out_back) -> None:
    d, groups = heads * WIDTH, m // GROUP
    for c in range(ARRAY_COLUMNS):
        mine = range(c, heads, ARRAY_COLUMNS)
        header = TensorAccessPattern(
            (ARRAY_COLUMNS * HEADER,), c * HEADER, [1, 1, 1, HEADER], [0, 0, 0, 1]
        )
        kv_in[c].fill(parameters, header)
        if not mine:
            continue
        sizes, step = [len(mine), groups, GROUP, WIDTH], ARRAY_COLUMNS * WIDTH
        strides = [step, GROUP * 3 * d, 3 * d, 1]
        q_in[c].fill(qkv, TensorAccessPattern((m * 3 * d,), c * WIDTH, sizes, strides))
        for item in range(len(mine) * groups):
            # A block of keys, then the same positions' values; all of them for each group of
            # queries.
            start = d + mine[item // groups] * WIDTH
            blocks, strides = [m // KEYS, 2, KEYS, WIDTH], [KEYS * 3 * d, d, 3 * d, 1]
            kv_in[c].fill(qkv, TensorAccessPattern((m * 3 * d,), start, blocks, strides))
            if item == 0:
                # Given before the queue of four transfers for keys may be full: to wait for room
                # in it is to wait for results to leave.
                strides = [step, GROUP * d, d, 1]
                back = TensorAccessPattern((m * d,), c * WIDTH, sizes, strides)
                out_back[c].drain(out, back, wait=True)


def _add_column(array: Array, column: int, kernels: Kernels) -> None:
    queries, keys = vector(QUERIES * WIDTH, bfloat16), vector(KEYS * WIDTH, bfloat16)
    group = vector(GROUP * WIDTH, bfloat16)
    q = ObjectFifo(group, name=f"q_{column}")
    kv = ObjectFifo(keys, name=f"kv_{column}")
    out = ObjectFifo(group, name=f"out_{column}")
    parts = [row * QUERIES * WIDTH for row in range(ARRAY_ROWS)]
    dealt = q.cons().split(
        parts,
        tile=memory_tile(column),
        obj_types=[queries] * ARRAY_ROWS,
        names=names("q", column),
        to_stream=[_tiled(QUERIES, STRIP)] * ARRAY_ROWS,
    )
    past = kv.cons().forward(
        tile=memory_tile(column),
        obj_type=keys,
        depth=2,
        name=f"kv_{column}_tiles",
        to_stream=_tiled(KEYS, BLOCK),
    )
    # Results come in blocks of 4 queries by 8 and are written back to row-major.
    untiled = _tiled(QUERIES, STRIP)
    joined = out.prod().join(
        parts,
        tile=memory_tile(column),
        obj_types=[queries] * ARRAY_ROWS,
        names=names("out", column),
        from_stream=[untiled] * ARRAY_ROWS,
    )
    for row in range(ARRAY_ROWS):
        buffers = [
            Buffer(vector(4, np.int32), name=f"parameters_{column}_{row}"),
            Buffer(keys, name=f"transposed_{column}_{row}"),
            Buffer(vector(2 * QUERIES, np.float32), name=f"state_{column}_{row}"),
            Buffer(vector(QUERIES * WIDTH, np.float32), name=f"sum_{column}_{row}"),
        ]
        ends = [dealt[row].cons(depth=1), past.cons(depth=RING), joined[row].prod(depth=1)]
        arguments = [*ends, *buffers, *kernels]
        array.workers.append(
            Worker(_core, arguments, tile=core_tile(column, row), stack_size=STACK)
        )
    array.q_in.append(q.prod(tile=shim(column)))
    array.kv_in.append(kv.prod(tile=shim(column)))
    array.out_back.append(out.cons(tile=shim(column)))


def _tiled(rows: int, strip: int) -> TensorAccessPattern:
    """A walk over row-major [rows][WIDTH] in blocks of `strip` rows by 8."""
    return TensorAccessPattern(
        (rows * WIDTH,),
        0,
        [rows // strip, WIDTH // BLOCK, strip, BLOCK],
        [strip * WIDTH, BLOCK, WIDTH, 1],
    )


def _core(q, kv, out, parameters, transposed, state, total, take, begin, block, end):
    # The header fills the ring, so that every loop below starts at the ring's first place.
    header = kv.acquire(RING)
    take(header[0], parameters)
    kv.release(RING)
    items, pairs = parameters[0], parameters[1]
    for _ in range_(items):
        q_block = q.acquire(1)
        begin(state, total)
        for pair in range_(pairs):
            for half in range(2):
                both = kv.acquire(2)
                first_key = pair * (2 * KEYS) + half * KEYS
                block(q_block, both[0], both[1], transposed, state, total, first_key, parameters)
                kv.release(2)
        out_block = out.acquire(1)
        end(state, total, out_block)
        out.release(1)
        q.release(1)
