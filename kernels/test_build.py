"""Tests kernels/build where there is no toolchain: what it says then, and the manifest that it writes."""

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import io
import json
import pathlib
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
loader = importlib.machinery.SourceFileLoader("build", str(HERE / "build"))
build = importlib.util.module_from_spec(importlib.util.spec_from_loader("build", loader))
loader.exec_module(build)


def shape_of(value):
    """The fields of a JSON value, without what they hold."""
    if isinstance(value, dict):
        return {key: shape_of(part) for key, part in value.items()}
    return [shape_of(value[0])] if isinstance(value, list) else type(value).__name__


class Build(unittest.TestCase):
    def entry(self, name, directory):
        said = build.OVERLAYS[name][0]
        xclbin = directory / "overlay.xclbin"
        xclbin.write_bytes(b"configuration")
        streams = []
        for i, shape in enumerate(said["shapes"]):
            streams.append((shape, directory / f"{i}.bin"))
            streams[-1][1].write_bytes(bytes([i]) * 4 * (i + 1))
        return build.overlay_entry(said, xclbin, streams)

    def test_products_are_described_as_the_manifest_says(self):
        example = json.loads((HERE / "manifest.example.json").read_text())
        with tempfile.TemporaryDirectory() as work:
            for wanted in example["overlays"]:
                made = self.entry(wanted["name"], pathlib.Path(work))
                self.assertEqual(shape_of(made), shape_of(wanted))
                for field in ("operator", "kernel", "arguments", "multiply", "accumulate", "a", "c", "rounding"):
                    self.assertEqual(made[field], wanted[field], field)
            self.assertEqual(self.entry("gemm-bf16", pathlib.Path(work))["b"], example["overlays"][0]["b"])
        whole = build.manifest([], {})
        self.assertEqual({k: whole[k] for k in ("format", "version", "target")},
                         {k: example[k] for k in ("format", "version", "target")})

    def test_files_are_named_with_size_and_hash(self):
        with tempfile.TemporaryDirectory() as work:
            made = self.entry("attention", pathlib.Path(work))
        self.assertEqual(made["xclbin"]["sha256"], hashlib.sha256(b"configuration").hexdigest())
        self.assertEqual(made["xclbin"]["bytes"], 13)
        self.assertEqual(made["streams"][1]["words"], 2)
        self.assertEqual(made["streams"][1]["sha256"], hashlib.sha256(b"\1" * 8).hexdigest())
        self.assertEqual([a["role"] for a in made["arguments"][3:]], ["qkv", "parameters", "out"])

    def test_a_stream_of_broken_words_is_refused(self):
        with tempfile.TemporaryDirectory() as work:
            path = pathlib.Path(work) / "stream.bin"
            path.write_bytes(b"12345")
            with self.assertRaisesRegex(SystemExit, "not whole 32-bit words"):
                build.overlay_entry(build.OVERLAYS["layer-norm"][0], path, [({"m": 256}, path)])

    def test_the_runtime_sequence_is_no_part_of_the_configuration(self):
        text = "a {{ b aie.runtime_sequence @s(%0: x) {{ t {{ {} }} }} c }}"
        self.assertEqual(build.device_part(text.format("1")), build.device_part(text.format("2")))
        self.assertNotEqual(build.device_part(text.format("1")), build.device_part(text.replace(" c ", " d ").format("1")))

    def test_what_is_missing_is_named(self):
        said = io.StringIO()
        missing, build.missing = build.missing, lambda names: ["the compiler: not here"]
        try:
            with contextlib.redirect_stderr(said), tempfile.TemporaryDirectory() as work:
                self.assertEqual(build.main([work + "/out"]), 1)
                self.assertFalse(pathlib.Path(work, "out").exists())
        finally:
            build.missing = missing
        for part in ("the compiler: not here", "Containerfile", "requirements.txt"):
            self.assertIn(part, said.getvalue())

    def test_misuse_is_explained(self):
        for arguments, part in ([], "usage"), (["/"], "exists already"), (["/nowhere/out"], "no directory"), (["x", "y"], "no overlay y"):
            with self.assertRaisesRegex(SystemExit, part):
                build.main(arguments)

    def test_every_shape_is_one_that_its_design_takes(self):
        import sys

        sys.path.insert(0, str(HERE / "movement"))
        import model

        model.install()
        for name, (said, path, tile, arguments) in build.OVERLAYS.items():
            if tile is None:
                continue
            design = build.load(path)
            for shape in said["shapes"]:
                design.design(*shape.values(), **arguments)
        for shape in [shape for said, *_ in build.OVERLAYS.values() if said["operator"] == "gemm" for shape in said["shapes"]]:
            self.assertEqual((shape["m"] % 256, shape["k"] % 512, shape["n"] % 64), (0, 0, 0))


if __name__ == "__main__":
    unittest.main()
