"""What the designs use of IRON, as a model of the array that can be run without the toolchain.

`install()` puts modules named aie.iron, numpy and ml_dtypes in the place of the real ones; a design that is then imported
and called gives, instead of MLIR, the Program of this model: tiles, buffers, DMA channels and transfers as the design asks
for them, with the names and signatures of mlir-aie's python/iron. simulate.py runs it, limits.py holds it against the
hardware.
"""

import sys
import types


class DType:
    """An element type: its name, and its size in bytes."""

    def __init__(self, name, size):
        self.name, self.itemsize = name, size

    def __getitem__(self, item):  # np.dtype[bfloat16]
        return item


class TensorType:
    """np.ndarray[(n,), np.dtype[T]]: how many elements of what."""

    def __init__(self, shape, dtype):
        self.length, self.dtype = shape[0], dtype
        for size in shape[1:]:
            self.length *= size

    @property
    def bytes(self):
        return self.length * self.dtype.itemsize


class _NdArray:
    def __getitem__(self, item):
        return TensorType(*item)


BF16, F32, I32, I8 = DType("bf16", 2), DType("f32", 4), DType("i32", 4), DType("i8", 1)


class Tile:
    def __init__(self, col, row):
        self.col, self.row = col, row

    @property
    def key(self):
        return (self.col, self.row)


class TensorAccessPattern:
    """A walk over a tensor: from `offset` on, nested loops of `sizes` and `strides`, in elements, the innermost last."""

    def __init__(self, tensor_dims, offset, sizes, strides):
        self.length = 1
        for size in tensor_dims:
            self.length *= size
        self.offset, self.sizes, self.strides = offset, list(sizes), list(strides)
        if len(self.sizes) != len(self.strides):
            raise ValueError(f"access pattern: {len(self.sizes)} sizes but {len(self.strides)} strides")

    def merged(self):
        """(size, stride) of the loops that remain when what is contiguous is one loop, the innermost last."""
        loops = []
        for size, stride in zip(reversed(self.sizes), reversed(self.strides)):
            if size == 1:
                continue
            if loops and stride == loops[-1][0] * loops[-1][1]:
                loops[-1] = (loops[-1][0] * size, loops[-1][1])
            else:
                loops.append((size, stride))
        return list(reversed(loops)) or [(1, 1)]

    def runs(self):
        """Yields (start, length) of the contiguous runs, in order."""
        loops = self.merged()
        if loops[-1][1] != 1:
            loops.append((1, 1))
        run = loops.pop()[0]

        def walk(start, rest):
            if not rest:
                yield start, run
                return
            size, stride = rest[0]
            for i in range(size):
                yield from walk(start + i * stride, rest[1:])

        for start, length in walk(self.offset, loops):
            if start < 0 or start + length > self.length:
                raise ValueError(f"access pattern reaches {start}..{start + length} of {self.length} elements")
            yield start, length

    def count(self):
        total = 1
        for size in self.sizes:
            total *= size
        return total


class Handle:
    """One end of an ObjectFifo. `place` is set by what uses it: a worker, a link in a memory tile, or the host."""

    def __init__(self, fifo, producer, depth, walk=None, tile=None):
        self.fifo, self.producer, self.depth, self.walk, self.tile = fifo, producer, depth, walk, tile
        self.worker = self.link = None

    def split(self, offsets, tile, depths=None, obj_types=None, names=None, to_stream=None):
        outs = [
            ObjectFifo(obj_types[i], depth=(depths or [self.depth] * len(offsets))[i], name=names[i],
                       to_stream=to_stream[i] if to_stream else None)
            for i in range(len(offsets))
        ]
        Link([self], [out.prod() for out in outs], tile, offsets)
        return outs

    def forward(self, tile, obj_type, depth, name, to_stream=None):
        out = ObjectFifo(obj_type, depth=depth, name=name, to_stream=to_stream)
        Link([self], [out.prod()], tile, [0])
        return out

    def join(self, offsets, tile, depths=None, obj_types=None, names=None, from_stream=None):
        ins = [
            ObjectFifo(obj_types[i], depth=(depths or [self.depth] * len(offsets))[i], name=names[i])
            for i in range(len(offsets))
        ]
        ends = [fifo.cons(from_stream=from_stream[i] if from_stream else None) for i, fifo in enumerate(ins)]
        Link(ends, [self], tile, offsets)
        return ins

    # Within a worker; simulate.py answers.
    def acquire(self, count):
        return self.worker.running.acquire(self, count)

    def release(self, count):
        self.worker.running.release(self, count)

    # Within the host's sequence.
    def fill(self, tensor, tap, wait=False):
        self.fifo.transfers.append((tensor, tap))

    def drain(self, tensor, tap, wait=False):
        self.fifo.transfers.append((tensor, tap))


