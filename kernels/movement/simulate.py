"""Runs a design's data movement on labels instead of numbers.

Every element of a tensor in memory has a label, by which a design's check (NAME/movement.py) knows it again wherever it
arrives. Transfers, memory tiles and cores run as on the array: a transfer waits until whoever takes its data has a free
buffer, a core until what it acquires is there, and a buffer is free when its last taker is done with it. What the run
shows: how often each element was read, which label each result element got, and whether anything waits for ever or is left
behind for the next run.
"""

import threading
from collections import deque


class Tensor:
    """A tensor in memory, in labels; counts reads, allows one write of each element."""

    def __init__(self, name, type, labels=None):
        self.name, self.type = name, type
        self.labels = labels if labels is not None else [None] * type.length
        self.reads = [0] * type.length
        self.written = bytearray(type.length)

    def read(self, tap):
        out = []
        for start, length in tap.runs():
            out += self.labels[start : start + length]
            for i in range(start, start + length):
                self.reads[i] += 1
        return out

    def write(self, tap, values):
        at = 0
        for start, length in tap.runs():
            if any(self.written[start : start + length]):
                raise Fault(f"{self.name}: elements of {start}..{start + length} are written twice")
            self.labels[start : start + length] = values[at : at + length]
            self.written[start : start + length] = b"\1" * length
            at += length


class Fault(Exception):
    """The design moves data wrongly."""


class _Stop(BaseException):
    """Ends a core's thread."""


class _Taker:
    """What takes a fifo's stream: gathers `size` elements into a free buffer, puts them where its walk says, delivers."""

    def __init__(self, size, free, walk, deliver):
        self.size, self.free, self.walk, self.deliver = size, free, walk, deliver
        self.got = []

    def room(self):
        if self.size is None:
            return 0
        if not self.got and self.free == 0:
            return 0
        return self.size - len(self.got)

    def take(self, elements):
        if not self.got:
            self.free -= 1
        self.got += elements
        if len(self.got) == self.size:
            full, self.got = self.got, []
            self.deliver(_placed(full, self.walk))


def _placed(stream, walk):
    """The object that a stream fills when it is written along the walk."""
    if walk is None:
        return stream
    filled, at = [None] * len(stream), 0
    for start, length in walk.runs():
        filled[start : start + length] = stream[at : at + length]
        at += length
    if at != len(stream) or None in filled:
        raise Fault("a walk into an object does not cover it")
    return filled


def _sent(data, walk):
    """The stream that an object gives when it is read along the walk."""
    if walk is None:
        return list(data)
    out = []
    for start, length in walk.runs():
        out += data[start : start + length]
    if len(out) != len(data):
        raise Fault("a walk over an object does not cover it")
    return out


class _Stream:
    """A fifo on its way: units that wait to be sent, and who takes them."""

    def __init__(self, fifo):
        self.fifo = fifo
        self.units = deque()  # (elements, what to do when they are gone)
        self.at = 0
        self.takers = []

    def step(self):
        moved = False
        while self.units:
            elements, done = self.units[0]
            n = min(len(elements) - self.at, *(taker.room() for taker in self.takers))
            if n <= 0:
                break
            piece = elements[self.at : self.at + n]
            for taker in self.takers:
                taker.take(piece)
            self.at += n
            moved = True
            if self.at == len(elements):
                self.units.popleft()
                self.at = 0
                if done:
                    done()
        return moved


class _Core:
    """A worker in a thread of its own that runs only while the scheduler lets it."""

    def __init__(self, worker):
        self.worker = worker
        self.fresh, self.waits, self.stopping = True, None, False
        self.go, self.back = threading.Semaphore(0), threading.Semaphore(0)
        self.failure = None
        self.ready, self.held, self.free, self.made = {}, {}, {}, {}
        worker.running = self
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        self.go.acquire()
        try:
            while not self.stopping:
                self.fresh = True
                self.worker.core_fn(*self.worker.fn_args)
        except _Stop:
            pass
        except Exception as error:  # reported by the scheduler
            self.failure = error
        self.waits = lambda: False
        self.back.release()

    def resume(self):
        self.waits = None
        self.go.release()
        self.back.acquire()
        if self.failure:
            raise self.failure

    def stop(self):
        self.stopping = True
        self.go.release()
        self.thread.join()

    def until(self, condition):
        while not condition():
            self.waits = condition
            self.back.release()
            self.go.acquire()
            if self.stopping:
                raise _Stop
        self.fresh = False

    def acquire(self, end, count):
        if count > end.depth:
            raise Fault(f"{end.fifo.name}: {count} objects wanted of {end.depth}")
        if end.producer:
            made = self.made.setdefault(end, deque())
            self.until(lambda: self.free[end] >= count - len(made))
            while len(made) < count:
                self.free[end] -= 1
                made.append([None] * end.fifo.type.length)
            objects = made
        else:
            held = self.held.setdefault(end, deque())
            self.until(lambda: len(self.ready[end]) >= count - len(held))
            while len(held) < count:
                held.append(self.ready[end].popleft())
            objects = held
        return objects[0] if count == 1 else list(objects)[:count]

    def release(self, end, count):
        for _ in range(count):
            if end.producer:
                data = self.made[end].popleft()
                if None in data:
                    raise Fault(f"{end.fifo.name}: an object is sent that was not filled")
                self.stream[end].units.append((_sent(data, end.fifo.to_stream), lambda: self._freed(end)))
            else:
                self.held[end].popleft()
                self.taker[end].free += 1

    def _freed(self, end):
        self.free[end] += 1

    stream, taker = {}, {}  # of an end; filled by run()


