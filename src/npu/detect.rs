//! Checks each link of the chain that an NPU needs: device, driver, firmware, node, permission,
//! memory lock limit, XRT, its plugin, the shim, overlays.
//!
//! In: the system's files. Out: a [`Finding`] for each link, with the command that fixes it. To a
//! program, most of these failures look alike ("no such device"), so they are distinguished here.

use super::paths::{overlays_directory, shim_path};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use xrt_sys::Api;
use xrt_sys::manifest::{Manifest, ManifestError, Target};

/// Result for one link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The link.
    pub name: &'static str,
    /// What was found.
    pub detail: String,
    /// Remedy, if the link is missing.
    pub remedy: Option<String>,
}

const AMD: &str = "0x1022";
/// PCI device of XDNA (Phoenix, Hawk Point), for which there are no overlays (Linux,
/// `drivers/accel/amdxdna`).
const XDNA1: &str = "0x1502";
/// PCI device of XDNA2 (Strix, Strix Halo, Krackan); they differ in the revision.
const XDNA2: &str = "0x17f0";
/// The kernel's driver, in Linux 6.14 and later.
const DRIVER: &str = "amdxdna";

/// Directories in which distributions and AMD's own packages install XRT's libraries.
const LIBRARY_DIRECTORIES: [&str; 4] = [
    "usr/lib/x86_64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "opt/xilinx/xrt/lib",
];

/// Locked memory for weights, activations and instructions of the largest model, in bytes: 1 GiB.
const LOCKED_BYTES: u64 = 1 << 30;

const XRT_REMEDY: &str = "apt-get install libxrt2 libxrt-npu2 (Debian trixie-backports), pacman -S xrt \
    xrt-plugin-amdxdna (Arch), or AMD's packages; 2.17 or newer";

/// Checks all links; `root` is the root of the file system: `/`.
pub fn examine(root: &Path) -> Vec<Finding> {
    let Some((device, id)) = pci_device(root) else {
        let detail = "none on this machine; the encoder runs on the CPU".to_owned();
        return vec![Finding {
            name: "NPU",
            detail,
            remedy: None,
        }];
    };
    if id == XDNA1 {
        let detail =
            "an XDNA NPU of the first generation, for which Hearken has no overlays".to_owned();
        return vec![Finding {
            name: "NPU",
            detail,
            remedy: None,
        }];
    }
    let mut findings = vec![Finding {
        name: "NPU",
        detail: "XDNA2".to_owned(),
        remedy: None,
    }];
    findings.extend([
        driver(&device),
        firmware(root, &device),
        node(root),
        memory_lock(root),
    ]);
    findings.extend([
        library(root, "NPU: XRT", "libxrt_coreutil.so.2"),
        library(root, "NPU: XRT plugin", "libxrt_driver_xdna.so.2"),
        shim(&shim_path()),
        overlays(&overlays_directory()),
    ]);
    findings
}

/// Returns true if the machine has an NPU that Hearken can use; `root` as for [`examine`].
pub fn is_there(root: &Path) -> bool {
    pci_device(root).is_some_and(|(_, id)| id == XDNA2)
}

/// Returns the first NPU on the PCI bus and its device id.
fn pci_device(root: &Path) -> Option<(PathBuf, &'static str)> {
    let mut devices: Vec<PathBuf> = fs::read_dir(root.join("sys/bus/pci/devices"))
        .ok()?
        .flatten()
        .map(|e| e.path())
        .collect();
    devices.sort();
    devices.into_iter().find_map(|device| {
        let read = |name: &str| {
            fs::read_to_string(device.join(name))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let id = [XDNA1, XDNA2]
            .into_iter()
            .find(|id| read("device") == *id)?;
        (read("vendor") == AMD).then_some((device, id))
    })
}

fn found(name: &'static str, detail: impl Into<String>) -> Finding {
    Finding {
        name,
        detail: detail.into(),
        remedy: None,
    }
}

fn missing(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        name,
        detail: detail.into(),
        remedy: Some(remedy.into()),
    }
}

