"""Hearken's C ABI to NPUs (xrt-sys/include/hearken_xrt.h) from Python: device, overlays, runs."""

from __future__ import annotations

import ctypes
import json
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import Any

OPCODE = 3
CACHEABLE, HOST_ONLY = 0, 1
TO_DEVICE, FROM_DEVICE = 0, 1
ABI_VERSION = 2
WAIT = 5000
"""Time for a run in milliseconds."""

Shape = dict[str, int]
Handle = ctypes.c_void_p


class Broken(Exception):
    """The device, or what leads to it, does not do what it should."""


class Missing(Exception):
    """The overlay directory has not what a check needs."""


class Device:
    """The first device."""

    def __init__(self, shim: str) -> None:
        try:
            self.api = ctypes.CDLL(shim)
        except OSError as error:
            raise Broken(f"{shim} cannot be loaded: {error}") from None
        self.api.hx_last_error.restype = ctypes.c_char_p
        version = self.api.hx_abi_version()
        if version != ABI_VERSION:
            raise Broken(
                f"{shim} has version {version} of the interface, this script needs {ABI_VERSION}"
            )
        self.handle = self.new("hx_device_open", 0)

    def call(self, name: str, *arguments: Any) -> None:
        if getattr(self.api, name)(*arguments) != 0:
            raise Broken(f"{name}: {self.api.hx_last_error().decode(errors='replace')}")

    def new(self, name: str, *arguments: Any) -> Handle:
        """Calls a function that makes a handle, and returns the handle."""
        handle = Handle()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle

    def name(self) -> str:
        text = ctypes.create_string_buffer(256)
        self.call("hx_device_name", self.handle, text, 256)
        return text.value.decode(errors="replace")

    def close(self) -> None:
        self.call("hx_device_close", self.handle)


class Overlay:
    """An xclbin in a context of its own, with its streams."""

    def __init__(self, device: Device, directory: Path, name: str) -> None:
        manifest = json.loads((directory / "manifest.json").read_text())
        found = [overlay for overlay in manifest["overlays"] if overlay["name"] == name]
        if not found:
            raise Missing(f"there is no overlay {name}; build it with kernels/build")
        self.entry, self.directory, self.device = found[0], directory, device
        path = str(directory / self.entry["xclbin"]["file"]).encode()
        self.xclbin = device.new("hx_xclbin_open", device.handle, path)
        self.context = device.new("hx_context_open", self.xclbin)
        kernel = self.entry["kernel"].encode()
        self.kernel = device.new("hx_kernel_open", self.context, kernel)
        self.index = {argument["role"]: argument["index"] for argument in self.entry["arguments"]}

    def __enter__(self) -> Overlay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.device.call("hx_kernel_close", self.kernel)
        self.device.call("hx_context_close", self.context)
        self.device.call("hx_xclbin_close", self.xclbin)

    def shapes(self) -> list[Shape]:
        return [
            {key: value for key, value in stream.items() if key not in ("file", "words", "sha256")}
            for stream in self.entry["streams"]
        ]

    def run(self, shape: Shape, operands: dict[str, bytes | int]) -> Run:
        """Returns a run of the stream for `shape`.

        `operands`: for each role the bytes that go in, or the size of what comes out.
        """
        return Run(self, shape, operands)


class Run:
    """A stream with its arguments, which can be started any number of times."""

    def __init__(self, overlay: Overlay, shape: Shape, operands: dict[str, bytes | int]) -> None:
        self.overlay, self.device = overlay, overlay.device
        self.buffers: dict[str, tuple[Handle, Handle, int]] = {}
        for stream in overlay.entry["streams"]:
            if all(stream.get(key) == value for key, value in shape.items()):
                break
        else:
            raise Missing(f"{overlay.entry['name']} has no stream for {shape}")
        self.handle = self.device.new("hx_run_new", overlay.kernel)
        words = (overlay.directory / stream["file"]).read_bytes()
        self.scalar("opcode", struct.pack("<Q", OPCODE))
        self.buffer("instructions", CACHEABLE, words)
        self.scalar("instruction_words", struct.pack("<I", len(words) // 4))
        for role, content in operands.items():
            self.buffer(role, HOST_ONLY, content)

    def scalar(self, role: str, value: bytes) -> None:
        size = ctypes.c_size_t(len(value))
        self.device.call("hx_run_set_scalar", self.handle, self.overlay.index[role], value, size)

    def buffer(self, role: str, kind: int, content: bytes | int) -> None:
        group, place = ctypes.c_uint32(), Handle()
        index = self.overlay.index[role]
        size = content if isinstance(content, int) else len(content)
        self.device.call("hx_kernel_group", self.overlay.kernel, index, ctypes.byref(group))
        handle = self.device.new(
            "hx_buffer_new", self.device.handle, ctypes.c_size_t(size), kind, group
        )
        self.device.call("hx_buffer_map", handle, ctypes.byref(place))
        self.buffers[role] = (handle, place, size)
        if isinstance(content, int):
            ctypes.memset(place, 0xFF, size)  # what is not written shows: NaN, or -1
        else:
            ctypes.memmove(place, bytes(content), size)
        self.sync(role, TO_DEVICE)
        self.device.call("hx_run_set_buffer", self.handle, index, handle)

    def sync(self, role: str, direction: int) -> None:
        handle, _, size = self.buffers[role]
        self.device.call(
            "hx_buffer_sync", handle, direction, ctypes.c_size_t(size), ctypes.c_size_t(0)
        )

    def go(self) -> float:
        """Starts and waits; returns the time in milliseconds."""
        state = ctypes.c_uint32()
        before = time.perf_counter()
        self.device.call("hx_run_start", self.handle)
        self.device.call("hx_run_wait", self.handle, WAIT, ctypes.byref(state))
        took = (time.perf_counter() - before) * 1e3
        if state.value != 0:
            ends = {1: f"did not end within {WAIT / 1e3:.0f} s", 2: "failed"}
            raise Broken(f"the run {ends.get(state.value, 'is lost')}")
        return took

    def result(self, role: str) -> bytes:
        self.sync(role, FROM_DEVICE)
        _, place, size = self.buffers[role]
        return ctypes.string_at(place, size)

    def close(self) -> None:
        self.device.call("hx_run_free", self.handle)
        for handle, _, _ in self.buffers.values():
            self.device.call("hx_buffer_free", handle)
