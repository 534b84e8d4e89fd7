// Vectors of f32 as the tile programs use them.
#pragma once

#include <aie_api/aie.hpp>

constexpr unsigned kLanes = 32;  // products of f32 take 32 lanes at a time on AIE2P
using floats = aie::vector<float, kLanes>;

inline __aie_inline floats times(const floats &a, const floats &b) {
    return aie::mul(a, b).template to_vector<float>();
}
inline __aie_inline floats constant(float x) { return aie::broadcast<float, kLanes>(x); }
