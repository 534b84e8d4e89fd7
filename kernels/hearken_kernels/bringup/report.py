"""Judges a report of `hearken bench encoder --json`.

usage: python3 -m hearken_kernels.bringup.report {encoder|golden} COMPUTE < REPORT

In: the report. Out: its figures, then what is wrong with them; exit code 1 if anything is.
"""

import json
import sys
from typing import Any

LEAST_COSINE = {"int8": 0.99, "bf16": 0.996}
"""To the f32 encoder, or PyTorch's."""


def judged(kind: str, compute: str, report: dict[str, Any]) -> list[str]:
    """Returns what is wrong."""
    wrong = []
    if report["device"] != "npu":
        wrong.append(f"it is of {report['device']}, not of the NPU")
    if report["non_finite"]:
        wrong.append(f"{report['non_finite']} values are not finite")
    if report["differing"]:
        wrong.append(
            f"{report['differing']} runs differ from the first: some ended well and with wrong "
            "data (xdna-driver issue 1646)"
        )
    name = "cosine_to_pytorch" if kind == "golden" else "cosine_to_f32"
    cosine = report.get(name)
    if cosine is None or not cosine >= LEAST_COSINE[compute]:
        wrong.append(f"{name} is {cosine}, should be at least {LEAST_COSINE[compute]}")
    if kind == "encoder" and report["iterations"] < 100:
        wrong.append(f"{report['iterations']} iterations, not 100")
    return wrong


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[1] not in LEAST_COSINE:
        print(__doc__, file=sys.stderr)
        return 2
    report = json.load(sys.stdin)
    for key, value in report.items():
        print(f"{key}: {value}")
    wrong = judged(arguments[0], arguments[1], report)
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
