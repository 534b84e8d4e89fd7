//! What the advice depends on: distribution, kernel, kernel parameters, and limits of locked memory.
//!
//! In: the system's files. Out: a [`System`], whose methods name the packages of this system.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Source of XRT with its NPU plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packages {
    /// Debian 13 or newer: in backports.
    DebianBackports,
    /// Ubuntu 26.04 or newer: in the archive, like Linux 7.0.
    UbuntuArchive,
    /// Older Ubuntu: a PPA, also for the driver.
    UbuntuPpa,
    /// Debian 12 and older: XRT 2.13, which knows no NPU.
    DebianTooOld,
    /// Fedora: nothing in its own repositories.
    Fedora,
    /// Arch: rolling.
    Arch,
    /// Any other system.
    Other,
}

/// The oldest Linux whose driver accepts the protocol of today's firmware.
const CURRENT_KERNEL: (u32, u32) = (7, 0);
/// The oldest Linux with the driver.
const FIRST_KERNEL: (u32, u32) = (6, 14);

/// What the advice depends on.
#[derive(Debug)]
pub(super) struct System {
    root: PathBuf,
    packages: Packages,
    kernel: Option<(u32, u32)>,
}

impl System {
    /// Reads the system's files below `root`.
    pub fn read(root: &Path) -> Self {
        let release = fs::read_to_string(root.join("etc/os-release")).unwrap_or_default();
        let kernel = fs::read_to_string(root.join("proc/sys/kernel/osrelease")).unwrap_or_default();
        Self {
            root: root.to_owned(),
            packages: packages(&release),
            kernel: version(&kernel),
        }
    }

