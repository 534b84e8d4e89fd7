"""Tests kernels/build without the toolchain: what it says then, and the manifest that it writes."""

import contextlib
import hashlib
import importlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from hearken_kernels import ROOT, build
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


if __name__ == "__main__":
    unittest.main()
