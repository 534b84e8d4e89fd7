"""Runs a design's data flow on labels instead of numbers.

In: a program of the model, and tensors whose elements have labels. Out: how often each element was
read, which label each element of a result has, and whether anything waits for ever or is left
behind for the next run. A label is how an operator's expectation (expected/) recognises an element
wherever it arrives.

Transfers, memory tiles and cores run as on the array: a transfer waits until its receivers have a
free buffer, a core until what it acquires is there, and a buffer is free when its last receiver is
done with it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hearken_kernels.dataflow.model import (
    Handle,
    Link,
    ObjectFifo,
    Program,
    TensorAccessPattern,
    TensorType,
    Worker,
)

Elements = list[Any]


class Fault(Exception):
    """The design moves data wrongly."""


class Tensor:
    """A tensor in memory, in labels; counts reads, allows one write of each element."""

    def __init__(self, name: str, type: TensorType, labels: Sequence[Any] | None = None) -> None:
        self.name, self.type = name, type
        self.labels: Any = labels if labels is not None else [None] * type.length
        self.reads = [0] * type.length
        self.written = bytearray(type.length)

    def read(self, tap: TensorAccessPattern) -> Elements:
        out: Elements = []
        for start, length in tap.runs():
            out += self.labels[start : start + length]
            for i in range(start, start + length):
                self.reads[i] += 1
        return out

    def write(self, tap: TensorAccessPattern, values: Elements) -> None:
        at = 0
        for start, length in tap.runs():
            if any(self.written[start : start + length]):
                raise Fault(f"{self.name}: elements of {start}..{start + length} are written twice")
            self.labels[start : start + length] = values[at : at + length]
            self.written[start : start + length] = b"\1" * length
            at += length


def run(program: Program, tensors: list[Tensor]) -> None:
    """Runs the program once on `tensors`, in the order of its sequence.

    Raises `Fault` if it goes wrong.
    """
    handles = program.runtime.fn_args[len(tensors) :]
    program.runtime.sequence(*tensors, *handles)
    fifos = program.fifos()
    streams = {fifo: Stream(fifo) for fifo in fifos}
    cores = [Core(worker) for worker in program.workers]
    for fifo in fifos:
        _attach_source(fifo, streams[fifo])
        for end in fifo.consumers:
            _attach_receiver(fifo, end, streams[fifo])
    links = {end.link for fifo in fifos for end in fifo.ends() if end.link}
    for link in links:
        _connect(link, streams)
    try:
        _until_nothing_moves(streams, cores)
        _finished(streams, cores)
    finally:
        for core in cores:
            core.stop()


def _attach_source(fifo: ObjectFifo, stream: Stream) -> None:
    """Lets a core or the host's transfers feed a fifo's stream."""
    source = fifo.prod()
    if source.worker and source.worker.running:
        source.worker.running.stream[source] = stream
        source.worker.running.free[source] = source.depth
    elif not source.link:
        for tensor, tap in fifo.transfers:
            stream.units.append((tensor.read(tap), None))


def _attach_receiver(fifo: ObjectFifo, end: Handle, stream: Stream) -> None:
    """Lets a core or memory take a fifo's stream."""
    if end.worker and end.worker.running:
        core = end.worker.running
        ready = core.ready[end] = deque()
        core.receiver[end] = Receiver(fifo.type.length, end.depth, end.walk, ready.append)
        stream.receivers.append(core.receiver[end])
    elif not end.link:
        stream.receivers.append(_to_memory(fifo))


def _until_nothing_moves(streams: dict[ObjectFifo, Stream], cores: list[Core]) -> None:
    moving = True
    while moving:
        moving = False
        for stream in streams.values():
            moving |= stream.step()
        for core in cores:
            if core.waits is None or core.waits():
                core.resume()
                moving = True


def _finished(streams: dict[ObjectFifo, Stream], cores: list[Core]) -> None:
    """Raises `Fault` if anything waits, or is left behind for the next run."""
    stuck = [fifo.name for fifo, stream in streams.items() if stream.units]
    for fifo, stream in streams.items():
        to_memory = not fifo.consumers[0].worker and not fifo.consumers[0].link
        for receiver in stream.receivers:
            if receiver.got:
                stuck.append(fifo.name)
            if to_memory and receiver.size is not None:
                stuck.append(f"{fifo.name} to memory")
    stuck += [
        f"core {core.worker.tile.key}"
        for core in cores
        if not core.fresh or any(core.ready.values())
    ]
    if stuck:
        raise Fault("this waits for ever: " + ", ".join(dict.fromkeys(stuck)))


