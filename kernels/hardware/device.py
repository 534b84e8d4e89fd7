"""Hearken's C ABI to NPUs (xrt-sys/include/hearken_xrt.h) from Python: device, overlays, runs."""

import ctypes
import json
import struct
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
