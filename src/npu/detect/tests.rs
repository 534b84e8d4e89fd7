//! Made-up systems: one for each row of the table in docs/npu.md, and one for each missing link.

use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// A system's files in a temporary directory.
struct Files(TempDir);

impl Files {
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
        Files::new(),
        Files::with_device("0x1234"),
        Files::with_device(XDNA1),
        Files::with_device("0x17f1"),
        Files::with_device("0x1b0c"),
    ] {
        assert_eq!(system.missing(), [""; 0]);
    }
    assert!(examine(Files::new().0.path())[0].detail.starts_with("none"));
}

#[test]
fn a_newer_generation_is_named_and_not_used() {
    for id in NEWER {
        let files = Files::with_device(id);
        let findings = examine(files.0.path());
        assert!(findings[0].detail.contains(id), "{findings:?}");
        assert!(findings[0].detail.contains("newer than XDNA2"));
        assert!(!is_there(files.0.path()));
    }
}

#[test]
fn each_link_is_told_from_the_others() {
    let system = Files::with_device(XDNA2);
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
    fs::create_dir_all(system.0.path().join("sys/bus/pci/drivers/amdxdna")).expect("a directory");
    symlink(
        "../../drivers/amdxdna",
        system.0.path().join(device).join("driver"),
    )
    .expect("a link");
    assert_eq!(system.missing()[..5], system_links[1..]);
    system.write(&format!("{device}/fw_version"), "1.1.2.64\n");
    assert_eq!(system.missing()[..4], system_links[2..]);
    // Another accelerator has accel0.
    fs::create_dir_all(system.0.path().join(device).join("accel/accel1")).expect("a directory");
    system.write("dev/accel/accel0", "");
    assert_eq!(system.missing()[..4], system_links[2..]);
    system.write("dev/accel/accel1", "");
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
    let mut manifest =
        xrt_sys::emulator::write_overlays(directory.path(), &[[256, 512, 64]]).expect("overlays");
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
}

#[test]
fn a_shim_that_cannot_be_loaded_is_told_from_missing_xrt() {
    let files = Files::with_device(XDNA2);
    files.write("etc/os-release", "ID=arch\n");
    let of = |name: &str| {
        let system = System::read(files.0.path());
        shim(files.0.path(), &system, &files.0.path().join(name))
    };
    assert!(
        of("none.so")
            .remedy
            .is_some_and(|remedy| remedy.starts_with("make shim"))
    );
    files.write("shim.so", "no library");
    assert!(of("shim.so").detail.contains("cannot be loaded"));
    assert!(
        of("shim.so")
            .remedy
            .is_some_and(|remedy| remedy.starts_with("sudo pacman"))
    );
    files.write("opt/xilinx/xrt/lib/libxrt_coreutil.so.2", "");
    assert!(
        of("shim.so")
            .remedy
            .is_some_and(|remedy| remedy.starts_with("build it again"))
    );
}

/// A system whose firmware the driver has not loaded, as it is right after installation: its
/// `os-release`, its kernel, and parts of the advice for XRT and for the firmware.
const SYSTEMS: [(&str, &str, &str, &str, &str); 12] = [
    (
        "Debian 13",
        "ID=debian\nVERSION_ID=\"13\"",
        "6.12.48-amd64",
        "-t trixie-backports libxrt2 libxrt-npu2",
        "no driver for it",
    ),
    (
        "Debian 13, backports",
        "ID=debian\nVERSION_ID=\"13\"",
        "6.19.8+deb13-amd64",
        "-t trixie-backports libxrt2",
        "-t trixie-backports linux-image-amd64",
    ),
    (
        "Debian sid",
        "ID=debian\nPRETTY_NAME=\"Debian forky/sid\"",
        "7.0.4-amd64",
        "libxrt-npu2",
        "update linux-firmware",
    ),
    (
        "Debian 12",
        "ID=debian\nVERSION_ID=\"12\"",
        "6.12.9+bpo-amd64",
        "XRT 2.13, which knows no NPU",
        "by DKMS",
    ),
    (
        "Ubuntu 24.04",
        "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"",
        "6.14.0-33-generic",
        "ppa:lemonade-team/stable",
        "amdxdna-dkms",
    ),
    (
        "Ubuntu 25.10",
        "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"25.10\"",
        "6.17.0-8-generic",
        "ppa:lemonade-team/stable",
        "amdxdna-dkms",
    ),
    (
        "Ubuntu 26.04",
        "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"26.04\"",
        "7.0.0-31-generic",
        "sudo apt-get install libxrt2 libxrt-npu2",
        "update linux-firmware",
    ),
    (
        "Mint 22",
        "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22\"",
        "6.14.0-33-generic",
        "ppa:lemonade-team/stable",
        "amdxdna-dkms",
    ),
    (
        "Fedora 43",
        "ID=fedora\nVERSION_ID=43",
        "6.19.8-200.fc43.x86_64",
        "Fedora has no package",
        "by DKMS",
    ),
    (
        "Fedora 44",
        "ID=fedora\nVERSION_ID=44",
        "7.0.2-300.fc44.x86_64",
        "/opt/xilinx/xrt",
        "update linux-firmware",
    ),
    (
        "Arch",
        "ID=arch",
        "7.0.11-arch1-1",
        "sudo pacman -S xrt xrt-plugin-amdxdna",
        "update linux-firmware",
    ),
    (
        "NixOS",
        "ID=nixos\nVERSION_ID=\"26.05\"",
        "6.18.1",
        "install XRT 2.17 or newer",
        "by DKMS",
    ),
];

