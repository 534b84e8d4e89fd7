"""Holds a design against the hardware: memory of the tiles, DMA channels, buffer descriptors and their address patterns.

The numbers are XDNA2's as mlir-aie's target model has them (lib/Dialect/AIE/IR/AIETargetModel.cpp: AIE2 and NPU2) and the
AIE-ML architecture manual (AM020) describes them.
"""

from collections import Counter, defaultdict

CORE_MEMORY, MEMORY_TILE = 64 * 1024, 512 * 1024  # bytes
BANKS = 4  # of a core's memory; a buffer that lies in two slows down every access
CHANNELS = {"shim": 2, "memory": 6, "core": 2}  # in each direction
DESCRIPTORS = {"shim": 16, "memory": 48, "core": 16}
LOOPS = {"shim": 4, "memory": 4, "core": 3}  # nested loops of one descriptor; the shim's fourth is its iteration
WRAP = {"shim": 1023, "memory": 1023, "core": 255}  # turns of a loop; words for the innermost
STEP = {"shim": 1 << 20, "memory": 1 << 17, "core": 1 << 13}  # stride in words
ITERATIONS = 64  # turns of the shim's fourth loop
ROWS, COLUMNS = 6, 8  # shim row 0, memory tiles row 1, cores rows 2 to 5


def kind(tile):
    return ("shim", "memory")[tile.row] if tile.row < 2 else "core"


def configuration(program):
    """What goes into the xclbin: everything but the transfers. The same for all shapes, or one xclbin does not serve them."""
    def walk(pattern):
        return pattern and (pattern.offset, pattern.sizes, pattern.strides)

    fifos = sorted(
        (fifo.name, fifo.type.length, fifo.type.dtype.name, walk(fifo.to_stream),
         [(end.producer, end.depth, end.tile.key, walk(end.walk)) for end in (fifo.producer, *fifo.consumers)])
        for fifo in program.fifos()
    )
    cores = []
    for worker in program.workers:
        inside = zip(worker.core_fn.__code__.co_freevars, worker.core_fn.__closure__ or ())
        cores.append((worker.tile.key, worker.stack_size, [(name, cell.cell_contents) for name, cell in inside],
                      [argument.type.length for argument in worker.fn_args if hasattr(argument, "data")]))
    return repr((fifos, cores))


