//! Checks each link of the chain that an NPU needs: device, IOMMU, driver, firmware, node,
//! permission, memory lock limits, XRT, its plugin, the shim, overlays.
//!
//! In: the system's files. Out: a [`Finding`] for each link, with the command that fixes it on this
//! system. To a program, most of these failures look alike ("no such device"), so they are
//! distinguished here.

mod system;

use super::paths::{overlays_directory, shim_path};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use system::System;
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
/// PCI devices of later generations, for which nothing was built yet.
const NEWER: [&str; 6] = ["0x17f1", "0x17f2", "0x17f3", "0x1b0a", "0x1b0b", "0x1b0c"];
/// The kernel's driver, in Linux 6.14 and later.
const DRIVER: &str = "amdxdna";

/// Directories in which distributions and AMD's own packages install XRT's libraries. The shim is
/// linked so that it finds them in any of these.
const LIBRARY_DIRECTORIES: [&str; 4] = [
    "usr/lib/x86_64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "opt/xilinx/xrt/lib",
];

/// Locked memory for weights, activations and instructions of the largest model, in bytes: 1 GiB.
const LOCKED_BYTES: u64 = 1 << 30;

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
    let unsupported = match id {
        XDNA2 => None,
        XDNA1 => Some(
            "an XDNA NPU of the first generation, for which Hearken has no overlays".to_owned(),
        ),
        newer => Some(format!(
            "an AMD NPU newer than XDNA2 (PCI device {newer}), for which Hearken has no overlays yet"
        )),
    };
    if let Some(detail) = unsupported {
        return vec![found("NPU", detail)];
    }
    let system = System::read(root);
    let mut findings = vec![found("NPU", "XDNA2")];
    findings.extend(system.iommu_off().map(|parameter| {
        missing(
            "NPU: IOMMU",
            format!("the kernel was started with {parameter}, so the NPU cannot reach memory"),
            format!("remove {parameter} from the kernel's parameters, or write iommu=pt instead; then restart"),
        )
    }));
    findings.extend([
        driver(&system, &device),
        firmware(&system, &device),
        node(root, &device),
        own_memory_lock(&system),
    ]);
    findings.extend(service_memory_lock(&system));
    findings.extend([
        library(root, &system, "NPU: XRT", "libxrt_coreutil.so.2"),
        library(root, &system, "NPU: XRT plugin", "libxrt_driver_xdna.so.2"),
        shim(root, &system, &shim_path()),
        overlays(&overlays_directory()),
    ]);
    findings
}

/// Returns what to add to the reason why the device cannot be opened: that this process may lock
/// less memory than an NPU needs, which XRT reports as a missing device. `root` as for [`examine`].
pub fn lock_limit_note(root: &Path) -> Option<String> {
    let limit = System::read(root).own_lock_limit()?;
    (limit < LOCKED_BYTES).then(|| {
        format!(
            "this process may lock {} MiB of memory, and an NPU needs up to {}; see `hearken doctor`",
            limit >> 20,
            LOCKED_BYTES >> 20
        )
    })
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
            .chain(NEWER)
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

fn driver(system: &System, device: &Path) -> Finding {
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
        None => missing(name, "none is bound to the device", system.unbound()),
    }
}

fn firmware(system: &System, device: &Path) -> Finding {
    let name = "NPU: firmware";
    if let Ok(version) = fs::read_to_string(device.join("fw_version")) {
        return found(name, version.trim());
    }
    let detail = if system.firmware().is_some() {
        "its files are installed, but the driver has not loaded them"
    } else {
        "not installed"
    };
    missing(name, detail, system.without_firmware())
}

/// The node is the one that sysfs names for the device: another accelerator may be accel0.
fn node(root: &Path, device: &Path) -> Finding {
    let name = "NPU: device node";
    let nodes = fs::read_dir(device.join("accel")).into_iter().flatten();
    let mut nodes: Vec<String> = nodes
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|node| node.starts_with("accel"))
        .collect();
    nodes.sort();
    let Some(node) = nodes.first() else {
        return missing(
            name,
            "the driver has created none",
            "fix IOMMU, driver and firmware first",
        );
    };
    let node = Path::new("dev/accel").join(node);
    let shown = Path::new("/").join(&node);
    let shown = shown.display();
    match File::options()
        .read(true)
        .write(true)
        .open(root.join(&node))
    {
        Ok(_) => found(name, format!("{shown} can be opened")),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => missing(
            name,
            format!("{shown}: permission denied"),
            "sudo usermod -aG render $USER, then log in again",
        ),
        Err(error) => missing(
            name,
            format!("{shown}: {error}"),
            "fix driver and firmware first",
        ),
    }
}

/// XRT locks the memory that the device reads; already to open the device it locks 64 MiB.
fn own_memory_lock(system: &System) -> Finding {
    memory_lock(
        "NPU: memory lock",
        system.own_lock_limit(),
        "echo '* - memlock unlimited' | sudo tee /etc/security/limits.d/99-hearken.conf, then log in again",
    )
}

/// The service has the limit of the user's service manager, not that of a terminal.
fn service_memory_lock(system: &System) -> Option<Finding> {
    let limit = system.service_lock_limit()?;
    Some(memory_lock(
        "NPU: memory lock of the service",
        Some(limit),
        "sudo systemctl edit user@.service, write LimitMEMLOCK=infinity below [Service], then \
         sudo systemctl restart user@$(id -u) or restart the machine; to log in again is not enough",
    ))
}

fn memory_lock(name: &'static str, limit: Option<u64>, remedy: &str) -> Finding {
    match limit {
        Some(u64::MAX) => found(name, "unlimited"),
        Some(bytes) if bytes >= LOCKED_BYTES => found(name, format!("{} MiB", bytes >> 20)),
        Some(bytes) => missing(
            name,
            format!(
                "{} MiB, but {} may be needed",
                bytes >> 20,
                LOCKED_BYTES >> 20
            ),
            remedy,
        ),
        None => missing(name, "unknown: its limits cannot be read", remedy),
    }
}

fn library(root: &Path, system: &System, name: &'static str, file: &str) -> Finding {
    match installed(root, file) {
        Some(path) => found(name, path.display().to_string()),
        None => missing(name, format!("no {file}"), system.xrt()),
    }
}

fn installed(root: &Path, file: &str) -> Option<PathBuf> {
    let paths = LIBRARY_DIRECTORIES.map(|directory| root.join(directory).join(file));
    paths.into_iter().find(|path| path.exists())
}

fn shim(root: &Path, system: &System, path: &Path) -> Finding {
    let name = "NPU: shim";
    let build = "make shim && sudo make install, in Hearken's source directory (docs/npu.md)";
    if !path.exists() {
        return missing(name, format!("{} does not exist", path.display()), build);
    }
    match Api::load(path) {
        Ok(_) => found(name, path.display().to_string()),
        // XRT is there: the shim was built for another one, or elsewhere.
        Err(error) if installed(root, "libxrt_coreutil.so.2").is_some() => missing(
            name,
            error.to_string(),
            format!("build it again, for the XRT that is installed: {build}"),
        ),
        Err(error) => missing(name, error.to_string(), system.xrt()),
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
mod tests;