    /// Command that installs XRT and its NPU plugin.
    pub fn xrt(&self) -> &'static str {
        match self.packages {
            Packages::DebianBackports => {
                "enable trixie-backports, then sudo apt-get install -t trixie-backports libxrt2 libxrt-npu2 libxrt-utils"
            }
            Packages::UbuntuArchive => "sudo apt-get install libxrt2 libxrt-npu2 libxrt-utils",
            Packages::UbuntuPpa => {
                "sudo add-apt-repository ppa:lemonade-team/stable && sudo apt-get install libxrt-npu2; \
                 the archive's own XRT 2.13 knows no NPU"
            }
            Packages::DebianTooOld => {
                "this release has XRT 2.13, which knows no NPU: upgrade to Debian 13 with backports, \
                 or build XRT and its plugin from https://github.com/amd/xdna-driver"
            }
            Packages::Fedora => {
                "Fedora has no package: build the RPMs of XRT and its plugin from \
                 https://github.com/amd/xdna-driver and install them (to /opt/xilinx/xrt)"
            }
            Packages::Arch => "sudo pacman -S xrt xrt-plugin-amdxdna",
            Packages::Other => {
                "install XRT 2.17 or newer with its NPU plugin, from your distribution or \
                 https://github.com/amd/xdna-driver"
            }
        }
    }

    /// Way to a driver that accepts today's firmware.
    fn driver(&self) -> &'static str {
        match self.packages {
            Packages::DebianBackports => {
                "sudo apt-get install -t trixie-backports linux-image-amd64, then restart"
            }
            Packages::UbuntuArchive => "sudo apt-get install linux-generic, then restart",
            Packages::UbuntuPpa => {
                "sudo add-apt-repository ppa:lemonade-team/stable && sudo apt-get install amdxdna-dkms, then restart"
            }
            Packages::Arch => "sudo pacman -Syu, then restart",
            Packages::Fedora | Packages::DebianTooOld | Packages::Other => {
                "install Linux 7.0 or newer, or the driver by DKMS from https://github.com/amd/xdna-driver, then restart"
            }
        }
    }

    /// Remedy if no driver is bound to the device.
    pub fn unbound(&self) -> String {
        match self.kernel {
            Some(kernel) if kernel < FIRST_KERNEL => format!(
                "Linux {} has no driver for it: {}",
                written(kernel),
                self.driver()
            ),
            Some(kernel) if kernel < CURRENT_KERNEL => self.outdated(kernel),
            _ => format!(
                "sudo modprobe amdxdna; if there is no such module: {}",
                self.driver()
            ),
        }
    }

    /// Remedy if the driver reports no version of the firmware.
    pub fn without_firmware(&self) -> String {
        match self.kernel {
            Some(kernel) if kernel < CURRENT_KERNEL && self.firmware().is_some() => {
                self.outdated(kernel)
            }
            _ => "install or update linux-firmware (its directory amdnpu, with npu_7.sbin), then restart; \
                  sudo dmesg | grep -i amdxdna has details"
                .to_owned(),
        }
    }

    /// The most common failure: the in-tree drivers of Linux 6.14 to 6.19 accept protocol 6 of the
    /// firmware only, and current firmware has 7.
    fn outdated(&self, kernel: (u32, u32)) -> String {
        format!(
            "the driver of Linux {} is older than today's firmware: {}; \
             sudo dmesg | grep -i protocol then shows 'Incompatible firmware protocol'",
            written(kernel),
            self.driver()
        )
    }

    /// The directory of the firmware's files, if they are installed.
    pub fn firmware(&self) -> Option<PathBuf> {
        ["lib/firmware/amdnpu", "usr/lib/firmware/amdnpu"]
            .map(|path| self.root.join(path))
            .into_iter()
            .find(|path| path.is_dir())
    }

    /// The kernel parameter that turns the IOMMU off, through which the NPU reaches memory.
    pub fn iommu_off(&self) -> Option<String> {
        let line = fs::read_to_string(self.root.join("proc/cmdline")).ok()?;
        let off = |word: &&str| matches!(*word, "amd_iommu=off" | "iommu=off");
        line.split_whitespace().find(off).map(str::to_owned)
    }

    /// Bytes that this process may lock; `u64::MAX` if unlimited.
    pub fn own_lock_limit(&self) -> Option<u64> {
        lock_limits(&self.root.join("proc/self/limits")).map(|(soft, _)| soft)
    }

    /// Bytes that a service of this user may lock: no more than the user's service manager may.
    /// `None` if there is no such manager.
    pub fn service_lock_limit(&self) -> Option<u64> {
        let proc = self.root.join("proc");
        let owner = |path: &Path| fs::metadata(path).ok().map(|data| data.uid());
        let own = owner(&proc.join("self"))?;
        let is_manager = |process: &PathBuf| {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            name.trim() == "systemd"
                && owner(process) == Some(own)
                && !process.ends_with("1")
                && !process.ends_with("self")
        };
        let manager = fs::read_dir(&proc)
            .ok()?
            .flatten()
            .map(|entry| entry.path())
            .find(is_manager)?;
        lock_limits(&manager.join("limits")).map(|(_, hard)| hard)
    }
}

fn packages(release: &str) -> Packages {
    let value = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.strip_prefix('=')).unwrap_or("");
        value.trim_matches('"').to_owned()
    };
    let number = version(&value("VERSION_ID"));
    let like = value("ID_LIKE");
    let is = |name: &str| value("ID") == name || like.split_whitespace().any(|word| word == name);
    if is("ubuntu") {
        return match number {
            Some(number) if number < (26, 4) => Packages::UbuntuPpa,
            _ => Packages::UbuntuArchive,
        };
    }
    if is("debian") {
        // Testing and unstable have no number.
        return match number {
            Some(number) if number < (13, 0) => Packages::DebianTooOld,
            _ => Packages::DebianBackports,
        };
    }
    if is("fedora") {
        Packages::Fedora
    } else if is("arch") {
        Packages::Arch
    } else {
        Packages::Other
    }
}

/// Returns the first two numbers of a version; the second is 0 if there is none.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().split(|c: char| !c.is_ascii_digit());
    let first = numbers.next()?.parse().ok()?;
    let second = numbers.next().and_then(|number| number.parse().ok());
    Some((first, second.unwrap_or(0)))
}

fn written((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

/// Returns the soft and the hard limit of locked memory, in bytes.
fn lock_limits(path: &Path) -> Option<(u64, u64)> {
    let limits = fs::read_to_string(path).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))?;
    let mut values = line.split_whitespace().map(|word| match word {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    Some((values.next()??, values.next()??))
}
