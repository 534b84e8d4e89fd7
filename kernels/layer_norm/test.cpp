// The tile program against layer normalisation in double.
#include "check.hpp"

#include <cmath>

extern "C" void layer_norm(float *x, float *parameters, bfloat16 *y);

constexpr unsigned kRows = 8, kWidth = 512;

namespace {

check::Guarded<float, kRows * kWidth> x;
check::Guarded<float, 2 * kWidth> parameters;
check::Guarded<bfloat16, kRows * kWidth> y;

/// Fills each row by `value(row, column)`, runs, and compares row by row. `slack`: what f32 input
/// itself cannot say, absolute in units of the normalised value.
template <typename F> void rows(const char *name, double slack, F value) {
    for (unsigned c = 0; c < kWidth; ++c) {
        parameters.data[c] = 1.0f + check::normal(0.5f);
        parameters.data[kWidth + c] = check::normal(0.5f);
    }
    for (unsigned i = 0; i < kRows * kWidth; ++i) x.data[i] = value(i / kWidth, i % kWidth);
    check::power_up();
    layer_norm(x.data, parameters.data, y.data);
    double worst = 0;
    for (unsigned r = 0; r < kRows; ++r) {
        const float *row = x.data + r * kWidth;
        double mean = 0, variance = 0;
        for (unsigned c = 0; c < kWidth; ++c) mean += row[c];
        mean /= kWidth;
        for (unsigned c = 0; c < kWidth; ++c) variance += (row[c] - mean) * (row[c] - mean);
        variance /= kWidth;
        for (unsigned c = 0; c < kWidth; ++c) {
            const double scaled = (row[c] - mean) / std::sqrt(variance + 1e-5) * parameters.data[c];
            const double exact = scaled + parameters.data[kWidth + c];
            const double error = std::fabs(y.data[r * kWidth + c] - exact);
            // Half a unit in the last place of the result, and f32 arithmetic with products of 16
            // bits.
            const double bound =
                std::fabs(exact) * 0x1p-8 + (std::fabs(scaled) + 1) * 0x1p-13 + slack;
            worst = std::fmax(worst, error / bound);
            if (std::isnan(exact))
                CHECK(std::isnan(float(y.data[r * kWidth + c])),
                      "%s: row %u is not a number, column %u is", name, r, c);
            else
                CHECK(error <= bound, "%s: row %u, column %u: %g, should be %g", name, r, c,
                      float(y.data[r * kWidth + c]), exact);
        }
    }
    std::printf("  %s: %.2f of the bound\n", name, worst);
}

}  // namespace

int main() {
    rows("normal", 0, [](unsigned r, unsigned) { return check::normal(0.1f * float(1 << r)); });
    // Whisper's residual stream: a few channels in the hundreds.
    rows("outlying channels", 0, [](unsigned, unsigned c) {
        return c % 97 == 5 ? 400.0f + check::normal(5.0f) : check::normal(1.0f);
    });
    // The mean is 1000 times the deviation: the mean square minus the squared mean would have no
    // digit left. The input's own rounding is 2^-15 of a deviation of 1, and so is the mean's.
    rows("far from zero", 0x1p-12,
         [](unsigned r, unsigned) { return (r % 2 ? 1000.0f : -1000.0f) + check::normal(1.0f); });
    rows("constant", 0, [](unsigned r, unsigned) { return float(r) * 0.5f; });
    rows("zero", 0, [](unsigned, unsigned) { return 0.0f; });
    rows("denormal", 0, [](unsigned, unsigned c) { return c % 2 ? 1e-40f : -3e-41f; });
    rows("small", 0, [](unsigned, unsigned) { return check::normal(1e-4f); });
    rows("one of all", 0, [](unsigned r, unsigned c) { return c == r * 60 ? 1e4f : 0.0f; });
    // A row that is not a number leaves the others alone.
    rows("not a number", 0,
         [](unsigned r, unsigned c) { return r == 3 && c == 100 ? NAN : check::normal(1.0f); });
    rows("infinite", 0, [](unsigned r, unsigned c) {
        return r == 0 && c == 511 ? INFINITY : check::normal(1.0f);
    });
    CHECK(x.intact() && y.intact() && parameters.intact(), "something was written beyond its end");
    return check::finish("layer_norm");
}
