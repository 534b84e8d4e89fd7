#!/usr/bin/env python3
"""One check on the NPU, through libhearken_xrt.so as the daemon uses it: `hardware.py SHIM OVERLAYS CHECK`.

first-hour.sh runs the checks in order and says what a failure means. A check prints what it found; exit code 0: as it should
be, 1: not, 2: could not be run, 3: this overlay directory has not what the check needs.
"""

import ctypes
import json
import math
import pathlib
import random
import statistics
import struct
import sys
import time

OPCODE = 3
CACHEABLE, HOST_ONLY = 0, 1
TO_DEVICE, FROM_DEVICE = 0, 1
ABI_VERSION = 1
WAIT = 5000  # milliseconds


class Broken(Exception):
    """The device, or what leads to it, does not do what it should."""


class Lacking(Exception):
    """The overlay directory has not what a check needs."""


# ---- numbers -------------------------------------------------------------------------------------------------------------

def to_bf16(x):
    """The bits of x in bf16, to nearest, ties to even."""
    u = struct.unpack("<I", struct.pack("<f", x))[0]
    if x != x:
        return u >> 16 | 0x40
    return (u + 0x7FFF + (u >> 16 & 1)) >> 16 & 0xFFFF


def from_bf16(bits):
    return struct.unpack("<f", struct.pack("<I", bits << 16))[0]


def bf16(x):
    return from_bf16(to_bf16(x))


def bfp16_group(values):
    """9 bytes for 8 values: the greatest exponent, then mantissas at its scale (MANIFEST.md)."""
    exponent = max(struct.unpack("<I", struct.pack("<f", v))[0] >> 23 & 0xFF for v in values)
    scale = 2.0 ** (exponent - 127 - 6)
    return bytes([exponent]) + bytes(max(-128, min(127, round(v / scale))) & 0xFF for v in values)


def packed(b, k, n, layout):
    """B[k][n], a function of (k, n), in the order of the manifest; a bytearray."""
    out = bytearray()
    tile, columns, slice_, kb, nb = (layout[key] for key in ("k_tile", "n_tile", "k_slice", "k_block", "n_block"))
    for column in range(0, n, columns):
        for k_slice in range(0, k, slice_):  # tiles and their slices, one after the other
            for nn in range(column, column + columns, nb):
                for kk in range(k_slice, k_slice + slice_, kb):
                    if layout["inner"] == "k":
                        for j in range(nn, nn + nb):
                            out += bfp16_group([b(i, j) for i in range(kk, kk + kb)])
                    else:
                        out += bytes(b(i, j) & 0xFF for i in range(kk, kk + kb) for j in range(nn, nn + nb))
    assert tile % slice_ == 0
    return out


# ---- device --------------------------------------------------------------------------------------------------------------

class Device:
    """The first device. `open` an overlay, then `run` its streams."""

    def __init__(self, shim):
        try:
            self.api = ctypes.CDLL(str(shim))
        except OSError as error:
            raise Broken(f"{shim} cannot be loaded: {error}") from None
        self.api.hx_last_error.restype = ctypes.c_char_p
        version = self.api.hx_abi_version()
        if version != ABI_VERSION:
            raise Broken(f"{shim} has version {version} of the interface, this script needs {ABI_VERSION}")
        self.handle = self.new("hx_device_open", 0)

    def call(self, name, *arguments):
        if getattr(self.api, name)(*arguments) != 0:
            raise Broken(f"{name}: {self.api.hx_last_error().decode(errors='replace')}")

    def new(self, name, *arguments):
        handle = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle

    def name(self):
        text = ctypes.create_string_buffer(256)
        self.call("hx_device_name", self.handle, text, 256)
        return text.value.decode(errors="replace")


