// Counting checks for the tests of the tile programs: CHECK(condition, "format", ...) says what
// failed; finish() ends main.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <random>

#include <aie_api/aie.hpp>

namespace check {

inline int passed = 0, failed = 0;

__attribute__((format(printf, 4, 5))) inline bool that(bool holds, const char *file, int line,
                                                       const char *format, ...) {
    ++(holds ? passed : failed);
    if (!holds && failed <= 10) {
        va_list arguments;
        va_start(arguments, format);
        std::fprintf(stderr, "%s:%d: ", file, line);
        std::vfprintf(stderr, format, arguments);
        std::fputc('\n', stderr);
        va_end(arguments);
    }
    return holds;
}

inline int finish(const char *name) {
    std::printf("%s: %d passed, %d failed\n", name, passed, failed);
    return failed != 0;
}

/// The same numbers in each run.
inline std::mt19937 &generator() {
    static std::mt19937 g(20260807);
    return g;
}
inline float normal(float deviation) {
    return std::normal_distribution<float>(0, deviation)(generator());
}

inline bfloat16 bf16(float x) {
    bfloat16 b;
    b.bits = aie::detail::to_bf16(x, aie::rounding_mode::conv_even);
    return b;
}

/// A core starts truncating; a tile program that relies on what an earlier one set is wrong.
inline void power_up() { aie::set_rounding(aie::rounding_mode::floor); }

/// Room with known bytes behind it, so that a write beyond the end is seen.
template <typename T, unsigned N> struct Guarded {
    alignas(64) T data[N] = {};
    std::uint32_t after[16];
    Guarded() {
        for (auto &word : after) word = 0xdeadbeef;
    }
    bool intact() const {
        for (auto word : after)
            if (word != 0xdeadbeef) return false;
        return true;
    }
};

}  // namespace check

#define CHECK(...) CHECK_(__VA_ARGS__)
#define CHECK_(CONDITION, ...) ::check::that((CONDITION), __FILE__, __LINE__, __VA_ARGS__)
