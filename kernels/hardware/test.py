"""Tests hardware/check on the device of host/device.cpp: `hardware/test.py LIBRARY`. Each check passes there, and fails when a
result is wrong."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
KERNELS = HERE.parent
LIBRARY = sys.argv.pop(1)
loader = importlib.machinery.SourceFileLoader("build", str(KERNELS / "build"))
build = importlib.util.module_from_spec(importlib.util.spec_from_loader("build", loader))
loader.exec_module(build)
OPERATORS = {"bias-add": 1, "gemm-bf16": 2, "gemm-i8": 3, "bias-gelu": 4, "layer-norm": 5, "attention": 6}
# Small shapes; identity wants the first.
FEW = {"gemm-bf16": [{"m": 256, "k": 512, "n": 512}, {"m": 256, "k": 512, "n": 64}],
       "gemm-i8": [{"m": 256, "k": 512, "n": 512}]}


def overlays(directory, names):
    """An overlay directory whose streams only that device takes."""
    entries = []
    for name in names:
        said = build.OVERLAYS[name][0]
        said = said | {"shapes": FEW.get(name, said["shapes"][:1])}
        xclbin = directory / f"{name}.xclbin"
        xclbin.write_bytes(b"test")
        streams = []
        for shape in said["shapes"]:
            values = [*shape.values(), 0, 0][:3]
            streams.append((shape, directory / f"{name}_{'x'.join(map(str, values))}.bin"))
            streams[-1][1].write_bytes(struct.pack("<5I", 0x54534554, OPERATORS[name], *values))
        entries.append(build.overlay_entry(said, xclbin, streams))
    (directory / "manifest.json").write_text(json.dumps(build.manifest(entries, {})))


def run(directory, check, library=LIBRARY, device="right"):
    done = subprocess.run(
        [sys.executable, "-B", str(HERE / "check"), library, str(directory), check],
        capture_output=True, text=True, env=os.environ | {"HEARKEN_TEST_DEVICE": device},
    )
    return done.returncode, done.stdout + done.stderr


class Hardware(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = pathlib.Path(self.directory.name)
        overlays(self.path, OPERATORS)

    def test_all_is_well_on_a_device_that_computes_rightly(self):
        for check in ("device", "passthrough", "identity", "random", "shapes", "int8", "operators", "list"):
            status, said = run(self.path, check)
            self.assertEqual(status, 0, f"{check}: {said}")

    def test_a_wrong_element_is_found(self):
        for check in ("passthrough", "identity"):
            status, said = run(self.path, check, device="wrong")
            self.assertEqual(status, 1, f"{check}: {said}")

    def test_what_is_lacking_is_said(self):
        overlays(self.path, ["gemm-bf16"])
        status, said = run(self.path, "int8")
        self.assertEqual((status, "no overlay gemm-i8" in said), (3, True), said)
        status, said = run(self.path, "device", library="/nowhere/libhearken_xrt.so")
        self.assertEqual((status, "cannot be loaded" in said), (2, True), said)
        status, said = run(self.path / "none", "identity")
        self.assertEqual(status, 2, said)

    def test_the_first_hour_ends_with_a_report_where_everything_is_missing(self):
        report = self.path / "report.txt"
        done = subprocess.run(
            ["sh", str(KERNELS / "first-hour.sh"), str(self.path / "none"), str(report)], capture_output=True, text=True,
            env=os.environ | {"HEARKEN_NPU_SHIM": "/nowhere/libhearken_xrt.so", "HEARKEN": "/nowhere/hearken"},
        )
        said = report.read_text()
        self.assertEqual(done.returncode, 1, said)
        for line in ("FAILED plugin", "FAILED overlays", "kernels/build", "SKIPPED open", "SKIPPED run-list: repeats did not pass"):
            self.assertIn(line, said)
        # Every check has its line, and every failure what it means.
        lines = said.splitlines()
        self.assertEqual(len([line for line in lines if line.startswith(("PASSED", "FAILED", "SKIPPED"))]), 21)
        for i, line in enumerate(lines):
            if line.startswith("FAILED"):
                self.assertRegex(lines[i + 1], "  means: ")


if __name__ == "__main__":
    unittest.main()
