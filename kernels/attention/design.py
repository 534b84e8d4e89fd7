"""Data flow of softmax(Q K^T / 8) V over 32 tiles, in IRON.

qkv, the result of the product for Q, K and V with its bias added, bf16 [M][3 × D], and parameters come from memory; out,
bf16 [M][D], goes back. Column c of the array takes the heads c, c + 8, ...; of a head, each of its four tiles takes 64
queries at a time, and the keys and values go past all four. Shapes and the number of keys that count are parameters,
which come as data in front of the keys: no tile keeps anything from run to run.

parameters: bf16 [RING × 32 × 64] whose first 16 bytes are i32: work items (heads of the column × M / 256), pairs of blocks of
32 keys, keys that count, 0. There is one for each column, [8][...]: the last columns may have fewer heads.
"""

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Buffer, Kernel, ObjectFifo, Program, Runtime, Worker
from aie.iron.controlflow import range_
from aie.iron.device import NPU2, Tile
from ml_dtypes import bfloat16

ARRAY_COLUMNS, ARRAY_ROWS = 8, 4
QUERIES, KEYS, WIDTH = 64, 32, 64  # of a tile: queries at a time, keys at a time, width of a head
STRIP, BLOCK = 4, 8  # of the tile program's products
GROUP = ARRAY_ROWS * QUERIES
RING = 4  # blocks of keys or values that a tile holds
STACK = 0xD00

OBJECT = "attention.o"
DEFINES = {}


def design(m, heads):
    """The program for m positions and `heads` heads."""
    if m % GROUP:
        raise ValueError(f"attention: M must be a multiple of {GROUP}, not {m}")
    d = heads * WIDTH
    queries = np.ndarray[(QUERIES * WIDTH,), np.dtype[bfloat16]]
    keys = np.ndarray[(KEYS * WIDTH,), np.dtype[bfloat16]]
    group = np.ndarray[(GROUP * WIDTH,), np.dtype[bfloat16]]
    state_type = np.ndarray[(2 * QUERIES,), np.dtype[np.float32]]
    sum_type = np.ndarray[(QUERIES * WIDTH,), np.dtype[np.float32]]
    words = np.ndarray[(4,), np.dtype[np.int32]]
    qkv_whole = np.ndarray[(m * 3 * d,), np.dtype[bfloat16]]
    parameters_whole = np.ndarray[(ARRAY_COLUMNS * RING * KEYS * WIDTH,), np.dtype[bfloat16]]
    out_whole = np.ndarray[(m * d,), np.dtype[bfloat16]]

    take = Kernel("attention_parameters", OBJECT, [keys, words])
    begin = Kernel("attention_begin", OBJECT, [state_type, sum_type])
    block = Kernel("attention_block", OBJECT, [queries, keys, keys, keys, state_type, sum_type, np.int32, words])
    end = Kernel("attention_end", OBJECT, [state_type, sum_type, queries])

    def core(q, kv, out, parameters, transposed, state, total, take, begin, block, end):
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
                    block(q_block, both[0], both[1], transposed, state, total, pair * (2 * KEYS) + half * KEYS, parameters)
                    kv.release(2)
            out_block = out.acquire(1)
            end(state, total, out_block)
            out.release(1)
            q.release(1)

    def tiled(rows, strip):
        """A walk over row-major [rows][WIDTH] in blocks of `strip` rows by 8."""
        return TensorAccessPattern(
            (rows * WIDTH,), 0, [rows // strip, WIDTH // BLOCK, strip, BLOCK], [strip * WIDTH, BLOCK, WIDTH, 1]
        )

    # What comes in blocks of 4 queries by 8 is written back to row-major.
    untiled = TensorAccessPattern(
        (QUERIES * WIDTH,), 0, [QUERIES // STRIP, WIDTH // BLOCK, STRIP, BLOCK], [STRIP * WIDTH, BLOCK, WIDTH, 1]
    )

    workers, q_in, kv_in, out_back = [], [], [], []
    parts = [r * QUERIES * WIDTH for r in range(ARRAY_ROWS)]
    each = range(ARRAY_ROWS)
    for c in range(ARRAY_COLUMNS):
        q = ObjectFifo(group, name=f"q_{c}")
        kv = ObjectFifo(keys, name=f"kv_{c}")
        out = ObjectFifo(group, name=f"out_{c}")
        dealt = q.cons().split(
            parts,
            tile=Tile(c, 1),
            obj_types=[queries] * ARRAY_ROWS,
            names=[f"q_{c}_{r}" for r in each],
            to_stream=[tiled(QUERIES, STRIP)] * ARRAY_ROWS,
        )
        past = kv.cons().forward(
            tile=Tile(c, 1), obj_type=keys, depth=2, name=f"kv_{c}_tiles", to_stream=tiled(KEYS, BLOCK)
        )
        joined = out.prod().join(
            parts,
            tile=Tile(c, 1),
            obj_types=[queries] * ARRAY_ROWS,
            names=[f"out_{c}_{r}" for r in each],
            from_stream=[untiled] * ARRAY_ROWS,
        )
        for r in each:
            buffers = [
                Buffer(words, name=f"parameters_{c}_{r}"),
                Buffer(keys, name=f"transposed_{c}_{r}"),
                Buffer(state_type, name=f"state_{c}_{r}"),
                Buffer(sum_type, name=f"sum_{c}_{r}"),
            ]
            ends = [dealt[r].cons(depth=1), past.cons(depth=RING), joined[r].prod(depth=1)]
            arguments = [*ends, *buffers, take, begin, block, end]
            workers.append(Worker(core, arguments, tile=Tile(c, 2 + r), stack_size=STACK))
        q_in.append(q.prod(tile=Tile(c, 0)))
        kv_in.append(kv.prod(tile=Tile(c, 0)))
        out_back.append(out.cons(tile=Tile(c, 0)))

    def sequence(qkv, parameters, out, q_in, kv_in, out_back):
        groups = m // GROUP
        header = RING * KEYS * WIDTH
        for c in range(ARRAY_COLUMNS):
            mine = range(c, heads, ARRAY_COLUMNS)
            kv_in[c].fill(parameters, TensorAccessPattern((ARRAY_COLUMNS * header,), c * header, [header], [1]))
            if not mine:
                continue
            rows, step = [len(mine), groups, GROUP, WIDTH], ARRAY_COLUMNS * WIDTH
            q_in[c].fill(qkv, TensorAccessPattern((m * 3 * d,), c * WIDTH, rows, [step, GROUP * 3 * d, 3 * d, 1]))
            for item in range(len(mine) * groups):
                # A block of keys, then the same positions' values; all of them for each group of queries.
                start = d + mine[item // groups] * WIDTH
                blocks, strides = [m // KEYS, 2, KEYS, WIDTH], [KEYS * 3 * d, d, 3 * d, 1]
                kv_in[c].fill(qkv, TensorAccessPattern((m * 3 * d,), start, blocks, strides))
                if item == 0:
                    # Given before the queue of four transfers for keys may be full: to wait for room in it is to wait for
                    # results to leave.
                    back = TensorAccessPattern((m * d,), c * WIDTH, rows, [step, GROUP * d, d, 1])
                    out_back[c].drain(out, back, wait=True)

    runtime = Runtime(sequence, [qkv_whole, parameters_whole, out_whole, q_in, kv_in, out_back])
    return Program(NPU2(), runtime, workers=workers).resolve_program()
