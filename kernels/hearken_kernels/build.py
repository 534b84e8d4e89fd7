"""Builds an overlay directory: xclbins, instruction streams and manifest.json.

In: the name of the directory, names of overlays. Out: the directory with those that could be built,
and a list of those that could not, with exit code 1. Needs the toolchain (mlir-aie, Peano, amd/IRON
at the pinned commit, xclbinutil), but no NPU; if something is missing, the build says what, and how
to get it.
"""

import datetime
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from hearken_kernels import ROOT, iron_gemm
from hearken_kernels.overlays import OVERLAYS, Mistake, Overlay, Shape, entry, manifest
from hearken_kernels.xclbin import differences

OLDEST_MLIR_AIE = (1, 4, 4)
"""First version whose IRON has the names and signatures that the designs use."""

USAGE = "usage: kernels/build OUT [OVERLAY ...]"

HELP = f"""\
To build in a container (no NPU needed):
  podman build -t hearken-kernels -f kernels/Containerfile .
  podman run --rm -v "$PWD/target:/target" hearken-kernels /target/npu
Or in a Python environment of your own (3.11 to 3.14), with xclbinutil from XRT (Debian:
libxrt-utils) on PATH:
  git clone {iron_gemm.REPOSITORY} && cd IRON && git checkout {iron_gemm.COMMIT}
  pip install -r requirements.txt   # also installs mlir-aie and Peano, from the places it names"""


def main(arguments: list[str]) -> int:
    try:
        return run(arguments)
    except Mistake as mistake:
        raise SystemExit(f"kernels/build: {mistake}") from None


def run(arguments: list[str]) -> int:
    out, names = parse(arguments)
    gaps = missing(names)
    if gaps:
        print("kernels/build: the toolchain is not complete:", file=sys.stderr)
        for gap in gaps:
            print(f"  {gap}", file=sys.stderr)
        print(HELP, file=sys.stderr)
        return 1
    unknown = unexpected_version()
    if unknown:
        print(f"kernels/build: {unknown}", file=sys.stderr, flush=True)
    failed = build(out.absolute(), names)
    built = [name for name in names if name not in failed]
    if built:
        print(f"built {out}: {', '.join(built)}")
    for name, reason in failed.items():
        print(f"kernels/build: {name} was not built: {reason}", file=sys.stderr)
    return 1 if failed else 0


def parse(arguments: list[str]) -> tuple[Path, list[str]]:
    """Returns the directory to build and the names of overlays."""
    if not arguments or arguments[0].startswith("-"):
        raise Mistake(f"{USAGE}; the overlays are {', '.join(OVERLAYS)}")
    out, names = Path(arguments[0]), arguments[1:] or list(OVERLAYS)
    for name in names:
        if name not in OVERLAYS:
            raise Mistake(f"there is no overlay {name}; choose from {', '.join(OVERLAYS)}")
    if out.exists():
        raise Mistake(f"{out} exists already; remove it or choose another name")
    if not out.absolute().parent.is_dir():
        raise Mistake(f"there is no directory {out.absolute().parent} to build {out.name} in")
    return out, names


def missing(names: list[str]) -> list[str]:
    """Returns the missing parts of the toolchain, one line for each."""
    gaps = []
    if importlib.util.find_spec("aie") is None:
        gaps.append("mlir-aie: there is no Python package aie")
    if not _has_peano():
        gaps.append(
            "Peano, the compiler for the tiles: neither the package llvm-aie nor PEANO_INSTALL_DIR"
        )
    if "gemm-bf16" in names and importlib.util.find_spec("iron") is None:
        gaps.append("amd/IRON: there is no Python package iron")
    if shutil.which("xclbinutil") is None:
        gaps.append("xclbinutil, which assembles xclbins: not on PATH (it is part of XRT)")
    return gaps


def unexpected_version() -> str | None:
    """Returns a warning if mlir-aie is older than the first that has the names the designs use.

    mlir-aie renames parts of IRON between versions, also in those after it.
    """
    try:
        found = metadata.version("mlir_aie")
    except metadata.PackageNotFoundError:
        return None
    digits = tuple(int(number) for number in re.findall(r"\d+", found)[:3])
    if digits >= OLDEST_MLIR_AIE:
        return None
    oldest = ".".join(map(str, OLDEST_MLIR_AIE))
    return (
        f"mlir-aie {found} is older than {oldest}, for which the designs are written: expect "
        "errors about unknown names; install the version that kernels/toolchain.txt names"
    )


def _has_peano() -> bool:
    if os.environ.get("PEANO_INSTALL_DIR") or importlib.util.find_spec("llvm-aie"):
        return True
    return any((Path(path) / "llvm-aie" / "bin" / "clang").exists() for path in sys.path)