class Receiver:
    """Takes a fifo's stream: gathers `size` elements into a free buffer, places them along its
    walk, and delivers them."""

    def __init__(
        self,
        size: int | None,
        free: int,
        walk: TensorAccessPattern | None,
        deliver: Callable[[Elements], None],
    ) -> None:
        self.size, self.free, self.walk, self.deliver = size, free, walk, deliver
        self.got: Elements = []

    def room(self) -> int:
        if self.size is None or not self.got and self.free == 0:
            return 0
        return self.size - len(self.got)

    def take(self, elements: Elements) -> None:
        if not self.got:
            self.free -= 1
        self.got += elements
        if len(self.got) == self.size:
            full, self.got = self.got, []
            self.deliver(_placed(full, self.walk))


class Stream:
    """A fifo on its way: units that wait to be sent, and their receivers."""

    def __init__(self, fifo: ObjectFifo) -> None:
        self.fifo = fifo
        # Elements, and what to do when they are gone.
        self.units: deque[tuple[Elements, Callable[[], None] | None]] = deque()
        self.at = 0
        self.receivers: list[Receiver] = []

    def step(self) -> bool:
        """Moves what can move; returns whether anything did."""
        moved = False
        while self.units:
            elements, done = self.units[0]
            n = min(len(elements) - self.at, *(receiver.room() for receiver in self.receivers))
            if n <= 0:
                break
            piece = elements[self.at : self.at + n]
            for receiver in self.receivers:
                receiver.take(piece)
            self.at += n
            moved = True
            if self.at == len(elements):
                self.units.popleft()
                self.at = 0
                if done:
                    done()
        return moved


class Stop(BaseException):
    """Ends a core's thread."""


class Core:
    """A worker in a thread of its own that runs only while the scheduler lets it."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.fresh = True
        self.waits: Callable[[], bool] | None = None
        self.stopping = False
        self.go, self.back = threading.Semaphore(0), threading.Semaphore(0)
        self.failure: Exception | None = None
        self.ready: dict[Handle, deque[Elements]] = {}
        self.held: dict[Handle, deque[Elements]] = {}
        self.free: dict[Handle, int] = {}
        self.made: dict[Handle, deque[Elements]] = {}
        self.stream: dict[Handle, Stream] = {}
        self.receiver: dict[Handle, Receiver] = {}
        worker.running = self
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def resume(self) -> None:
        self.waits = None
        self.go.release()
        self.back.acquire()
        if self.failure:
            raise self.failure

    def stop(self) -> None:
        self.stopping = True
        self.go.release()
        self.thread.join()

    def until(self, condition: Callable[[], bool]) -> None:
        """Within the worker: waits for a condition."""
        while not condition():
            self.waits = condition
            self.back.release()
            self.go.acquire()
            if self.stopping:
                raise Stop
        self.fresh = False

    def acquire(self, end: Handle, count: int) -> Any:
        if count > end.depth:
            raise Fault(f"{end.fifo.name}: {count} objects wanted of {end.depth}")
        objects = self._empty(end, count) if end.producer else self._full(end, count)
        return objects[0] if count == 1 else list(objects)[:count]

    def release(self, end: Handle, count: int) -> None:
        for _ in range(count):
            if end.producer:
                data = self.made[end].popleft()
                if None in data:
                    raise Fault(f"{end.fifo.name}: an object is sent that was not filled")
                unit = _sent(data, end.fifo.to_stream)
                self.stream[end].units.append((unit, lambda: self._freed(end)))
            else:
                self.held[end].popleft()
                self.receiver[end].free += 1

    def _run(self) -> None:
        self.go.acquire()
        try:
            while not self.stopping:
                self.fresh = True
                self.worker.core_fn(*self.worker.fn_args)
        except Stop:
            pass
        except Exception as error:  # reported by the scheduler
            self.failure = error
        self.waits = lambda: False
        self.back.release()

    def _empty(self, end: Handle, count: int) -> deque[Elements]:
        """Returns objects to fill, at least `count`."""
        made = self.made.setdefault(end, deque())
        self.until(lambda: self.free[end] >= count - len(made))
        while len(made) < count:
            self.free[end] -= 1
            made.append([None] * end.fifo.type.length)
        return made

    def _full(self, end: Handle, count: int) -> deque[Elements]:
        """Returns objects that have arrived, at least `count`."""
        held = self.held.setdefault(end, deque())
        self.until(lambda: len(self.ready[end]) >= count - len(held))
        while len(held) < count:
            held.append(self.ready[end].popleft())
        return held

    def _freed(self, end: Handle) -> None:
        self.free[end] += 1


def _placed(stream: Elements, walk: TensorAccessPattern | None) -> Elements:
    """Returns the object that a stream fills when it is written along the walk."""
    if walk is None:
        return stream
    filled: Elements = [None] * len(stream)
    at = 0
    for start, length in walk.runs():
        filled[start : start + length] = stream[at : at + length]
        at += length
    if at != len(stream) or None in filled:
        raise Fault("a walk into an object does not cover it")
    return filled


def _sent(data: Elements, walk: TensorAccessPattern | None) -> Elements:
    """Returns the stream that an object gives when it is read along the walk."""
    if walk is None:
        return list(data)
    out: Elements = []
    for start, length in walk.runs():
        out += data[start : start + length]
    if len(out) != len(data):
        raise Fault("a walk over an object does not cover it")
    return out


def _to_memory(fifo: ObjectFifo) -> Receiver:
    """Takes a fifo's stream into the tensors of its transfers, one after the other."""
    waiting = deque(fifo.transfers)

    def deliver(values: Elements) -> None:
        tensor, tap = waiting.popleft()
        tensor.write(tap, values)
        receiver.size = waiting[0][1].count() if waiting else None
        receiver.free = 1 if waiting else 0

    size = waiting[0][1].count() if waiting else None
    receiver = Receiver(size, 1 if waiting else 0, None, deliver)
    return receiver


