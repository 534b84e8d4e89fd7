"""One check on the NPU, through libhearken_xrt.so as the daemon uses it.

In: the shim, an overlay directory, the name of a check. Out: what the check found, as text. Exit
code 0: as it should be; 1: not; 2: it could not be run; 3: the overlay directory has not what the
check needs. kernels/bring-up.sh runs the checks in order and says what a failure means.
"""

import ctypes
import math
import operator
import random
import statistics
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hearken_kernels.bringup.device import WAIT, Broken, Device, Missing, Overlay, Run, Shape
from hearken_kernels.bringup.number_formats import as_bf16, bf16, bf16s, packed
from hearken_kernels.bringup.operators import check_operators


def main(arguments: list[str]) -> int:
    if len(arguments) != 3 or arguments[2] not in CHECKS:
        print(
            "usage: python3 -m hearken_kernels.bringup SHIM OVERLAYS CHECK; "
            f"the checks are {', '.join(CHECKS)}",
            file=sys.stderr,
        )
        return 2
    shim, overlays, check = arguments
    try:
        device = Device(shim)
        good = CHECKS[check](device, Path(overlays))
        device.close()
        return 0 if good else 1
    except Missing as missing:
        print(missing)
        return 3
    except (Broken, OSError, ValueError, KeyError) as error:
        print(f"{type(error).__name__}: {error}")
        return 2


def check_device(device: Device, _: Path) -> bool:
    print(f"device: {device.name()}")
    return True


def check_passthrough(device: Device, directory: Path) -> bool:
    """bias-add with a bias of zero: every element comes back unchanged, through memory tiles and
    cores."""
    with Overlay(device, directory, "bias-add") as overlay:
        shape = overlay.shapes()[0]
        count = shape["m"] * shape["n"]
        x = b"".join(struct.pack("<H", 0x3F80 + i % 997) for i in range(count))
        run = overlay.run(shape, {"x": x, "bias": bytes(4 * shape["n"]), "y": len(x)})
        run.go()
        y = run.result("y")
        run.close()
    wrong = [i for i in range(count) if x[2 * i : 2 * i + 2] != y[2 * i : 2 * i + 2]]
    first = f", first wrong {wrong[:5]}" if wrong else ""
    print(f"passthrough {shape}: {count - len(wrong)} of {count} elements came back{first}")
    return not wrong


