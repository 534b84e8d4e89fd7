// A device behind Hearken's C ABI to NPUs (xrt-sys/include/hearken_xrt.h), for the tests of the
// bring-up checks: it computes with the tile programs on the host. Its "instruction stream" is five
// words: 0x54534554, the operator, and the shape (three words). Host and device have separate
// copies of a buffer, moved by sync only. With HEARKEN_TEST_DEVICE=wrong a run has a wrong element.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <aie_api/aie.hpp>

extern "C" {
void bias_gelu(bfloat16 *x, float *bias, bfloat16 *y);
void bias_add(bfloat16 *x, float *bias, bfloat16 *y);
void layer_norm(float *x, float *parameters, bfloat16 *y);
void residual_bias(float *object, float *bias);
void residual_add(bfloat16 *x, float *residual, float *bias, float *out);
void attention_parameters(bfloat16 *object, int32 *parameters);
void attention_begin(float *state, float *sum);
void attention_block(bfloat16 *, bfloat16 *, bfloat16 *, bfloat16 *, float *, float *, int32,
                     int32 *);
void attention_end(float *state, float *sum, bfloat16 *out);
}

namespace {

struct Buffer {
    std::vector<std::uint8_t> host, device;
    template <typename T> T *as() { return reinterpret_cast<T *>(device.data()); }
};
struct Run {
    std::uint64_t opcode = 0;
    std::uint32_t words = 0;
    Buffer *arguments[8] = {};
};
struct List {
    std::vector<Run *> runs;
};
std::string message;

int refuse(const char *why) {
    message = why;
    return -2;
}

bfloat16 narrow(float x) {
    bfloat16 b;
    b.bits = aie::detail::to_bf16(x, aie::rounding_mode::conv_even);
    return b;
}

template <typename F> void blocks(Buffer **a, unsigned m, unsigned n, F function) {
    bfloat16 x[8 * 256], y[8 * 256];
    for (unsigned r = 0; r < m; r += 8)
        for (unsigned c = 0; c < n; c += 256) {
            for (unsigned i = 0; i < 8; ++i)
                std::memcpy(x + i * 256, a[3]->as<bfloat16>() + (r + i) * n + c, 512);
            function(x, a[4]->as<float>() + c, y);
            for (unsigned i = 0; i < 8; ++i)
                std::memcpy(a[5]->as<bfloat16>() + (r + i) * n + c, y + i * 256, 512);
        }
}

/// B's place of (k, j) in groups of 8 k, by the manifest's loops with k_slice 128, n_tile 64.
std::size_t group(unsigned k, unsigned j, unsigned depth) {
    return ((std::size_t(j / 64) * (depth / 128) + k / 128) * 8 + j % 64 / 8) * 128 +
           k % 128 / 8 * 8 + j % 8;
}

void product_bf16(Buffer **a, unsigned m, unsigned depth, unsigned n) {
    std::vector<float> b(std::size_t(depth) * n);
    for (unsigned k = 0; k < depth; ++k)
        for (unsigned j = 0; j < n; ++j) {
            const std::uint8_t *block = a[4]->as<std::uint8_t>() + group(k, j, depth) * 9;
            b[std::size_t(k) * n + j] =
                std::ldexp(float(std::int8_t(block[1 + k % 8])), block[0] - 127 - 6);
        }
    std::vector<float> row(n);
    for (unsigned i = 0; i < m; ++i) {
        std::fill(row.begin(), row.end(), 0.0f);
        for (unsigned k = 0; k < depth; ++k) {
            const float v = a[3]->as<bfloat16>()[std::size_t(i) * depth + k];
            for (unsigned j = 0; j < n; ++j) row[j] += v * b[std::size_t(k) * n + j];
        }
        for (unsigned j = 0; j < n; ++j)
            a[5]->as<bfloat16>()[std::size_t(i) * n + j] = narrow(row[j]);
    }
}

void product_i8(Buffer **a, unsigned m, unsigned depth, unsigned n) {
    for (unsigned i = 0; i < m; ++i)
        for (unsigned j = 0; j < n; ++j) {
            std::int32_t sum = 0;
            for (unsigned k = 0; k < depth; ++k) {
                const std::size_t at =
                    ((std::size_t(j / 64) * (depth / 128) + k / 128) * 8 + j % 64 / 8) * 1024 +
                    k % 128 / 8 * 64 + k % 8 * 8 + j % 8;
                sum += a[3]->as<std::int8_t>()[std::size_t(i) * depth + k] *
                       a[4]->as<std::int8_t>()[at];
            }
            a[5]->as<std::int32_t>()[std::size_t(i) * n + j] = sum;
        }
}

void residual(Buffer **a, unsigned m) {
    alignas(64) static float bias[512], object[4 * 512];
    for (unsigned r = 0; r < 4; ++r) std::memcpy(object + r * 512, a[5]->device.data(), 2048);
    residual_bias(object, bias);
    for (unsigned r = 0; r < m; r += 4)
        residual_add(a[3]->as<bfloat16>() + r * 512, a[4]->as<float>() + r * 512, bias,
                     a[6]->as<float>() + r * 512);
}

template <unsigned R>
void tiled(const bfloat16 *from, unsigned stride, unsigned rows, bfloat16 *to) {
    for (unsigned r = 0; r < rows; ++r)
        for (unsigned c = 0; c < 64; ++c)
            to[((r / R * 8 + c / 8) * R + r % R) * 8 + c % 8] = from[std::size_t(r) * stride + c];
}

void attention(Buffer **a, unsigned m, unsigned heads) {
    const unsigned d = heads * 64;
    alignas(64) static bfloat16 q[4096], k[2048], v[2048], transposed[2048], out[4096];
    alignas(64) static float state[128], sum[4096];
    int32 parameters[4];
    for (unsigned head = 0; head < heads; ++head)
        for (unsigned r = 0; r < m; r += 64) {
            attention_parameters(a[4]->as<bfloat16>() + head % 8 * 8192, parameters);
            const bfloat16 *qkv = a[3]->as<bfloat16>();
            tiled<4>(qkv + std::size_t(r) * 3 * d + head * 64, 3 * d, 64, q);
            attention_begin(state, sum);
            for (unsigned first = 0; first < m; first += 32) {
                tiled<8>(qkv + std::size_t(first) * 3 * d + d + head * 64, 3 * d, 32, k);
                tiled<8>(qkv + std::size_t(first) * 3 * d + 2 * d + head * 64, 3 * d, 32, v);
                attention_block(q, k, v, transposed, state, sum, int32(first), parameters);
            }
            attention_end(state, sum, out);
            for (unsigned i = 0; i < 64; ++i)
                for (unsigned c = 0; c < 64; ++c)
                    a[5]->as<bfloat16>()[std::size_t(r + i) * d + head * 64 + c] =
                        out[((i / 4 * 8 + c / 8) * 4 + i % 4) * 8 + c % 8];
        }
}

int execute(Run *run) {
    const std::uint32_t *words = run->arguments[1]->as<std::uint32_t>();
    if (run->opcode != 3 || run->words != 5 || words[0] != 0x54534554)
        return refuse("not a run of this device");
    Buffer **a = run->arguments;
    switch (words[1]) {
        case 1:
            blocks(a, words[2], words[3], bias_add);
            break;
        case 2:
            product_bf16(a, words[2], words[3], words[4]);
            break;
        case 3:
            product_i8(a, words[2], words[3], words[4]);
            break;
        case 4:
            blocks(a, words[2], words[3], bias_gelu);
            break;
        case 5:
            for (unsigned r = 0; r < words[2]; r += 8)
                layer_norm(a[3]->as<float>() + r * 512, a[4]->as<float>(),
                           a[5]->as<bfloat16>() + r * 512);
            break;
        case 7:
            residual(a, words[2]);
            break;
        case 6:
            attention(a, words[2], words[3]);
            break;
        default:
            return refuse("no such operator");
    }
    const char *wrong = std::getenv("HEARKEN_TEST_DEVICE");
    if (wrong && std::strcmp(wrong, "wrong") == 0) a[5]->device[1] ^= 0x40;
    return 0;
}

template <typename T> int give(T **out) {
    *out = new T;
    return 0;
}

}  // namespace