def check(program):
    """Returns (findings, figures): what the hardware has no room for, and the most that any tile uses."""
    findings = []
    core_bytes, memory_bytes, buffers = Counter(), Counter(), defaultdict(list)
    inward, outward, descriptors = Counter(), Counter(), Counter()
    links = set()

    for worker in program.workers:
        core_bytes[worker.tile.key] += worker.stack_size
        buffers[worker.tile.key].append(worker.stack_size)
        for argument in worker.fn_args:
            if hasattr(argument, "data"):
                core_bytes[worker.tile.key] += argument.type.bytes
                buffers[worker.tile.key].append(argument.type.bytes)

    for fifo in program.fifos():
        for end in (fifo.producer, *fifo.consumers):
            where, tile = kind(end.tile), end.tile.key
            if not (0 <= end.tile.col < COLUMNS and 0 <= end.tile.row < ROWS):
                findings.append(f"{fifo.name}: there is no tile {tile}")
            (outward if end.producer else inward)[tile, where] += 1
            if where == "core":
                core_bytes[tile] += end.depth * fifo.type.bytes
                buffers[tile] += [fifo.type.bytes] * end.depth
                descriptors[tile, where] += end.depth
            elif where == "memory":
                links.add(end.link)
                descriptors[tile, where] += end.link.whole.depth
            walk = fifo.to_stream if end.producer else end.walk
            if walk is not None:
                findings += pattern(f"{fifo.name}, {'out' if end.producer else 'in'}", walk, fifo.type.dtype, where)
        if fifo.transfers:
            shim = fifo.producer if fifo.producer.tile.row == 0 else fifo.consumers[0]
            for tensor, tap in fifo.transfers:
                findings += pattern(f"{fifo.name}, transfer", tap, tensor.type.dtype, "shim")
            descriptors[shim.tile.key, "shim"] += len(fifo.transfers)

    for tile, sizes in sorted(buffers.items()):
        if core_bytes[tile] <= CORE_MEMORY and not in_banks(sizes):
            findings.append(f"tile {tile}: its buffers do not fit into {BANKS} banks of {CORE_MEMORY // BANKS} bytes: {sizes}")
    for link in links:
        memory_bytes[link.tile.key] += link.whole.depth * link.whole.fifo.type.bytes

    for used, most, what in ((core_bytes, CORE_MEMORY, "of a core's memory"), (memory_bytes, MEMORY_TILE, "of a memory tile")):
        for tile, size in sorted(used.items()):
            if size > most:
                findings.append(f"tile {tile}: {size} bytes {what}, which has {most}")
    for used, allowed, what in (
        (inward, CHANNELS, "DMA channels in"), (outward, CHANNELS, "DMA channels out"), (descriptors, DESCRIPTORS, "descriptors"),
    ):
        for (tile, where), count in sorted(used.items()):
            if count > allowed[where]:
                findings.append(f"tile {tile}: {count} {what}, a {where} tile has {allowed[where]}")

    figures = {"core": max(core_bytes.values()), "memory": max(memory_bytes.values(), default=0)}
    for name, used in (("in", inward), ("out", outward)):
        for where in CHANNELS:
            figures[where + " " + name] = max((n for (_, w), n in used.items() if w == where), default=0)
    return findings, figures


def in_banks(sizes):
    """Whether buffers of these sizes, in bytes, can lie so that none is in two banks; the largest are placed first."""
    free = [CORE_MEMORY // BANKS] * BANKS
    for size in sorted(sizes, reverse=True):
        bank = next((i for i, room in enumerate(free) if room >= size), None)
        if bank is None:
            return False
        free[bank] -= size
    return True


def pattern(name, walk, dtype, where):
    """What of a walk no single descriptor of a `where` tile can do."""
    findings, loops = [], walk.merged()
    if len(loops) == 1 and loops[0][1] == 1:
        if loops[0][0] * dtype.itemsize % 4:
            findings.append(f"{name}: {loops[0][0]} elements are not whole words")
        return findings  # a linear transfer has no limit that these come near
    if len(loops) > LOOPS[where]:
        findings.append(f"{name}: {len(loops)} nested loops, a {where} tile has {LOOPS[where]}")
    for i, (size, stride) in enumerate(loops):
        innermost, outermost = i == len(loops) - 1, len(loops) == 4 and i == 0
        words = size * dtype.itemsize / 4 if innermost else size
        if innermost and stride != 1:
            findings.append(f"{name}: single elements, {stride} apart")
        if innermost and words != int(words) or not innermost and stride * dtype.itemsize % 4:
            findings.append(f"{name}: loop of {size} by {stride} is not in whole words")
        if where == "shim" and outermost and size > ITERATIONS:
            findings.append(f"{name}: {size} iterations, the shim has {ITERATIONS}")
        # The third loop's turns are what the length leaves: they have no field of their own.
        if i >= len(loops) - 2 and words > WRAP[where] and not (innermost and _splits(words, loops, where)):
            findings.append(f"{name}: a loop of {words:.0f}, the most is {WRAP[where]}")
        if not innermost and stride * dtype.itemsize / 4 > STEP[where]:
            findings.append(f"{name}: a stride of {stride} elements, the most is {STEP[where]} words")
    return findings


def _splits(words, loops, where):
    """Whether a long innermost run can be two loops, a descriptor having one to spare."""
    return len(loops) < LOOPS[where] and any(words % outer == 0 and words / outer <= WRAP[where] for outer in range(2, 65))
