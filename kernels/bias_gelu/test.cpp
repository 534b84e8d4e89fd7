// The tile program against x Φ(x) in double, over every bf16 value.
#include "check.hpp"

#include <cmath>

extern "C" void bias_gelu(bfloat16 *x, float *bias, bfloat16 *y);
extern "C" void bias_add(bfloat16 *x, float *bias, bfloat16 *y);

constexpr unsigned kRows = 8, kColumns = 256, kBlock = kRows * kColumns;

namespace {

check::Guarded<bfloat16, kBlock> x, y;
check::Guarded<float, kColumns> bias;

double gelu(double v) { return 0.5 * v * std::erfc(-v / std::sqrt(2.0)); }

/// A unit in the last place of bf16 at `exact`.
double unit(double exact) { return std::ldexp(1.0, std::ilogb(exact) - 7); }

/// Correctly rounded but for a tenth of a unit, and to 2e-7.
double bound(double exact) { return exact == 0 ? 2e-7 : 0.6 * unit(exact) + 2e-7; }

void every_value() {
    for (float &b : bias.data) b = 0;
    double worst = 0;
    for (unsigned first = 0; first < 65536; first += kBlock) {
        for (unsigned i = 0; i < kBlock; ++i)
            x.data[i].bits = static_cast<std::uint16_t>(first + i);
        check::power_up();
        bias_gelu(x.data, bias.data, y.data);
        for (unsigned i = 0; i < kBlock; ++i) {
            const float in = x.data[i], out = y.data[i];
            if (std::isnan(in)) {
                CHECK(std::isnan(out), "GELU(NaN) = %g", out);
            } else if (std::isinf(in)) {
                CHECK(in > 0 ? out == in : std::fabs(out) <= 2e-7, "GELU(%g) = %g", in, out);
            } else {
                const double exact = gelu(in), error = std::fabs(out - exact);
                if (std::fabs(exact) > 1e-4) worst = std::fmax(worst, error / unit(exact));
                CHECK(error <= bound(exact), "GELU(%g) = %g, should be %g", in, out, exact);
            }
        }
    }
    std::printf("  greatest error beyond 1e-4: %.3f units in the last place of bf16\n", worst);
}

/// The bias is f32, added before anything is rounded: here it cancels all but a little of x.
void bias_is_added_in_f32() {
    for (unsigned c = 0; c < kColumns; ++c) bias.data[c] = -100.0f + check::normal(1.0f);
    for (unsigned i = 0; i < kBlock; ++i) x.data[i] = check::bf16(100.0f + check::normal(2.0f));
    check::power_up();
    bias_gelu(x.data, bias.data, y.data);
    for (unsigned i = 0; i < kBlock; ++i) {
        const double exact = gelu(double(float(x.data[i])) + bias.data[i % kColumns]);
        // The sum's own rounding to f32, 2^-18 at 100, has a slope of at most 1.13.
        CHECK(std::fabs(y.data[i] - exact) <= bound(exact) + 0x1p-17, "at %u: %g, should be %g", i,
              float(y.data[i]), exact);
    }
}

/// Without the GELU the result is the sum, correctly rounded to bf16, ties to even.
void bias_add_rounds_once() {
    for (unsigned c = 0; c < kColumns; ++c)
        bias.data[c] = c % 2 ? check::normal(3.0f) : 0x1p-8f * float(c % 5);
    for (unsigned i = 0; i < kBlock; ++i)
        x.data[i] = check::bf16(i % 3 ? check::normal(3.0f) : 1.0f + 0x1p-7f * float(i % 7));
    check::power_up();
    bias_add(x.data, bias.data, y.data);
    for (unsigned i = 0; i < kBlock; ++i) {
        const bfloat16 exact = check::bf16(float(x.data[i]) + bias.data[i % kColumns]);
        CHECK(y.data[i].bits == exact.bits, "at %u: %g, should be %g", i, float(y.data[i]),
              float(exact));
    }
}

}  // namespace

int main() {
    every_value();
    bias_is_added_in_f32();
    bias_add_rounds_once();
    CHECK(x.intact() && y.intact() && bias.intact(), "something was written beyond its end");
    return check::finish("bias_gelu");
}
