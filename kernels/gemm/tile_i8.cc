// C += A × B of 64×64 results in i32, exactly, 128 of K at a time. The tile program of the int8
// product; that of the bf16 product comes with amd/IRON's operator.
//
// In: A, i8 [64][128] as [8 blocks of rows][16 blocks of k][8][8]; B, i8 [128][64] as the manifest
// lays it out with k_slice 128, k_block 8, n_block 8, inner "n": [8 blocks of columns][16 blocks of
// k][8 k][8 n]. Sum: i32 [8 blocks of rows][8 blocks of columns][8][8], kept between calls. Out: a
// quarter of the sum at a time, as it lies.
#include <aie_api/aie.hpp>

namespace {

constexpr unsigned kRows = 64, kDepth = 128, kColumns = 64, kBlock = 8;
constexpr unsigned kRowBlocks = kRows / kBlock, kDepthBlocks = kDepth / kBlock,
                   kColumnBlocks = kColumns / kBlock;
constexpr unsigned kPart = kRows * kColumns / 4;

using Product = aie::mmul<kBlock, kBlock, kBlock, int8, int8, accauto>;

}  // namespace

extern "C" {

void gemm_i8_begin(int32 *sum) {
    for (unsigned i = 0; i < kRows * kColumns; i += 16)
        aie::store_v(sum + i, aie::zeros<int32, 16>());
}

/// Two by two blocks of results at a time, so that each operand that is loaded serves two products.
void gemm_i8_step(int8 *restrict a, int8 *restrict b, int32 *restrict sum) {
    event0();
    for (unsigned i = 0; i < kRowBlocks; i += 2)
        for (unsigned j = 0; j < kColumnBlocks; j += 2) {
            int32 *restrict upper = sum + (i * kColumnBlocks + j) * Product::size_C;
            int32 *restrict lower = upper + kColumnBlocks * Product::size_C;
            Product c00(aie::load_v<Product::size_C>(upper)),
                c01(aie::load_v<Product::size_C>(upper + Product::size_C));
            Product c10(aie::load_v<Product::size_C>(lower)),
                c11(aie::load_v<Product::size_C>(lower + Product::size_C));
            for (unsigned k = 0; k < kDepthBlocks; ++k) {
                const auto a0 =
                    aie::load_v<Product::size_A>(a + (i * kDepthBlocks + k) * Product::size_A);
                const auto a1 = aie::load_v<Product::size_A>(a + ((i + 1) * kDepthBlocks + k) *
                                                                     Product::size_A);
                const auto b0 =
                    aie::load_v<Product::size_B>(b + (j * kDepthBlocks + k) * Product::size_B);
                const auto b1 = aie::load_v<Product::size_B>(b + ((j + 1) * kDepthBlocks + k) *
                                                                     Product::size_B);
                c00.mac(a0, b0);
                c01.mac(a0, b1);
                c10.mac(a1, b0);
                c11.mac(a1, b1);
            }
            aie::store_v(upper, c00.template to_vector<int32>());
            aie::store_v(upper + Product::size_C, c01.template to_vector<int32>());
            aie::store_v(lower, c10.template to_vector<int32>());
            aie::store_v(lower + Product::size_C, c11.template to_vector<int32>());
        }
    event1();
}

/// Copies quarter `part` of the sum out.
void gemm_i8_end(int32 *restrict sum, int32 *restrict out, int32 part) {
    for (unsigned i = 0; i < kPart; i += 16)
        aie::store_v(out + i, aie::load_v<16>(sum + part * kPart + i));
}

}  // extern "C"
