// softmax(Q K^T / 8) V of one head for 64 queries, over any number of keys, 32 at a time (online
// softmax: Milakov and Gimelshein, arXiv:1805.02867; the tiling of FlashAttention,
// arXiv:2205.14135).
//
// In: Q [64][64], K and V [32][64] of one head, bf16, as the DMA lays them out:
//   q: [16 strips of 4 queries][8 blocks of 8 dimensions][4][8]
//   k, v: [4 blocks of 8 keys][8 blocks of 8 dimensions][8][8]
// and parameters, i32: the number of valid keys is parameters[kKeyCount]; later keys, which pad the
// window, get weight 0. All values must be finite, those of the padding too.
// Out: [16 strips][8 blocks of 8 dimensions][4][8], bf16.
//
// Kept between calls in the tile's memory: for each query the greatest score so far and the sum of
// the weights (f32 [2][64]), and the weighted sum of the values (f32 [16][8][4][8]).
//
// Products are exact bf16 products summed in f32 (mmul 4x8x8, without
// AIE_API_EMULATE_BFLOAT16_MMUL_WITH_BFP16). Weights are rounded to bf16, which is what the product
// with V takes; their sum is that of the rounded weights, so that they add up to one.
#include "exp2.hpp"

namespace {

constexpr unsigned kQueries = 64, kKeys = 32, kWidth = 64;
constexpr unsigned kStrip = 4, kBlock = 8;
constexpr unsigned kStrips = kQueries / kStrip, kKeyBlocks = kKeys / kBlock,
                   kBlocks = kWidth / kBlock;
constexpr unsigned kKeyCount = 2;      // place in the parameters
constexpr float kScale = 0.18033688f;  // log2(e) / sqrt(64)
constexpr float kLowest = -3.0e38f;    // below every score, and finite

using Product = aie::mmul<kStrip, kBlock, kBlock, bfloat16, bfloat16, accauto>;
using Scores = floats;  // 4 queries × 8 keys or dimensions
using Weights = aie::vector<bfloat16, Product::size_C>;
static_assert(kLanes == Product::size_C);

alignas(64) const int32 kColumn[Product::size_C] = {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7,
                                                    0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7};

/// One value for each of the 4 queries, over the 8 columns.
inline __aie_inline Scores by_query(const float *p) {
    Scores v;
    for (unsigned r = 0; r < kStrip; ++r)
        v.template insert<kBlock>(r, aie::broadcast<float, kBlock>(p[r]));
    return v;
}

inline __aie_inline Scores widen(const Weights &w) {
    return aie::accum<accfloat, Product::size_C>(w).template to_vector<float>();
}

inline __aie_inline Weights narrow(const Scores &s) {
    return aie::accum<accfloat, Product::size_C>(s).template to_vector<bfloat16>();
}

/// The scores of one strip against one block of keys, in units of log2. `transposed`: [8 blocks of
/// dimensions][8][8 keys].
inline __aie_inline Scores scores(const bfloat16 *restrict q, const bfloat16 *restrict transposed) {
    Product s;
    s.mul(aie::load_v<Product::size_A>(q), aie::load_v<Product::size_B>(transposed));
    for (unsigned d = 1; d < kBlocks; ++d)
        s.mac(aie::load_v<Product::size_A>(q + d * Product::size_A),
              aie::load_v<Product::size_B>(transposed + d * Product::size_B));
    return times(s.template to_vector<float>(), constant(kScale));
}

}  // namespace