def check_identity(device: Device, directory: Path) -> bool:
    """A × identity, with values that bfp16ebs8 holds exactly: A comes back, bit for bit, if B's
    packing is right."""
    m, k, n = 256, 512, 512
    with Overlay(device, directory, "gemm-bf16") as overlay:
        a = [(-1) ** i * (64 + (i * 7 + i // k) % 64) / 64 for i in range(m * k)]
        b = packed(_identity, k, n, overlay.entry["b"]["layout"])
        run = overlay.run({"m": m, "k": k, "n": n}, {"a": as_bf16(a), "b": b, "c": m * n * 2})
        run.go()
        c = bf16s(run.result("c"))
        run.close()
    wrong = [i for i in range(len(a)) if a[i] != c[i]]
    print(f"identity: {len(a) - len(wrong)} of {len(a)} elements came back")
    for i in wrong[:5]:
        where = a.index(c[i]) if c[i] in a else None
        source = "" if where is None else f"; the value of [{where // k}][{where % k}]"
        print(f"  [{i // k}][{i % k}] is {c[i]}, should be {a[i]}{source}")
    return not wrong


def check_random(device: Device, directory: Path) -> bool:
    """Signed random values.

    amd/IRON measured a mean error of 2.4e-4 of the mass; with truncation it would be 9.9e-3.
    """
    good = True
    with Overlay(device, directory, "gemm-bf16") as overlay:
        for shape in overlay.shapes():
            run, a, b = bf16_product(overlay, shape)
            run.go()
            mean, most, signed = deviation(bf16s(run.result("c")), a, b, shape)
            run.close()
            fine = mean <= 4e-3 and math.isfinite(most)
            good &= fine
            print(
                f"random {shape}: error {mean:.2e} of the mass on average, {most:.2e} at most, "
                f"{signed:+.2e} signed{'' if fine else '  WRONG'}"
            )
    return good


def check_shapes(device: Device, directory: Path) -> bool:
    """One context, shape A, another, A again: the same bits as before, or a shape leaves something
    behind in the array."""
    good = True
    with Overlay(device, directory, "gemm-bf16") as overlay:
        shapes = overlay.shapes()
        first, _, _ = bf16_product(overlay, shapes[0])
        first.go()
        before = first.result("c")
        for shape in shapes[1:]:
            other, _, _ = bf16_product(overlay, shape, seed=3, ordinary=False)
            other.go()
            other.close()
            first.go()
            same = first.result("c") == before
            good &= same
            print(f"{shapes[0]}, then {shape}, then the first again: {_verdict(same)}")
        first.close()
    return good


def check_int8(device: Device, directory: Path) -> bool:
    """All sums in i32 are exact, at each shape and at the first once more: none leaves anything
    behind."""
    good = True
    with Overlay(device, directory, "gemm-i8") as overlay:
        for shape in [*overlay.shapes(), overlay.shapes()[0]]:
            run, a, b = i8_product(overlay, shape)
            run.go()
            c = struct.unpack(f"<{shape['m'] * shape['n']}i", run.result("c"))
            run.close()
            wrong = wrong_rows(a, b, c, shape)
            good &= not wrong
            first = f", first {wrong[:5]}" if wrong else ""
            print(f"int8 {shape}: {len(wrong)} of {shape['m']} rows are wrong{first}")
    return good


def check_int8_repeats(device: Device, directory: Path) -> bool:
    with Overlay(device, directory, "gemm-i8") as overlay:
        shape = overlay.shapes()[0]
        run, _, _ = i8_product(overlay, shape)
        return repeat(run, shape)


def check_repeats(device: Device, directory: Path) -> bool:
    with Overlay(device, directory, "gemm-bf16") as overlay:
        shape = overlay.shapes()[0]
        run, _, _ = bf16_product(overlay, shape)
        return repeat(run, shape)


def check_endless(device: Device, directory: Path) -> bool:
    """Runs until it is killed, for the check of what a killed process leaves behind."""
    with Overlay(device, directory, "gemm-bf16") as overlay:
        run, _, _ = bf16_product(overlay, overlay.shapes()[0])
        print("running", flush=True)
        while True:
            run.go()


def check_list(device: Device, directory: Path) -> bool:
    """Executes up to 16 runs one by one and as a list, in order; the results must be the same."""
    with Overlay(device, directory, "gemm-bf16") as overlay:
        runs = [bf16_product(overlay, shape, seed=7)[0] for shape in overlay.shapes()[:16]]
        before = time.perf_counter()
        for run in runs:
            run.go()
        one_by_one = (time.perf_counter() - before) * 1e3
        results = [run.result("c") for run in runs]
        together = execute_list(device, overlay, runs)
        same = all(run.result("c") == result for run, result in zip(runs, results))
        for run in runs:
            run.close()
    print(
        f"{len(runs)} runs: {one_by_one:.3f} ms one by one, {together:.3f} ms as a list; "
        f"{_verdict(same)}"
    )
    return same


CHECKS: dict[str, Callable[[Device, Path], bool]] = {
    "device": check_device,
    "passthrough": check_passthrough,
    "identity": check_identity,
    "random": check_random,
    "shapes": check_shapes,
    "int8": check_int8,
    "int8-repeats": check_int8_repeats,
    "repeats": check_repeats,
    "endless": check_endless,
    "operators": check_operators,
    "list": check_list,
}


def bf16_product(
    overlay: Overlay, shape: Shape, seed: int = 1, ordinary: bool = True
) -> tuple[Run, list[float], Callable[[int, int], float]]:
    """Returns a run of a product with signed values, A, and B as a function of (k, n).

    B is random, or the identity unless `ordinary`.
    """
    m, k, n = shape["m"], shape["k"], shape["n"]
    generator = random.Random(seed)
    a = [bf16(generator.gauss(0, 1)) for _ in range(m * k)]
    if ordinary:
        weights = [generator.gauss(0, 0.05) for _ in range(k * n)]
        b: Callable[[int, int], float] = lambda i, j: weights[i * n + j]  # noqa: E731
    else:
        b = _identity
    layout = overlay.entry["b"]["layout"]
    operands = {"a": as_bf16(a), "b": packed(b, k, n, layout), "c": m * n * 2}
    return overlay.run(shape, operands), a, b


def i8_product(overlay: Overlay, shape: Shape) -> tuple[Run, tuple[int, ...], tuple[int, ...]]:
    """Returns a run of a product, A and B."""
    m, k, n = shape["m"], shape["k"], shape["n"]
    generator = random.Random(4)
    a = struct.unpack(f"{m * k}b", generator.randbytes(m * k))
    b = struct.unpack(f"{k * n}b", generator.randbytes(k * n))
    layout = overlay.entry["b"]["layout"]
    operands = {
        "a": struct.pack(f"{m * k}b", *a),
        "b": packed(lambda i, j: b[i * n + j], k, n, layout),
        "c": m * n * 4,
    }
    return overlay.run(shape, operands), a, b


def _identity(i: int, j: int) -> float:
    return float(i == j)


def deviation(
    c: list[float], a: list[float], b: Callable[[int, int], float], shape: Shape
) -> tuple[float, float, float]:
    """Returns the mean and the greatest |error| of 2,000 results against the mass Σ|a||b|, and the
    mean signed error."""
    m, k, n = shape["m"], shape["k"], shape["n"]
    generator = random.Random(2)
    errors = []
    for _ in range(2000):
        i, j = generator.randrange(m), generator.randrange(n)
        terms = [a[i * k + kk] * b(kk, j) for kk in range(k)]
        errors.append((c[i * n + j] - sum(terms)) / sum(map(abs, terms)))
    absolute = [abs(error) for error in errors]
    return statistics.fmean(absolute), max(absolute), statistics.fmean(errors)


def wrong_rows(
    a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...], shape: Shape
) -> list[int]:
    """Returns the rows of C that differ from A × B, by Freivalds' check: sums weighted at random,
    which shows any wrong element."""
    m, k, n = shape["m"], shape["k"], shape["n"]
    generator = random.Random(5)
    weights = [generator.randrange(1, 1 << 30) for _ in range(n)]
    weighted = [_dot(b[i * n : (i + 1) * n], weights) for i in range(k)]
    return [
        i
        for i in range(m)
        if _dot(c[i * n : (i + 1) * n], weights) != _dot(a[i * k : (i + 1) * k], weighted)
    ]


def _dot(a: tuple[int, ...], b: list[int]) -> int:
    return sum(map(operator.mul, a, b))


def repeat(run: Run, shape: Shape, count: int = 1000) -> bool:
    """Returns whether a run gives the same bits each time."""
    run.go()
    first = run.result("c")
    times = []
    different = 0
    for _ in range(count):
        times.append(run.go())
        different += run.result("c") != first
    run.close()
    times.sort()
    print(
        f"{count} repeats of {shape}: {different} differ; {times[0]:.3f} ms at least, "
        f"{times[count // 2]:.3f} median, {times[count * 99 // 100]:.3f} at 99 %, "
        f"{times[-1]:.3f} at most"
    )
    return not different


def execute_list(device: Device, overlay: Overlay, runs: list[Run]) -> float:
    """Executes runs as a list; returns the time in milliseconds."""
    handle = device.new("hx_list_new", overlay.context)
    for run in runs:
        device.call("hx_list_add", handle, run.handle)
    state = ctypes.c_uint32()
    before = time.perf_counter()
    device.call("hx_list_execute", handle)
    device.call("hx_list_wait", handle, WAIT, ctypes.byref(state))
    took = (time.perf_counter() - before) * 1e3
    if state.value != 0:
        raise Broken("the list did not complete")
    device.call("hx_list_reset", handle)
    device.call("hx_list_free", handle)
    return took


def _verdict(same: bool) -> str:
    return "the same" if same else "DIFFERENT"
