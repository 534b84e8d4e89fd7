"""Checks of bias-gelu, layer-norm, residual and attention against their definitions."""

import math
import random
import statistics
import struct
from pathlib import Path

from hearken_kernels.array import ARRAY_COLUMNS, HEAD_WIDTH
from hearken_kernels.array import MODEL_WIDTH as WIDTH
from hearken_kernels.bringup.device import Device, Missing, Overlay
from hearken_kernels.bringup.number_formats import as_bf16, as_f32, bf16, bf16s, f32, from_bf16


def check_operators(device: Device, directory: Path) -> bool:
    """Checks each of the operators that was built."""
    good, tried = True, 0
    for check in (_bias_gelu, _layer_norm, _residual, _attention):
        try:
            good &= check(device, directory)
            tried += 1
        except Missing as missing:
            print(missing)
    if not tried:
        raise Missing("none of bias-gelu, layer-norm, residual and attention was built")
    return good


def _bias_gelu(device: Device, directory: Path) -> bool:
    with Overlay(device, directory, "bias-gelu") as overlay:
        shape = overlay.shapes()[0]
        m, n = shape["m"], shape["n"]
        x = b"".join(struct.pack("<H", i & 0xFFFF) for i in range(m * n))  # every bf16, repeatedly
        bias = [0.25 * (i % 3) for i in range(n)]
        run = overlay.run(shape, {"x": x, "bias": as_f32(bias), "y": m * n * 2})
        took = run.go()
        y = bf16s(run.result("y"))
        run.close()
    wrong, odd = 0, {}
    for i in range(m * n):
        value = from_bf16(i & 0xFFFF) + bias[i % n]
        if not math.isfinite(value):
            odd[str(value)] = y[i]
            continue
        exact = 0.5 * value * math.erfc(-value / math.sqrt(2))
        unit = 2.0 ** (math.frexp(exact)[1] - 8) if exact else 0
        wrong += not abs(y[i] - exact) <= 0.6 * unit + 2e-7 + 2.0**-24 * abs(value)
    print(
        f"bias-gelu {shape}: {took:.3f} ms, {wrong} of {m * n} beyond 0.6 units in the last place; "
        f"not finite: {odd}"
    )
    return not wrong


def _layer_norm(device: Device, directory: Path) -> bool:
    generator = random.Random(5)
    with Overlay(device, directory, "layer-norm") as overlay:
        shape = overlay.shapes()[0]
        m = shape["m"]
        x = f32(_outlying(generator, i) for i in range(m * WIDTH))
        gamma = [generator.gauss(1, 0.5) for _ in range(WIDTH)]
        beta = [generator.gauss(0, 0.5) for _ in range(WIDTH)]
        operands = {"x": as_f32(x), "parameters": as_f32(gamma + beta), "y": m * WIDTH * 2}
        run = overlay.run(shape, operands)
        took = run.go()
        y = bf16s(run.result("y"))
        run.close()
    wrong = 0
    for r in range(m):
        row = x[r * WIDTH : (r + 1) * WIDTH]
        mean = statistics.fmean(row)
        scale = 1 / math.sqrt(statistics.fmean((v - mean) ** 2 for v in row) + 1e-5)
        for c in range(WIDTH):
            scaled = (row[c] - mean) * scale * gamma[c]
            bound = abs(scaled + beta[c]) * 2**-8 + (abs(scaled) + 1) * 2**-13
            wrong += not abs(y[r * WIDTH + c] - scaled - beta[c]) <= bound
    print(
        f"layer-norm {shape}: {took:.3f} ms, {wrong} of {m * WIDTH} beyond half a unit in the "
        "last place"
    )
    return not wrong


def _residual(device: Device, directory: Path) -> bool:
    generator = random.Random(7)
    with Overlay(device, directory, "residual") as overlay:
        shape = overlay.shapes()[0]
        m = shape["m"]
        x = [bf16(generator.gauss(0, 1)) for _ in range(m * WIDTH)]
        residual = f32(_outlying(generator, i) for i in range(m * WIDTH))
        bias = f32(generator.gauss(0, 0.5) for _ in range(WIDTH))
        operands: dict[str, bytes | int] = {
            "x": as_bf16(x),
            "residual": as_f32(residual),
            "bias": as_f32(bias),
            "out": m * WIDTH * 4,
        }
        run = overlay.run(shape, operands)
        took = run.go()
        out = struct.unpack(f"<{m * WIDTH}f", run.result("out"))
        run.close()
    wrong = 0
    for i in range(m * WIDTH):
        added = x[i] + bias[i % WIDTH]
        exact = residual[i] + added
        # A unit in the last place of each of the two sums.
        wrong += not abs(out[i] - exact) <= (abs(added) + abs(exact)) * 2**-23
    print(f"residual {shape}: {took:.3f} ms, {wrong} of {m * WIDTH} beyond two roundings to f32")
    return not wrong


def _outlying(generator: random.Random, i: int) -> float:
    """Returns a value of the residual stream, some of whose channels are a hundred times larger."""
    return generator.gauss(0, 1) * (100 if i % 97 == 5 else 1)


def _attention(device: Device, directory: Path) -> bool:
    generator = random.Random(6)
    with Overlay(device, directory, "attention") as overlay:
        shape = overlay.shapes()[0]
        m, heads = shape["m"], shape["heads"]
        d, keys = heads * HEAD_WIDTH, m - 7
        qkv = [bf16(generator.gauss(0, 1)) for _ in range(m * 3 * d)]
        parameters = b"".join(
            _attention_parameters(m, len(range(c, heads, ARRAY_COLUMNS)), keys)
            for c in range(ARRAY_COLUMNS)
        )
        operands = {"qkv": as_bf16(qkv), "parameters": parameters, "out": m * d * 2}
        run = overlay.run(shape, operands)
        took = run.go()
        out = bf16s(run.result("out"))
        run.close()
    worst = 0.0
    for _ in range(200):
        row, head = generator.randrange(m), generator.randrange(heads)
        column = generator.randrange(HEAD_WIDTH)
        exact, mass = _attended(qkv, d, keys, row, head, column)
        got = out[row * d + head * HEAD_WIDTH + column]
        worst = max(worst, abs(got - exact) / mass)
    print(
        f"attention {shape}, {keys} keys: {took:.3f} ms, error {worst:.2e} of the mass at most "
        f"(2^-7 is {2**-7:.1e})"
    )
    return worst <= 2**-7


def _attention_parameters(m: int, heads: int, keys: int) -> bytes:
    """Returns the parameters of a column that has `heads` heads."""
    return struct.pack("<4i", heads * (m // 256), m // 64, keys, 0).ljust(16384, b"\0")


def _attended(
    qkv: list[float], d: int, keys: int, row: int, head: int, column: int
) -> tuple[float, float]:
    """Returns a result of attention, and the same of the absolute values."""
    at = head * HEAD_WIDTH

    def part(position: int, which: int) -> list[float]:
        start = position * 3 * d + which * d + at
        return qkv[start : start + HEAD_WIDTH]

    q = part(row, 0)
    weights = [math.exp(sum(p * r for p, r in zip(q, part(j, 1))) / 8) for j in range(keys)]
    values = [part(j, 2)[column] for j in range(keys)]
    exact = sum(w * v for w, v in zip(weights, values)) / sum(weights)
    mass = sum(w * abs(v) for w, v in zip(weights, values)) / sum(weights)
    return exact, mass
