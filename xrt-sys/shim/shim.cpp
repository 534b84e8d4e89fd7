// The ABI of include/hearken_xrt.h over XRT's C++ interface (2.17 or newer; XRT's C interface has
// no hardware contexts). Every body runs inside `answer`, so that no exception leaves this file.

#include "../include/hearken_xrt.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include <xrt/xrt_bo.h>
#include <xrt/xrt_device.h>
#include <xrt/xrt_hw_context.h>
#include <xrt/xrt_kernel.h>
// From 2.19 on, the experimental headers are in xrt/.
#if __has_include(<xrt/experimental/xrt_kernel.h>)
#include <xrt/experimental/xrt_kernel.h>
#include <xrt/experimental/xrt_xclbin.h>
#else
#include <experimental/xrt_kernel.h>
#include <experimental/xrt_xclbin.h>
#endif

// A handle also holds its parents: XRT's objects share ownership, so the order of release is right
// even if the caller's is not.
struct hx_device {
    xrt::device device;
};
struct hx_xclbin {
    xrt::device device;
    xrt::xclbin xclbin;
    xrt::uuid uuid;
};
struct hx_context {
    xrt::xclbin xclbin;
    xrt::hw_context context;
};
struct hx_kernel {
    xrt::kernel kernel;
};
struct hx_buffer {
    xrt::bo buffer;
};
struct hx_run {
    xrt::kernel kernel;
    xrt::run run;
};
struct hx_list {
    xrt::runlist list;
};

namespace {

thread_local std::string last_error;

struct misuse : std::logic_error {
    using std::logic_error::logic_error;
};

template <typename Work> int answer(Work &&work) noexcept {
    try {
        try {
            std::forward<Work>(work)();
            return HX_OK;
        } catch (const misuse &error) {
            last_error = error.what();
            return HX_MISUSE;
        } catch (const std::exception &error) {
            last_error = error.what();
        } catch (...) {
            last_error = "XRT threw an exception that is not a std::exception";
        }
    } catch (...) {
        // Not even the text could be stored.
        last_error.clear();
    }
    return HX_ERROR;
}

template <typename T> T &checked(T *pointer) {
    if (pointer == nullptr) throw misuse("null pointer");
    return *pointer;
}

template <typename T> int release(T *handle) noexcept {
    return answer([&] { delete &checked(handle); });
}

xrt::bo::flags flags(uint32_t kind) {
    switch (kind) {
        case HX_CACHEABLE:
            return xrt::bo::flags::cacheable;
        case HX_HOST_ONLY:
            return xrt::bo::flags::host_only;
        default:
            throw misuse("unknown kind of memory");
    }
}

// XRT takes 0 as "no limit", which this interface does not offer.
std::chrono::milliseconds limit(uint32_t milliseconds) {
    if (milliseconds == 0) throw misuse("the waiting time is zero");
    return std::chrono::milliseconds(milliseconds);
}

// The name of the state in which XRT left a run that has no result.
const char *name(ert_cmd_state state) {
    switch (state) {
        case ERT_CMD_STATE_ERROR:
            return "ERROR";
        case ERT_CMD_STATE_ABORT:
            return "ABORT";
        case ERT_CMD_STATE_TIMEOUT:
            return "TIMEOUT, the driver has stopped it";
        case ERT_CMD_STATE_NORESPONSE:
            return "NORESPONSE";
        case ERT_CMD_STATE_SKERROR:
            return "SKERROR";
        case ERT_CMD_STATE_SKCRASHED:
            return "CRASHED";
        default:
            return "unknown";
    }
}

// Waits by `wait`, which returns whether the time is over and throws XRT's Error if the run ended
// without a result; from 2.20 on, its text has the array's own error data.
template <typename Error, typename Wait> uint32_t waited(Wait &&wait) {
    try {
        return wait() == std::cv_status::timeout ? HX_TIMED_OUT : HX_COMPLETED;
    } catch (const Error &error) {
        last_error = std::string("its state is ") + name(error.get_command_state()) + ": " +
                     static_cast<const std::exception &>(error).what();
        return HX_FAILED;
    }
}

}  // namespace

