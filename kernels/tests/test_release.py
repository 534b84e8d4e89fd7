"""Tests how overlays are released and fetched: pins that pip accepts, archives that are refused."""

import contextlib
import functools
import hashlib
import http.server
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
import zipfile
from pathlib import Path

from hearken_kernels import ROOT, fetch, pins


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


class Fetch(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.work = Path(work.name)
        handler = functools.partial(Quiet, directory=work.name)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_address[1]}/overlays.tar.gz"

    def release(self, files: dict[str, bytes], **other) -> Path:
        """Puts an archive on the server; returns the file that describes it."""
        archive = self.work / "overlays.tar.gz"
        with tarfile.open(archive, "w:gz") as out:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                out.addfile(member, io.BytesIO(data))
        data = archive.read_bytes()
        described = {
            "url": self.url,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        path = self.work / "release.json"
        path.write_text(json.dumps(described | other))
        return path

    @staticmethod
    def files(stream: bytes = b"1234") -> dict[str, bytes]:
        def entry(name: str, data: bytes) -> dict[str, str]:
            return {"file": name, "sha256": hashlib.sha256(data).hexdigest()}

        overlay = {"xclbin": entry("a.xclbin", b"x"), "streams": [entry("a.bin", b"1234")]}
        manifest = json.dumps({"overlays": [overlay]}).encode()
        return {"manifest.json": manifest, "a.xclbin": b"x", "a.bin": stream}

    def fetched(self, release: Path) -> tuple[int, str]:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            status = fetch.main([str(self.work / "npu"), str(release)])
        return status, said.getvalue()

    def test_a_release_is_installed_whole(self):
        self.assertEqual(self.fetched(self.release(self.files()))[0], 0)
        names = sorted(path.name for path in (self.work / "npu").iterdir())
        self.assertEqual(names, ["a.bin", "a.xclbin", "manifest.json"])
        status, said = self.fetched(self.work / "release.json")
        self.assertEqual((status, "exists already" in said), (1, True))

    def test_anything_else_is_refused_and_leaves_nothing(self):
        missing = self.files()
        del missing["a.xclbin"]
        outside = self.files() | {"../outside": b"x"}
        for release, part in (
            (
                lambda: self.release(self.files(), sha256="0" * 64),
                "not the archive that was released",
            ),
            (lambda: self.release(self.files(), bytes=10), "not the archive that was released"),
            (lambda: self.release(self.files(), bytes=1 << 40), "more than"),
            (lambda: self.release(self.files(b"4321")), "a.bin"),
            (lambda: self.release(missing), "a.xclbin"),
            (lambda: self.release(self.files(), url=self.url + ".none"), "404"),
            (lambda: self.work / "none.json", "no overlays have been released"),
        ):
            status, said = self.fetched(release())
            self.assertEqual(status, 1, said)
            self.assertIn(part, said)
            kept = {path.name for path in self.work.iterdir()}
            self.assertLessEqual(kept, {"overlays.tar.gz", "release.json"})
        self.assertEqual(self.fetched(self.release(outside))[0], 0)
        self.assertFalse((self.work / "outside").exists())


class Pins(unittest.TestCase):
    def wheel(self, directory: Path, content: str) -> Path:
        """Writes a package of one file."""
        path = directory / "hearken_pin_test-1.4.4.dev69-py3-none-any.whl"
        information = "hearken_pin_test-1.4.4.dev69.dist-info"
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("hearken_pin_test.py", content)
            out.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            metadata = "Metadata-Version: 2.1\nName: hearken-pin-test\nVersion: 1.4.4.dev69\n"
            out.writestr(f"{information}/METADATA", metadata)
            out.writestr(f"{information}/RECORD", "")
        return path

    def test_pip_takes_the_pinned_wheel_and_no_other(self):
        with tempfile.TemporaryDirectory() as work:
            wheels, file = Path(work, "wheels"), Path(work, "toolchain.txt")
            wheels.mkdir()
            self.wheel(wheels, "first = 1\n")
            file.write_text(pins.pins(wheels))
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-index", "--no-deps"]
            pip += ["--find-links", str(wheels), "--require-hashes", "-r", str(file)]
            pip += ["-d", str(Path(work, "out"))]
            done = subprocess.run(pip, capture_output=True, text=True)
            if "No module named pip" in done.stderr:
                self.skipTest("there is no pip")
            self.assertEqual(done.returncode, 0, done.stderr)
            shutil.rmtree(Path(work, "out"))
            self.wheel(wheels, "other = 2\n")
            done = subprocess.run(pip, capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("HASHES", done.stderr)

    def test_what_cannot_be_pinned_is_named(self):
        with tempfile.TemporaryDirectory() as work:
            self.assertRaisesRegex(ValueError, "no wheels", pins.pins, Path(work))
            Path(work, "package-1.0.tar.gz").write_bytes(b"")
            self.assertRaisesRegex(ValueError, "package-1.0.tar.gz", pins.pins, Path(work))


class Workflow(unittest.TestCase):
    def test_it_names_files_that_exist(self):
        text = (ROOT.parent / ".github/workflows/overlays.yml").read_text()
        for part in ("kernels/Containerfile", "hearken_kernels.pins", "toolchain.txt"):
            self.assertIn(part, text)
        self.assertIn("--require-hashes", (ROOT / "Containerfile").read_text())


if __name__ == "__main__":
    unittest.main()
