"""Data flow of the bf16 × bfp16ebs8 product, restated for the check; it is never compiled.

The product itself is amd/IRON's operator, at the commit that iron_gemm.py names. Restated here is
what its iron/operators/flm/gemm/design.py says of the walks (how A is cut into blocks on its way
into and out of the memory tile, in which order B is read, how C is put together) and of the
buffers, so that the check can hold it against the packing that kernels/MANIFEST.md describes and
the encoder does. Two things differ: shapes come with the call instead of as run-time parameters,
and B passes the memory tile in a plain fifo, which reads it from memory for each 256 rows. At the
pinned commit it has a pool there of 8 slots of 36,864 bytes, from which a column's B with K up to
4096, read once, goes to the tiles for each 256 rows: in the same order.
"""

from typing import Any, NamedTuple

import numpy as np
from aie.helpers.taplib import TensorAccessPattern
from aie.iron import Buffer, Kernel, ObjectFifo, Program, Runtime, Worker
from aie.iron.device import NPU2
from ml_dtypes import bfloat16

from hearken_kernels.array import ARRAY_COLUMNS, ARRAY_ROWS, STACK
from hearken_kernels.designs.parts import bound, core_tile, memory_tile, names, shim, vector

M_TILE, K_TILE, N_TILE, K_SLICE, BAND, BLOCK = 64, 512, 64, 128, 32, 8
ROW_BLOCK, COLUMN_BLOCK = ARRAY_ROWS * M_TILE, ARRAY_COLUMNS * N_TILE
OUT = 512  # elements of C that leave a tile at a time
GROUP = 8  # values of bfp16ebs8 that share an exponent
SHAPES_ARE_COMPILED = True  # here, not in the operator


class Array(NamedTuple):
    """The workers, and the host's ends of the fifos."""

    workers: list[Worker]
    a_in: list[Any]
    b_in: list[Any]
    c_out: list[Any]


class Kernels(NamedTuple):
    """The functions of the tile program, in the order in which a core calls them."""

    begin: Kernel
    step: Kernel
    end: Kernel


