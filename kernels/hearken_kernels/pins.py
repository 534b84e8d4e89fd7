"""Pins the toolchain: the wheels in a directory, each with its SHA-256.

usage: python3 -m hearken_kernels.pins DIRECTORY

In: wheels, as `pip download` leaves them. Out: a requirements file that pip accepts with
`--require-hashes`. The wheels of mlir-aie and Peano are published under names that are replaced
after a while: keep them with the file.
"""

import hashlib
import sys
from pathlib import Path


def pins(directory: Path) -> str:
    """Returns a line for each wheel.

    Raises `ValueError` if there is none, or a file that is no wheel and cannot be pinned.
    """
    lines = []
    for file in sorted(directory.iterdir()):
        name, _, rest = file.name.partition("-")
        version, _, tags = rest.partition("-")
        if file.suffix != ".whl" or not tags:
            raise ValueError(f"{file} is no wheel")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        lines.append(f"{name}=={version} --hash=sha256:{digest}\n")
    if not lines:
        raise ValueError(f"{directory} has no wheels")
    return "".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python3 -m hearken_kernels.pins DIRECTORY")
    try:
        print(pins(Path(sys.argv[1])), end="")
    except (OSError, ValueError) as error:
        raise SystemExit(f"pins: {error}") from None
