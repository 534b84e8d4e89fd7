// The tile program against softmax(Q K^T / 8) V in double.
#include "check.hpp"

#include <cmath>
#include <vector>

extern "C" {
void attention_parameters(bfloat16 *object, int32 *parameters);
void attention_begin(float *state, float *sum);
void attention_block(bfloat16 *q, bfloat16 *k, bfloat16 *v, bfloat16 *transposed, float *state,
                     float *sum, int32 first_key, int32 *parameters);
void attention_end(float *state, float *sum, bfloat16 *out);
}

constexpr unsigned kQueries = 64, kKeys = 32, kWidth = 64;

namespace {

struct Case {
    std::vector<float> q, k, v;  // [64][64], [keys][64], [keys][64], of bf16 values
    unsigned keys, valid;

    template <typename Q, typename K, typename V>
    Case(unsigned keys, unsigned valid, Q fq, K fk, V fv) : keys(keys), valid(valid) {
        for (unsigned i = 0; i < kQueries * kWidth; ++i)
            q.push_back(check::bf16(fq(i / kWidth, i % kWidth)));
        for (unsigned i = 0; i < keys * kWidth; ++i)
            k.push_back(check::bf16(fk(i / kWidth, i % kWidth)));
        for (unsigned i = 0; i < keys * kWidth; ++i)
            v.push_back(check::bf16(fv(i / kWidth, i % kWidth)));
    }
};

/// Blocks of `rows` by 8 of a row-major matrix of width 64, as the DMA lays them out.
template <unsigned R> void lay_out(const float *from, unsigned rows, bfloat16 *to) {
    for (unsigned r = 0; r < rows; ++r)
        for (unsigned c = 0; c < kWidth; ++c)
            to[((r / R * (kWidth / 8) + c / 8) * R + r % R) * 8 + c % 8] =
                check::bf16(from[r * kWidth + c]);
}

std::vector<float> run(const Case &c) {
    static check::Guarded<bfloat16, kQueries * kWidth> q, out;
    static check::Guarded<bfloat16, kKeys * kWidth> k, v, transposed, object;
    static check::Guarded<float, 2 * kQueries> state;
    static check::Guarded<float, kQueries * kWidth> sum;
    static check::Guarded<int32, 4> parameters;

    const int32 words[4] = {1, int32(c.keys / kKeys), int32(c.valid), 0};
    std::memcpy(object.data, words, sizeof words);
    check::power_up();
    attention_parameters(object.data, parameters.data);
    lay_out<4>(c.q.data(), kQueries, q.data);
    attention_begin(state.data, sum.data);
    for (unsigned first = 0; first < c.keys; first += kKeys) {
        lay_out<8>(c.k.data() + first * kWidth, kKeys, k.data);
        lay_out<8>(c.v.data() + first * kWidth, kKeys, v.data);
        attention_block(q.data, k.data, v.data, transposed.data, state.data, sum.data, int32(first),
                        parameters.data);
    }
    check::power_up();
    attention_end(state.data, sum.data, out.data);
    CHECK(q.intact() && out.intact() && k.intact() && v.intact() && transposed.intact() &&
              state.intact() && sum.intact() && parameters.intact(),
          "something was written beyond its end");

    std::vector<float> result(kQueries * kWidth);
    for (unsigned r = 0; r < kQueries; ++r)
        for (unsigned d = 0; d < kWidth; ++d)
            result[r * kWidth + d] = out.data[((r / 4 * 8 + d / 8) * 4 + r % 4) * 8 + d % 8];
    return result;
}

void compare(const char *name, const Case &c) {
    const std::vector<float> got = run(c);
    double worst = 0;
    for (unsigned r = 0; r < kQueries; ++r) {
        std::vector<double> weight(c.valid);
        double most = -INFINITY, total = 0;
        for (unsigned j = 0; j < c.valid; ++j) {
            double s = 0;
            for (unsigned d = 0; d < kWidth; ++d)
                s += double(c.q[r * kWidth + d]) * c.k[j * kWidth + d];
            weight[j] = s / 8;
            most = std::fmax(most, weight[j]);
        }
        for (double &w : weight) total += w = std::exp(w - most);
        for (unsigned d = 0; d < kWidth; ++d) {
            double exact = 0, mass = 0, greatest = 0;
            for (unsigned j = 0; j < c.valid; ++j) {
                exact += weight[j] / total * c.v[j * kWidth + d];
                greatest = std::fmax(greatest, std::fabs(c.v[j * kWidth + d]));
                mass += weight[j] / total * std::fabs(c.v[j * kWidth + d]);
            }
            // Weights and result rounded to bf16, and scores of up to |s| scaled by a product of 16
            // bits, whose error the exponential makes relative. No weight is below 2^-100.
            const double bound = mass * (0x1p-8 + 0x1p-15 * std::fabs(most)) +
                                 std::fabs(exact) * 0x1p-8 + greatest * c.valid * 0x1p-99;
            const double error = std::fabs(got[r * kWidth + d] - exact);
            worst = std::fmax(worst, error / bound);
            CHECK(error <= bound, "%s: query %u, dimension %u: %g, should be %g", name, r, d,
                  got[r * kWidth + d], exact);
        }
    }
    std::printf("  %s: %.2f of the bound\n", name, worst);
}

}  // namespace

