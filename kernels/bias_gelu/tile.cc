// y = GELU(x + bias), with the GELU of Whisper: x Φ(x), Φ by the error function, not its tanh
// approximation.
//
// In: x, a block of a product's result, bf16 row-major [ROWS][COLUMNS]; bias, f32 [COLUMNS]. Out:
// y, bf16, as x. `bias_add` leaves the GELU out, for the query's and the value's bias before
// attention.
//
// GELU(x) = max(x, 0) - a Φ(-a) with a = |x|, and Φ(-a) = exp(-a²/2) R(a), where R(a) = ½
// erfcx(a/√2) falls smoothly from ½ to 0.07. So nothing cancels for negative x, and the tail's
// error is relative, as bf16's own. R is a polynomial of degree 8 in a, fitted for the least
// relative error on [0, 5.5] (Lawson's iteration on Chebyshev nodes): at most 1.9e-4, a twentieth
// of half a unit in the last place of bf16. Beyond 5.5 the term is held at its value there, 1e-7.
#include "exp2.hpp"

#ifndef ROWS
#define ROWS 8
#endif
#ifndef COLUMNS
#define COLUMNS 256
#endif

namespace {

static_assert(COLUMNS % kLanes == 0, "a row must consist of whole vectors");

constexpr float kLimit = 5.5f;
constexpr float kMinusHalfLog2E = -0.72134752f;
constexpr float kMills[9] = {4.99904369e-01f,  -3.96455462e-01f, 2.38218367e-01f,
                             -1.09576978e-01f, 3.68283325e-02f,  -8.51358889e-03f,
                             1.26054690e-03f,  -1.06637050e-04f, 3.89938926e-06f};

inline __aie_inline floats gelu(const floats &x) {
    const floats zero = constant(0.0f);
    const floats a = aie::min(aie::max(x, aie::sub(zero, x)), constant(kLimit));
    floats r = constant(kMills[8]);
    for (int i = 7; i >= 0; --i) r = aie::add(times(r, a), constant(kMills[i]));
    const floats e = power_of_two(times(times(a, a), constant(kMinusHalfLog2E)));
    return aie::sub(aie::max(x, zero), times(times(a, r), e));
}

template <bool kGelu> inline __aie_inline void rows(const bfloat16 *restrict x,
                                                    const float *restrict bias,
                                                    bfloat16 *restrict y) {
    event0();
    aie::set_rounding(aie::rounding_mode::conv_even);
    for (unsigned column = 0; column < COLUMNS; column += kLanes) {
        const floats b = aie::load_v<kLanes>(bias + column);
        for (unsigned row = 0; row < ROWS; ++row) {
            const unsigned at = row * COLUMNS + column;
            const aie::accum<accfloat, kLanes> wide(aie::load_v<kLanes>(x + at));
            floats sum = aie::add(wide.template to_vector<float>(), b);
            if constexpr (kGelu) sum = gelu(sum);
            aie::store_v(y + at, aie::accum<accfloat, kLanes>(sum).template to_vector<bfloat16>());
        }
    }
    event1();
}

}  // namespace

extern "C" {

void bias_gelu(bfloat16 *x, float *bias, bfloat16 *y) { rows<true>(x, bias, y); }

void bias_add(bfloat16 *x, float *bias, bfloat16 *y) { rows<false>(x, bias, y); }

}  // extern "C"
