"""The data movement of the bf16 product, restated for the check.

The product itself is amd/IRON's operator, at the commit that design.py names. What is restated here is what its
iron/operators/flm/gemm/design.py says of the walks (how A is cut into blocks on its way into and out of the memory tile, in
which order B is read, how C is put together) and of the buffers, so that the check can hold it against the packing
that kernels/MANIFEST.md describes and that the encoder does. Two things differ: shapes come with the call instead of by run-time
parameters, and B passes the memory tile in a plain fifo, which reads it from memory for each 256 rows. At the pinned commit
it has a pool there of 8 slots of 36,864 bytes, from which a column's B with K up to 4096, read once, goes to the tiles for
each 256 rows: in the same order.
"""

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Buffer, Kernel, ObjectFifo, Program, Runtime, Worker
from aie.iron.device import NPU2, Tile
from ml_dtypes import bfloat16

ARRAY_COLUMNS, ARRAY_ROWS = 8, 4
M_TILE, K_TILE, N_TILE, K_SLICE, BAND, BLOCK = 64, 512, 64, 128, 32, 8
OUT = 512  # elements of C that leave a tile at a time
GROUP, GROUP_BYTES = 8, 9  # bfp16ebs8: values that share an exponent, and their bytes
STACK = 0xD00
SHAPES_ARE_COMPILED = True  # here, not in the operator


def design(m, k, n, group_type):
    """The program for A [m][k] and packed B. `group_type`: the element type of a group of 8 values of B."""
    rows, columns = ARRAY_ROWS * M_TILE, ARRAY_COLUMNS * N_TILE
    if m % rows or k % K_TILE or n % columns:
        raise ValueError(f"gemm: M, K and N must be multiples of {rows}, {K_TILE} and {columns} here, not {m}, {k}, {n}")
    bf16 = np.dtype[bfloat16]
    band, slice_b = np.ndarray[(BAND * K_SLICE,), bf16], np.ndarray[(K_SLICE * N_TILE // GROUP,), group_type]
    held_a, held_b = np.ndarray[(M_TILE * K_TILE,), bf16], np.ndarray[(K_TILE * N_TILE // GROUP,), group_type]
    piece, result = np.ndarray[(OUT,), bf16], np.ndarray[(M_TILE * N_TILE,), np.dtype[np.float32]]
    joined_type = np.ndarray[(rows * N_TILE,), bf16]
    whole = [np.ndarray[(m * k,), bf16], np.ndarray[(k * n // GROUP,), group_type], np.ndarray[(m * n,), bf16]]

    begin = Kernel("mm_fused_acc_init", "", [result])
    step = Kernel("mm_fused_k_step", "", [band, slice_b, result, np.int32])
    end = Kernel("mm_fused_epilogue_chunk", "", [piece, result, np.int32])
    results = m // rows * (n // columns)

    def core(a, b, c, total, begin, step, end):
        for _ in range(results):
            begin(total)
            for _ in range(k // K_SLICE):
                b_slice = b.acquire(1)
                for i in range(M_TILE // BAND):
                    step(a.acquire(1), b_slice, total, i)
                    a.release(1)
                b.release(1)
            for i in range(M_TILE * N_TILE // OUT):
                end(c.acquire(1), total, i)
                c.release(1)

    into = TensorAccessPattern(
        (M_TILE * K_TILE,), 0, [M_TILE // BLOCK, BLOCK, K_TILE // BLOCK, BLOCK], [BLOCK * K_TILE, BLOCK, BLOCK * BLOCK, 1]
    )
    out_of = TensorAccessPattern(
        (M_TILE * K_TILE,), 0, [K_TILE // K_SLICE, M_TILE // BLOCK, 2, K_SLICE * BLOCK // 2],
        [BLOCK * K_SLICE, BLOCK * K_TILE, K_SLICE * BLOCK // 2, 1],
    )
    gathered = TensorAccessPattern(
        (M_TILE * N_TILE,), 0, [M_TILE // BLOCK, N_TILE // BLOCK, BLOCK, BLOCK], [BLOCK * N_TILE, BLOCK, N_TILE, 1]
    )

    a_in, a_past, workers, b_in, c_out = [], [], [], [], []
    for r in range(ARRAY_ROWS):
        a = ObjectFifo(held_a, name=f"a_{r}")
        a_in.append(a.prod(tile=Tile(2 * r, 0)))
        a_past.append(
            a.cons(from_stream=into).forward(tile=Tile(2 * r, 1), obj_type=band, depth=2, name=f"a_{r}_tiles", to_stream=out_of)
        )
    for column in range(ARRAY_COLUMNS):
        b = ObjectFifo(held_b, name=f"b_{column}")
        b_past = b.cons().forward(tile=Tile(column, 1), obj_type=slice_b, depth=2, name=f"b_{column}_tiles")
        back = ObjectFifo(joined_type, name=f"c_{column}")
        joined = back.prod().join(
            [r * M_TILE * N_TILE for r in range(ARRAY_ROWS)], tile=Tile(column, 1), obj_types=[piece] * ARRAY_ROWS,
            names=[f"c_{column}_{r}" for r in range(ARRAY_ROWS)], from_stream=[gathered] * ARRAY_ROWS,
        )
        for r in range(ARRAY_ROWS):
            total = Buffer(result, name=f"sum_{column}_{r}")
            arguments = [a_past[r].cons(), b_past.cons(), joined[r].prod(), total, begin, step, end]
            workers.append(Worker(core, arguments, tile=Tile(column, 2 + r), stack_size=STACK))
        b_in.append(b.prod(tile=Tile(column, 0)))
        c_out.append(back.cons(tile=Tile(column, 0)))

    def sequence(a, b, c, a_in, b_in, c_out):
        for p in range(n // columns):
            for r in range(ARRAY_ROWS):
                sizes, strides = [m // rows, k // K_TILE, M_TILE, K_TILE], [rows * k, K_TILE, k, 1]
                a_in[r].fill(a, TensorAccessPattern((m * k,), r * M_TILE * k, sizes, strides))
            for column in range(ARRAY_COLUMNS):
                start = (p * ARRAY_COLUMNS + column) * N_TILE
                size = N_TILE * k // GROUP
                b_in[column].fill(b, TensorAccessPattern((k * n // GROUP,), start * k // GROUP, [m // rows, size], [0, 1]))
                back = TensorAccessPattern((m * n,), start, [m // rows, rows, N_TILE], [rows * n, n, 1])
                c_out[column].drain(c, back, wait=True)

    runtime = Runtime(sequence, [*whole, a_in, b_in, c_out])
    return Program(NPU2(), runtime, workers=workers).resolve_program()