class ObjectFifo:
    def __init__(self, obj_type, *, depth=2, name=None, to_stream=None, from_stream_per_cons=None):
        self.type, self.depth, self.name, self.to_stream = obj_type, depth, name, to_stream
        self.default_walk = from_stream_per_cons
        self.producer, self.consumers, self.transfers = None, [], []

    def prod(self, depth=None, tile=None):
        if self.producer is None:
            self.producer = Handle(self, True, depth or self.depth, tile=tile)
        return self.producer

    def cons(self, depth=None, from_stream=None, tile=None):
        end = Handle(self, False, depth or self.depth, from_stream or self.default_walk, tile)
        self.consumers.append(end)
        return end


class Link:
    """Fifos that meet in a memory tile: one into several (split), one into one (forward), several into one (join).

    They share one buffer, of the type of the one; each of the several has the part that starts at its offset."""

    def __init__(self, ins, outs, tile, offsets):
        self.ins, self.outs, self.tile, self.offsets = ins, outs, tile, offsets
        self.whole = (ins if len(ins) == 1 else outs)[0]
        for end in (*ins, *outs):
            end.link, end.tile = self, tile

    def part(self, i):
        """(start, length) of part i, in elements."""
        ends = [*self.offsets[1:], self.whole.fifo.type.length]
        return self.offsets[i], ends[i] - self.offsets[i]


class Buffer:
    """Memory of a tile beside the fifos'. Holds what the model of a tile program puts there."""

    def __init__(self, obj_type, name, use_write_rtp=False):
        self.type, self.name = obj_type, name
        self.data = [None] * obj_type.length

    def __getitem__(self, i):
        return self.data[i]

    def __setitem__(self, i, value):
        self.data[i] = value

    def __len__(self):
        return self.type.length


class WorkerRuntimeBarrier:
    """A lock of one worker that the host's sequence opens."""

    def __init__(self):
        self.value, self.worker = 0, None

    def set(self, value):
        self.value = value

    def wait_for_value(self, value):
        self.worker.running.until(lambda: self.value == value)

    def release_with_value(self, value):
        self.value -= value


class Kernel:
    """A function of a tile program; `models` says what it does with the labels of simulate.py."""

    models = {}

    def __init__(self, name, object_file, arg_types):
        self.name, self.object_file, self.arg_types = name, object_file, arg_types

    def __call__(self, *arguments):
        if len(arguments) != len(self.arg_types):
            raise TypeError(f"{self.name} takes {len(self.arg_types)} arguments, not {len(arguments)}")
        for i, (argument, declared) in enumerate(zip(arguments, self.arg_types)):
            if isinstance(declared, TensorType) and len(argument) != declared.length:
                raise TypeError(f"{self.name}: argument {i} has {len(argument)} elements, declared are {declared.length}")
        Kernel.models[self.name](*arguments)


class Worker:
    def __init__(self, core_fn, fn_args, tile, stack_size):
        self.core_fn, self.fn_args, self.tile, self.stack_size = core_fn, fn_args, tile, stack_size
        self.running = None
        for argument in fn_args:
            if isinstance(argument, Handle):
                argument.worker, argument.tile = self, tile
            elif isinstance(argument, WorkerRuntimeBarrier):
                argument.worker = self


class Runtime:
    def __init__(self, sequence, fn_args):
        self.sequence, self.fn_args = sequence, fn_args


class Program:
    def __init__(self, device, runtime, workers):
        self.device, self.runtime, self.workers = device, runtime, workers

    def resolve_program(self):
        return self

    def fifos(self):
        """All fifos, found from the workers' and the host's ends."""
        found, waiting = {}, []

        def ends(arguments):
            for argument in arguments:
                if isinstance(argument, list):
                    ends(argument)
                elif isinstance(argument, Handle):
                    waiting.append(argument.fifo)

        ends(self.runtime.fn_args)
        for worker in self.workers:
            ends(worker.fn_args)
        while waiting:
            fifo = waiting.pop()
            if fifo.name in found:
                if found[fifo.name] is not fifo:
                    raise ValueError(f"two fifos are called {fifo.name}")
                continue
            found[fifo.name] = fifo
            for end in (fifo.producer, *fifo.consumers):
                if end is not None and end.link:
                    waiting.extend(other.fifo for other in (*end.link.ins, *end.link.outs))
        return list(found.values())


def install():
    """Makes `import aie.iron` and its like give this model, whatever is installed."""

    def module(name, **names):
        made = types.ModuleType(name)
        made.__dict__.update(names)
        sys.modules[name] = made

    module("numpy", ndarray=_NdArray(), dtype=DType("", 0), float32=F32, int32=I32, int8=I8)
    module("ml_dtypes", bfloat16=BF16)
    module("aie")
    module("aie.helpers")
    module("aie.helpers.taplib", TensorAccessPattern=TensorAccessPattern)
    ours = (Buffer, Kernel, ObjectFifo, Program, Runtime, Worker, WorkerRuntimeBarrier)
    module("aie.iron", **{each.__name__: each for each in ours})
    module("aie.iron.controlflow", range_=range)
    module("aie.iron.device", NPU2=lambda: "npu2", Tile=Tile)
