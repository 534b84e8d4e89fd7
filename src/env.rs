//! Names of the environment variables that Hearken reads. `hearken --help` prints
//! [`VARIABLES`].

/// Directory of the models.
pub const MODELS_DIR: &str = "HEARKEN_MODELS_DIR";
/// Forbids the network.
pub const OFFLINE: &str = "HEARKEN_OFFLINE";
/// Instruction set of the kernels. `cpu` reads it without knowing this module: it depends on
/// nothing else of Hearken.
pub const CPU: &str = "HEARKEN_CPU";
/// The NPU shim's shared object.
pub const NPU_SHIM: &str = "HEARKEN_NPU_SHIM";
/// Directory of the NPU overlays.
pub const NPU_OVERLAYS: &str = "HEARKEN_NPU_OVERLAYS";
/// Computes whole blocks of the encoder on the NPU.
pub const NPU_WHOLE: &str = "HEARKEN_NPU_WHOLE";
/// Faults that the NPU emulator simulates.
pub const NPU_EMULATOR_FAULTS: &str = "HEARKEN_NPU_EMULATOR_FAULTS";

/// All of them, with what they do.
pub const VARIABLES: [(&str, &str); 7] = [
    (
        MODELS_DIR,
        "Directory of the models [default: hearken/models in the user's data directory].",
    ),
    (OFFLINE, "1: never use the network."),
    (
        CPU,
        "Instruction set [default: the fastest that the CPU supports]: avx512bf16, avx512, \
         avxvnni, avx2, neondotprod, neon or scalar.",
    ),
    (
        NPU_SHIM,
        "libhearken_xrt.so [default: the one in lib/hearken beside the program's directory].",
    ),
    (
        NPU_OVERLAYS,
        "Directory of the NPU overlays [default: npu in that lib/hearken].",
    ),
    (
        NPU_WHOLE,
        "1: with compute bf16 and window 30, the NPU computes whole blocks of the encoder, not only \
         products; experimental.",
    ),
    (
        NPU_EMULATOR_FAULTS,
        "Faults that the NPU emulator simulates: CALL:NTH:EFFECT,... for example \
         run_start:100:vanish.",
    ),
];
