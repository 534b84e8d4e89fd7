//! Paths of the shim and the overlays.
//!
//! In: environment variables, the path of the program. Out: paths, which may not exist.

use crate::env;
use std::path::{Path, PathBuf};

/// Path of the shim: from the environment, or `lib/hearken/libhearken_xrt.so` next to the program's
/// directory.
pub(super) fn shim_path() -> PathBuf {
    installed(env::NPU_SHIM, "libhearken_xrt.so")
}

/// Directory of the overlays: from the environment, or `lib/hearken/npu` next to the program's
/// directory.
pub(super) fn overlays_directory() -> PathBuf {
    installed(env::NPU_OVERLAYS, "npu")
}

fn installed(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let program = std::env::current_exe().unwrap_or_default();
    let prefix = program
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("/usr"));
    prefix.join("lib/hearken").join(name)
}
