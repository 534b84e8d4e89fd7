"""Shows that the data flow check finds what it is for: each design with one thing made wrong must
be refused, for the right reason."""

import sys
import unittest
from dataclasses import dataclass
from types import ModuleType

from hearken_kernels import ROOT
from hearken_kernels.dataflow import check, model

PACKAGES = ("hearken_kernels.designs", "hearken_kernels.dataflow.expected")


@dataclass(frozen=True)
class Fault:
    """A change of a module's source, and a part of the finding that it must lead to."""

    design: str
    module: str
    old: str
    new: str
    finding: str


def in_design(design: str, old: str, new: str, finding: str) -> Fault:
    return Fault(design, f"hearken_kernels.designs.{design}", old, new, finding)


def in_rowwise(design: str, old: str, new: str, finding: str) -> Fault:
    return Fault(design, "hearken_kernels.designs.rowwise", old, new, finding)


def in_expected(design: str, old: str, new: str, finding: str) -> Fault:
    return Fault(design, f"hearken_kernels.dataflow.expected.{design}", old, new, finding)


FAULTS = [
    in_design(
        "bias_gelu",
        "[mine, blocks, COLUMNS], [0, COLUMNS, 1]",
        "[mine, blocks, COLUMNS], [0, 0, 1]",
        "meets",
    ),
    in_design("bias_gelu", "(m * n,), c * GROUP * n,", "(m * n,), 0,", "written twice"),
    in_design(
        "bias_gelu",
        "bias_in[c].fill(bias, every)",
        "bias_in[c].fill(bias, every)\n        x_in[c].fill(x, rows)",
        "for ever",
    ),
    in_design("bias_gelu", "        y_out[c].drain(y, rows, wait=True)\n", "", "for ever"),
    in_rowwise("bias_gelu", "shared.release(1)", "pass", "meets"),
    in_design("layer_norm", "ROWS = 8  #", "ROWS = 16  #", "of a core's memory"),
    # 20,000 bytes in one piece fit into the memory, but not into a bank.
    in_rowwise(
        "bias_gelu",
        "        array.workers.append(\n",
        "        import numpy as np\n"
        "        from aie.iron import Buffer\n"
        '        arguments += [Buffer(vector(5000, np.float32), name="")]\n'
        "        array.workers.append(\n",
        "banks",
    ),
    in_rowwise("layer_norm", "tile=memory_tile(column)", "tile=memory_tile(0)", "DMA channels"),
    in_design(
        "layer_norm", "GROUP * WIDTH, WIDTH, 1]", "GROUP * WIDTH, WIDTH - 1, 1]", "not whole"
    ),
    in_design("residual", "residual.release(RING)", "residual.release(1)", "meets"),
    in_design("residual", "        residual_in[c].fill(bias, every)\n", "", "of the bias is"),
    in_design("residual", "groups // RING", "groups", "for ever"),
    in_design("residual", "barrier.release_with_value(1)", "pass", "for ever"),
    in_design("residual", "TILES = 2  #", "TILES = 4  #", "DMA channels out"),
    in_design(
        "attention",
        "to_stream=_tiled(KEYS, BLOCK)",
        "to_stream=_tiled(KEYS, STRIP)",
        "laid out",
    ),
    in_design("attention", "kv.release(RING)", "kv.release(RING - 1)", "laid out"),
    in_design(
        "attention", "[KEYS * 3 * d, d, 3 * d, 1]", "[KEYS * 3 * d, 0, 3 * d, 1]", "laid out"
    ),
    in_design(
        "attention",
        "mine = range(c, heads, ARRAY_COLUMNS)",
        "mine = range(0, heads, ARRAY_COLUMNS)",
        "meet",
    ),
    in_design("attention", "from_stream=[untiled] * ARRAY_ROWS,", "", "should be"),
    in_expected(
        "gemm_bf16",
        "        for nb in range(TILE // BLOCK)\n        for kb in range(SLICE // BLOCK)\n",
        "        for kb in range(SLICE // BLOCK)\n        for nb in range(TILE // BLOCK)\n",
        "not what one step multiplies",
    ),
    in_expected(
        "gemm_bf16",
        "for s in range(K_TILE // SLICE)\n",
        "for s in reversed(range(K_TILE // SLICE))\n",
        "not what one step multiplies",
    ),
    in_design(
        "gemm_i8",
        "[BLOCK * K_TILE, BLOCK, BLOCK * BLOCK, 1]",
        "[BLOCK * K_TILE, BLOCK * BLOCK // 8 * 2, BLOCK * BLOCK, 1]",
        "reaches",
    ),
    in_design(
        "gemm_i8",
        "(p * ARRAY_COLUMNS + column) * TILE * k",
        "p * ARRAY_COLUMNS * TILE * k",
        "is read 8 times",
    ),
    in_design("gemm_i8", "barrier.release_with_value(1)", "pass", "for ever"),
    in_design("gemm_i8", "barrier.set(1)", "pass", "for ever"),
]


class Faults(unittest.TestCase):
    def setUp(self):
        model.install()
        self.addCleanup(forget)

    def test_each_is_found_for_the_right_reason(self):
        for fault in FAULTS:
            with self.subTest(module=fault.module, new=fault.new):
                findings = findings_of(fault)
                self.assertTrue(any(fault.finding in finding for finding in findings), findings)


def findings_of(fault: Fault) -> list[str]:
    """Returns what the check finds in the first shape of a design with a fault."""
    forget()
    change(fault.module, fault.old, fault.new)
    design, expected = check.load(fault.design)
    model.Kernel.models = expected.MODELS
    _, program, tensors = next(expected.cases(design))
    findings, _ = check.check(program, tensors)
    return findings


def change(name: str, old: str, new: str) -> None:
    """Puts a changed module in the place of the one that an import would load."""
    path = ROOT / (name.replace(".", "/") + ".py")
    source = path.read_text()
    if old not in source:
        raise ValueError(f"{path} no longer has {old!r}")
    module = ModuleType(name)
    exec(compile(source.replace(old, new), f"{path} (changed)", "exec"), module.__dict__)
    sys.modules[name] = module
    package, _, last = name.rpartition(".")
    setattr(sys.modules[package], last, module)


def forget() -> None:
    """Makes the next import load the designs and expectations again."""
    for name in list(sys.modules):
        package, _, last = name.rpartition(".")
        if package in PACKAGES:
            del sys.modules[name]
            if hasattr(sys.modules[package], last):
                delattr(sys.modules[package], last)


if __name__ == "__main__":
    unittest.main()
