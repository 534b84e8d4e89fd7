"""The part of IRON that the designs use, as a model of the array that runs without the toolchain.

In: `install()` puts modules named aie.iron, numpy and ml_dtypes in the place of the real ones. Out:
a design that is then imported and called returns, instead of MLIR, the `Program` of this model:
tiles, buffers, DMA channels and transfers as the design asks for them, with the names and
signatures of mlir-aie's python/iron. simulate.py runs it, limits.py compares it with the hardware.
"""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearken_kernels.dataflow.simulate import Core, Tensor


class DType:
    """An element type: its name, and its size in bytes."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self.itemsize = name, size

    def __getitem__(self, item: DType) -> DType:  # np.dtype[bfloat16]
        return item


class TensorType:
    """np.ndarray[(n,), np.dtype[T]]: the number of elements and their type."""

    def __init__(self, shape: tuple[int, ...], dtype: DType) -> None:
        self.length, self.dtype = math.prod(shape), dtype

    @property
    def bytes(self) -> int:
        return self.length * self.dtype.itemsize


class NdArray:
    def __getitem__(self, item: tuple[tuple[int, ...], DType]) -> TensorType:
        return TensorType(*item)


BF16, F32, I32, I8 = DType("bf16", 2), DType("f32", 4), DType("i32", 4), DType("i8", 1)


class Tile:
    def __init__(self, col: int, row: int) -> None:
        self.col, self.row = col, row

    @property
    def key(self) -> tuple[int, int]:
        return (self.col, self.row)


class TensorAccessPattern:
    """A walk over a tensor: from `offset`, nested loops of `sizes` and `strides` in elements, the
    innermost last."""

    def __init__(
        self,
        tensor_dims: Sequence[int],
        offset: int,
        sizes: Sequence[int],
        strides: Sequence[int],
    ) -> None:
        self.length = math.prod(tensor_dims)
        self.offset, self.sizes, self.strides = offset, list(sizes), list(strides)
        if len(self.sizes) != len(self.strides):
            raise ValueError(
                f"access pattern: {len(self.sizes)} sizes but {len(self.strides)} strides"
            )

    def merged(self) -> list[tuple[int, int]]:
        """Returns (size, stride) of the loops that remain when contiguous loops are merged, the
        innermost last."""
        loops: list[tuple[int, int]] = []
        for size, stride in zip(reversed(self.sizes), reversed(self.strides)):
            if size == 1:
                continue
            if loops and stride == loops[-1][0] * loops[-1][1]:
                loops[-1] = (loops[-1][0] * size, loops[-1][1])
            else:
                loops.append((size, stride))
        return list(reversed(loops)) or [(1, 1)]

    def runs(self) -> Iterator[tuple[int, int]]:
        """Yields (start, length) of the contiguous runs, in order."""
        loops = self.merged()
        if loops[-1][1] != 1:
            loops.append((1, 1))
        length = loops.pop()[0]
        for start in _starts(self.offset, loops):
            if start < 0 or start + length > self.length:
                raise ValueError(
                    f"access pattern reaches {start}..{start + length} of {self.length} elements"
                )
            yield start, length

    def count(self) -> int:
        return math.prod(self.sizes)


def _starts(start: int, loops: list[tuple[int, int]]) -> Iterator[int]:
    if not loops:
        yield start
        return
    size, stride = loops[0]
    for i in range(size):
        yield from _starts(start + i * stride, loops[1:])


class Handle:
    """One end of an ObjectFifo: a worker's, a memory tile's (with a link) or the host's."""

    def __init__(
        self,
        fifo: ObjectFifo,
        producer: bool,
        depth: int,
        walk: TensorAccessPattern | None = None,
        tile: Tile | None = None,
    ) -> None:
        self.fifo, self.producer, self.depth, self.walk = fifo, producer, depth, walk
        self.placed = tile
        self.worker: Worker | None = None
        self.link: Link | None = None

    @property
    def tile(self) -> Tile:
        if self.placed is None:
            raise ValueError(f"{self.fifo.name}: an end is on no tile")
        return self.placed

    def split(
        self,
        offsets: list[int],
        tile: Tile,
        depths: list[int] | None = None,
        *,
        obj_types: list[TensorType],
        names: list[str],
        to_stream: list[TensorAccessPattern] | None = None,
    ) -> list[ObjectFifo]:
        depths = depths or [self.depth] * len(offsets)
        outs = [
            ObjectFifo(
                obj_types[i],
                depth=depths[i],
                name=names[i],
                to_stream=to_stream[i] if to_stream else None,
            )
            for i in range(len(offsets))
        ]
        Link([self], [out.prod() for out in outs], tile, offsets)
        return outs

    def forward(
        self,
        tile: Tile,
        obj_type: TensorType,
        depth: int,
        name: str,
        to_stream: TensorAccessPattern | None = None,
    ) -> ObjectFifo:
        out = ObjectFifo(obj_type, depth=depth, name=name, to_stream=to_stream)
        Link([self], [out.prod()], tile, [0])
        return out

    def join(
        self,
        offsets: list[int],
        tile: Tile,
        depths: list[int] | None = None,
        *,
        obj_types: list[TensorType],
        names: list[str],
        from_stream: list[TensorAccessPattern] | None = None,
    ) -> list[ObjectFifo]:
        depths = depths or [self.depth] * len(offsets)
        ins = [
            ObjectFifo(obj_types[i], depth=depths[i], name=names[i]) for i in range(len(offsets))
        ]
        ends = [
            fifo.cons(from_stream=from_stream[i] if from_stream else None)
            for i, fifo in enumerate(ins)
        ]
        Link(ends, [self], tile, offsets)
        return ins

    # Within a worker; simulate.py answers.
    def acquire(self, count: int) -> Any:
        return running(self.worker).acquire(self, count)

    def release(self, count: int) -> None:
        running(self.worker).release(self, count)

    # Within the host's sequence.
    def fill(self, tensor: Tensor, tap: TensorAccessPattern, wait: bool = False) -> None:
        self.fifo.transfers.append((tensor, tap))

    def drain(self, tensor: Tensor, tap: TensorAccessPattern, wait: bool = False) -> None:
        self.fifo.transfers.append((tensor, tap))


