/* The C ABI between Hearken and an NPU's runtime.
 *
 * Two implementations: shim/shim.cpp over XRT's C++ interface, built into libhearken_xrt.so and
 * loaded at run time, and the emulator in src/emulator/. The Rust side is src/api.rs;
 * HX_ABI_VERSION changes whenever this file does.
 *
 * Functions return HX_OK or another status; hx_last_error then returns the reason, until the
 * thread's next call. It also does if a run or list has the state HX_FAILED. Handles belong to the caller and are released by their close or free function
 * in this order: lists, runs, kernel, context (which removes a run that hangs from the array),
 * buffers, xclbin, device. Two threads must not call functions for the same handle at once. */
#ifndef HEARKEN_XRT_H
#define HEARKEN_XRT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HX_ABI_VERSION 2u

enum {
    HX_OK = 0,
    HX_ERROR = -1,  /* the runtime, the driver or the device failed */
    HX_MISUSE = -2, /* the caller broke a rule of this interface */
};

/* States of a run or list after waiting. */
enum {
    HX_COMPLETED = 0,
    HX_TIMED_OUT = 1, /* it may still be running: release it, its context and its device */
    HX_FAILED = 2,    /* it ended without a result: hx_last_error has the driver's reason */
};

/* Kinds of memory. */
enum {
    HX_CACHEABLE = 0, /* device heap; for instructions */
    HX_HOST_ONLY =
        1, /* host memory that the device reads; for data; counts against RLIMIT_MEMLOCK */
};

/* Directions of hx_buffer_sync. */
enum {
    HX_TO_DEVICE = 0,
    HX_FROM_DEVICE = 1,
};

typedef struct hx_device hx_device;
typedef struct hx_xclbin hx_xclbin;
typedef struct hx_context hx_context;
typedef struct hx_kernel hx_kernel;
typedef struct hx_buffer hx_buffer;
typedef struct hx_run hx_run;
typedef struct hx_list hx_list;

uint32_t hx_abi_version(void);
/* Reason why this thread's last call failed; valid until its next call. */
const char *hx_last_error(void);

int hx_device_open(uint32_t index, hx_device **out);
int hx_device_close(hx_device *device);
/* Writes the device's name, truncated to `size` bytes including the terminating NUL. */
int hx_device_name(hx_device *device, char *to, size_t size);

/* Reads an xclbin and registers it with the device. */
int hx_xclbin_open(hx_device *device, const char *path, hx_xclbin **out);
int hx_xclbin_close(hx_xclbin *xclbin);

int hx_context_open(hx_xclbin *xclbin, hx_context **out);
int hx_context_close(hx_context *context);

/* Opens the xclbin's first kernel whose name begins with `prefix`. */
int hx_kernel_open(hx_context *context, const char *prefix, hx_kernel **out);
int hx_kernel_close(hx_kernel *kernel);
/* Memory group of the kernel's argument `index`, for hx_buffer_new. */
int hx_kernel_group(hx_kernel *kernel, uint32_t index, uint32_t *out);

int hx_buffer_new(hx_device *device, size_t bytes, uint32_t kind, uint32_t group, hx_buffer **out);
int hx_buffer_free(hx_buffer *buffer);
/* The host's view of the buffer: valid until the buffer is freed. */
int hx_buffer_map(hx_buffer *buffer, void **out);
/* Makes the host's writes visible to the device, or the device's to the host; needed each time. */
int hx_buffer_sync(hx_buffer *buffer, uint32_t direction, size_t bytes, size_t offset);

int hx_run_new(hx_kernel *kernel, hx_run **out);
int hx_run_free(hx_run *run);
/* `bytes` is the size of the kernel's argument: 8 for the opcode, 4 for the number of instruction
 * words. */
int hx_run_set_scalar(hx_run *run, uint32_t index, const void *value, size_t bytes);
int hx_run_set_buffer(hx_run *run, uint32_t index, hx_buffer *buffer);
int hx_run_start(hx_run *run);
/* Waits for at most this number of milliseconds, at least 1. */
int hx_run_wait(hx_run *run, uint32_t milliseconds, uint32_t *state);

/* Runs of one context that are submitted together, and executed in order. */
int hx_list_new(hx_context *context, hx_list **out);
int hx_list_free(hx_list *list);
/* A run that is in a list cannot be started on its own. */
int hx_list_add(hx_list *list, hx_run *run);
int hx_list_execute(hx_list *list);
int hx_list_wait(hx_list *list, uint32_t milliseconds, uint32_t *state);
/* Removes all runs from the list. */
int hx_list_reset(hx_list *list);

#ifdef __cplusplus
}
#endif

#endif
