"""Tests kernels/build without the toolchain: what it says then, and the manifest that it writes."""

import contextlib
import dataclasses
import hashlib
import importlib
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

from hearken_kernels import ROOT, build, iron_gemm, xclbin
from hearken_kernels.dataflow import model
from hearken_kernels.overlays import OVERLAYS, Mistake, entry, manifest

# Fields of a product that the example has with the same content.
COPIED = ["operator", "kernel", "arguments", "multiply", "accumulate", "a", "c", "rounding"]


def shape_of(value: Any) -> Any:
    """Returns the fields of a JSON value, without what they hold."""
    if isinstance(value, dict):
        return {key: shape_of(part) for key, part in value.items()}
    return [shape_of(value[0])] if isinstance(value, list) else type(value).__name__


def made(name: str, directory: Path) -> dict[str, Any]:
    """Returns the entry of an overlay whose files have arbitrary content."""
    overlay = OVERLAYS[name]
    xclbin = directory / "overlay.xclbin"
    xclbin.write_bytes(b"configuration")
    streams = []
    for i, shape in enumerate(overlay.shapes):
        path = directory / f"{i}.bin"
        path.write_bytes(bytes([i]) * 4 * (i + 1))
        streams.append((shape, path))
    return entry(overlay, xclbin, streams)


