// The int8 tile program against the sum of products in 64 bits: exact, extremes included.
#include "check.hpp"

#include <vector>

extern "C" {
void gemm_i8_begin(int32 *sum);
void gemm_i8_step(int8 *a, int8 *b, int32 *sum);
void gemm_i8_end(int32 *sum, int32 *out, int32 part);
}

constexpr unsigned kRows = 64, kDepth = 128, kColumns = 64;

namespace {

template <typename A, typename B> void product(const char *name, unsigned depth, A fa, B fb) {
    static check::Guarded<int8, kRows * kDepth> a;
    static check::Guarded<int8, kDepth * kColumns> b;
    static check::Guarded<int32, kRows * kColumns> sum, out;
    std::vector<int8> whole_a(kRows * depth), whole_b(depth * kColumns);
    for (unsigned i = 0; i < whole_a.size(); ++i) whole_a[i] = fa(i / depth, i % depth);
    for (unsigned i = 0; i < whole_b.size(); ++i) whole_b[i] = fb(i / kColumns, i % kColumns);

    gemm_i8_begin(sum.data);
    for (unsigned first = 0; first < depth; first += kDepth) {
        for (unsigned r = 0; r < kRows; ++r)
            for (unsigned k = 0; k < kDepth; ++k)
                a.data[((r / 8 * 16 + k / 8) * 8 + r % 8) * 8 + k % 8] =
                    whole_a[r * depth + first + k];
        for (unsigned k = 0; k < kDepth; ++k)
            for (unsigned c = 0; c < kColumns; ++c)
                b.data[((c / 8 * 16 + k / 8) * 8 + k % 8) * 8 + c % 8] =
                    whole_b[(first + k) * kColumns + c];
        gemm_i8_step(a.data, b.data, sum.data);
    }
    for (unsigned part = 0; part < 4; ++part)
        gemm_i8_end(sum.data, out.data + part * kRows * kColumns / 4, int32(part));
    CHECK(a.intact() && b.intact() && sum.intact() && out.intact(),
          "something was written beyond its end");

    for (unsigned r = 0; r < kRows; ++r)
        for (unsigned c = 0; c < kColumns; ++c) {
            std::int64_t exact = 0;
            for (unsigned k = 0; k < depth; ++k)
                exact += std::int64_t(whole_a[r * depth + k]) * whole_b[k * kColumns + c];
            const int32 got = out.data[((r / 8 * 8 + c / 8) * 8 + r % 8) * 8 + c % 8];
            CHECK(got == exact, "%s: [%u][%u] = %d, should be %lld", name, r, c, got,
                  static_cast<long long>(exact));
        }
}

}  // namespace

int main() {
    const auto any = [](unsigned, unsigned) { return int8(check::generator()() & 255); };
    product("any", 512, any, any);
    product("2048 deep", 2048, any, any);
    product(
        "least", 2048, [](unsigned, unsigned) { return int8(-128); },
        [](unsigned, unsigned) { return int8(-128); });
    product(
        "opposite", 2048, [](unsigned, unsigned) { return int8(-128); },
        [](unsigned, unsigned) { return int8(127); });
    // Rows, columns and depth each in its place.
    product("identity", 128, [](unsigned r, unsigned k) { return int8(r == k); }, any);
    product(
        "rows and columns", 128, [](unsigned r, unsigned k) { return int8(k == 0 ? r : 0); },
        [](unsigned k, unsigned c) { return int8(k == 0 ? c : 1); });
    return check::finish("gemm_i8");
}
