"""Tests hardware/check on the device of host/device.cpp: `hardware/test.py LIBRARY`. Each check passes there, and fails when a
result is wrong."""

import hashlib
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
sys.path[:0] = [str(HERE), str(KERNELS / "gemm"), str(KERNELS / "movement")]
import number_formats  # noqa: E402
loader = importlib.machinery.SourceFileLoader("build", str(KERNELS / "build"))
build = importlib.util.module_from_spec(importlib.util.spec_from_loader("build", loader))
loader.exec_module(build)
OPERATORS = {"bias-add": 1, "gemm-bf16": 2, "gemm-i8": 3, "bias-gelu": 4, "layer-norm": 5, "attention": 6, "residual": 7}
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


class Packing(unittest.TestCase):
    """The same weights as in src/npu/layout.rs, which has the same hashes; and the same order as kernels/movement checks."""

    LAYOUT = build.BLOCKS | {"inner": "k"}
    SHAPE = (1024, 128)

    @staticmethod
    def weight(k, n):
        return ((n * 1031 + k * 7919) % 4001 - 2000) / 1024 * (0.25, 0.5, 1.0, 2.0, 4.0)[(3 * n + k // 8) % 5]

    @staticmethod
    def whole(k, n):
        return (n * 1031 + k * 7919) % 255 - 127

    def test_bytes_are_those_of_the_encoder(self):
        packed = number_formats.packed(self.weight, *self.SHAPE, self.LAYOUT)
        self.assertEqual(
            hashlib.sha256(packed).hexdigest(), "59a76d7c5d50a62344afa5b1e862036366342e62e8ecdef3078e91a2885950df"
        )
        packed = number_formats.packed(self.whole, *self.SHAPE, self.LAYOUT | {"k_slice": 64, "inner": "n"})
        self.assertEqual(
            hashlib.sha256(packed).hexdigest(), "b9dd409fd2c218b0fca0047452450404341b459151d52f3c22ade510da0b5e76"
        )

    def test_order_is_that_of_the_movement_check(self):
        import movement_bf16
        import movement_i8

        groups = (number_formats.bfp16_group([self.weight(k + i, n) for i in range(8)])
                  for _, k, n in movement_bf16.packed(*self.SHAPE))
        self.assertEqual(number_formats.packed(self.weight, *self.SHAPE, self.LAYOUT), b"".join(groups))
        values = bytes(self.whole(k, n) & 0xFF for _, k, n in movement_i8.packed(*self.SHAPE))
        self.assertEqual(number_formats.packed(self.whole, *self.SHAPE, self.LAYOUT | {"inner": "n"}), values)


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
        for check in ("passthrough", "identity", "int8"):
            status, said = run(self.path, check, device="wrong")
            self.assertEqual(status, 1, f"{check}: {said}")

    def test_endless_runs_until_it_is_killed(self):
        command = [sys.executable, "-B", str(HERE / "check"), LIBRARY, str(self.path), "endless"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as endless:
            self.assertEqual(endless.stdout.readline(), "running\n")
            self.assertIsNone(endless.poll())
            endless.kill()
        self.assertEqual(run(self.path, "identity")[0], 0)

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
        self.assertEqual(len([line for line in lines if line.startswith(("PASSED", "FAILED", "SKIPPED"))]), 23)
        for i, line in enumerate(lines):
            if line.startswith("FAILED"):
                self.assertRegex(lines[i + 1], "  means: ")


if __name__ == "__main__":
    unittest.main()