def _connect(link: Link, streams: dict[ObjectFifo, Stream]) -> None:
    """Connects the fifos of a memory tile, which has one buffer."""
    if link.whole is link.ins[0] and len(link.ins) == 1:
        _fan_out(link, streams)
    else:
        _fan_in(link, streams)


def _fan_out(link: Link, streams: dict[ObjectFifo, Stream]) -> None:
    """One fifo fills the buffer, several read it: split, forward."""

    def deliver(data: Elements) -> None:
        left = [len(link.outs)]

        def done() -> None:
            left[0] -= 1
            if left[0] == 0:
                receiver.free += 1

        for i, out in enumerate(link.outs):
            start, size = link.part(i)
            unit = _sent(data[start : start + size], out.fifo.to_stream)
            streams[out.fifo].units.append((unit, done))

    whole = link.whole
    receiver = Receiver(whole.fifo.type.length, whole.depth, whole.walk, deliver)
    streams[whole.fifo].receivers.append(receiver)


def _fan_in(link: Link, streams: dict[ObjectFifo, Stream]) -> None:
    """Several fifos fill the buffer, one reads it: join."""
    whole, length = link.whole, link.whole.fifo.type.length
    receivers: list[Receiver] = []
    arrived: list[deque[Elements]] = [deque() for _ in link.ins]

    def done() -> None:
        for receiver in receivers:
            receiver.free += 1

    def deliverer(i: int) -> Callable[[Elements], None]:
        def deliver(data: Elements) -> None:
            arrived[i].append(data)
            if not all(arrived):
                return
            joined = [label for parts in arrived for label in parts.popleft()]
            if len(joined) != length:
                raise Fault(
                    f"{whole.fifo.name}: the parts have {len(joined)} elements, the whole {length}"
                )
            streams[whole.fifo].units.append((_sent(joined, whole.fifo.to_stream), done))

        return deliver

    for i, end in enumerate(link.ins):
        receiver = Receiver(link.part(i)[1], whole.depth, end.walk, deliverer(i))
        receivers.append(receiver)
        streams[end.fifo].receivers.append(receiver)
