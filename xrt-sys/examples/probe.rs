//! Opens the first device through the shim and prints its name, or why there is none: `cargo run -p
//! xrt-sys --features build-shim --example probe [libhearken_xrt.so]`

use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::process::ExitCode;
use std::ptr::null_mut;
use xrt_sys::{Api, BUILT_SHIM, OK};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1).or(BUILT_SHIM.map(str::to_owned)) else {
        eprintln!("probe: give the path of libhearken_xrt.so, or build with --features build-shim");
        return ExitCode::FAILURE;
    };
    let api = match Api::load(&PathBuf::from(path)) {
        Ok(api) => api,
        Err(error) => {
            eprintln!("probe: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut device = null_mut();
    let mut name = [0; 256];
    // SAFETY: the device is opened, queried for its name and closed; the pointers are to local
    // variables of sufficient size.
    let found = unsafe {
        (api.device_open)(0, &mut device) == OK
            && (api.device_name)(device, name.as_mut_ptr().cast::<c_char>(), name.len()) == OK
            && (api.device_close)(device) == OK
    };
    if !found {
        println!("no device: {}", api.error_text());
        return ExitCode::from(2);
    }
    println!(
        "device: {}",
        CStr::from_bytes_until_nul(&name)
            .unwrap_or_default()
            .to_string_lossy()
    );
    ExitCode::SUCCESS
}
