// out = residual + (x + bias): adds the result of a product to the residual stream.
//
// In: x, a block of a product's result, bf16 row-major [ROWS][WIDTH]; residual, f32 [ROWS][WIDTH];
// bias, f32 [WIDTH]. Out: out, f32 [ROWS][WIDTH]. Both sums are in f32, in this order, as on the
// CPU.
//
// The bias precedes the residual in the same channel, once, in the first row of an object of the
// same size; `residual_bias` keeps it for the blocks that follow.
#include "float.hpp"

#ifndef ROWS
#define ROWS 4
#endif
#ifndef WIDTH
#define WIDTH 512
#endif

static_assert(WIDTH % kLanes == 0, "a row must consist of whole vectors");

extern "C" {

void residual_bias(float *restrict object, float *restrict bias) {
    for (unsigned c = 0; c < WIDTH; c += kLanes)
        aie::store_v(bias + c, aie::load_v<kLanes>(object + c));
}

void residual_add(bfloat16 *restrict x, float *restrict residual, float *restrict bias,
                  float *restrict out) {
    event0();
    for (unsigned c = 0; c < WIDTH; c += kLanes) {
        const floats b = aie::load_v<kLanes>(bias + c);
        for (unsigned r = 0; r < ROWS; ++r) {
            const unsigned at = r * WIDTH + c;
            const aie::accum<accfloat, kLanes> wide(aie::load_v<kLanes>(x + at));
            const floats sum = aie::add(wide.template to_vector<float>(), b);
            aie::store_v(out + at, aie::add(aie::load_v<kLanes>(residual + at), sum));
        }
    }
    event1();
}

}  // extern "C"
