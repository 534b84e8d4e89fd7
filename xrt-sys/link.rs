//! How the shim finds XRT's library when it is loaded. Used by the build script and its test.

/// Directories in which the dynamic linker looks anyway.
const KNOWN: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// Returns a flag for each directory among the compiler's flags (`-L`) in which the dynamic linker
/// does not look: AMD's packages install XRT in /opt, and a service has no `LD_LIBRARY_PATH`.
pub fn rpaths(flags: &[String]) -> Vec<String> {
    let directories = flags.iter().filter_map(|flag| flag.strip_prefix("-L"));
    let unknown = directories.filter(|directory| {
        let directory = directory.trim_end_matches('/');
        let is_multiarch = KNOWN.iter().any(|known| {
            let below = directory.strip_prefix(known);
            below.is_some_and(|below| below.ends_with("-linux-gnu") && below.starts_with('/'))
        });
        !KNOWN.contains(&directory) && !is_multiarch
    });
    unknown
        .map(|directory| format!("-Wl,-rpath,{directory}"))
        .collect()
}
