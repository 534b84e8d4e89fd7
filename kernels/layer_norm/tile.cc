// y = (x - mean) / sqrt(variance + 1e-5) * gamma + beta, for each row.
//
// In: x, rows of the residual stream, f32 row-major [ROWS][WIDTH]; parameters, f32 [2][WIDTH]:
// gamma, then beta. Out: y, bf16 [ROWS][WIDTH], the A of the next product.
//
// The variance is the mean of the squared distances from the mean, in a second pass: Whisper's
// residual stream has channels in the hundreds beside others near zero, for which the difference of
// the mean square and the squared mean would cancel. The second pass also sums the distances: the
// sum is the error of the first mean. The hardware's inverse square root is accurate to 6.5e-4; one
// Newton step makes it f32.
#include "float.hpp"

#ifndef ROWS
#define ROWS 8
#endif
#ifndef WIDTH
#define WIDTH 512
#endif

namespace {

static_assert(WIDTH % kLanes == 0, "a row must consist of whole vectors");
constexpr float kEpsilon = 1e-5f;

inline __aie_inline float inverse_square_root(float v) {
    const float r = aie::invsqrt(v);
    return r * (1.5f - 0.5f * v * r * r);
}

inline __aie_inline void row(const float *restrict x, const float *restrict gamma,
                             const float *restrict beta, bfloat16 *restrict y) {
    constexpr float kScale = 1.0f / WIDTH;
    floats sum = constant(0);
    for (unsigned i = 0; i < WIDTH; i += kLanes) sum = aie::add(sum, aie::load_v<kLanes>(x + i));
    const floats first = constant(aie::reduce_add(sum) * kScale);

    floats distances = constant(0), squares = constant(0);
    for (unsigned i = 0; i < WIDTH; i += kLanes) {
        const floats d = aie::sub(aie::load_v<kLanes>(x + i), first);
        distances = aie::add(distances, d);
        squares = aie::add(squares, times(d, d));
    }
    const float off = aie::reduce_add(distances) * kScale;
    const float variance = aie::reduce_add(squares) * kScale - off * off;
    const floats shift = constant(off);
    const floats scale = constant(inverse_square_root(variance + kEpsilon));

    for (unsigned i = 0; i < WIDTH; i += kLanes) {
        const floats d = aie::sub(aie::sub(aie::load_v<kLanes>(x + i), first), shift);
        const floats g = times(scale, aie::load_v<kLanes>(gamma + i));
        const floats out = aie::add(times(d, g), aie::load_v<kLanes>(beta + i));
        aie::store_v(y + i, aie::accum<accfloat, kLanes>(out).template to_vector<bfloat16>());
    }
}

}  // namespace

extern "C" void layer_norm(float *x, float *parameters, bfloat16 *y) {
    event0();
    aie::set_rounding(aie::rounding_mode::conv_even);
    for (unsigned r = 0; r < ROWS; ++r)
        row(x + r * WIDTH, parameters, parameters + WIDTH, y + r * WIDTH);
    event1();
}
