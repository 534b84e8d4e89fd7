//! Builds the shim over XRT if the feature `build-shim` is enabled: a shared object in `OUT_DIR`,
//! whose path the crate exports as `BUILT_SHIM`. `XRT_INCLUDE_DIR` and `XRT_LIB_DIR` locate XRT if
//! pkg-config does not.

fn main() {
    #[cfg(feature = "build-shim")]
    if let Err(reason) = shim::build() {
        eprintln!("the shim cannot be built: {reason}");
        std::process::exit(1);
    }
}

#[cfg(feature = "build-shim")]
mod link;

#[cfg(feature = "build-shim")]
mod shim {
    use super::link::rpaths;
    use std::path::Path;
    use std::process::Command;

    pub fn build() -> Result<(), String> {
        for changed in [
            "shim/shim.cpp",
            "include/hearken_xrt.h",
            "build.rs",
            "link.rs",
        ] {
            println!("cargo::rerun-if-changed={changed}");
        }
        for changed in ["XRT_INCLUDE_DIR", "XRT_LIB_DIR"] {
            println!("cargo::rerun-if-env-changed={changed}");
        }
        let out = std::env::var("OUT_DIR").map_err(|e| e.to_string())?;
        let shared = Path::new(&out).join("libhearken_xrt.so");
        let compiler = cc::Build::new()
            .cpp(true)
            .std("c++17")
            .warnings(true)
            .extra_warnings(true)
            .get_compiler();
        let mut command = compiler.to_command();
        command
            .args(["-shared", "-fPIC", "-Werror", "-o"])
            .arg(&shared)
            .arg("shim/shim.cpp");
        // Links even if XRT's library needs a newer libc than the one here.
        command.arg("-Wl,--allow-shlib-undefined");
        let flags = flags()?;
        command.args(&flags).args(rpaths(&flags));
        run(&mut command)?;
        println!("cargo::rustc-env=HEARKEN_XRT_SHIM={}", shared.display());
        Ok(())
    }

    /// Returns the compiler flags that locate XRT.
    fn flags() -> Result<Vec<String>, String> {
        let variable = |name: &str| std::env::var(name).ok();
        let mut flags = match variable("XRT_INCLUDE_DIR") {
            // Suppresses warnings about XRT's headers.
            Some(directory) => vec![format!("-isystem{directory}")],
            None => {
                let arguments = ["--cflags", "--libs", "xrt >= 2.17"];
                let output = run(Command::new("pkg-config").args(arguments)).map_err(|e| {
                    format!("{e}\ninstall XRT 2.17 or newer with its headers, or set XRT_INCLUDE_DIR and XRT_LIB_DIR")
                })?;
                output.split_whitespace().map(str::to_owned).collect()
            }
        };
        flags.extend(variable("XRT_LIB_DIR").map(|directory| format!("-L{directory}")));
        flags.push("-lxrt_coreutil".to_owned());
        Ok(flags)
    }

    fn run(command: &mut Command) -> Result<String, String> {
        let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!(
                "{command:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }
}