class Manifest(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.directory = Path(work.name)

    def test_products_are_described_as_the_manifest_says(self):
        example = json.loads((ROOT / "manifest.example.json").read_text())
        for wanted in example["overlays"]:
            got = made(wanted["name"], self.directory)
            self.assertEqual(shape_of(got), shape_of(wanted))
            for field in COPIED:
                self.assertEqual(got[field], wanted[field], field)
        self.assertEqual(made("gemm-bf16", self.directory)["b"], example["overlays"][0]["b"])
        whole = manifest([], {})
        for field in ("format", "version", "target"):
            self.assertEqual(whole[field], example[field])

    def test_files_are_named_with_size_and_hash(self):
        got = made("attention", self.directory)
        self.assertEqual(got["xclbin"]["sha256"], hashlib.sha256(b"configuration").hexdigest())
        self.assertEqual(got["xclbin"]["bytes"], 13)
        self.assertEqual(got["streams"][1]["words"], 2)
        self.assertEqual(got["streams"][1]["sha256"], hashlib.sha256(b"\1" * 8).hexdigest())
        roles = [argument["role"] for argument in got["arguments"][3:]]
        self.assertEqual(roles, ["qkv", "parameters", "out"])

    def test_a_stream_of_broken_words_is_refused(self):
        path = self.directory / "stream.bin"
        path.write_bytes(b"12345")
        with self.assertRaisesRegex(Mistake, "not whole 32-bit words"):
            entry(OVERLAYS["layer-norm"], path, [({"m": 256}, path)])

    def test_every_shape_is_one_that_its_design_takes(self):
        model.install()
        for overlay in OVERLAYS.values():
            for shape in overlay.shapes:
                if overlay.design is not None:
                    module = importlib.import_module(f"hearken_kernels.designs.{overlay.design}")
                    module.design(*shape.values(), **overlay.options)
                if overlay.operator == "gemm":
                    rest = (shape["m"] % 256, shape["k"] % 512, shape["n"] % 64)
                    self.assertEqual(rest, (0, 0, 0))


class Build(unittest.TestCase):
    def test_the_runtime_sequence_is_no_part_of_the_configuration(self):
        text = "a {{ b aie.runtime_sequence @s(%0: x) {{ t {{ {} }} }} c }}"
        first = build.device_part(text.format("1"))
        self.assertEqual(first, build.device_part(text.format("2")))
        self.assertNotEqual(first, build.device_part(text.replace(" c ", " d ").format("1")))
        older = text.replace("aie.runtime", "aiex.runtime")
        self.assertEqual(first, build.device_part(older.format("3")))

    def test_an_old_compiler_is_named_before_anything_is_compiled(self):
        for version, old in (("1.3.1", True), ("1.4.4.dev69+abc", False), ("1.10.0", False)):
            with mock.patch.object(
                build.metadata, "version", lambda name, version=version: version
            ):
                said = build.unexpected_version()
            self.assertEqual(said is not None, old, said)
            self.assertIn(version, said or version)

    def test_an_overlay_that_fails_costs_no_other(self):
        def built(overlay, directory):
            if overlay.name == "gemm-bf16":
                raise RuntimeError("the compiler refused it")
            return made(overlay.name, directory)

        said = io.StringIO()
        with (
            tempfile.TemporaryDirectory() as work,
            mock.patch.object(build, "missing", lambda names: []),
            mock.patch.object(build, "build_overlay", built),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(said),
        ):
            self.assertEqual(build.main([work + "/out"]), 1)
            kept = json.loads(Path(work, "out", "manifest.json").read_text())
            names = [overlay["name"] for overlay in kept["overlays"]]
            self.assertEqual(names[0], "gemm-i8", "the default comes first")
            self.assertEqual(names, [name for name in OVERLAYS if name != "gemm-bf16"])
            self.assertIn("gemm-bf16 was not built: RuntimeError: the compiler", said.getvalue())
            self.assertEqual(build.main([work + "/none", "gemm-bf16"]), 1)
            self.assertEqual([path.name for path in Path(work).iterdir()], ["out"])

    def test_what_is_built_is_kept_if_the_build_is_interrupted(self):
        def built(overlay, directory):
            if overlay.name != "gemm-i8":
                raise KeyboardInterrupt
            return made(overlay.name, directory)

        with (
            tempfile.TemporaryDirectory() as work,
            mock.patch.object(build, "build_overlay", built),
        ):
            with self.assertRaises(KeyboardInterrupt):
                build.build(Path(work, "out"), list(OVERLAYS))
            kept = json.loads(Path(work, "out", "manifest.json").read_text())
        self.assertEqual([overlay["name"] for overlay in kept["overlays"]], ["gemm-i8"])

    def test_what_is_missing_is_named(self):
        said = io.StringIO()
        with (
            mock.patch.object(build, "missing", lambda names: ["the compiler: not here"]),
            contextlib.redirect_stderr(said),
            tempfile.TemporaryDirectory() as work,
        ):
            self.assertEqual(build.main([work + "/out"]), 1)
            self.assertFalse(Path(work, "out").exists())
        for part in ("the compiler: not here", "Containerfile", "requirements.txt"):
            self.assertIn(part, said.getvalue())

    def test_misuse_is_explained(self):
        for arguments, part in (
            ([], "usage"),
            (["/"], "exists already"),
            (["/nowhere/out"], "no directory"),
            (["x", "y"], "no overlay y"),
        ):
            with self.assertRaisesRegex(SystemExit, part):
                build.main(arguments)


class Iron(unittest.TestCase):
    """The bf16 product with a stand-in for amd/IRON that chooses its directory as IRON does: when a
    context is made, from the working directory, unless it is given."""

    def setUp(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.caller, self.directory = Path(work.name, "caller"), Path(work.name, "given")
        self.caller.mkdir()
        self.directory.mkdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.caller)
        modules = mock.patch.dict(sys.modules)
        modules.start()
        self.addCleanup(modules.stop)

    def install(self, context: type) -> None:
        class Gemm:
            config_name, name = "flm", "flm_256"

            def __init__(self, context=None, **_):
                self.context = context or shared()

            def compile(self):
                self.context.build_dir.mkdir(exist_ok=True)
                for file in ("flm.xclbin", "flm_256.bin"):
                    (self.context.build_dir / file).write_text(file)

        def shared():
            return context()

        parts = {
            "aie.utils": {"set_current_device": lambda device: None},
            "aie.iron.device": {"NPU2": object},
            "iron.common": {"AIEContext": context},
            "iron.operators.flm.gemm.design": {
                "Epilogue": SimpleNamespace(NONE=0),
                "Rounding": SimpleNamespace(CONV_EVEN=0),
            },
            "iron.operators.flm.gemm.op": {"GEMM": Gemm},
        }
        for name, content in parts.items():
            packages = name.split(".")
            for depth in range(1, len(packages)):
                package = ".".join(packages[:depth])
                sys.modules[package] = sys.modules.get(package) or ModuleType(package)
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__dict__.update(content)
            setattr(sys.modules[name.rpartition(".")[0]], packages[-1], sys.modules[name])

    def test_it_is_built_in_the_given_directory_and_nowhere_else(self):
        @dataclasses.dataclass
        class Context:
            build_dir: Path = dataclasses.field(default_factory=lambda: Path.cwd() / "build")

        self.install(Context)
        xclbin, stream = iron_gemm.build({"m": 256, "k": 512, "n": 512}, self.directory)
        self.assertEqual((xclbin.read_text(), stream.read_text()), ("flm.xclbin", "flm_256.bin"))
        self.assertTrue(xclbin.is_relative_to(self.directory), xclbin)
        self.assertEqual(list(self.caller.iterdir()), [])

    def test_another_commit_of_it_is_named(self):
        class Context:
            """That of later commits, which has no directory."""

        self.install(Context)
        with self.assertRaisesRegex(RuntimeError, "not at commit " + iron_gemm.COMMIT):
            iron_gemm.build({"m": 256, "k": 512, "n": 512}, self.directory)


class Xclbin(unittest.TestCase):
    """The check of an xclbin, with a stand-in for xclbinutil."""

    ROLES = ["opcode", "instructions", "instruction_words", "a", "b", "c"]

    def differences(self, sections: dict[str, str]) -> list[str]:
        with tempfile.TemporaryDirectory() as work:
            for name, content in sections.items():
                Path(work, name).write_text(content)
            tool = Path(work, "xclbinutil")
            tool.write_text(
                "#!/bin/sh\n"
                'for argument in "$@"; do case $argument in *:*:*)\n'
                '  section="$(dirname "$0")/${argument%%:*}"\n'
                '  [ ! -e "$section" ] || cp "$section" "${argument##*:}"\n'
                "esac; done\necho ERROR: said >&2\n"
            )
            tool.chmod(0o755)
            path = f"{work}:{os.environ['PATH']}"
            with mock.patch.dict(os.environ, PATH=path):
                return xclbin.differences(Path(work, "overlay.xclbin"), "MLIR_AIE", self.ROLES)

    @staticmethod
    def sections(kernels: int = 1, sizes: str = "848888", columns: int = 8, pdis: int = 1):
        arguments = "".join(f'<arg id="{i}" size="0x{size}"/>' for i, size in enumerate(sizes))
        kernel = f'<kernel name="MLIR_AIE">{arguments}</kernel>'
        partition = {"partition": {"column_width": str(columns)}, "PDIs": [{}] * pdis}
        return {
            "EMBEDDED_METADATA": f"<project><core>{kernel * kernels}</core></project>",
            "AIE_PARTITION": json.dumps({"aie_partition": partition}),
        }

    def test_the_declared_one_passes(self):
        self.assertEqual(self.differences(self.sections(sizes="884888")), [])
        self.assertEqual(self.differences(self.sections(sizes="88488888")), [])

    def test_each_difference_is_named(self):
        good = "884888"
        for sections, part in (
            (self.sections(kernels=2, sizes=good), "not one whose name"),
            (self.sections(kernels=0), "not one whose name"),
            (self.sections(sizes="88488"), "no argument 5, for c"),
            (self.sections(sizes="848888"), "argument 1, for instructions, has 4 bytes"),
            (self.sections(sizes=good, columns=4), "4 columns"),
            (self.sections(sizes=good, pdis=2), "2 configurations"),
            ({}, "ERROR: said"),
        ):
            self.assertIn(part, "; ".join(self.differences(sections)))


if __name__ == "__main__":
    unittest.main()