extern "C" {

std::uint32_t hx_abi_version() { return 2; }
const char *hx_last_error() { return message.c_str(); }
int hx_device_open(std::uint32_t, int **out) { return give(out); }
int hx_device_close(int *device) { return delete device, 0; }
int hx_device_name(int *, char *to, std::size_t size) { return std::snprintf(to, size, "test"), 0; }
int hx_xclbin_open(int *, const char *path, int **out) {
    if (std::FILE *file = std::fopen(path, "rb")) return std::fclose(file), give(out);
    return refuse("no such xclbin");
}
int hx_xclbin_close(int *xclbin) { return delete xclbin, 0; }
int hx_context_open(int *, int **out) { return give(out); }
int hx_context_close(int *context) { return delete context, 0; }
int hx_kernel_open(int *, const char *, int **out) { return give(out); }
int hx_kernel_close(int *kernel) { return delete kernel, 0; }
int hx_kernel_group(int *, std::uint32_t, std::uint32_t *out) { return *out = 0, 0; }
int hx_buffer_new(int *, std::size_t bytes, std::uint32_t, std::uint32_t, Buffer **out) {
    *out = new Buffer{std::vector<std::uint8_t>(bytes), std::vector<std::uint8_t>(bytes)};
    return 0;
}
int hx_buffer_free(Buffer *buffer) { return delete buffer, 0; }
int hx_buffer_map(Buffer *buffer, void **out) { return *out = buffer->host.data(), 0; }
int hx_buffer_sync(Buffer *buffer, std::uint32_t direction, std::size_t bytes, std::size_t offset) {
    auto &from = direction == 0 ? buffer->host : buffer->device,
         &to = direction == 0 ? buffer->device : buffer->host;
    std::memcpy(to.data() + offset, from.data() + offset, bytes);
    return 0;
}
int hx_run_new(int *, Run **out) { return give(out); }
int hx_run_free(Run *run) { return delete run, 0; }
int hx_run_set_scalar(Run *run, std::uint32_t index, const void *value, std::size_t bytes) {
    if (index == 0 && bytes == 8) return std::memcpy(&run->opcode, value, 8), 0;
    if (index == 2 && bytes == 4) return std::memcpy(&run->words, value, 4), 0;
    return refuse("no such scalar");
}
int hx_run_set_buffer(Run *run, std::uint32_t index, Buffer *buffer) {
    if (index >= 8) return refuse("no such argument");
    return run->arguments[index] = buffer, 0;
}
int hx_run_start(Run *run) { return execute(run); }
int hx_run_wait(Run *, std::uint32_t, std::uint32_t *state) { return *state = 0, 0; }
int hx_list_new(int *, List **out) { return give(out); }
int hx_list_free(List *list) { return delete list, 0; }
int hx_list_add(List *list, Run *run) { return list->runs.push_back(run), 0; }
int hx_list_execute(List *list) {
    for (Run *run : list->runs)
        if (int status = execute(run)) return status;
    return 0;
}
int hx_list_wait(List *, std::uint32_t, std::uint32_t *state) { return *state = 0, 0; }
int hx_list_reset(List *list) { return list->runs.clear(), 0; }

}  // extern "C"
