"""Fetches prebuilt overlays and checks them.

In: the directory to make; a release file, JSON with `url`, `bytes` and `sha256` of an archive
(kernels/release.json, which the workflow "overlays" writes for each release). Out: the overlay
directory, which appears only if the archive is the declared one and holds what its manifest says.
"""

import hashlib
import io
import json
import shutil
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from hearken_kernels import ROOT

RELEASE = ROOT / "release.json"
USAGE = "usage: kernels/fetch OUT [RELEASE]"
MOST_BYTES = 256 << 20
SECONDS = 60
"""Longest time without an answer."""


class Refused(Exception):
    """Nothing was installed."""


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2 or arguments[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        return 2
    out, release = Path(arguments[0]), Path(arguments[1] if arguments[1:] else RELEASE)
    try:
        fetch(out, release)
    except (Refused, OSError, ValueError, KeyError, TypeError, tarfile.TarError) as error:
        print(f"kernels/fetch: {error}", file=sys.stderr)
        return 1
    print(f"fetched {out}; sudo make install installs it from target/npu")
    return 0


def fetch(out: Path, release: Path) -> None:
    if out.exists():
        raise Refused(f"{out} exists already; remove it or choose another name")
    if not release.exists():
        raise Refused(
            f"there is no {release.name}: no overlays have been released; build them, by "
            "kernels/build"
        )
    archive = download(json.loads(release.read_text()))
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{out.name}.", dir=out.absolute().parent))
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            members = [member for member in files if member.isfile() and "/" not in member.name]
            files.extractall(partial, members=members, filter="data")
        wrong = differing(partial)
        if wrong:
            raise Refused(f"these are not what the manifest says: {', '.join(wrong)}")
        partial.chmod(0o755)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def download(release: dict[str, Any]) -> bytes:
    """Returns the archive of a release. Raises `Refused` if it is another."""
    wanted, size = release["sha256"], int(release["bytes"])
    if size > MOST_BYTES:
        raise Refused(f"the archive would have {size} bytes, more than {MOST_BYTES}")
    with urllib.request.urlopen(release["url"], timeout=SECONDS) as answer:
        data = answer.read(size + 1)
    found = hashlib.sha256(data).hexdigest()
    if len(data) != size or found != wanted:
        raise Refused(
            f"{release['url']} is not the archive that was released: "
            f"{len(data)} bytes, SHA-256 {found}"
        )
    return data


def differing(directory: Path) -> list[str]:
    """Returns the files that the manifest names and that are missing or not as it says."""
    manifest = json.loads((directory / "manifest.json").read_text())
    wrong = []
    for overlay in manifest["overlays"]:
        for entry in [overlay["xclbin"], *overlay["streams"]]:
            path = directory / entry["file"]
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            if digest != entry["sha256"]:
                wrong.append(entry["file"])
    return wrong