extern "C" {

uint32_t hx_abi_version(void) { return HX_ABI_VERSION; }

const char *hx_last_error(void) { return last_error.c_str(); }

int hx_device_open(uint32_t index, hx_device **out) {
    return answer([&] { checked(out) = new hx_device{xrt::device(index)}; });
}

int hx_device_close(hx_device *device) { return release(device); }

int hx_device_name(hx_device *device, char *to, size_t size) {
    return answer([&] {
        if (size == 0) throw misuse("no room for the name");
        const std::string name = checked(device).device.get_info<xrt::info::device::name>();
        const size_t length = std::min(name.size(), size - 1);
        std::memcpy(&checked(to), name.data(), length);
        to[length] = 0;
    });
}

int hx_xclbin_open(hx_device *device, const char *path, hx_xclbin **out) {
    return answer([&] {
        xrt::device &owner = checked(device).device;
        xrt::xclbin xclbin{std::string(&checked(path))};
        // load_xclbin would fail: an NPU's xclbins are registered, then configured by a context.
        xrt::uuid uuid = owner.register_xclbin(xclbin);
        checked(out) = new hx_xclbin{owner, std::move(xclbin), std::move(uuid)};
    });
}

int hx_xclbin_close(hx_xclbin *xclbin) { return release(xclbin); }

int hx_context_open(hx_xclbin *xclbin, hx_context **out) {
    return answer([&] {
        hx_xclbin &from = checked(xclbin);
        checked(out) = new hx_context{from.xclbin, xrt::hw_context(from.device, from.uuid)};
    });
}

int hx_context_close(hx_context *context) { return release(context); }

int hx_kernel_open(hx_context *context, const char *prefix, hx_kernel **out) {
    return answer([&] {
        hx_context &owner = checked(context);
        const std::string wanted(&checked(prefix));
        for (const auto &kernel : owner.xclbin.get_kernels()) {
            const std::string name = kernel.get_name();
            if (name.rfind(wanted, 0) == 0) {
                checked(out) = new hx_kernel{xrt::kernel(owner.context, name)};
                return;
            }
        }
        throw std::runtime_error("the xclbin has no kernel whose name begins with " + wanted);
    });
}

int hx_kernel_close(hx_kernel *kernel) { return release(kernel); }

int hx_kernel_group(hx_kernel *kernel, uint32_t index, uint32_t *out) {
    return answer([&] {
        checked(out) =
            static_cast<uint32_t>(checked(kernel).kernel.group_id(static_cast<int>(index)));
    });
}

int hx_buffer_new(hx_device *device, size_t bytes, uint32_t kind, uint32_t group, hx_buffer **out) {
    return answer([&] {
        checked(out) = new hx_buffer{xrt::bo(checked(device).device, bytes, flags(kind), group)};
    });
}

int hx_buffer_free(hx_buffer *buffer) { return release(buffer); }

int hx_buffer_map(hx_buffer *buffer, void **out) {
    return answer([&] { checked(out) = checked(buffer).buffer.map(); });
}

int hx_buffer_sync(hx_buffer *buffer, uint32_t direction, size_t bytes, size_t offset) {
    return answer([&] {
        if (direction != HX_TO_DEVICE && direction != HX_FROM_DEVICE)
            throw misuse("unknown direction of a sync");
        const auto way =
            direction == HX_TO_DEVICE ? XCL_BO_SYNC_BO_TO_DEVICE : XCL_BO_SYNC_BO_FROM_DEVICE;
        checked(buffer).buffer.sync(way, bytes, offset);
    });
}

int hx_run_new(hx_kernel *kernel, hx_run **out) {
    return answer([&] {
        const xrt::kernel &owner = checked(kernel).kernel;
        checked(out) = new hx_run{owner, xrt::run(owner)};
    });
}

int hx_run_free(hx_run *run) { return release(run); }

int hx_run_set_scalar(hx_run *run, uint32_t index, const void *value, size_t bytes) {
    return answer([&] {
        xrt::run &to = checked(run).run;
        if (value == nullptr || (bytes != sizeof(uint32_t) && bytes != sizeof(uint64_t)))
            throw misuse("a scalar must have 4 or 8 bytes");
        // XRT copies the smaller of the sizes of argument and value.
        if (bytes == sizeof(uint32_t)) {
            uint32_t number;
            std::memcpy(&number, value, bytes);
            to.set_arg(static_cast<int>(index), number);
        } else {
            uint64_t number;
            std::memcpy(&number, value, bytes);
            to.set_arg(static_cast<int>(index), number);
        }
    });
}

int hx_run_set_buffer(hx_run *run, uint32_t index, hx_buffer *buffer) {
    return answer(
        [&] { checked(run).run.set_arg(static_cast<int>(index), checked(buffer).buffer); });
}

int hx_run_start(hx_run *run) {
    return answer([&] { checked(run).run.start(); });
}

int hx_run_wait(hx_run *run, uint32_t milliseconds, uint32_t *state) {
    return answer([&] {
        xrt::run &of = checked(run).run;
        const auto time = limit(milliseconds);
        checked(state) = waited<xrt::run::command_error>([&] { return of.wait2(time); });
    });
}

int hx_list_new(hx_context *context, hx_list **out) {
    return answer([&] { checked(out) = new hx_list{xrt::runlist(checked(context).context)}; });
}

int hx_list_free(hx_list *list) { return release(list); }

int hx_list_add(hx_list *list, hx_run *run) {
    return answer([&] { checked(list).list.add(checked(run).run); });
}

int hx_list_execute(hx_list *list) {
    return answer([&] { checked(list).list.execute(); });
}

int hx_list_wait(hx_list *list, uint32_t milliseconds, uint32_t *state) {
    return answer([&] {
        xrt::runlist &of = checked(list).list;
        const auto time = limit(milliseconds);
        checked(state) = waited<xrt::runlist::command_error>([&] { return of.wait(time); });
    });
}

int hx_list_reset(hx_list *list) {
    return answer([&] { checked(list).list.reset(); });
}

}  // extern "C"