class Overlay:
    """An xclbin in a context of its own, with its streams."""

    def __init__(self, device, directory, name):
        manifest = json.loads((directory / "manifest.json").read_text())
        found = [overlay for overlay in manifest["overlays"] if overlay["name"] == name]
        if not found:
            raise Lacking(f"there is no overlay {name}; build it with kernels/build")
        self.said, self.directory, self.device = found[0], directory, device
        self.xclbin = device.new("hx_xclbin_open", device.handle, str(directory / self.said["xclbin"]["file"]).encode())
        self.context = device.new("hx_context_open", self.xclbin)
        self.kernel = device.new("hx_kernel_open", self.context, self.said["kernel"].encode())
        self.index = {argument["role"]: argument["index"] for argument in self.said["arguments"]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name, handle in (("kernel", self.kernel), ("context", self.context), ("xclbin", self.xclbin)):
            self.device.call(f"hx_{name}_close", handle)

    def shapes(self):
        return [{key: value for key, value in stream.items() if key not in ("file", "words", "sha256")}
                for stream in self.said["streams"]]

    def run(self, shape, operands):
        """A run of the stream for `shape`; operands: role → bytes that go in, or a size that comes out."""
        return Run(self, shape, operands)


class Run:
    def __init__(self, overlay, shape, operands):
        self.overlay, self.device, self.buffers = overlay, overlay.device, {}
        stream = [s for s in overlay.said["streams"] if all(s.get(key) == value for key, value in shape.items())]
        if not stream:
            raise Lacking(f"{overlay.said['name']} has no stream for {shape}")
        self.handle = self.device.new("hx_run_new", overlay.kernel)
        words = (overlay.directory / stream[0]["file"]).read_bytes()
        self.scalar("opcode", struct.pack("<Q", OPCODE))
        self.buffer("instructions", CACHEABLE, len(words), words)
        self.scalar("instruction_words", struct.pack("<I", len(words) // 4))
        for role, content in operands.items():
            self.buffer(role, HOST_ONLY, content if isinstance(content, int) else len(content),
                        None if isinstance(content, int) else content)

    def scalar(self, role, value):
        self.device.call("hx_run_set_scalar", self.handle, self.overlay.index[role], value, ctypes.c_size_t(len(value)))

    def buffer(self, role, kind, size, content):
        group, place = ctypes.c_uint32(), ctypes.c_void_p()
        index = self.overlay.index[role]
        self.device.call("hx_kernel_group", self.overlay.kernel, index, ctypes.byref(group))
        handle = self.device.new("hx_buffer_new", self.device.handle, ctypes.c_size_t(size), kind, group)
        self.device.call("hx_buffer_map", handle, ctypes.byref(place))
        self.buffers[role] = (handle, place, size)
        if content is not None:
            ctypes.memmove(place, bytes(content), size)
        else:
            ctypes.memset(place, 0xFF, size)  # what is not written is seen: NaN, or -1
        self.sync(role, TO_DEVICE)
        self.device.call("hx_run_set_buffer", self.handle, index, handle)

    def sync(self, role, direction):
        handle, _, size = self.buffers[role]
        self.device.call("hx_buffer_sync", handle, direction, ctypes.c_size_t(size), ctypes.c_size_t(0))

    def go(self):
        """Starts, waits; returns milliseconds."""
        state, before = ctypes.c_uint32(), time.perf_counter()
        self.device.call("hx_run_start", self.handle)
        self.device.call("hx_run_wait", self.handle, WAIT, ctypes.byref(state))
        took = (time.perf_counter() - before) * 1e3
        if state.value != 0:
            raise Broken("the run " + {1: f"did not end within {WAIT / 1e3:.0f} s", 2: "failed"}.get(state.value, "is lost"))
        return took

    def result(self, role):
        self.sync(role, FROM_DEVICE)
        _, place, size = self.buffers[role]
        return ctypes.string_at(place, size)

    def close(self):
        self.device.call("hx_run_free", self.handle)
        for handle, _, _ in self.buffers.values():
            self.device.call("hx_buffer_free", handle)


def bf16s(data):
    return [from_bf16(v) for v in struct.unpack(f"<{len(data) // 2}H", data)]


def as_bf16(values):
    return struct.pack(f"<{len(values)}H", *map(to_bf16, values))


def as_f32(values):
    return struct.pack(f"<{len(values)}f", *values)


# ---- checks --------------------------------------------------------------------------------------------------------------

def check_device(device, _):
    print(f"device: {device.name()}")
    return True


def check_passthrough(device, directory):
    """bias-add with a bias of zero: every element comes back as it went, through memory tiles and cores."""
    with Overlay(device, directory, "bias-add") as overlay:
        shape = overlay.shapes()[0]
        count = shape["m"] * shape["n"]
        x = b"".join(struct.pack("<H", 0x3F80 + i % 997) for i in range(count))
        run = overlay.run(shape, {"x": x, "bias": bytes(4 * shape["n"]), "y": len(x)})
        run.go()
        y = run.result("y")
        run.close()
    wrong = [i for i in range(count) if x[2 * i : 2 * i + 2] != y[2 * i : 2 * i + 2]]
    print(f"passthrough {shape}: {count - len(wrong)} of {count} elements came back" + (f", first wrong {wrong[:5]}" if wrong else ""))
    return not wrong


def product(overlay, shape, seed=1, ordinary=True):
    """A run of a bf16 product with signed values; (run, A, B as a function)."""
    m, k, n = shape["m"], shape["k"], shape["n"]
    generator = random.Random(seed)
    a = [bf16(generator.gauss(0, 1)) for _ in range(m * k)]
    weights = [generator.gauss(0, 0.05) for _ in range(k * n)] if ordinary else None
    b = (lambda i, j: weights[i * n + j]) if ordinary else (lambda i, j: float(i == j))
    return overlay.run(shape, {"a": as_bf16(a), "b": packed(b, k, n, overlay.said["b"]["layout"]), "c": m * n * 2}), a, b


def check_identity(device, directory):
    """A × identity, with values that bfp16ebs8 holds exactly: A comes back, bit for bit, if B's packing is right."""
    with Overlay(device, directory, "gemm-bf16") as overlay:
        shape = {"m": 256, "k": 512, "n": 512}
        a = [(-1) ** i * (64 + (i * 7 + i // 512) % 64) / 64 for i in range(256 * 512)]
        b = packed(lambda i, j: float(i == j), 512, 512, overlay.said["b"]["layout"])
        run = overlay.run(shape, {"a": as_bf16(a), "b": b, "c": 256 * 512 * 2})
        run.go()
        c = bf16s(run.result("c"))
        run.close()
    wrong = [i for i in range(len(a)) if a[i] != c[i]]
    print(f"identity: {len(a) - len(wrong)} of {len(a)} elements came back")
    for i in wrong[:5]:
        where = a.index(c[i]) if c[i] in a else None
        print(f"  [{i // 512}][{i % 512}] is {c[i]}, should be {a[i]}" + (f"; the value of [{where // 512}][{where % 512}]" if where else ""))
    return not wrong


def deviation(c, a, b, m, k, n, seed=2):
    """Mean and greatest |error| of 2,000 results against the mass Σ|a||b|, and the mean signed error."""
    generator, errors = random.Random(seed), []
    for _ in range(2000):
        i, j = generator.randrange(m), generator.randrange(n)
        exact = mass = 0.0
        for kk in range(k):
            term = a[i * k + kk] * b(kk, j)
            exact += term
            mass += abs(term)
        errors.append((c[i * n + j] - exact) / mass)
    return statistics.fmean(map(abs, errors)), max(map(abs, errors)), statistics.fmean(errors)


def check_random(device, directory):
    """Signed random values. amd/IRON measured a mean error of 2.4e-4 of the mass; with truncation it would be 9.9e-3."""
    good = True
    with Overlay(device, directory, "gemm-bf16") as overlay:
        for shape in overlay.shapes():
            run, a, b = product(overlay, shape)
            run.go()
            mean, most, signed = deviation(bf16s(run.result("c")), a, b, shape["m"], shape["k"], shape["n"])
            run.close()
            fine = mean <= 4e-3 and math.isfinite(most)
            good &= fine
            print(f"random {shape}: error {mean:.2e} of the mass on average, {most:.2e} at most, {signed:+.2e} signed"
                  + ("" if fine else "  WRONG"))
    return good


def check_shapes(device, directory):
    """One context, shape A, another, A again: the same bits as before, or a shape leaves something behind in the array."""
    good = True
    with Overlay(device, directory, "gemm-bf16") as overlay:
        shapes = overlay.shapes()
        first, _, _ = product(overlay, shapes[0])
        first.go()
        before = first.result("c")
        for shape in shapes[1:]:
            other, _, _ = product(overlay, shape, seed=3, ordinary=False)
            other.go()
            other.close()
            first.go()
            same = first.result("c") == before
            good &= same
            print(f"{shapes[0]}, then {shape}, then the first again: " + ("the same" if same else "DIFFERENT"))
        first.close()
    return good


def check_repeats(device, directory, count=1000):
    with Overlay(device, directory, "gemm-bf16") as overlay:
        shape = overlay.shapes()[0]
        run, _, _ = product(overlay, shape)
        run.go()
        first, times, different = run.result("c"), [], 0
        for _ in range(count):
            times.append(run.go())
            different += run.result("c") != first
        run.close()
    times.sort()
    print(f"{count} repeats of {shape}: {different} differ; {times[0]:.3f} ms at least, {times[count // 2]:.3f} median, "
          f"{times[count * 99 // 100]:.3f} at 99 %, {times[-1]:.3f} at most")
    return not different


def check_endless(device, directory):
    """Runs until it is killed, for the check of what a killed process leaves behind."""
    with Overlay(device, directory, "gemm-bf16") as overlay:
        run, _, _ = product(overlay, overlay.shapes()[0])
        print("running", flush=True)
        while True:
            run.go()


def check_int8(device, directory):
    """Sums in i32 are exact."""
    good = True
    with Overlay(device, directory, "gemm-i8") as overlay:
        for shape in overlay.shapes():
            m, k, n = shape["m"], shape["k"], shape["n"]
            generator = random.Random(4)
            a, b = generator.randbytes(m * k), generator.randbytes(k * n)
            signed_a, signed_b = ([v - 256 if v > 127 else v for v in data] for data in (a, b))
            operands = {"a": a, "b": packed(lambda i, j: signed_b[i * n + j], k, n, overlay.said["b"]["layout"]), "c": m * n * 4}
            run = overlay.run(shape, operands)
            run.go()
            c = struct.unpack(f"<{m * n}i", run.result("c"))
            run.close()
            wrong = 0
            for _ in range(2000):
                i, j = generator.randrange(m), generator.randrange(n)
                wrong += c[i * n + j] != sum(signed_a[i * k + kk] * signed_b[kk * n + j] for kk in range(k))
            good &= not wrong
            print(f"int8 {shape}: {wrong} of 2000 sums are wrong")
    return good


def check_operators(device, directory):
    """bias-gelu, layer-norm and attention against their definitions; each that is there."""
    good, tried = True, 0
    for check in (_bias_gelu, _layer_norm, _attention):
        try:
            good &= check(device, directory)
            tried += 1
        except Lacking as lacking:
            print(lacking)
    if not tried:
        raise Lacking("none of bias-gelu, layer-norm and attention was built")
    return good


def _bias_gelu(device, directory):
    with Overlay(device, directory, "bias-gelu") as overlay:
        shape = overlay.shapes()[0]
        m, n = shape["m"], shape["n"]
        x = b"".join(struct.pack("<H", i & 0xFFFF) for i in range(m * n))  # every bf16, several times
        bias = [0.25 * (i % 3) for i in range(n)]
        run = overlay.run(shape, {"x": x, "bias": as_f32(bias), "y": m * n * 2})
        took = run.go()
        y = bf16s(run.result("y"))
        run.close()
    wrong, odd = 0, {}
    for i in range(m * n):
        value = from_bf16(i & 0xFFFF) + bias[i % n]
        if not math.isfinite(value):
            odd[str(value)] = y[i]
            continue
        exact = 0.5 * value * math.erfc(-value / math.sqrt(2))
        unit = 2.0 ** (math.frexp(exact)[1] - 8) if exact else 0
        wrong += not abs(y[i] - exact) <= 0.6 * unit + 2e-7 + 2.0**-24 * abs(value)
    print(f"bias-gelu {shape}: {took:.3f} ms, {wrong} of {m * n} beyond 0.6 units in the last place; not finite: {odd}")
    return not wrong


def _layer_norm(device, directory):
    with Overlay(device, directory, "layer-norm") as overlay:
        shape = overlay.shapes()[0]
        m, width, generator = shape["m"], 512, random.Random(5)
        x = [generator.gauss(0, 1) * (100 if i % 97 == 5 else 1) for i in range(m * width)]
        x = list(struct.unpack(f"<{len(x)}f", as_f32(x)))
        gamma, beta = ([generator.gauss(mean, 0.5) for _ in range(width)] for mean in (1, 0))
        run = overlay.run(shape, {"x": as_f32(x), "parameters": as_f32(gamma + beta), "y": m * width * 2})
        took = run.go()
        y = bf16s(run.result("y"))
        run.close()
    wrong = 0
    for r in range(m):
        row = x[r * width : (r + 1) * width]
        mean = statistics.fmean(row)
        scale = 1 / math.sqrt(statistics.fmean((v - mean) ** 2 for v in row) + 1e-5)
        for c in range(width):
            scaled = (row[c] - mean) * scale * gamma[c]
            wrong += not abs(y[r * width + c] - scaled - beta[c]) <= abs(scaled + beta[c]) * 2**-8 + (abs(scaled) + 1) * 2**-13
    print(f"layer-norm {shape}: {took:.3f} ms, {wrong} of {m * width} beyond half a unit in the last place")
    return not wrong


def _attention(device, directory):
    with Overlay(device, directory, "attention") as overlay:
        shape = overlay.shapes()[0]
        m, heads, generator = shape["m"], shape["heads"], random.Random(6)
        d, keys = heads * 64, m - 7
        qkv = [bf16(generator.gauss(0, 1)) for _ in range(m * 3 * d)]
        parameters = b"".join(
            struct.pack("<4i", len(range(c, heads, 8)) * (m // 256), m // 64, keys, 0).ljust(16384, b"\0") for c in range(8)
        )
        run = overlay.run(shape, {"qkv": as_bf16(qkv), "parameters": parameters, "out": m * d * 2})
        took = run.go()
        out = bf16s(run.result("out"))
        run.close()
    worst = 0.0
    for _ in range(200):
        row, head, column = generator.randrange(m), generator.randrange(heads), generator.randrange(64)
        at = head * 64
        q = qkv[row * 3 * d + at : row * 3 * d + at + 64]
        weights = [math.exp(sum(p * r for p, r in zip(q, qkv[j * 3 * d + d + at : j * 3 * d + d + at + 64])) / 8) for j in range(keys)]
        values = [qkv[j * 3 * d + 2 * d + at + column] for j in range(keys)]
        exact = sum(w * v for w, v in zip(weights, values)) / sum(weights)
        mass = sum(w * abs(v) for w, v in zip(weights, values)) / sum(weights)
        worst = max(worst, abs(out[row * d + at + column] - exact) / mass)
    print(f"attention {shape}, {keys} keys: {took:.3f} ms, error {worst:.2e} of the mass at most (2^-7 is {2**-7:.1e})")
    return worst <= 2**-7


def check_list(device, directory, count=16):
    """The same runs one by one and as a list, in order; the same results."""
    with Overlay(device, directory, "gemm-bf16") as overlay:
        runs = [product(overlay, shape, seed=7)[0] for shape in overlay.shapes()]
        runs = runs[:count]
        before = time.perf_counter()
        for run in runs:
            run.go()
        one_by_one = (time.perf_counter() - before) * 1e3
        results = [run.result("c") for run in runs]
        handle = device.new("hx_list_new", overlay.context)
        for run in runs:
            device.call("hx_list_add", handle, run.handle)
        state, before = ctypes.c_uint32(), time.perf_counter()
        device.call("hx_list_execute", handle)
        device.call("hx_list_wait", handle, WAIT, ctypes.byref(state))
        together = (time.perf_counter() - before) * 1e3
        if state.value != 0:
            raise Broken("the list did not complete")
        same = all(run.result("c") == result for run, result in zip(runs, results))
        device.call("hx_list_reset", handle)
        device.call("hx_list_free", handle)
        for run in runs:
            run.close()
    print(f"{len(runs)} runs: {one_by_one:.3f} ms one by one, {together:.3f} ms as a list; " + ("the same" if same else "DIFFERENT"))
    return same


CHECKS = {name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")}


def main(arguments):
    if len(arguments) != 3 or arguments[2] not in CHECKS:
        print(f"usage: hardware.py SHIM OVERLAYS CHECK; the checks are {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    try:
        device = Device(arguments[0])
        good = CHECKS[arguments[2]](device, pathlib.Path(arguments[1]))
        device.call("hx_device_close", device.handle)
        return 0 if good else 1
    except Lacking as lacking:
        print(lacking)
        return 3
    except (Broken, OSError, ValueError, KeyError) as error:
        print(f"{type(error).__name__}: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