def design(m: int, k: int, n: int, group_type: Any):
    """Returns the program for A [m][k] and packed B.

    `group_type`: the element type of a group of 8 values of B.
    """
    if m % ROW_BLOCK or k % K_TILE or n % COLUMN_BLOCK:
        raise ValueError(
            f"gemm_bf16: M, K and N must be multiples of {ROW_BLOCK}, {K_TILE} and {COLUMN_BLOCK} "
            f"here, not {m}, {k}, {n}"
        )
    results = m // ROW_BLOCK * (n // COLUMN_BLOCK)
    array = topology(results, k // K_SLICE, group_type)
    tensors = [
        vector(m * k, bfloat16),
        vector(k * n // GROUP, group_type),
        vector(m * n, bfloat16),
    ]
    ends = [array.a_in, array.b_in, array.c_out]
    runtime = Runtime(bound(sequence, m, k, n), [*tensors, *ends])
    return Program(NPU2(), runtime, workers=array.workers).resolve_program()


def topology(results: int, slices: int, group_type: Any) -> Array:
    """Returns the array for `results` results of each tile, of `slices` slices of k each."""
    band, slice_b = vector(BAND * K_SLICE, bfloat16), vector(K_SLICE * N_TILE // GROUP, group_type)
    piece, result = vector(OUT, bfloat16), vector(M_TILE * N_TILE, np.float32)
    kernels = Kernels(
        begin=Kernel("mm_fused_acc_init", "", [result]),
        step=Kernel("mm_fused_k_step", "", [band, slice_b, result, np.int32]),
        end=Kernel("mm_fused_epilogue_chunk", "", [piece, result, np.int32]),
    )
    array = Array([], [], [], [])
    a_past = [_add_row(array, row) for row in range(ARRAY_ROWS)]
    for column in range(ARRAY_COLUMNS):
        _add_column(array, column, a_past, group_type, [*kernels, results, slices])
    return array


def sequence(m: int, k: int, n: int, a, b, c, a_in, b_in, c_out) -> None:
    row_blocks = m // ROW_BLOCK
    for p in range(n // COLUMN_BLOCK):
        for r in range(ARRAY_ROWS):
            sizes = [row_blocks, k // K_TILE, M_TILE, K_TILE]
            strides = [ROW_BLOCK * k, K_TILE, k, 1]
            a_in[r].fill(a, TensorAccessPattern((m * k,), r * M_TILE * k, sizes, strides))
        for column in range(ARRAY_COLUMNS):
            start = (p * ARRAY_COLUMNS + column) * N_TILE
            sizes, again = [row_blocks, 1, 1, N_TILE * k // GROUP], [0, 0, 0, 1]
            every = TensorAccessPattern((k * n // GROUP,), start * k // GROUP, sizes, again)
            b_in[column].fill(b, every)
            sizes, strides = [row_blocks, 1, ROW_BLOCK, N_TILE], [ROW_BLOCK * n, 0, n, 1]
            back = TensorAccessPattern((m * n,), start, sizes, strides)
            c_out[column].drain(c, back, wait=True)


def _add_row(array: Array, row: int) -> ObjectFifo:
    """Adds the way of A to the tiles of a row, and returns its last fifo."""
    into = TensorAccessPattern(
        (M_TILE * K_TILE,),
        0,
        [M_TILE // BLOCK, BLOCK, K_TILE // BLOCK, BLOCK],
        [BLOCK * K_TILE, BLOCK, BLOCK * BLOCK, 1],
    )
    out_of = TensorAccessPattern(
        (M_TILE * K_TILE,),
        0,
        [K_TILE // K_SLICE, M_TILE // BLOCK, 2, K_SLICE * BLOCK // 2],
        [BLOCK * K_SLICE, BLOCK * K_TILE, K_SLICE * BLOCK // 2, 1],
    )
    a = ObjectFifo(vector(M_TILE * K_TILE, bfloat16), name=f"a_{row}")
    array.a_in.append(a.prod(tile=shim(2 * row)))
    return a.cons(from_stream=into).forward(
        tile=memory_tile(2 * row),
        obj_type=vector(BAND * K_SLICE, bfloat16),
        depth=2,
        name=f"a_{row}_tiles",
        to_stream=out_of,
    )


def _add_column(
    array: Array, column: int, a_past: list[ObjectFifo], group_type: Any, rest: list[Any]
) -> None:
    """Adds a column; `rest`: the last arguments of its cores."""
    gathered = TensorAccessPattern(
        (M_TILE * N_TILE,),
        0,
        [M_TILE // BLOCK, N_TILE // BLOCK, BLOCK, BLOCK],
        [BLOCK * N_TILE, BLOCK, N_TILE, 1],
    )
    b = ObjectFifo(vector(K_TILE * N_TILE // GROUP, group_type), name=f"b_{column}")
    b_past = b.cons().forward(
        tile=memory_tile(column),
        obj_type=vector(K_SLICE * N_TILE // GROUP, group_type),
        depth=2,
        name=f"b_{column}_tiles",
    )
    back = ObjectFifo(vector(ROW_BLOCK * N_TILE, bfloat16), name=f"c_{column}")
    joined = back.prod().join(
        [row * M_TILE * N_TILE for row in range(ARRAY_ROWS)],
        tile=memory_tile(column),
        obj_types=[vector(OUT, bfloat16)] * ARRAY_ROWS,
        names=names("c", column),
        from_stream=[gathered] * ARRAY_ROWS,
    )
    for row in range(ARRAY_ROWS):
        total = Buffer(vector(M_TILE * N_TILE, np.float32), name=f"sum_{column}_{row}")
        arguments = [a_past[row].cons(), b_past.cons(), joined[row].prod(), total, *rest]
        array.workers.append(
            Worker(_core, arguments, tile=core_tile(column, row), stack_size=STACK)
        )
    array.b_in.append(b.prod(tile=shim(column)))
    array.c_out.append(back.cons(tile=shim(column)))


def _core(a, b, c, total, begin, step, end, results, slices):
    for _ in range(results):
        begin(total)
        for _ in range(slices):
            b_slice = b.acquire(1)
            for i in range(M_TILE // BAND):
                step(a.acquire(1), b_slice, total, i)
                a.release(1)
            b.release(1)
        for i in range(M_TILE * N_TILE // OUT):
            end(c.acquire(1), total, i)
            c.release(1)