fn driver(device: &Path) -> Finding {
    let name = "NPU: driver";
    let bound = fs::read_link(device.join("driver")).ok();
    match bound
        .as_deref()
        .and_then(Path::file_name)
        .map(|driver| driver.to_string_lossy().into_owned())
    {
        Some(driver) if driver == DRIVER => found(name, driver),
        Some(driver) => missing(
            name,
            format!("{driver}, not {DRIVER}"),
            format!("sudo modprobe {DRIVER}, and unbind {driver}"),
        ),
        None => missing(
            name,
            "none is bound to the device",
            format!(
                "sudo modprobe {DRIVER}; if there is no such module, install Linux 6.14 or newer, or AMD's package amdxdna-dkms"
            ),
        ),
    }
}

fn firmware(root: &Path, device: &Path) -> Finding {
    let name = "NPU: firmware";
    if let Ok(version) = fs::read_to_string(device.join("fw_version")) {
        return found(name, version.trim());
    }
    let remedy = "install a newer linux-firmware (its directory amdnpu), then restart; sudo dmesg | grep amdxdna has details";
    if ["lib/firmware/amdnpu", "usr/lib/firmware/amdnpu"]
        .iter()
        .any(|path| root.join(path).is_dir())
    {
        missing(
            name,
            "its files are installed, but the driver has not loaded them",
            remedy,
        )
    } else {
        missing(name, "not installed", remedy)
    }
}

fn node(root: &Path) -> Finding {
    let name = "NPU: device node";
    let node = root.join("dev/accel/accel0");
    match File::options().read(true).write(true).open(&node) {
        Ok(_) => found(name, "/dev/accel/accel0 can be opened"),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => missing(
            name,
            "/dev/accel/accel0: permission denied",
            "sudo usermod -aG render $USER, then log in again",
        ),
        Err(error) => missing(
            name,
            format!("/dev/accel/accel0: {error}"),
            "fix driver and firmware first",
        ),
    }
}

/// XRT locks the memory that the device reads.
fn memory_lock(root: &Path) -> Finding {
    let name = "NPU: memory lock";
    let limits = fs::read_to_string(root.join("proc/self/limits")).unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"));
    let soft = line
        .and_then(|line| line.split_whitespace().next())
        .unwrap_or("unknown");
    let remedy = "echo '* - memlock unlimited' | sudo tee /etc/security/limits.d/99-hearken.conf, then log in again; \
        for the service: sudo systemctl edit user@.service, LimitMEMLOCK=infinity";
    match soft.parse::<u64>() {
        _ if soft == "unlimited" => found(name, "unlimited"),
        Ok(bytes) if bytes >= LOCKED_BYTES => found(name, format!("{} MiB", bytes >> 20)),
        Ok(bytes) => missing(
            name,
            format!(
                "{} MiB, but {} may be needed",
                bytes >> 20,
                LOCKED_BYTES >> 20
            ),
            remedy,
        ),
        Err(_) => missing(name, "unknown: /proc/self/limits cannot be read", remedy),
    }
}

fn library(root: &Path, name: &'static str, file: &str) -> Finding {
    let paths = LIBRARY_DIRECTORIES
        .iter()
        .map(|directory| root.join(directory).join(file));
    match paths.into_iter().find(|path| path.exists()) {
        Some(path) => found(name, path.display().to_string()),
        None => missing(name, format!("no {file}"), XRT_REMEDY),
    }
}

fn shim(path: &Path) -> Finding {
    let name = "NPU: shim";
    if !path.exists() {
        return missing(
            name,
            format!("{} does not exist", path.display()),
            "make shim && sudo make install, in Hearken's source directory (docs/npu.md)",
        );
    }
    match Api::load(path) {
        Ok(_) => found(name, path.display().to_string()),
        Err(error) => missing(name, error.to_string(), XRT_REMEDY),
    }
}

