"""Data flow of out = residual + (x + bias) over 16 tiles, in IRON.

x, a product's result, bf16 [M][D], residual, the residual stream, f32 [M][D], and bias, f32 [D], come from memory; out, f32
[M][D], goes back; it may be the residual's own buffer. Column c of the array takes the groups of rows c, c + 8, ..., and of each
group its two tiles half the rows.

A tile has two channels in, and three things come: the bias comes in front of the residual, repeated to fill the ring of buffers
that the residual is then taken from. How many blocks follow is written into the tile by the instruction stream, behind a
barrier that the tile shuts again (as in gemm/design_i8.py). Two tiles of a column's four are used: with four a memory tile would
need nine channels out, which has six, and memory is what the operator waits for.
"""

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Buffer, Kernel, ObjectFifo, Program, Runtime, Worker, WorkerRuntimeBarrier
from aie.iron.controlflow import range_
from aie.iron.device import NPU2, Tile
from ml_dtypes import bfloat16

ARRAY_COLUMNS, TILES = 8, 2  # of a column's tiles
WIDTH, ROWS = 512, 4  # Whisper base; rows of a tile's block; passed to tile.cc as -DWIDTH and -DROWS
GROUP = TILES * ROWS
RING = 2
STACK = 0xD00

OBJECT = "residual.o"
DEFINES = {"WIDTH": WIDTH, "ROWS": ROWS}


def design(m):
    """The program for x [m][WIDTH]."""
    if m % (ARRAY_COLUMNS * GROUP * RING):
        raise ValueError(f"residual: M must be a multiple of {ARRAY_COLUMNS * GROUP * RING}, not {m}")
    bf16, f32 = np.dtype[bfloat16], np.dtype[np.float32]
    x_block, block = np.ndarray[(ROWS * WIDTH,), bf16], np.ndarray[(ROWS * WIDTH,), f32]
    x_group, group = np.ndarray[(GROUP * WIDTH,), bf16], np.ndarray[(GROUP * WIDTH,), f32]
    row, words = np.ndarray[(WIDTH,), f32], np.ndarray[(1,), np.dtype[np.int32]]
    x_whole, whole = np.ndarray[(m * WIDTH,), bf16], np.ndarray[(m * WIDTH,), f32]

    keep = Kernel("residual_bias", OBJECT, [block, row])
    add = Kernel("residual_add", OBJECT, [x_block, block, row, block])

    def core(x, residual, out, parameters, barrier, bias, keep, add):
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

    workers, x_in, residual_in, out_back, written, barriers = [], [], [], [], [], []
    parts = [t * ROWS * WIDTH for t in range(TILES)]
    for c in range(ARRAY_COLUMNS):
        def names(what, c=c):
            return [f"{what}_{c}_{t}" for t in range(TILES)]

        x = ObjectFifo(x_group, name=f"x_{c}")
        residual = ObjectFifo(group, depth=RING, name=f"residual_{c}")
        out = ObjectFifo(group, name=f"out_{c}")
        x_dealt = x.cons().split(parts, tile=Tile(c, 1), obj_types=[x_block] * TILES, names=names("x"))
        dealt = residual.cons().split(parts, tile=Tile(c, 1), obj_types=[block] * TILES, names=names("residual"))
        joined = out.prod().join(parts, tile=Tile(c, 1), obj_types=[block] * TILES, names=names("out"))
        for t in range(TILES):
            written.append(Buffer(words, name=f"parameters_{c}_{t}", use_write_rtp=True))
            barriers.append(WorkerRuntimeBarrier())
            bias = Buffer(row, name=f"bias_{c}_{t}")
            ends = [x_dealt[t].cons(), dealt[t].cons(depth=RING), joined[t].prod()]
            arguments = [*ends, written[-1], barriers[-1], bias, keep, add]
            workers.append(Worker(core, arguments, tile=Tile(c, 2 + t), stack_size=STACK))
        x_in.append(x.prod(tile=Tile(c, 0)))
        residual_in.append(residual.prod(tile=Tile(c, 0)))
        out_back.append(out.cons(tile=Tile(c, 0)))

    def sequence(x, residual, bias, out, x_in, residual_in, out_back):
        groups = m // GROUP // ARRAY_COLUMNS
        for parameters in written:
            parameters[0] = groups // RING
        for barrier in barriers:
            barrier.set(1)
        every = TensorAccessPattern((WIDTH,), 0, [RING * GROUP, WIDTH], [0, 1])
        for c in range(ARRAY_COLUMNS):
            strides = [ARRAY_COLUMNS * GROUP * WIDTH, WIDTH, 1]
            rows = TensorAccessPattern((m * WIDTH,), c * GROUP * WIDTH, [groups, GROUP, WIDTH], strides)
            residual_in[c].fill(bias, every)
            residual_in[c].fill(residual, rows)
            x_in[c].fill(x, rows)
            out_back[c].drain(out, rows, wait=True)

    runtime = Runtime(sequence, [x_whole, whole, row, whole, x_in, residual_in, out_back])
    return Program(NPU2(), runtime, workers=workers).resolve_program()
