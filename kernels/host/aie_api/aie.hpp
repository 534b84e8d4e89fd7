// The part of the AIE API that the tile programs use, implemented for g++ on a host.
//
// In: a tile program that includes <aie_api/aie.hpp>, compiled with -I kernels/host. Out: the same
// program as ordinary scalar code, so that it can be tested without the toolchain and without an
// NPU. Names, template parameters and argument order are those of Xilinx/aie_api for AIE2P.
//
// If the documentation does not determine the hardware's result, there are two variants. By
// default, products and sums of f32, inv and invsqrt are rounded to the nearest f32. With
// AIE_HOST_PESSIMISTIC a product of f32 is the sum of three products of bf16 halves (AIE2P has no
// f32 multiplier, aie_api/detail/aie2p/mul_acc32_fp.hpp), sums of vectors truncate, inv is off by
// up to 1e-4 and invsqrt by up to 6.5e-4 (the constants and iterations of
// aie_api/detail/aie2/elementary.hpp). The tests run with both; a tile program must be right in
// both.
//
// exp2 and tanh are missing on purpose: the hardware's, from a table, are off by 6 % and more
// (measured in mlir-aie, aie_kernels/aie2p/exp2f_vec.cc). The tile programs use exp2.hpp.
//
// NaN: arithmetic propagates it; a comparison with it is false, so that max, min and select return
// the other operand. Denormals are kept. Both are assumptions about the hardware, listed in
// kernels/README.md.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define restrict __restrict
#define __aie_inline __attribute__((always_inline))

using int8 = std::int8_t;
using int16 = std::int16_t;
using int32 = std::int32_t;

inline void event0() {}
inline void event1() {}

namespace aie {

/// Rounding of conversions to fewer bits; `floor` drops the bits (the state in which a core
/// starts).
enum class rounding_mode { floor, conv_even };

namespace detail {
inline rounding_mode rounding = rounding_mode::floor;

inline std::uint32_t bits_of(float x) {
    std::uint32_t u;
    std::memcpy(&u, &x, 4);
    return u;
}

inline float of_bits(std::uint32_t u) {
    float x;
    std::memcpy(&x, &u, 4);
    return x;
}

/// The upper 16 bits of an f32, rounded by `mode`; a NaN stays one.
inline std::uint16_t to_bf16(float x, rounding_mode mode) {
    std::uint32_t u = bits_of(x);
    if (std::isnan(x)) return static_cast<std::uint16_t>(u >> 16 | 0x40);
    if (mode == rounding_mode::conv_even) u += 0x7fff + (u >> 16 & 1);
    return static_cast<std::uint16_t>(u >> 16);
}
}  // namespace detail

inline void set_rounding(rounding_mode mode) { detail::rounding = mode; }

}  // namespace aie

/// The upper half of an f32. Conversion rounds as the core is set to.
struct bfloat16 {
    std::uint16_t bits = 0;
    bfloat16() = default;
    bfloat16(float x) : bits(aie::detail::to_bf16(x, aie::detail::rounding)) {}
    operator float() const { return aie::detail::of_bits(static_cast<std::uint32_t>(bits) << 16); }
};

struct accfloat {};  // f32 lanes
struct acc32 {};     // i32 lanes
struct accauto {};   // the natural one for the operands

