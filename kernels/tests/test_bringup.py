"""Tests the bring-up checks on the device of host/device.cpp.

Each check passes there, and fails if a result is wrong. The environment variable
HEARKEN_TEST_LIBRARY names the device's shared object, which kernels/test builds.
"""

import dataclasses
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from hearken_kernels import ROOT
from hearken_kernels.bringup import number_formats
from hearken_kernels.dataflow.expected import gemm_bf16, gemm_i8
from hearken_kernels.overlays import BLOCKS, OVERLAYS, entry, manifest

LIBRARY = os.environ.get("HEARKEN_TEST_LIBRARY")

OPERATORS = {
    "bias-add": 1,
    "gemm-bf16": 2,
    "gemm-i8": 3,
    "bias-gelu": 4,
    "layer-norm": 5,
    "attention": 6,
    "residual": 7,
}
# Of the others, the repeats take long and endless has a test of its own.
PASSING = [
    "device",
    "passthrough",
    "identity",
    "random",
    "shapes",
    "int8",
    "operators",
    "list",
]
# Small shapes; identity wants the first.
FEW = {
    "gemm-bf16": [{"m": 256, "k": 512, "n": 512}, {"m": 256, "k": 512, "n": 64}],
    "gemm-i8": [{"m": 256, "k": 512, "n": 512}],
}


def write_overlays(directory: Path, names: list[str]) -> None:
    """Writes an overlay directory whose streams only that device takes."""
    entries = []
    for name in names:
        overlay = OVERLAYS[name]
        overlay = dataclasses.replace(overlay, shapes=FEW.get(name, overlay.shapes[:1]))
        xclbin = directory / f"{name}.xclbin"
        xclbin.write_bytes(b"test")
        streams = []
        for shape in overlay.shapes:
            sizes = [*shape.values(), 0, 0][:3]
            path = directory / f"{name}_{'x'.join(map(str, sizes))}.bin"
            path.write_bytes(struct.pack("<5I", 0x54534554, OPERATORS[name], *sizes))
            streams.append((shape, path))
        entries.append(entry(overlay, xclbin, streams))
    (directory / "manifest.json").write_text(json.dumps(manifest(entries, {})))


def command(directory: Path, check: str, library: str) -> list[str]:
    module = [sys.executable, "-B", "-m", "hearken_kernels.bringup"]
    return [*module, library, str(directory), check]


class Packing(unittest.TestCase):
    """The same weights as in src/npu/layout.rs, which has the same hashes; and the same order as
    the data flow check."""

    LAYOUT = BLOCKS | {"inner": "k"}
    SHAPE = (1024, 128)

    @staticmethod
    def real(k: int, n: int) -> float:
        exponent = (0.25, 0.5, 1.0, 2.0, 4.0)[(3 * n + k // 8) % 5]
        return ((n * 1031 + k * 7919) % 4001 - 2000) / 1024 * exponent

    @staticmethod
    def integer(k: int, n: int) -> int:
        return (n * 1031 + k * 7919) % 255 - 127

    def test_bytes_are_those_of_the_encoder(self):
        packed = number_formats.packed(self.real, *self.SHAPE, self.LAYOUT)
        self.assertEqual(
            hashlib.sha256(packed).hexdigest(),
            "59a76d7c5d50a62344afa5b1e862036366342e62e8ecdef3078e91a2885950df",
        )
        layout = self.LAYOUT | {"k_slice": 64, "inner": "n"}
        packed = number_formats.packed(self.integer, *self.SHAPE, layout)
        self.assertEqual(
            hashlib.sha256(packed).hexdigest(),
            "b9dd409fd2c218b0fca0047452450404341b459151d52f3c22ade510da0b5e76",
        )

    def test_order_is_that_of_the_data_flow_check(self):
        groups = (
            number_formats.bfp16_group([self.real(k + i, n) for i in range(8)])
            for _, k, n in gemm_bf16.packed(*self.SHAPE)
        )
        packed = number_formats.packed(self.real, *self.SHAPE, self.LAYOUT)
        self.assertEqual(packed, b"".join(groups))
        values = bytes(self.integer(k, n) & 0xFF for k, n in gemm_i8.packed(*self.SHAPE))
        layout = self.LAYOUT | {"inner": "n"}
        self.assertEqual(number_formats.packed(self.integer, *self.SHAPE, layout), values)


@unittest.skipUnless(LIBRARY, "HEARKEN_TEST_LIBRARY is not set")
class Checks(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        write_overlays(self.path, list(OPERATORS))

    def run_check(
        self,
        check: str,
        directory: Path | None = None,
        library: str | None = None,
        device: str = "right",
    ) -> tuple[int, str]:
        done = subprocess.run(
            command(directory or self.path, check, library or str(LIBRARY)),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | {"HEARKEN_TEST_DEVICE": device},
        )
        return done.returncode, done.stdout + done.stderr

    def test_all_is_well_on_a_device_that_computes_rightly(self):
        for check in PASSING:
            status, said = self.run_check(check)
            self.assertEqual(status, 0, f"{check}: {said}")

    def test_a_wrong_element_is_found(self):
        for check in ("passthrough", "identity", "int8"):
            status, said = self.run_check(check, device="wrong")
            self.assertEqual(status, 1, f"{check}: {said}")

    def test_endless_runs_until_it_is_killed(self):
        arguments = command(self.path, "endless", str(LIBRARY))
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT) as endless:
            assert endless.stdout
            self.assertEqual(endless.stdout.readline(), "running\n")
            self.assertIsNone(endless.poll())
            endless.kill()
        self.assertEqual(self.run_check("identity")[0], 0)

    def test_what_is_missing_is_said(self):
        write_overlays(self.path, ["gemm-bf16"])
        status, said = self.run_check("int8")
        self.assertEqual(status, 3, said)
        self.assertIn("no overlay gemm-i8", said)
        status, said = self.run_check("device", library="/nowhere/libhearken_xrt.so")
        self.assertEqual(status, 2, said)
        self.assertIn("cannot be loaded", said)
        status, said = self.run_check("identity", directory=self.path / "none")
        self.assertEqual(status, 2, said)

    def test_bring_up_ends_with_a_report_if_everything_is_missing(self):
        report = self.path / "report.txt"
        done = subprocess.run(
            ["sh", str(ROOT / "bring-up.sh"), str(self.path / "none"), str(report)],
            capture_output=True,
            text=True,
            env=os.environ
            | {"HEARKEN_NPU_SHIM": "/nowhere/libhearken_xrt.so", "HEARKEN": "/nowhere/hearken"},
        )
        said = report.read_text()
        self.assertEqual(done.returncode, 1, said)
        for line in (
            "FAILED plugin",
            "FAILED overlays",
            "kernels/build",
            "SKIPPED open",
            "SKIPPED run-list: repeats did not pass",
        ):
            self.assertIn(line, said)
        # Every check has its line, and every failure what it means.
        lines = said.splitlines()
        results = [line for line in lines if line.startswith(("PASSED", "FAILED", "SKIPPED"))]
        self.assertEqual(len(results), 23)
        for i, line in enumerate(lines):
            if line.startswith("FAILED"):
                self.assertRegex(lines[i + 1], "  means: ")


if __name__ == "__main__":
    unittest.main()
