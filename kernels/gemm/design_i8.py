"""Data flow of C = A × B in int8 over 32 tiles, in IRON: exact sums in i32.

A, i8 row-major [M][K], and B, i8 packed as kernels/MANIFEST.md says (k_tile 512, n_tile 64, k_slice 128, k_block 8, n_block 8,
inner "n"), come from memory; C, i32 row-major [M][N], goes back. Row r of the array takes rows 64 r ... of every 256, column c
the columns 64 c ... of every 512; A goes past the eight tiles of a row, B past the four of a column.

The instruction stream writes two words into each tile, how many results it has to compute and the depth of each, and opens
its barrier; one xclbin serves all shapes. A tile shuts its barrier as soon as it has read the words: left open, it would not
wait for the words of the next run.
"""

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Buffer, Kernel, ObjectFifo, Program, Runtime, Worker, WorkerRuntimeBarrier
from aie.iron.controlflow import range_
from aie.iron.device import NPU2, Tile

ARRAY_COLUMNS, ARRAY_ROWS = 8, 4
TILE, SLICE, BLOCK = 64, 128, 8  # rows and columns of a tile's result, its depth at a time, of the products
K_TILE = 512  # depth that the memory tile holds
RING = 2
PARTS = 4  # pieces in which a result leaves its tile
STACK = 0xD00

OBJECT = "gemm_i8.o"
DEFINES = {}


def design(m, k, n):
    """The program for A [m][k] and B [k][n]."""
    row_block, column_block = ARRAY_ROWS * TILE, ARRAY_COLUMNS * TILE
    if m % row_block or k % K_TILE or n % column_block:
        raise ValueError(f"gemm_i8: M, K and N must be multiples of {row_block}, {K_TILE} and {column_block}, not {m}, {k}, {n}")
    i8, i32 = np.dtype[np.int8], np.dtype[np.int32]
    a_slice, b_slice = np.ndarray[(TILE * SLICE,), i8], np.ndarray[(SLICE * TILE,), i8]
    a_held = np.ndarray[(TILE * K_TILE,), i8]
    part, result = np.ndarray[(TILE * TILE // PARTS,), i32], np.ndarray[(TILE * TILE,), i32]
    joined_type = np.ndarray[(row_block * TILE,), i32]
    words = np.ndarray[(2,), i32]
    whole = [np.ndarray[(m * k,), i8], np.ndarray[(k * n,), i8], np.ndarray[(m * n,), i32]]

    begin = Kernel("gemm_i8_begin", OBJECT, [result])
    step = Kernel("gemm_i8_step", OBJECT, [a_slice, b_slice, result])
    end = Kernel("gemm_i8_end", OBJECT, [result, part, np.int32])

    def core(a, b, c, parameters, barrier, total, begin, step, end):
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

    # Into the memory tile: from row-major to [8 blocks of rows][64 blocks of k][8][8]. Out of it: a slice of k at a time.
    into = TensorAccessPattern(
        (TILE * K_TILE,), 0, [TILE // BLOCK, BLOCK, K_TILE // BLOCK, BLOCK], [BLOCK * K_TILE, BLOCK, BLOCK * BLOCK, 1]
    )
    out_of = TensorAccessPattern(
        (TILE * K_TILE,), 0, [K_TILE // SLICE, TILE // BLOCK, SLICE * BLOCK], [SLICE * BLOCK, K_TILE * BLOCK, 1]
    )
    # Results leave a tile in blocks of 8 by 8 and are written back to row-major.
    untiled = TensorAccessPattern(
        (TILE * TILE,), 0, [TILE // BLOCK, TILE // BLOCK, BLOCK, BLOCK], [BLOCK * TILE, BLOCK, TILE, 1]
    )

    a_in, a_past = [], []
    for r in range(ARRAY_ROWS):
        a = ObjectFifo(a_held, name=f"a_{r}")
        a_in.append(a.prod(tile=Tile(2 * r, 0)))
        a_past.append(
            a.cons(from_stream=into).forward(
                tile=Tile(2 * r, 1), obj_type=a_slice, depth=RING, name=f"a_{r}_tiles", to_stream=out_of
            )
        )
    workers, b_in, c_out, written, barriers = [], [], [], [], []
    for c in range(ARRAY_COLUMNS):
        b = ObjectFifo(b_slice, depth=RING, name=f"b_{c}")
        back = ObjectFifo(joined_type, name=f"c_{c}")
        joined = back.prod().join(
            [r * TILE * TILE for r in range(ARRAY_ROWS)],
            tile=Tile(c, 1),
            obj_types=[part] * ARRAY_ROWS,
            names=[f"c_{c}_{r}" for r in range(ARRAY_ROWS)],
            from_stream=[untiled] * ARRAY_ROWS,
        )
        for r in range(ARRAY_ROWS):
            written.append(Buffer(words, name=f"parameters_{c}_{r}", use_write_rtp=True))
            barriers.append(WorkerRuntimeBarrier())
            total = Buffer(result, name=f"sum_{c}_{r}")
            ends = [a_past[r].cons(), b.cons(), joined[r].prod()]
            arguments = [*ends, written[-1], barriers[-1], total, begin, step, end]
            workers.append(Worker(core, arguments, tile=Tile(c, 2 + r), stack_size=STACK))
        b_in.append(b.prod(tile=Tile(c, 0)))
        c_out.append(back.cons(tile=Tile(c, 0)))

    def sequence(a, b, c, a_in, b_in, c_out):
        row_blocks, passes = m // row_block, n // column_block
        for parameters in written:
            parameters[0], parameters[1] = row_blocks * passes, k // (2 * SLICE)
        for barrier in barriers:
            barrier.set(1)
        rows = [row_blocks, k // K_TILE, TILE, K_TILE]
        for p in range(passes):
            for r in range(ARRAY_ROWS):
                a_in[r].fill(a, TensorAccessPattern((m * k,), r * TILE * k, rows, [row_block * k, K_TILE, k, 1]))
            for column in range(ARRAY_COLUMNS):
                start = (p * ARRAY_COLUMNS + column) * TILE * k
                b_in[column].fill(b, TensorAccessPattern((k * n,), start, [row_blocks, TILE * k], [0, 1]))
            if p > 0:
                continue
            # All results of a column in one transfer, given as soon as there is something to compute: a queue holds four
            # transfers, and to wait for room in B's is to wait for results to leave.
            sizes, strides = [passes, row_blocks, row_block, TILE], [column_block, row_block * n, n, 1]
            for column in range(ARRAY_COLUMNS):
                c_out[column].drain(c, TensorAccessPattern((m * n,), column * TILE, sizes, strides), wait=True)

    runtime = Runtime(sequence, [*whole, a_in, b_in, c_out])
    return Program(NPU2(), runtime, workers=workers).resolve_program()