fn overlays(directory: &Path) -> Finding {
    let name = "NPU: overlays";
    let all_there = |manifest: &Manifest| -> Result<(), ManifestError> {
        for overlay in &manifest.gemms {
            overlay.xclbin(directory)?;
            overlay
                .streams
                .iter()
                .try_for_each(|stream| stream.read(directory).map(drop))?;
        }
        Ok(())
    };
    let remedy = "kernels/build, on a machine with the toolchain (docs/npu.md)";
    match Manifest::read(directory).and_then(|manifest| all_there(&manifest).map(|()| manifest)) {
        Err(error) => missing(name, error.to_string(), remedy),
        Ok(manifest) if manifest.target == Target::Emulator => missing(
            name,
            format!("those in {} are for the emulator", directory.display()),
            remedy,
        ),
        Ok(manifest) => {
            let names: Vec<&str> = manifest
                .gemms
                .iter()
                .map(|overlay| overlay.name.as_str())
                .collect();
            found(
                name,
                format!("{} in {}", names.join(", "), directory.display()),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A system's files in a temporary directory.
    struct System(TempDir);

    impl System {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a directory"))
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(path, text).expect("a file");
        }

        fn with_device(id: &str) -> Self {
            let system = Self::new();
            system.write("sys/bus/pci/devices/0000:c5:00.1/vendor", "0x1022\n");
            system.write(
                "sys/bus/pci/devices/0000:c5:00.1/device",
                &format!("{id}\n"),
            );
            system
        }

        /// Returns the names of the missing links.
        fn missing(&self) -> Vec<&'static str> {
            let findings = examine(self.0.path()).into_iter();
            findings
                .filter(|finding| finding.remedy.is_some())
                .map(|finding| finding.name)
                .collect()
        }
    }

    #[test]
    fn a_machine_without_an_npu_misses_nothing() {
        for system in [
            System::new(),
            System::with_device("0x1234"),
            System::with_device(XDNA1),
        ] {
            assert_eq!(system.missing(), [""; 0]);
        }
        assert!(
            examine(System::new().0.path())[0]
                .detail
                .starts_with("none")
        );
    }

    #[test]
    fn each_link_is_told_from_the_others() {
        let system = System::with_device(XDNA2);
        let shipped = ["NPU: shim", "NPU: overlays"];
        let system_links = [
            "NPU: driver",
            "NPU: firmware",
            "NPU: device node",
            "NPU: memory lock",
            "NPU: XRT",
            "NPU: XRT plugin",
        ];
        assert_eq!(system.missing(), [&system_links[..], &shipped].concat());
        let device = "sys/bus/pci/devices/0000:c5:00.1";
        fs::create_dir_all(system.0.path().join("sys/bus/pci/drivers/amdxdna"))
            .expect("a directory");
        symlink(
            "../../drivers/amdxdna",
            system.0.path().join(device).join("driver"),
        )
        .expect("a link");
        assert_eq!(system.missing()[..5], system_links[1..]);
        system.write(&format!("{device}/fw_version"), "1.1.2.64\n");
        assert_eq!(system.missing()[..4], system_links[2..]);
        system.write("dev/accel/accel0", "");
        assert_eq!(system.missing()[..3], system_links[3..]);
        let limits = |soft: &str| {
            format!("Limit Soft Hard Units\nMax locked memory         {soft}   unlimited bytes\n")
        };
        system.write("proc/self/limits", &limits("8388608"));
        assert_eq!(system.missing()[..3], system_links[3..]);
        system.write("proc/self/limits", &limits("unlimited"));
        assert_eq!(system.missing()[..2], system_links[4..]);
        system.write("opt/xilinx/xrt/lib/libxrt_coreutil.so.2", "");
        assert_eq!(system.missing()[..1], system_links[5..]);
        system.write("usr/lib/x86_64-linux-gnu/libxrt_driver_xdna.so.2", "");
        assert_eq!(system.missing(), shipped);
    }

    #[test]
    fn overlays_are_looked_through() {
        let directory = tempfile::tempdir().expect("a directory");
        let detail = || overlays(directory.path()).detail;
        assert!(detail().contains("cannot be read"), "{}", detail());
        let mut manifest = xrt_sys::emulator::write_overlays(directory.path(), &[[256, 512, 64]])
            .expect("overlays");
        assert!(detail().contains("for the emulator"));
        manifest.target = Target::Npu2;
        manifest.write(directory.path()).expect("a manifest");
        assert_eq!(overlays(directory.path()).remedy, None);
        fs::write(
            directory.path().join(&manifest.gemms[0].streams[0].file),
            "another",
        )
        .expect("a file");
        assert!(
            detail().contains("is not the file that the manifest declares"),
            "{}",
            detail()
        );
        assert!(shim(&directory.path().join("none.so")).remedy.is_some());
        fs::write(directory.path().join("shim.so"), "no library").expect("a file");
        assert!(
            shim(&directory.path().join("shim.so"))
                .detail
                .contains("cannot be loaded")
        );
    }
}
