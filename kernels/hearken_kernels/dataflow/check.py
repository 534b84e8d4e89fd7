"""Checks the data flow of designs without the toolchain.

In: names of designs. Out: a line for each shape, findings on stderr, exit code 1 if there are any.
For each shape, every element is read as often as it should be and meets what it should, every
result is written once and to its place, nothing waits for ever or is left behind; and the design
fits the hardware.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

from hearken_kernels.dataflow import limits, model, simulate
from hearken_kernels.dataflow.expected import Labels, Reads, Tensors

DESIGNS = ["bias_gelu", "layer_norm", "residual", "attention", "gemm_bf16", "gemm_i8"]
"""Modules of `hearken_kernels.designs` and of `hearken_kernels.dataflow.expected`."""


def main(names: list[str]) -> int:
    for name in names:
        if name not in DESIGNS:
            print(
                f"dataflow: there is no design {name}; choose from {', '.join(DESIGNS)}",
                file=sys.stderr,
            )
            return 2
    model.install()
    passed = failed = 0
    for name in names or DESIGNS:
        good, bad = check_design(name, *load(name))
        passed += good
        failed += bad
    print(f"dataflow: {passed} passed, {failed} failed")
    return 1 if failed else 0


def load(name: str) -> tuple[ModuleType, ModuleType]:
    """Returns a design's module and its expectation; the model must be installed."""
    return (
        importlib.import_module(f"hearken_kernels.designs.{name}"),
        importlib.import_module(f"hearken_kernels.dataflow.expected.{name}"),
    )


def check_design(name: str, design: ModuleType, expected: ModuleType) -> tuple[int, int]:
    """Checks all shapes of a design; returns how many passed and failed."""
    model.Kernel.models = expected.MODELS
    passed = failed = 0
    configured = None
    for shape, program, tensors in expected.cases(design):
        findings, used = check(program, tensors)
        configuration = limits.configuration(program)
        configured = configured or configuration
        if configuration != configured and not getattr(design, "SHAPES_ARE_COMPILED", False):
            findings.append(
                "the array's configuration differs from the first shape's; "
                "one xclbin cannot serve both"
            )
        print(f"  {name} {shape}: {_summary(used)}")
        for finding in findings:
            print(f"    WRONG: {finding}", file=sys.stderr)
        passed += not findings
        failed += bool(findings)
    return passed, failed


def check(program: model.Program, tensors: Tensors) -> tuple[list[str], dict[str, int]]:
    """Returns what is wrong with a program on its tensors, and what it uses of the hardware."""
    findings: list[str] = []
    labelled = [
        _labelled(name, type, labels)
        for (name, (labels, _)), type in zip(tensors.items(), program.runtime.fn_args)
    ]
    try:
        simulate.run(program, labelled)
    except (simulate.Fault, ValueError, TypeError) as fault:
        findings.append(str(fault))
    else:
        for tensor, (labels, reads) in zip(labelled, tensors.values()):
            findings += _differences(tensor, labels, reads)
    over, figures = limits.check(program)
    return findings + over, figures


def _labelled(name: str, type: Any, labels: Labels) -> simulate.Tensor:
    if callable(labels):
        return simulate.Tensor(name, type, None)
    if len(labels) != type.length:
        raise ValueError(f"{name} has {len(labels)} labels for {type.length} elements")
    return simulate.Tensor(name, type, labels)


def _differences(tensor: simulate.Tensor, labels: Labels, reads: Reads) -> list[str]:
    """Returns the first element of a tensor that is wrong, if any."""
    for i in range(tensor.type.length):
        if callable(labels):
            if tensor.labels[i] != labels(i):
                return [f"{tensor.name}[{i}] is {tensor.labels[i]}, should be {labels(i)}"]
        elif tensor.reads[i] != (reads(i) if callable(reads) else reads):
            return [f"{tensor.name}[{i}] is read {tensor.reads[i]} times"]
    return []


def _summary(used: dict[str, int]) -> str:
    return (
        f"a core {used['core']} bytes, a memory tile {used['memory']}; channels in/out: "
        f"core {used['core in']}/{used['core out']}, "
        f"memory tile {used['memory in']}/{used['memory out']}, "
        f"shim {used['shim in']}/{used['shim out']}"
    )