extern "C" {

/// The DMA's first object of a run carries the parameters in its first 16 bytes.
void attention_parameters(bfloat16 *object, int32 *parameters) {
    const int32 *words = reinterpret_cast<const int32 *>(object);
    for (unsigned i = 0; i < 4; ++i) parameters[i] = words[i];
}

void attention_begin(float *state, float *sum) {
    for (unsigned i = 0; i < kQueries; ++i) {
        state[i] = kLowest;
        state[kQueries + i] = 0;
    }
    for (unsigned i = 0; i < kQueries * kWidth; i += Product::size_C)
        aie::store_v(sum + i, aie::zeros<float, Product::size_C>());
}

/// Takes in keys first_key .. first_key + 31. `transposed` is room for K^T, bf16 [4][8][8][8].
void attention_block(bfloat16 *restrict q, bfloat16 *restrict k, bfloat16 *restrict v,
                     bfloat16 *restrict transposed, float *restrict state, float *restrict sum,
                     int32 first_key, int32 *parameters) {
    event0();
    aie::set_rounding(aie::rounding_mode::conv_even);
    const int32 valid = parameters[kKeyCount] - first_key;
    if (valid <= 0) return;

    for (unsigned i = 0; i < kKeyBlocks * kBlocks; ++i)
        aie::store_v(
            transposed + i * Product::size_B,
            aie::transpose(aie::load_v<Product::size_B>(k + i * Product::size_B), kBlock, kBlock));

    const auto column = aie::load_v<Product::size_C>(kColumn);
    for (unsigned strip = 0; strip < kStrips; ++strip) {
        const bfloat16 *restrict queries = q + strip * kBlocks * Product::size_A;
        float *restrict greatest = state + strip * kStrip;
        float *restrict total = greatest + kQueries;

        Scores s[kKeyBlocks];
        aie::mask<Product::size_C> counts[kKeyBlocks];
        Scores most = constant(kLowest);
        for (unsigned b = 0; b < kKeyBlocks; ++b) {
            const int32 left = valid - static_cast<int32>(b * kBlock);
            counts[b] = aie::lt(column, aie::broadcast<int32, Product::size_C>(left));
            s[b] =
                aie::select(constant(kLowest),
                            scores(queries, transposed + b * kBlocks * Product::size_B), counts[b]);
            most = aie::max(most, s[b]);
        }

        float change[kStrip];
        for (unsigned r = 0; r < kStrip; ++r) {
            const float here = aie::reduce_max(most.template extract<kBlock>(r));
            const float now = here > greatest[r] ? here : greatest[r];
            change[r] = greatest[r] - now;
            greatest[r] = now;
        }
        const Scores now = by_query(greatest);
        const Scores shrink = power_of_two(by_query(change));

        Weights p[kKeyBlocks];
        Scores weight = aie::zeros<float, Product::size_C>();
        for (unsigned b = 0; b < kKeyBlocks; ++b) {
            p[b] = aie::select(aie::zeros<bfloat16, Product::size_C>(),
                               narrow(power_of_two(aie::sub(s[b], now))), counts[b]);
            weight = aie::add(weight, widen(p[b]));
        }
        for (unsigned r = 0; r < kStrip; ++r)
            total[r] =
                total[r] * shrink[r * kBlock] + aie::reduce_add(weight.template extract<kBlock>(r));

        for (unsigned d = 0; d < kBlocks; ++d) {
            float *restrict out = sum + (strip * kBlocks + d) * Product::size_C;
            Product o(times(aie::load_v<Product::size_C>(out), shrink));
            for (unsigned b = 0; b < kKeyBlocks; ++b)
                o.mac(p[b], aie::load_v<Product::size_B>(v + (b * kBlocks + d) * Product::size_B));
            aie::store_v(out, o.template to_vector<float>());
        }
    }
    event1();
}

void attention_end(float *restrict state, float *restrict sum, bfloat16 *restrict out) {
    aie::set_rounding(aie::rounding_mode::conv_even);
    for (unsigned strip = 0; strip < kStrips; ++strip) {
        float inverse[kStrip];
        for (unsigned r = 0; r < kStrip; ++r) {
            const float total = state[kQueries + strip * kStrip + r];
            const float first = aie::inv(total);  // to 1e-4; a Newton step makes it f32
            inverse[r] = first * (2.0f - total * first);
        }
        const Scores scale = by_query(inverse);
        for (unsigned d = 0; d < kBlocks; ++d) {
            const unsigned at = (strip * kBlocks + d) * Product::size_C;
            const Scores o = times(aie::load_v<Product::size_C>(sum + at), scale);
            aie::store_v(out + at, narrow(o));
        }
    }
}

}  // extern "C"
