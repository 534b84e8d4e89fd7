// The tile program against the sum in double.
#include "check.hpp"

#include <cmath>

extern "C" void residual_bias(float *object, float *bias);
extern "C" void residual_add(bfloat16 *x, float *residual, float *bias, float *out);

constexpr unsigned kRows = 4, kWidth = 512, kBlock = kRows * kWidth;

namespace {

check::Guarded<bfloat16, kBlock> x;
check::Guarded<float, kBlock> residual, object, out;
check::Guarded<float, kWidth> bias;

/// Fills x, residual and bias by `value(element)`, runs, and compares.
template <typename X, typename R, typename B>
void sums(const char *name, X x_of, R residual_of, B bias_of) {
    for (unsigned i = 0; i < kBlock; ++i) {
        x.data[i] = check::bf16(x_of(i));
        residual.data[i] = residual_of(i);
        out.data[i] = NAN;
        // Only the first row of the object is the bias.
        object.data[i] = i < kWidth ? bias_of(i) : 1e30f;
    }
    check::power_up();
    residual_bias(object.data, bias.data);
    residual_add(x.data, residual.data, bias.data, out.data);
    for (unsigned i = 0; i < kBlock; ++i) {
        const float b = bias_of(i % kWidth), in = x.data[i];
        const float nearest = residual.data[i] + (in + b);
        if (!std::isfinite(nearest)) {
            const bool same =
                std::isnan(nearest) ? std::isnan(out.data[i]) : out.data[i] == nearest;
            CHECK(same, "%s: element %u is %g, should be %g", name, i, out.data[i], nearest);
            continue;
        }
#ifdef AIE_HOST_PESSIMISTIC
        // Each of the two sums may cut off: a unit in the last place of each.
        const double exact = double(residual.data[i]) + in + b;
        const double bound = (std::fabs(double(in) + b) + std::fabs(exact)) * 0x1p-23 + 0x1p-148;
        CHECK(std::fabs(out.data[i] - exact) <= bound, "%s: element %u is %g, should be %g", name,
              i, out.data[i], exact);
#else
        CHECK(out.data[i] == nearest, "%s: element %u is %.9g, should be %.9g", name, i,
              out.data[i], nearest);
#endif
    }
}

}  // namespace

int main() {
    auto normal = [](float deviation) {
        return [deviation](unsigned) { return check::normal(deviation); };
    };
    auto far = [](unsigned i) { return i % 97 == 5 ? 400.0f + float(i) : float(i % 13) * 0.37f; };
    auto step = [](unsigned i) { return 0.001f * float(i) - 0.2f; };
    sums("normal", normal(1.0f), normal(3.0f), step);
    // Whisper's residual stream: a few channels in the hundreds.
    sums("outlying channels", normal(1.0f), far, step);
    // x and bias cancel but for what bf16 cannot say; then their sum and the residual.
    sums(
        "x and bias cancel", [](unsigned i) { return 100.0f + float(i % 5); }, normal(1e-3f),
        [](unsigned i) { return -100.0f - 0.001f * float(i % 7); });
    sums(
        "all cancels", [](unsigned i) { return float(i % 128); },
        [](unsigned i) { return -float(i % 128) - 0.25f; }, [](unsigned) { return 0.25f; });
    sums(
        "small beside large", normal(1e-6f), [](unsigned i) { return i % 2 ? 1e6f : -1e6f; }, step);
    sums(
        "denormal", [](unsigned) { return 0.0f; },
        [](unsigned i) { return i % 2 ? 1e-40f : -3e-41f; },
        [](unsigned i) { return i % 3 ? 1e-41f : 0.0f; });
    // One that is not a number, or too large, leaves the others alone.
    sums(
        "not finite", [](unsigned i) { return i == 700 ? INFINITY
                                              : i == 3 ? NAN
                                                       : 1.0f; },
        [](unsigned i) { return i == 700   ? -INFINITY
                                : i == 900 ? 3e38f
                                           : 2.0f; },
        [](unsigned i) { return i == 900 % kWidth ? 3e38f
                                : i == 11         ? -INFINITY
                                                  : 0.5f; });
    CHECK(x.intact() && residual.intact() && bias.intact() && out.intact(),
          "something was written beyond its end");
    return check::finish("residual");
}
