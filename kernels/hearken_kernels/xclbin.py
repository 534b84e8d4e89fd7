"""Compares an xclbin with what the manifest says of it, by XRT's xclbinutil.

In: an xclbin, the roles of its arguments. Out: what differs. `xclbinutil --info` alone does not
name the kernel of an NPU's xclbin, so two of its sections are read: the kernel with its arguments,
and the partition of the array.
"""

import json
import subprocess
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

from hearken_kernels.array import ARRAY_COLUMNS

METADATA, PARTITION = "EMBEDDED_METADATA", "AIE_PARTITION"
SIZES = {"opcode": 8, "instruction_words": 4}
"""Bytes of the arguments that are numbers; all others are buffers, by their address."""


def differences(xclbin: Path, kernel: str, roles: list[str]) -> list[str]:
    """Returns what in an xclbin is not as declared: one line for each."""
    with tempfile.TemporaryDirectory() as directory:
        metadata = Path(directory) / "metadata.xml"
        partition = Path(directory) / "partition.json"
        command = ["xclbinutil", "--quiet", "--force", "--input", str(xclbin)]
        command += ["--dump-section", f"{METADATA}:RAW:{metadata}"]
        command += ["--dump-section", f"{PARTITION}:JSON:{partition}"]
        done = subprocess.run(command, capture_output=True, text=True)
        try:
            return [
                *_kernel(xml.parse(metadata).getroot(), kernel, roles),
                *_partition(json.loads(partition.read_text())["aie_partition"]),
            ]
        except (OSError, ValueError, KeyError, xml.ParseError) as error:
            said = (done.stderr + done.stdout).strip().splitlines()
            return [f"xclbinutil cannot read it: {error}; {' '.join(said[-2:])}"]


def _kernel(root: xml.Element, kernel: str, roles: list[str]) -> list[str]:
    kernels = [element.get("name", "") for element in root.iter("kernel")]
    if len(kernels) != 1 or not kernels[0].startswith(kernel):
        return [f"its kernels are {kernels}, not one whose name begins with {kernel}"]
    sizes = {int(arg.get("id", "-1")): int(arg.get("size", "0"), 0) for arg in root.iter("arg")}
    found = []
    for index, role in enumerate(roles):
        size, wanted = sizes.get(index), SIZES.get(role, 8)
        if size is None:
            found.append(f"its kernel has no argument {index}, for {role}")
        elif size != wanted:
            found.append(f"argument {index}, for {role}, has {size} bytes, not {wanted}")
    return found


def _partition(partition: dict) -> list[str]:
    found = []
    columns = int(partition["partition"]["column_width"])
    if columns != ARRAY_COLUMNS:
        found.append(f"it configures {columns} columns, not {ARRAY_COLUMNS}")
    if len(partition["PDIs"]) != 1:
        found.append(f"it has {len(partition['PDIs'])} configurations (PDIs), not one")
    return found
