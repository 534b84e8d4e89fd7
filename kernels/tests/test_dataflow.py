"""Shows that the data flow check finds what it is for: each design with one thing made wrong must
be refused, for the right reason."""

import sys
import unittest
from dataclasses import dataclass
from types import ModuleType

from hearken_kernels import ROOT
from hearken_kernels.dataflow import check, limits, model, simulate

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
        "[mine, 1, blocks, COLUMNS], [0, 0, COLUMNS, 1]",
        "[mine, 1, blocks, COLUMNS], [0, 0, 0, 1]",
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
        "layer_norm",
        "sizes = [mine, 1, 1, GROUP * WIDTH]\n"
        "        strides = [ARRAY_COLUMNS * GROUP * WIDTH, 0, 0, 1]",
        "sizes = [mine, 1, GROUP, WIDTH]\n"
        "        strides = [ARRAY_COLUMNS * GROUP * WIDTH, 0, WIDTH - 1, 1]",
        "not whole",
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
        "_columns(m, k, n, p * ARRAY_COLUMNS + column)",
        "_columns(m, k, n, p * ARRAY_COLUMNS)",
        "is read 8 times",
    ),
    in_design("gemm_i8", "barrier.release_with_value(1)", "pass", "for ever"),
    in_design("gemm_i8", "barrier.set(1)", "pass", "for ever"),
    # What mlir-aie's verifier refuses: a loop of 1,024 elements in a memory tile, although its
    # words are few enough.
    in_design(
        "gemm_i8",
        "[K_TILE // SLICE, TILE // BLOCK, 2, half],\n"
        "        [SLICE * BLOCK, K_TILE * BLOCK, half, 1],",
        "[K_TILE // SLICE, TILE // BLOCK, SLICE * BLOCK],\n"
        "        [SLICE * BLOCK, K_TILE * BLOCK, 1],",
        "a loop of 1024 elements",
    ),
    # What becomes of fewer than four dimensions at the shim differs between its versions.
    in_design(
        "layer_norm",
        "[mine, 1, 1, 2 * WIDTH], [0, 0, 0, 1]",
        "[mine, 2 * WIDTH], [0, 1]",
        "2 dimensions",
    ),
    in_design(
        "residual",
        "[RING * GROUP, 1, 1, WIDTH], [0, 0, 0, 1]",
        "[1, RING * GROUP, 1, WIDTH], [0, 0, 0, 1]",
        "only the outermost loop",
    ),
    in_design("attention", "[1, 1, 1, HEADER], [0, 0, 0, 1]", "[HEADER], [1]", "1 dimensions"),
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


class Limits(unittest.TestCase):
    """Products that the int8 design refuses, although nothing would stop a label on its way."""

    def setUp(self):
        model.install()
        self.addCleanup(forget)

    def over(self, m: int, k: int, n: int) -> str:
        """Returns what the hardware cannot do of a product if the design does not refuse it."""
        forget()
        change(
            "hearken_kernels.designs.gemm_i8",
            "MOST_COLUMNS = 7 * COLUMN_BLOCK",
            "MOST_COLUMNS = 1 << 30",
        )
        design, _ = check.load("gemm_i8")
        program = design.design(m, k, n)
        tensors = [
            simulate.Tensor(name, type, range(type.length))
            for name, type in zip("abc", program.runtime.fn_args)
        ]
        handles = program.runtime.fn_args[3:]
        program.runtime.sequence(*tensors, *handles)
        return "; ".join(limits.check(program)[0])

    def test_two_blocks_of_rows_of_the_widest_product_do_not_fit(self):
        design, _ = check.load("gemm_i8")
        self.assertRaisesRegex(ValueError, "at most 3584, not 5120", design.design, 512, 1536, 5120)
        found = self.over(512, 1536, 5120)
        self.assertIn("a stride of 1310720 elements, the most is 1048576 words", found)
        self.assertIn("21 descriptors, a shim tile has 16", found)
        # 4,096 columns have the stride, but too many transfers; 3,584 have both.
        self.assertIn("17 descriptors", self.over(512, 1536, 4096))
        self.assertEqual(self.over(512, 1536, 3584), "")
        self.assertEqual(self.over(256, 1536, 5120), "")


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