def run(program, tensors):
    """Runs the program once on `tensors` (in the order of its sequence). Raises Fault where it goes wrong."""
    handles = program.runtime.fn_args[len(tensors):]
    program.runtime.sequence(*tensors, *handles)

    fifos = program.fifos()
    streams = {fifo: _Stream(fifo) for fifo in fifos}
    cores = [_Core(worker) for worker in program.workers]
    _Core.stream, _Core.taker = {}, {}

    for fifo in fifos:
        stream, source = streams[fifo], fifo.producer
        if source.worker:
            _Core.stream[source] = stream
            source.worker.running.free[source] = source.depth
        elif not source.link:
            for tensor, tap in fifo.transfers:
                stream.units.append((tensor.read(tap), None))
        for end in fifo.consumers:
            if end.worker:
                ready = end.worker.running.ready[end] = deque()
                taker = _Taker(fifo.type.length, end.depth, end.walk, ready.append)
                _Core.taker[end] = taker
                stream.takers.append(taker)
            elif not end.link:
                stream.takers.append(_to_memory(fifo))
    for link in {end.link for fifo in fifos for end in (fifo.producer, *fifo.consumers) if end.link}:
        _connect(link, streams)

    try:
        moving = True
        while moving:
            moving = False
            for stream in streams.values():
                moving |= stream.step()
            for core in cores:
                if core.waits is None or core.waits():
                    core.resume()
                    moving = True
        _finished(streams, cores)
    finally:
        for core in cores:
            core.stop()


def _to_memory(fifo):
    """Takes a fifo's stream into the tensors of its transfers, one after the other."""
    waiting = deque(fifo.transfers)

    def deliver(values):
        tensor, tap = waiting.popleft()
        tensor.write(tap, values)
        taker.size, taker.free = (waiting[0][1].count(), 1) if waiting else (None, 0)

    taker = _Taker(waiting[0][1].count() if waiting else None, 1 if waiting else 0, None, deliver)
    return taker


def _connect(link, streams):
    """A memory tile: one buffer that one fifo fills and several read (split, forward), or several fill and one reads."""
    whole, length = link.whole, link.whole.fifo.type.length
    if whole is link.ins[0] and len(link.ins) == 1:
        taker = _Taker(length, whole.depth, whole.walk, None)

        def deliver(data):
            left = [len(link.outs)]

            def done():
                left[0] -= 1
                if left[0] == 0:
                    taker.free += 1

            for i, out in enumerate(link.outs):
                start, size = link.part(i)
                streams[out.fifo].units.append((_sent(data[start : start + size], out.fifo.to_stream), done))

        taker.deliver = deliver
        streams[whole.fifo].takers.append(taker)
        return

    takers, arrived = [], [deque() for _ in link.ins]

    def done():
        for taker in takers:
            taker.free += 1

    def deliverer(i):
        def deliver(data):
            arrived[i].append(data)
            if all(arrived):
                joined = [label for parts in arrived for label in parts.popleft()]
                if len(joined) != length:
                    raise Fault(f"{whole.fifo.name}: the parts have {len(joined)} elements, the whole {length}")
                streams[whole.fifo].units.append((_sent(joined, whole.fifo.to_stream), done))

        return deliver

    for i, end in enumerate(link.ins):
        taker = _Taker(link.part(i)[1], whole.depth, end.walk, deliverer(i))
        takers.append(taker)
        streams[end.fifo].takers.append(taker)


def _finished(streams, cores):
    """Nothing may wait, and nothing may be left behind for the next run."""
    stuck = [fifo.name for fifo, stream in streams.items() if stream.units]
    stuck += [fifo.name for fifo, stream in streams.items() for taker in stream.takers if taker.got]
    stuck += [f"{fifo.name} to memory" for fifo, stream in streams.items() for taker in stream.takers
              if not fifo.consumers[0].worker and not fifo.consumers[0].link and taker.size is not None]
    waiting = [f"core {core.worker.tile.key}" for core in cores if not core.fresh or any(core.ready.values())]
    if stuck or waiting:
        raise Fault("this waits for ever: " + ", ".join(dict.fromkeys(stuck + waiting)))
