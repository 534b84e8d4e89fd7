// 2^x in f32 for the tile programs: a polynomial, and the exponent written as bits.
//
// In: 32 lanes of f32 up to 127; below -100 the result stays 2^-100, and NaN stays NaN. Out: f32,
// within 2e-5, in addition to the error of the f32 products.
#pragma once

#include "float.hpp"

/// Adding 1.5 × 2^23 leaves x, rounded to an integer, in the low bits of the sum. Whether the sum
/// rounds to nearest or truncates, the rest is within [-½, 1], the range of the polynomial (least
/// relative error, degree 4: 2.0e-5). Not inlined: the compiler for the tiles is known to
/// miscompile such chains in loops with many live registers (mlir-aie,
/// aie_kernels/aie2p/exp2f_vec.cc).
__attribute__((noinline)) static floats power_of_two(floats x) {
    constexpr float kShift = 12582912.0f;
    constexpr int32 kShiftBits = 0x4b400000;
    x = aie::max(x, constant(-100.0f));
    const floats shifted = aie::add(x, constant(kShift));
    const floats rest = aie::sub(x, aie::sub(shifted, constant(kShift)));
    floats p = constant(0.0113098021f);
    p = aie::add(times(p, rest), constant(0.0557934426f));
    p = aie::add(times(p, rest), constant(0.239718004f));
    p = aie::add(times(p, rest), constant(0.693120746f));
    p = aie::add(times(p, rest), constant(1.00001882f));
    const aie::vector<int32, kLanes> exponent = aie::add(
        shifted.template cast_to<int32>(), aie::broadcast<int32, kLanes>(127 - kShiftBits));
    return times(p, aie::upshift(exponent, 23).template cast_to<float>());
}
