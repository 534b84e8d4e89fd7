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
from hearken_kernels.bringup import number_formats, report, service
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
        written = self.path / "report.txt"
        done = subprocess.run(
            ["sh", str(ROOT / "bring-up.sh"), str(self.path / "none"), str(written)],
            capture_output=True,
            text=True,
            env=os.environ
            | {"HEARKEN_NPU_SHIM": "/nowhere/libhearken_xrt.so", "HEARKEN": "/nowhere/hearken"},
        )
        said = written.read_text()
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
        self.assertEqual(len(results), 25)
        for i, line in enumerate(lines):
            if line.startswith("FAILED"):
                self.assertRegex(lines[i + 1], "  means: ")


class Script(unittest.TestCase):
    """Parts of bring-up.sh that judge the machine."""

    def function(self, call: str, home: str = "/nonexistent") -> tuple[int, str]:
        """Runs a call of one of the script's functions, without its checks."""
        text = (ROOT / "bring-up.sh").read_text()
        functions = text[text.index("have() {") : text.index('say "Bring-up of Hearken')]
        done = subprocess.run(
            ["sh", "-c", functions + call],
            capture_output=True,
            text=True,
            env=os.environ | {"HOME": home},
        )
        return done.returncode, done.stdout + done.stderr

    def test_each_kernel_gets_its_verdict(self):
        for release, part in (
            ("6.12.48-amd64", "no driver"),
            ("5.15.0", "no driver"),
            ("6.14.0-33-generic", "protocol 6 only"),
            ("6.19.8-200.fc43.x86_64", "protocol 6 only"),
            ("7.0.0-31-generic", "recent enough"),
            ("10.1.0", "recent enough"),
        ):
            self.assertIn(part, self.function(f"kernel_verdict {release}")[1], release)

    def test_an_iommu_that_is_off_is_named(self):
        for parameters, off in (
            ("quiet amd_iommu=off", True),
            ("iommu=off quiet", True),
            ("amd_iommu=on iommu=pt", False),
        ):
            said = self.function(f"iommu_verdict '{parameters}'")[1]
            self.assertEqual("is off" in said, off, said)

    def test_validate_is_skipped_without_its_archives(self):
        with tempfile.TemporaryDirectory() as home:
            tool = Path(home, "xrt-smi")
            tool.write_text("#!/bin/sh\necho validated\n")
            tool.chmod(0o755)
            call = f"PATH={home}:$PATH; validate"
            if not self.function("archives")[1]:
                status, said = self.function(call, home)
                self.assertEqual(status, 3, said)
                self.assertIn("nothing is wrong with the NPU", said)
            bins = Path(home, ".local/share/xrt/2.25.0/amdxdna/bins")
            bins.mkdir(parents=True)
            (bins / "xrt_smi_strx.a").write_bytes(b"")
            self.assertEqual(self.function(call, home), (0, "validated\n"))


class Reports(unittest.TestCase):
    GOOD = {
        "device": "npu",
        "iterations": 100,
        "cosine_to_f32": 0.998,
        "cosine_to_pytorch": 0.995,
        "non_finite": 0,
        "differing": 0,
    }

    def test_a_good_report_passes(self):
        for kind in ("encoder", "golden"):
            self.assertEqual(report.judged(kind, "int8", self.GOOD), [])

    def test_each_fault_is_named(self):
        for kind, change, part in (
            ("encoder", {"iterations": 10}, "not 100"),
            ("encoder", {"differing": 1}, "issue 1646"),
            ("encoder", {"non_finite": 3}, "not finite"),
            ("encoder", {"cosine_to_f32": float("nan")}, "cosine_to_f32 is nan"),
            ("encoder", {"device": "npu-emulator"}, "not of the NPU"),
            ("golden", {"cosine_to_pytorch": 0.98}, "cosine_to_pytorch is 0.98"),
            ("golden", {"cosine_to_pytorch": None}, "cosine_to_pytorch is None"),
        ):
            wrong = report.judged(kind, "int8", self.GOOD | change)
            self.assertEqual(len(wrong), 1, wrong)
            self.assertIn(part, wrong[0])


class Service(unittest.TestCase):
    UNIT = (ROOT.parent / "packaging/hearken.service.in").read_text()

    def test_the_units_sandbox_and_limits_are_those_of_the_check(self):
        settings = service.properties(self.UNIT)
        for wanted in (
            "LimitMEMLOCK=infinity",
            "PrivateNetwork=yes",
            "ProcSubset=pid",
            "SystemCallFilter=@system-service",
            "SystemCallFilter=~@privileged @resources",
        ):
            self.assertIn(wanted, settings)
        names = {setting.partition("=")[0] for setting in settings}
        self.assertFalse(names & service.NOT_FOR_A_COMMAND)
        self.assertNotIn("WantedBy", names)

    def test_the_command_follows_its_environment(self):
        made = service.command(self.UNIT, ["A=1", "B=x y", "/bin/hearken", "--file", "a=b"])
        self.assertIn("--setenv=B=x y", made)
        self.assertEqual(made[made.index("--") + 1 :], ["/bin/hearken", "--file", "a=b"])


if __name__ == "__main__":
    unittest.main()