def build(out: Path, names: list[str]) -> dict[str, str]:
    """Builds overlays into `out`; returns those that failed, with the reason.

    Each is kept as soon as it is complete, also if the build is interrupted later. `out` does not
    appear if none succeeds.
    """
    partial = Path(tempfile.mkdtemp(prefix=f"{out.name}.", suffix=".partial", dir=out.parent))
    entries: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    try:
        for name in names:
            try:
                entries.append(build_overlay(OVERLAYS[name], partial))
            except Exception as error:  # of the toolchain, of which no kind is known
                failed[name] = f"{type(error).__name__}: {error}".strip()
                print(f"{name} FAILED: {failed[name]}", file=sys.stderr, flush=True)
                continue
            text = json.dumps(manifest(entries, provenance()), indent=2) + "\n"
            (partial / "manifest.json").write_text(text)
    finally:
        if entries:
            partial.chmod(0o755)
            partial.rename(out)
        else:
            shutil.rmtree(partial, ignore_errors=True)
    return failed


def build_overlay(overlay: Overlay, directory: Path) -> dict[str, Any]:
    """Builds an overlay's files and moves them to `directory` once all are there; returns its entry
    of the manifest.

    Raises `Mistake` if the xclbin is not what the entry says.
    """
    stem = overlay.name.replace("-", "_")
    streams: list[tuple[Shape, Path]] = []
    part: str | None = None
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as complete:
        xclbin = Path(complete) / f"{stem}.xclbin"
        for shape in overlay.shapes:
            print(f"{overlay.name}: {shape}", flush=True)
            if overlay.design is None:
                made, stream = iron_gemm.build(shape, Path(work))
            else:
                made, stream, part = compile_design(overlay, shape, Path(work), part)
            if not xclbin.exists():
                shutil.copyfile(made, xclbin)
            target = Path(complete) / f"{stem}_{'x'.join(str(size) for size in shape.values())}.bin"
            shutil.copyfile(stream, target)
            streams.append((shape, target))
        declared = entry(overlay, xclbin, streams)
        roles = [argument["role"] for argument in declared["arguments"]]
        wrong = differences(xclbin, declared["kernel"], roles)
        if wrong:
            raise Mistake(f"{xclbin.name} is not what the manifest says: {'; '.join(wrong)}")
        for file in Path(complete).iterdir():
            shutil.copyfile(file, directory / file.name)
    return declared


def compile_design(
    overlay: Overlay, shape: Shape, directory: Path, first: str | None
) -> tuple[Path, Path, str]:
    """Compiles one of this project's designs for a shape; returns (xclbin, stream, device part).

    `first`: the device part of the shape before, which must be the same: all shapes share one
    xclbin.
    """
    from aie.utils.compile.utils import (  # pyright: ignore[reportMissingImports]
        compile_cxx_core_function,
        compile_mlir_module,
    )

    design = importlib.import_module(f"hearken_kernels.designs.{overlay.design}")
    work = directory / "_".join(str(size) for size in shape.values())
    work.mkdir()
    compile_cxx_core_function(
        source_path=str(ROOT / str(overlay.tile)),
        target_arch="aie2p",
        output_path=str(work / design.OBJECT),
        include_dirs=[str(ROOT)],
        compile_args=[f"-D{name}={value}" for name, value in design.DEFINES.items()],
        cwd=str(work),
    )
    module = design.design(*shape.values(), **overlay.options)
    part = device_part(str(module))
    if first is not None and part != first:
        raise Mistake(
            f"{overlay.design}: the array's configuration differs with the shape {shape}; "
            "one xclbin cannot serve both"
        )
    xclbin, stream = work / "overlay.xclbin", work / "stream.bin"
    compile_mlir_module(module, insts_path=str(stream), xclbin_path=str(xclbin), work_dir=str(work))
    for made in (xclbin, stream):
        if not made.exists() or made.stat().st_size == 0:
            raise Mistake(
                f"aiecc reported success but did not write {made.name} for {shape}; "
                "is xclbinutil of XRT 2.17 or newer?"
            )
    return xclbin, stream, part


def device_part(mlir: str) -> str:
    """Returns a module's text without its runtime sequence: what goes into the xclbin."""
    out, rest = "", mlir
    # aiex. in older versions of mlir-aie.
    while found := re.search(r"\baiex?\.runtime_sequence\b", rest):
        out += rest[: found.start()]
        after = rest[found.end() :]
        rest = after[_end_of_block(after) :]
    return out + rest


def _end_of_block(text: str) -> int:
    """Returns the index behind the brace that closes the first block of `text`."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "}" and depth == 0:
            return i + 1
    raise Mistake("a runtime sequence in the generated MLIR has no end")


def provenance() -> dict[str, str]:
    found = {"date": datetime.date.today().isoformat(), "amd/IRON": iron_gemm.COMMIT}
    for package in ("mlir_aie", "llvm-aie"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "unknown"
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True)
    found["hearken"] = commit.stdout.strip() or "unknown"
    return found