class ObjectFifo:
    def __init__(
        self,
        obj_type: TensorType,
        *,
        depth: int = 2,
        name: str,
        to_stream: TensorAccessPattern | None = None,
        from_stream_per_cons: TensorAccessPattern | None = None,
    ) -> None:
        self.type, self.depth, self.name, self.to_stream = obj_type, depth, name, to_stream
        self.default_walk = from_stream_per_cons
        self.producer: Handle | None = None
        self.consumers: list[Handle] = []
        self.transfers: list[tuple[Tensor, TensorAccessPattern]] = []

    def prod(self, depth: int | None = None, tile: Tile | None = None) -> Handle:
        if self.producer is None:
            self.producer = Handle(self, True, depth or self.depth, tile=tile)
        return self.producer

    def cons(
        self,
        depth: int | None = None,
        from_stream: TensorAccessPattern | None = None,
        tile: Tile | None = None,
    ) -> Handle:
        walk = from_stream or self.default_walk
        end = Handle(self, False, depth or self.depth, walk, tile)
        self.consumers.append(end)
        return end

    def ends(self) -> list[Handle]:
        """Returns the producer and the consumers."""
        if self.producer is None:
            raise ValueError(f"{self.name} has no producer")
        return [self.producer, *self.consumers]


class Link:
    """Fifos that meet in a memory tile: one into several (split), one into one (forward), several
    into one (join).

    They share one buffer, of the type of the one; each of the several has the part that starts at
    its offset."""

    def __init__(
        self, ins: list[Handle], outs: list[Handle], tile: Tile, offsets: list[int]
    ) -> None:
        self.ins, self.outs, self.tile, self.offsets = ins, outs, tile, offsets
        self.whole = (ins if len(ins) == 1 else outs)[0]
        for end in (*ins, *outs):
            end.link, end.placed = self, tile

    def part(self, i: int) -> tuple[int, int]:
        """Returns (start, length) of part i, in elements."""
        ends = [*self.offsets[1:], self.whole.fifo.type.length]
        return self.offsets[i], ends[i] - self.offsets[i]


class Buffer:
    """Memory of a tile beside the fifos'; holds what the model of a tile program puts there."""

    def __init__(self, obj_type: TensorType, name: str, use_write_rtp: bool = False) -> None:
        self.type, self.name = obj_type, name
        self.data: list[Any] = [None] * obj_type.length

    def __getitem__(self, i: int) -> Any:
        return self.data[i]

    def __setitem__(self, i: int, value: Any) -> None:
        self.data[i] = value

    def __len__(self) -> int:
        return self.type.length