namespace aie {

namespace detail {

/// One product of f32 lanes; see the head of this file.
inline float product(float a, float b) {
#ifdef AIE_HOST_PESSIMISTIC
    if (std::isfinite(a) && std::isfinite(b)) {
        auto upper = [](float x) {
            return of_bits(static_cast<std::uint32_t>(to_bf16(x, rounding)) << 16);
        };
        const float ah = upper(a), bh = upper(b);
        if (std::isfinite(ah) && std::isfinite(bh)) {
            const float al = upper(a - ah), bl = upper(b - bh);
            return ah * bh + (ah * bl + al * bh);
        }
    }
#endif
    return a * b;
}
inline float product(bfloat16 a, bfloat16 b) { return float(a) * float(b); }
inline int32 product(int8 a, int8 b) { return int32(a) * int32(b); }

inline int32 total(int32 a, int32 b) { return a + b; }
inline float total(float a, float b) {
#ifdef AIE_HOST_PESSIMISTIC
    // The exact sum in double, cut off to f32 towards zero.
    const double exact = double(a) + double(b);
    const float nearest = static_cast<float>(exact);
    if (std::isfinite(nearest) && std::fabs(double(nearest)) > std::fabs(exact))
        return std::nextafter(nearest, 0.0f);
    return nearest;
#else
    return a + b;
#endif
}

/// A relative error of up to `most`, other for every argument but the same for the same.
inline float miss(float x, [[maybe_unused]] float most) {
#ifdef AIE_HOST_PESSIMISTIC
    return x * (1 + most * (static_cast<float>(bits_of(x) * 2654435761u >> 8) / 8388608.0f - 1));
#else
    return x;
#endif
}

template <typename Tag> struct lane;
template <> struct lane<accfloat> {
    using type = float;
};
template <> struct lane<acc32> {
    using type = int32;
};
}  // namespace detail

template <typename T, unsigned N> struct vector {
    T data[N] = {};
    T operator[](unsigned i) const { return data[i]; }
    void set(T x, unsigned i) { data[i] = x; }
    template <unsigned M> vector<T, M> extract(unsigned i) const {
        static_assert(N % M == 0);
        vector<T, M> part;
        for (unsigned j = 0; j < M; ++j) part.data[j] = data[i * M + j];
        return part;
    }
    template <unsigned M> vector &insert(unsigned i, const vector<T, M> &part) {
        static_assert(N % M == 0);
        for (unsigned j = 0; j < M; ++j) data[i * M + j] = part.data[j];
        return *this;
    }
    /// The same bits as lanes of another type of the same size.
    template <typename U> vector<U, N> cast_to() const {
        static_assert(sizeof(U) == sizeof(T));
        vector<U, N> v;
        std::memcpy(v.data, data, sizeof data);
        return v;
    }
};

template <typename Tag, unsigned N> struct accum {
    using value = typename detail::lane<Tag>::type;
    value data[N] = {};
    accum() = default;
    template <typename T> explicit accum(const vector<T, N> &v) { from_vector(v); }
    template <typename T> void from_vector(const vector<T, N> &v) {
        for (unsigned i = 0; i < N; ++i) data[i] = static_cast<value>(v.data[i]);
    }
    template <typename T> vector<T, N> to_vector() const {
        vector<T, N> v;
        for (unsigned i = 0; i < N; ++i) v.data[i] = static_cast<T>(data[i]);
        return v;
    }
};

template <unsigned N> struct mask {
    bool data[N] = {};
    bool test(unsigned i) const { return data[i]; }
};

template <unsigned N, typename T> vector<T, N> load_v(const T *p) {
    vector<T, N> v;
    for (unsigned i = 0; i < N; ++i) v.data[i] = p[i];
    return v;
}

template <typename T, unsigned N> void store_v(T *p, const vector<T, N> &v) {
    for (unsigned i = 0; i < N; ++i) p[i] = v.data[i];
}

template <typename T, unsigned N> vector<T, N> broadcast(T x) {
    vector<T, N> v;
    for (unsigned i = 0; i < N; ++i) v.data[i] = x;
    return v;
}

template <typename T, unsigned N> vector<T, N> zeros() { return broadcast<T, N>(T(0)); }

#define AIE_HOST_LANES(NAME, EXPRESSION)                              \
    template <typename T, unsigned N>                                 \
    vector<T, N> NAME(const vector<T, N> &a, const vector<T, N> &b) { \
        vector<T, N> r;                                               \
        for (unsigned i = 0; i < N; ++i) {                            \
            const T x = a.data[i], y = b.data[i];                     \
            r.data[i] = EXPRESSION;                                   \
        }                                                             \
        return r;                                                     \
    }
AIE_HOST_LANES(add, detail::total(x, y))
AIE_HOST_LANES(sub, detail::total(x, T(-y)))
AIE_HOST_LANES(max, y > x ? y : x)
AIE_HOST_LANES(min, y < x ? y : x)
#undef AIE_HOST_LANES

template <unsigned N> vector<int32, N> upshift(const vector<int32, N> &v, unsigned shift) {
    vector<int32, N> r;
    for (unsigned i = 0; i < N; ++i)
        r.data[i] = static_cast<int32>(static_cast<std::uint32_t>(v.data[i]) << shift);
    return r;
}

template <typename T, unsigned N>
accum<accfloat, N> mul(const vector<T, N> &a, const vector<T, N> &b) {
    accum<accfloat, N> r;
    for (unsigned i = 0; i < N; ++i) r.data[i] = detail::product(a.data[i], b.data[i]);
    return r;
}

/// By halves, as the hardware adds.
template <typename T, unsigned N> T reduce_add(const vector<T, N> &v) {
    vector<T, N> s = v;
    for (unsigned half = N / 2; half > 0; half /= 2)
        for (unsigned i = 0; i < half; ++i) s.data[i] = detail::total(s.data[i], s.data[i + half]);
    return s.data[0];
}

template <typename T, unsigned N> T reduce_max(const vector<T, N> &v) {
    T most = v.data[0];
    for (unsigned i = 1; i < N; ++i)
        if (v.data[i] > most) most = v.data[i];
    return most;
}

template <typename T, unsigned N> mask<N> lt(const vector<T, N> &a, const vector<T, N> &b) {
    mask<N> m;
    for (unsigned i = 0; i < N; ++i) m.data[i] = a.data[i] < b.data[i];
    return m;
}

/// Where the mask is set the second operand, else the first.
template <typename T, unsigned N>
vector<T, N> select(const vector<T, N> &a, const vector<T, N> &b, const mask<N> &m) {
    vector<T, N> r;
    for (unsigned i = 0; i < N; ++i) r.data[i] = m.data[i] ? b.data[i] : a.data[i];
    return r;
}

inline float inv(float x) { return detail::miss(1 / x, 1e-4f); }
inline float invsqrt(float x) { return detail::miss(1 / std::sqrt(x), 6.5e-4f); }

/// The matrix [rows][columns] of the lanes, transposed.
template <typename T, unsigned N>
vector<T, N> transpose(const vector<T, N> &v, unsigned rows, unsigned columns) {
    vector<T, N> r;
    for (unsigned i = 0; i < rows; ++i)
        for (unsigned j = 0; j < columns; ++j) r.data[j * rows + i] = v.data[i * columns + j];
    return r;
}

/// C[M][N] += A[M][K] × B[K][N], all row-major; i8 sums in i32, bf16 in f32 with exact products.
template <unsigned M, unsigned K, unsigned N, typename A, typename B, typename = accauto>
struct mmul {
    using value = std::conditional_t<std::is_integral_v<A>, int32, float>;
    using tag = std::conditional_t<std::is_integral_v<A>, acc32, accfloat>;
    static constexpr unsigned size_A = M * K, size_B = K * N, size_C = M * N;
    accum<tag, size_C> sum;
    mmul() = default;
    template <typename T> explicit mmul(const vector<T, size_C> &v) : sum(v) {}
    void mac(const vector<A, size_A> &a, const vector<B, size_B> &b) {
        for (unsigned i = 0; i < M; ++i)
            for (unsigned j = 0; j < N; ++j)
                for (unsigned k = 0; k < K; ++k)
                    sum.data[i * N + j] += detail::product(a.data[i * K + k], b.data[k * N + j]);
    }
    void mul(const vector<A, size_A> &a, const vector<B, size_B> &b) {
        sum = {};
        mac(a, b);
    }
    template <typename T> vector<T, size_C> to_vector() const {
        return sum.template to_vector<T>();
    }
};

}  // namespace aie
