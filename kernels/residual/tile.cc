// out = residual + (x + bias): what a product adds to the residual stream.
//
// In: x, a block of a product's result, bf16 row-major [ROWS][WIDTH]; residual, f32 [ROWS][WIDTH]; bias, f32 [WIDTH]. Out: out,
// f32 [ROWS][WIDTH]. Both sums in f32, in this order: as the CPU's.
//
// The bias comes once, in front of the residual and through the same channel, in the first row of an object of that size;
// `residual_bias` keeps it for the blocks that follow.
#include "float.hpp"

#ifndef ROWS
#define ROWS 4
#endif
#ifndef WIDTH
#define WIDTH 512
#endif

static_assert(WIDTH % kLanes == 0, "a row is a whole number of vectors");

extern "C" {

void residual_bias(float *restrict object, float *restrict bias) {
    for (unsigned c = 0; c < WIDTH; c += kLanes) aie::store_v(bias + c, aie::load_v<kLanes>(object + c));
}

void residual_add(bfloat16 *restrict x, float *restrict residual, float *restrict bias, float *restrict out) {
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
