//! The build script's choice of directories that the shim remembers.

#[path = "../link.rs"]
mod link;

#[test]
fn the_shim_remembers_only_directories_that_the_linker_does_not_know() {
    let flags =
        |flags: &[&str]| link::rpaths(&flags.iter().map(|&f| f.to_owned()).collect::<Vec<_>>());
    assert_eq!(
        flags(&[
            "-I/opt/xilinx/xrt/include",
            "-L/opt/xilinx/xrt/lib",
            "-lxrt_coreutil"
        ]),
        ["-Wl,-rpath,/opt/xilinx/xrt/lib"]
    );
    for known in [
        "-L/usr/lib/x86_64-linux-gnu",
        "-L/usr/lib64/",
        "-L/lib",
        "-L/usr/lib",
    ] {
        assert_eq!(flags(&[known, "-lxrt_coreutil"]), [""; 0], "{known}");
    }
    assert_eq!(flags(&["-L/usr/lib/xrt"]), ["-Wl,-rpath,/usr/lib/xrt"]);
}