class WorkerRuntimeBarrier:
    """A lock of one worker that the host's sequence opens."""

    def __init__(self) -> None:
        self.value = 0
        self.worker: Worker | None = None

    def set(self, value: int) -> None:
        self.value = value

    def wait_for_value(self, value: int) -> None:
        running(self.worker).until(lambda: self.value == value)

    def release_with_value(self, value: int) -> None:
        self.value -= value


class Kernel:
    """A function of a tile program; `models` says what it does with the labels of simulate.py."""

    models: dict[str, Callable[..., None]] = {}

    def __init__(self, name: str, object_file: str, arg_types: list[Any]) -> None:
        self.name, self.object_file, self.arg_types = name, object_file, arg_types

    def __call__(self, *arguments: Any) -> None:
        if len(arguments) != len(self.arg_types):
            raise TypeError(
                f"{self.name} takes {len(self.arg_types)} arguments, not {len(arguments)}"
            )
        for i, (argument, declared) in enumerate(zip(arguments, self.arg_types)):
            if isinstance(declared, TensorType) and len(argument) != declared.length:
                raise TypeError(
                    f"{self.name}: argument {i} has {len(argument)} elements, "
                    f"declared are {declared.length}"
                )
        Kernel.models[self.name](*arguments)


class Worker:
    def __init__(
        self, core_fn: Callable[..., None], fn_args: list[Any], tile: Tile, stack_size: int
    ) -> None:
        self.core_fn: Any = core_fn
        self.fn_args, self.tile, self.stack_size = fn_args, tile, stack_size
        self.running: Core | None = None
        for argument in fn_args:
            if isinstance(argument, Handle):
                argument.worker, argument.placed = self, tile
            elif isinstance(argument, WorkerRuntimeBarrier):
                argument.worker = self


def running(worker: Worker | None) -> Core:
    """Returns the simulated core of a worker."""
    if worker is None or worker.running is None:
        raise ValueError("used outside of a worker")
    return worker.running


class Runtime:
    def __init__(self, sequence: Callable[..., None], fn_args: list[Any]) -> None:
        self.sequence, self.fn_args = sequence, fn_args


class Program:
    def __init__(self, device: Any, runtime: Runtime, workers: list[Worker]) -> None:
        self.device, self.runtime, self.workers = device, runtime, workers

    def resolve_program(self) -> Program:
        return self

    def fifos(self) -> list[ObjectFifo]:
        """Returns all fifos, found from the workers' and the host's ends."""
        waiting = list(_fifos_of(self.runtime.fn_args))
        for worker in self.workers:
            waiting += _fifos_of(worker.fn_args)
        found: dict[str, ObjectFifo] = {}
        while waiting:
            fifo = waiting.pop()
            if fifo.name in found:
                if found[fifo.name] is not fifo:
                    raise ValueError(f"two fifos are called {fifo.name}")
                continue
            found[fifo.name] = fifo
            for end in fifo.ends():
                if end.link:
                    waiting.extend(other.fifo for other in (*end.link.ins, *end.link.outs))
        return list(found.values())


def _fifos_of(arguments: list[Any]) -> Iterator[ObjectFifo]:
    for argument in arguments:
        if isinstance(argument, list):
            yield from _fifos_of(argument)
        elif isinstance(argument, Handle):
            yield argument.fifo


class NPU2:
    """The device: XDNA2."""


def install() -> None:
    """Makes `import aie.iron` and its like give this model, whatever is installed."""
    _module("numpy", ndarray=NdArray(), dtype=DType("", 0), float32=F32, int32=I32, int8=I8)
    _module("ml_dtypes", bfloat16=BF16)
    _module("aie")
    _module("aie.helpers")
    _module("aie.helpers.taplib", TensorAccessPattern=TensorAccessPattern)
    ours = (Buffer, Kernel, ObjectFifo, Program, Runtime, Worker, WorkerRuntimeBarrier)
    _module("aie.iron", **{each.__name__: each for each in ours})
    _module("aie.iron.controlflow", range_=range)
    _module("aie.iron.device", NPU2=NPU2, Tile=Tile)


def _module(name: str, **names: Any) -> None:
    made = types.ModuleType(name)
    made.__dict__.update(names)
    sys.modules[name] = made
