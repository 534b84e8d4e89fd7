"""Compares a design with the hardware: memory of the tiles, DMA channels, buffer descriptors and
their address patterns.

In: a program of the model. Out: findings, and the most that any tile uses. The hardware's numbers
are in array.py.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from hearken_kernels.array import (
    ARRAY_COLUMNS,
    ARRAY_ROWS,
    BANKS,
    CHANNELS,
    CORE_MEMORY,
    DESCRIPTORS,
    ELEMENTS,
    FIRST_CORE_ROW,
    ITERATIONS,
    LENGTH,
    LOOPS,
    MEMORY_ROW,
    MEMORY_TILE,
    SHIM_ROW,
    SHIM_WRAP,
    STEP,
)
from hearken_kernels.dataflow.model import (
    Buffer,
    DType,
    Handle,
    Link,
    ObjectFifo,
    Program,
    TensorAccessPattern,
    Tile,
)

Key = tuple[int, int]
Loop = tuple[int, int]
"""Count and stride, in elements."""


def check(program: Program) -> tuple[list[str], dict[str, int]]:
    """Returns what the hardware has no room for, and the most that any tile uses."""
    use = Use()
    for worker in program.workers:
        use.buffer(worker.tile.key, worker.stack_size)
        for argument in worker.fn_args:
            if isinstance(argument, Buffer):
                use.buffer(worker.tile.key, argument.type.bytes)
    for fifo in program.fifos():
        use.fifo(fifo)
    use.total()
    return use.findings, use.figures()


class Use:
    """What a design uses of each tile."""

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.core_bytes: Counter[Key] = Counter()
        self.memory_bytes: Counter[Key] = Counter()
        self.buffers: defaultdict[Key, list[int]] = defaultdict(list)
        self.inward: Counter[tuple[Key, str]] = Counter()
        self.outward: Counter[tuple[Key, str]] = Counter()
        self.descriptors: Counter[tuple[Key, str]] = Counter()
        self.links: set[Link] = set()

    def buffer(self, tile: Key, size: int, count: int = 1) -> None:
        self.core_bytes[tile] += count * size
        self.buffers[tile] += [size] * count

    def fifo(self, fifo: ObjectFifo) -> None:
        for end in fifo.ends():
            self._end(fifo, end)
        if not fifo.transfers:
            return
        for tensor, tap in fifo.transfers:
            self.findings += pattern(f"{fifo.name}, transfer", tap, tensor.type.dtype, "shim")
        shim = next(end for end in fifo.ends() if kind(end.tile) == "shim")
        self.descriptors[shim.tile.key, "shim"] += len(fifo.transfers)

    def _end(self, fifo: ObjectFifo, end: Handle) -> None:
        where, tile = kind(end.tile), end.tile.key
        if not exists(end.tile):
            self.findings.append(f"{fifo.name}: there is no tile {tile}")
        (self.outward if end.producer else self.inward)[tile, where] += 1
        if where == "core":
            self.buffer(tile, fifo.type.bytes, end.depth)
            self.descriptors[tile, where] += end.depth
        elif end.link:
            self.links.add(end.link)
            self.descriptors[tile, where] += end.link.whole.depth
        walk = fifo.to_stream if end.producer else end.walk
        if walk is not None:
            name = f"{fifo.name}, {'out' if end.producer else 'in'}"
            self.findings += pattern(name, walk, fifo.type.dtype, where)

    def total(self) -> None:
        """Adds a finding for each tile that would need more than it has."""
        for tile, sizes in sorted(self.buffers.items()):
            if self.core_bytes[tile] <= CORE_MEMORY and not in_banks(sizes):
                self.findings.append(
                    f"tile {tile}: its buffers do not fit into {BANKS} banks of "
                    f"{CORE_MEMORY // BANKS} bytes: {sizes}"
                )
        for link in self.links:
            self.memory_bytes[link.tile.key] += link.whole.depth * link.whole.fifo.type.bytes
        for used, most, what in (
            (self.core_bytes, CORE_MEMORY, "of a core's memory"),
            (self.memory_bytes, MEMORY_TILE, "of a memory tile"),
        ):
            for tile, size in sorted(used.items()):
                if size > most:
                    self.findings.append(f"tile {tile}: {size} bytes {what}, which has {most}")
        for used, allowed, what in (
            (self.inward, CHANNELS, "DMA channels in"),
            (self.outward, CHANNELS, "DMA channels out"),
            (self.descriptors, DESCRIPTORS, "descriptors"),
        ):
            for (tile, where), count in sorted(used.items()):
                if count > allowed[where]:
                    self.findings.append(
                        f"tile {tile}: {count} {what}, a {where} tile has {allowed[where]}"
                    )

    def figures(self) -> dict[str, int]:
        figures = {
            "core": max(self.core_bytes.values()),
            "memory": max(self.memory_bytes.values(), default=0),
        }
        for name, used in (("in", self.inward), ("out", self.outward)):
            for where in CHANNELS:
                counts = (count for (_, tile), count in used.items() if tile == where)
                figures[f"{where} {name}"] = max(counts, default=0)
        return figures


def configuration(program: Program) -> str:
    """Returns what goes into the xclbin: everything but the transfers.

    It must be the same for all shapes, or one xclbin cannot serve them.
    """
    fifos = sorted(
        (
            fifo.name,
            fifo.type.length,
            fifo.type.dtype.name,
            _walk(fifo.to_stream),
            [(end.producer, end.depth, end.tile.key, _walk(end.walk)) for end in fifo.ends()],
        )
        for fifo in program.fifos()
    )
    cores = []
    for worker in program.workers:
        code = worker.core_fn.__code__
        closure = worker.core_fn.__closure__ or ()
        inside = [(name, cell.cell_contents) for name, cell in zip(code.co_freevars, closure)]
        given = [
            argument.type.length if isinstance(argument, Buffer) else argument
            for argument in worker.fn_args
            if isinstance(argument, (Buffer, int))
        ]
        cores.append((worker.tile.key, worker.stack_size, inside, given))
    return repr((fifos, cores))


def _walk(pattern: TensorAccessPattern | None) -> Any:
    return pattern and (pattern.offset, pattern.sizes, pattern.strides)


def kind(tile: Tile) -> str:
    return {SHIM_ROW: "shim", MEMORY_ROW: "memory"}.get(tile.row, "core")


def exists(tile: Tile) -> bool:
    return 0 <= tile.col < ARRAY_COLUMNS and 0 <= tile.row < FIRST_CORE_ROW + ARRAY_ROWS


def in_banks(sizes: list[int]) -> bool:
    """Whether buffers of these sizes, in bytes, can be placed so that none lies in two banks.

    The largest are placed first.
    """
    free = [CORE_MEMORY // BANKS] * BANKS
    for size in sorted(sizes, reverse=True):
        bank = next((i for i, room in enumerate(free) if room >= size), None)
        if bank is None:
            return False
        free[bank] -= size
    return True


def pattern(name: str, walk: TensorAccessPattern, dtype: DType, where: str) -> list[str]:
    """Returns what no single descriptor of a `where` tile can do of a walk.

    The loops are compared as they stand: nothing splits or merges them on the way to a descriptor.
    """
    checks = _shim_pattern if where == "shim" else _tile_pattern
    loops = list(zip(walk.sizes, walk.strides))
    findings = [f"{name}: {found}" for found in checks(loops, dtype, where)]
    findings += [f"{name}: {found}" for found in _words(loops, dtype)]
    for size, stride in loops[:-1]:
        if size > 1 and stride * dtype.itemsize / 4 > STEP[where]:
            findings.append(
                f"{name}: a stride of {stride} elements, the most is {STEP[where]} words"
            )
    return findings


def _shim_pattern(loops: list[Loop], dtype: DType, where: str) -> Iterator[str]:
    """Yields what a shim's descriptor cannot do: [iteration, d2, d1, d0].

    Versions of mlir-aie differ in how they fill up fewer than four dimensions, and what becomes of
    a loop of stride 0 then: all four are written.
    """
    if len(loops) != LOOPS[where]:
        yield f"{len(loops)} dimensions, a {where} pattern has to give {LOOPS[where]}"
        return
    if any(size > 1 and stride == 0 for size, stride in loops[1:]):
        yield "only the outermost loop may read the same again (stride 0)"
    iterations = loops[0][0]
    if iterations > ITERATIONS:
        yield f"{iterations} iterations, the shim has {ITERATIONS}"
    d1, (run, _) = loops[2][0], loops[3]
    if loops[1:3] == [(1, 0), (1, 0)]:
        return  # a linear transfer has no limit that these come near
    # d2's count follows from the length: it has no field of its own.
    for count in (d1, run * dtype.itemsize / 4):
        if count > SHIM_WRAP:
            yield f"a loop of {count:.0f}, the most is {SHIM_WRAP}"


def _tile_pattern(loops: list[Loop], dtype: DType, where: str) -> Iterator[str]:
    """Yields what the descriptor of a memory tile or core cannot do."""
    if len(loops) > LOOPS[where]:
        yield f"{len(loops)} nested loops, a {where} tile has {LOOPS[where]}"
    for size, _ in loops:
        if size > ELEMENTS[where]:
            yield f"a loop of {size} elements, the most is {ELEMENTS[where]}"
    if any(stride == 0 for _, stride in loops):
        yield "a stride of 0"
    words = math.prod(size for size, _ in loops) * dtype.itemsize / 4
    if words > LENGTH[where]:
        yield f"{words:.0f} words, the most is {LENGTH[where]}"


def _words(loops: list[Loop], dtype: DType) -> Iterator[str]:
    """Yields the loops that do not move whole words."""
    run, step = loops[-1]
    if step != 1:
        yield f"single elements, {step} apart"
    if run * dtype.itemsize % 4:
        yield f"runs of {run} elements are not whole words"
    for size, stride in loops[:-1]:
        if size > 1 and stride * dtype.itemsize % 4:
            yield f"loop of {size} by {stride} is not in whole words"
