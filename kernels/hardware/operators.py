"""Checks of bias-gelu, layer-norm, residual and attention against their definitions."""

import math
import random
import statistics
import struct

from device import Lacking, Overlay
from number_formats import as_bf16, as_f32, bf16, bf16s, from_bf16


def check_operators(device, directory):
    """bias-gelu, layer-norm, residual and attention against their definitions; each that is there."""
    good, tried = True, 0
    for check in (_bias_gelu, _layer_norm, _residual, _attention):
        try:
            good &= check(device, directory)
            tried += 1
        except Lacking as lacking:
            print(lacking)
    if not tried:
        raise Lacking("none of bias-gelu, layer-norm, residual and attention was built")
    return good


def _bias_gelu(device, directory):
    with Overlay(device, directory, "bias-gelu") as overlay:
        shape = overlay.shapes()[0]
        m, n = shape["m"], shape["n"]
        x = b"".join(struct.pack("<H", i & 0xFFFF) for i in range(m * n))  # every bf16, several times
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
    print(f"bias-gelu {shape}: {took:.3f} ms, {wrong} of {m * n} beyond 0.6 units in the last place; not finite: {odd}")
    return not wrong


def _layer_norm(device, directory):
    with Overlay(device, directory, "layer-norm") as overlay:
        shape = overlay.shapes()[0]
        m, width, generator = shape["m"], 512, random.Random(5)
        x = [generator.gauss(0, 1) * (100 if i % 97 == 5 else 1) for i in range(m * width)]
        x = list(struct.unpack(f"<{len(x)}f", as_f32(x)))
        gamma, beta = ([generator.gauss(mean, 0.5) for _ in range(width)] for mean in (1, 0))
        run = overlay.run(shape, {"x": as_f32(x), "parameters": as_f32(gamma + beta), "y": m * width * 2})
        took = run.go()
        y = bf16s(run.result("y"))
        run.close()
    wrong = 0
    for r in range(m):
        row = x[r * width : (r + 1) * width]
        mean = statistics.fmean(row)
        scale = 1 / math.sqrt(statistics.fmean((v - mean) ** 2 for v in row) + 1e-5)
        for c in range(width):
            scaled = (row[c] - mean) * scale * gamma[c]
            wrong += not abs(y[r * width + c] - scaled - beta[c]) <= abs(scaled + beta[c]) * 2**-8 + (abs(scaled) + 1) * 2**-13
    print(f"layer-norm {shape}: {took:.3f} ms, {wrong} of {m * width} beyond half a unit in the last place")
    return not wrong


def _residual(device, directory):
    with Overlay(device, directory, "residual") as overlay:
        shape = overlay.shapes()[0]
        m, width, generator = shape["m"], 512, random.Random(7)
        x = [bf16(generator.gauss(0, 1)) for _ in range(m * width)]
        residual = [generator.gauss(0, 1) * (100 if i % 97 == 5 else 1) for i in range(m * width)]
        bias = [generator.gauss(0, 0.5) for _ in range(width)]
        residual, bias = (list(struct.unpack(f"<{len(v)}f", as_f32(v))) for v in (residual, bias))
        operands = {"x": as_bf16(x), "residual": as_f32(residual), "bias": as_f32(bias), "out": m * width * 4}
        run = overlay.run(shape, operands)
        took = run.go()
        out = struct.unpack(f"<{m * width}f", run.result("out"))
        run.close()
    wrong = 0
    for i in range(m * width):
        added = x[i] + bias[i % width]
        exact = residual[i] + added
        # A unit in the last place of each of the two sums.
        wrong += not abs(out[i] - exact) <= (abs(added) + abs(exact)) * 2**-23
    print(f"residual {shape}: {took:.3f} ms, {wrong} of {m * width} beyond two roundings to f32")
    return not wrong


def _attention(device, directory):
    with Overlay(device, directory, "attention") as overlay:
        shape = overlay.shapes()[0]
        m, heads, generator = shape["m"], shape["heads"], random.Random(6)
        d, keys = heads * 64, m - 7
        qkv = [bf16(generator.gauss(0, 1)) for _ in range(m * 3 * d)]
        parameters = b"".join(
            struct.pack("<4i", len(range(c, heads, 8)) * (m // 256), m // 64, keys, 0).ljust(16384, b"\0") for c in range(8)
        )
        run = overlay.run(shape, {"qkv": as_bf16(qkv), "parameters": parameters, "out": m * d * 2})
        took = run.go()
        out = bf16s(run.result("out"))
        run.close()
    worst = 0.0
    for _ in range(200):
        row, head, column = generator.randrange(m), generator.randrange(heads), generator.randrange(64)
        at = head * 64
        q = qkv[row * 3 * d + at : row * 3 * d + at + 64]
        weights = [math.exp(sum(p * r for p, r in zip(q, qkv[j * 3 * d + d + at : j * 3 * d + d + at + 64])) / 8) for j in range(keys)]
        values = [qkv[j * 3 * d + 2 * d + at + column] for j in range(keys)]
        exact = sum(w * v for w, v in zip(weights, values)) / sum(weights)
        mass = sum(w * abs(v) for w, v in zip(weights, values)) / sum(weights)
        worst = max(worst, abs(out[row * d + at + column] - exact) / mass)
    print(f"attention {shape}, {keys} keys: {took:.3f} ms, error {worst:.2e} of the mass at most (2^-7 is {2**-7:.1e})")
    return worst <= 2**-7