int main() {
    const auto noise = [](float deviation) {
        return [deviation](unsigned, unsigned) { return check::normal(deviation); };
    };

    compare("512 keys", Case(512, 512, noise(1), noise(1), noise(1)));
    compare("sharp", Case(512, 512, noise(4), noise(4), noise(1)));
    compare("large scores", Case(512, 512, noise(30), noise(30), noise(1)));  // up to about 4,000
    compare("all alike",
            Case(512, 512, noise(1), [](unsigned, unsigned d) { return float(d) / 64; }, noise(1)));
    compare("zero", Case(64, 64, noise(0), noise(0), noise(1)));
    compare("small values", Case(512, 512, noise(1), noise(1), noise(1e-20f)));
    // Each query's own key wins by far: the result is that key's value, and rows are not exchanged.
    compare("one key each",
            Case(
                64, 64, [](unsigned r, unsigned d) { return r == d ? 64.0f : 0.0f; },
                [](unsigned r, unsigned d) { return r == d ? 64.0f : 0.0f; },
                [](unsigned r, unsigned d) { return float(r) + float(d) / 64; }));
    // Scores that grow from block to block: every block rescales what was summed before.
    compare("rising",
            Case(
                512, 512, [](unsigned, unsigned d) { return d == 0 ? 8.0f : 0.0f; },
                [](unsigned j, unsigned d) { return d == 0 ? float(j) / 4 : check::normal(1); },
                noise(1)));
    compare("falling",
            Case(
                512, 512, [](unsigned, unsigned d) { return d == 0 ? 8.0f : 0.0f; },
                [](unsigned j, unsigned d) { return d == 0 ? -float(j) / 4 : check::normal(1); },
                noise(1)));
    // All scores far below zero: a fixed shift would leave no weight.
    compare("far below zero",
            Case(
                512, 512, [](unsigned, unsigned d) { return d == 0 ? 64.0f : 0.0f; },
                [](unsigned, unsigned d) { return d == 0 ? -400.0f : 0.0f; }, noise(1)));
    // Ragged ends; what fills the window up has the greatest scores and values of all.
    for (unsigned valid : {1u, 7u, 8u, 9u, 31u, 32u, 33u, 64u, 375u, 511u}) {
        const unsigned keys = 512;
        compare(
            "ragged",
            Case(
                keys, valid, [](unsigned, unsigned d) { return d == 0 ? 8.0f : check::normal(1); },
                [valid](unsigned j, unsigned d) {
                    return j >= valid && d == 0 ? 1000.0f : check::normal(1);
                },
                [valid](unsigned j, unsigned) { return j >= valid ? 1e30f : check::normal(1); }));
    }
    return check::finish("attention");
}