#[test]
fn each_system_gets_its_own_packages_and_its_own_driver() {
    for (name, release, kernel, xrt, driver) in SYSTEMS {
        let files = Files::with_device(XDNA2);
        files.write("etc/os-release", release);
        files.write("proc/sys/kernel/osrelease", kernel);
        files.write("usr/lib/firmware/amdnpu/17f0_10/npu_7.sbin.zst", "");
        let findings = examine(files.0.path());
        let remedy = |link: &str| {
            let finding = findings.iter().find(|finding| finding.name == link);
            finding
                .and_then(|finding| finding.remedy.clone())
                .expect("a remedy")
        };
        assert!(
            remedy("NPU: XRT").contains(xrt),
            "{name}: {}",
            remedy("NPU: XRT")
        );
        assert_eq!(remedy("NPU: XRT"), remedy("NPU: XRT plugin"), "{name}");
        let older = ["6.14", "6.17", "6.18", "6.19"]
            .iter()
            .any(|v| kernel.starts_with(v));
        if older {
            // The opposite of the obvious: not the firmware is too old, but the driver.
            for link in ["NPU: driver", "NPU: firmware"] {
                assert!(
                    remedy(link).contains("older than today's firmware"),
                    "{name}: {}",
                    remedy(link)
                );
                assert!(remedy(link).contains("grep -i protocol"), "{name}");
                assert!(!remedy(link).contains("linux-firmware"), "{name}");
            }
        }
        let of_driver = format!("{} {}", remedy("NPU: driver"), remedy("NPU: firmware"));
        assert!(of_driver.contains(driver), "{name}: {of_driver}");
    }
}

#[test]
fn an_old_kernel_without_firmware_files_is_not_blamed_on_the_protocol() {
    let files = Files::with_device(XDNA2);
    files.write("proc/sys/kernel/osrelease", "6.17.0-8-generic");
    let findings = examine(files.0.path());
    let firmware = findings
        .iter()
        .find(|finding| finding.name == "NPU: firmware");
    let firmware = firmware.expect("a finding");
    assert_eq!(firmware.detail, "not installed");
    assert!(
        firmware
            .remedy
            .as_ref()
            .is_some_and(|remedy| remedy.contains("linux-firmware"))
    );
}

#[test]
fn an_iommu_that_is_off_is_named() {
    let files = Files::with_device(XDNA2);
    for (line, parameter) in [
        (
            "quiet amd_iommu=off ttm.pages_limit=1",
            Some("amd_iommu=off"),
        ),
        ("iommu=off", Some("iommu=off")),
        ("quiet iommu=pt amd_iommu=on", None),
    ] {
        files.write("proc/cmdline", line);
        let findings = examine(files.0.path());
        let iommu = findings.iter().find(|finding| finding.name == "NPU: IOMMU");
        assert_eq!(iommu.is_some(), parameter.is_some(), "{line}");
        if let (Some(iommu), Some(parameter)) = (iommu, parameter) {
            assert!(iommu.detail.contains(parameter));
            assert!(
                iommu
                    .remedy
                    .as_ref()
                    .is_some_and(|remedy| remedy.contains("iommu=pt"))
            );
        }
    }
}

#[test]
fn the_service_has_the_limit_of_the_users_manager() {
    let files = Files::with_device(XDNA2);
    let limits = |soft: &str, hard: &str| {
        format!("Limit Soft Hard Units\nMax locked memory         {soft}   {hard} bytes\n")
    };
    files.write("proc/self/limits", &limits("unlimited", "unlimited"));
    assert_eq!(lock_limit_note(files.0.path()), None);
    let service = || {
        let findings = examine(files.0.path()).into_iter();
        let mut named = findings.filter(|finding| finding.name.ends_with("of the service"));
        named.next()
    };
    assert_eq!(service(), None, "no manager is running");
    // The system's manager is process 1, and not this user's.
    files.write("proc/1/comm", "systemd\n");
    files.write("proc/1/limits", &limits("8388608", "8388608"));
    assert_eq!(service(), None);
    files.write("proc/812/comm", "systemd\n");
    files.write("proc/812/limits", &limits("8388608", "8388608"));
    let remedy = service()
        .and_then(|finding| finding.remedy)
        .expect("a remedy");
    assert!(
        remedy.contains("user@.service") && remedy.contains("restart user@"),
        "{remedy}"
    );
    // The unit raises its soft limit up to the manager's hard one.
    files.write("proc/812/limits", &limits("8388608", "unlimited"));
    assert_eq!(service().expect("a finding").remedy, None);
    files.write("proc/self/limits", &limits("8388608", "unlimited"));
    let note = lock_limit_note(files.0.path()).expect("a note");
    assert!(note.contains("8 MiB") && note.contains("1024"), "{note}");
}
