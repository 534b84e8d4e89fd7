//! `hearken doctor`: what this machine offers, what is missing, and the command that fixes it.
//!
//! In: the machine, as the system describes it. Out: one line per [`Check`].

mod check;
#[cfg(feature = "desktop")]
pub mod desktop;
#[cfg(feature = "daemon")]
mod dictation;

use check::ok;
#[cfg(feature = "desktop")]
pub use check::ok as found;
pub use check::{Check, Status};
#[cfg(feature = "desktop")]
pub use dictation::{daemon, daemon_runs, microphone};

use crate::advice::Advice;
use std::env;
use std::fs;
use std::path::Path;
use std::thread;

use crate::commands::error::exit;
use crate::config::{Config, ConfigError};
use crate::cpu::Isa;
use crate::models::{Manifest, ModelError, Store};
use crate::npu::{self, Finding};

/// Free memory in KiB below which models larger than base probably cause swapping.
const LITTLE_MEMORY_KIB: u64 = 1024 * 1024;

/// Runs all checks.
pub fn run() -> Vec<Check> {
    let mut checks = vec![
        cpu(),
        kernels(),
        cores(),
        memory(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
    ];
    let read = Config::path().and_then(|path| Config::read(&path));
    let config = read
        .as_ref()
        .map_or_else(|_| Config::default(), Clone::clone);
    checks.extend(storage(Store::locate(), &config.model.name));
    checks.push(configuration(read));
    #[cfg(feature = "fetch")]
    checks.push(fetching());
    #[cfg(feature = "daemon")]
    checks.extend(dictation::checks());
    #[cfg(feature = "desktop")]
    checks.extend(desktop::checks(&config));
    checks.extend(npu());
    checks
}

/// Returns the exit code: whether something that transcription needs is missing or invalid.
pub fn exit_code(checks: &[Check]) -> u8 {
    let is_any = |status| checks.iter().any(|check| check.status == status);
    match (is_any(Status::Missing), is_any(Status::Error)) {
        (true, _) => exit::MODEL,
        (_, true) => exit::CONFIG,
        _ => exit::SUCCESS,
    }
}

/// Returns the checks as lines of text, each remedy below its check.
pub fn report(checks: &[Check]) -> String {
    checks.iter().map(ToString::to_string).collect()
}

fn cpu() -> Check {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&info, "model name").unwrap_or(env::consts::ARCH);
    let found: Vec<&str> = features()
        .into_iter()
        .filter_map(|(name, there)| there.then_some(name))
        .collect();
    let detail = if found.is_empty() {
        format!("{model}; no vector extensions")
    } else {
        format!("{model}; {}", found.join(" "))
    };
    if NEEDED.iter().all(|name| found.contains(name)) {
        ok("CPU", detail)
    } else {
        Check {
            status: Status::Warn,
            remedy: Some(format!(
                "without {} transcription is slow; use a small model such as tiny",
                NEEDED.join(" and ")
            )),
            ..ok("CPU", detail)
        }
    }
}

/// Instruction sets that the kernels need to be faster than plain code.
const NEEDED: &[&str] = if cfg!(target_arch = "aarch64") {
    &["neon"]
} else {
    &["avx2", "fma"]
};

/// Returns the instruction sets that have kernels, and whether this CPU supports them.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avxvnni", is_x86_feature_detected!("avxvnni")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ]
}

/// Returns the instruction sets that have kernels, and whether this CPU supports them.
#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    use std::arch::is_aarch64_feature_detected;
    vec![
        ("neon", is_aarch64_feature_detected!("neon")),
        ("dotprod", is_aarch64_feature_detected!("dotprod")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

/// Checks the instruction set in use.
fn kernels() -> Check {
    match Isa::detect() {
        Ok(isa) => ok(
            "instruction set",
            format!("{}; HEARKEN_CPU selects another", isa.name()),
        ),
        Err(error) => Check {
            status: Status::Missing,
            remedy: Some(error.remedy()),
            ..ok("instruction set", error.to_string())
        },
    }
}

/// Checks the configuration.
fn configuration(config: Result<Config, ConfigError>) -> Check {
    match config {
        Ok(config) => ok("configuration", format!("model {}", config.model.name)),
        Err(error) => Check {
            status: Status::Error,
            remedy: Some(
                "fix it: until then, neither the daemon nor hearken --file starts".to_owned(),
            ),
            ..ok("configuration", error.explain())
        },
    }
}

fn cores() -> Check {
    match thread::available_parallelism() {
        Ok(cores) => ok("CPU threads", format!("{cores} usable by this process")),
        Err(error) => Check {
            status: Status::Warn,
            remedy: Some("set their number with --threads".to_owned()),
            ..ok("CPU threads", format!("unknown: {error}"))
        },
    }
}

/// Checks the memory. `meminfo` is the contents of `/proc/meminfo`.
fn memory(meminfo: &str) -> Check {
    let kib = |name| {
        field(meminfo, name)?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    };
    let (Some(total), Some(available)) = (kib("MemTotal"), kib("MemAvailable")) else {
        return Check {
            status: Status::Warn,
            ..ok("memory", "unknown: /proc/meminfo cannot be read")
        };
    };
    let gib = |kib: u64| kib as f64 / (1024.0 * 1024.0);
    let detail = format!("{:.1} GiB, {:.1} GiB available", gib(total), gib(available));
    if available < LITTLE_MEMORY_KIB {
        Check {
            status: Status::Warn,
            remedy: Some(
                "close other programs, or use a small model such as tiny or base".to_owned(),
            ),
            ..ok("memory", detail)
        }
    } else {
        ok("memory", detail)
    }
}

/// Checks the models, among them the configured one, `wanted`, and their directory.
fn storage(store: Result<Store, ModelError>, wanted: &str) -> Vec<Check> {
    match store {
        // A directory that cannot be read contains no usable models.
        Ok(store) => {
            let names = store.installed().unwrap_or_default().into_iter();
            let opened = names.map(|name| (name.clone(), store.open(&name).map(drop)));
            vec![
                models(store.dir(), opened.collect(), wanted),
                writable(store.dir()),
            ]
        }
        Err(error) => vec![Check {
            status: Status::Missing,
            remedy: Some("set HEARKEN_MODELS_DIR or HOME".to_owned()),
            ..ok("models directory", error.to_string())
        }],
    }
}

/// Checks the configured model alone.
#[cfg(feature = "desktop")]
pub fn model(config: &Config) -> Check {
    let mut checks = storage(Store::locate(), &config.model.name);
    checks.swap_remove(0)
}

/// Lists the usable models and why others cannot be used. Without `wanted`, only commands that name
/// another model work.
fn models(
    directory: &Path,
    installed: Vec<(String, Result<(), ModelError>)>,
    wanted: &str,
) -> Check {
    let wanted = Manifest::builtin()
        .find(wanted)
        .map_or_else(|| wanted.to_owned(), |model| model.name.clone());
    let mut usable = Vec::new();
    let mut broken = Vec::new();
    for (name, opened) in installed {
        match opened {
            Ok(()) => usable.push(name),
            Err(error) => broken.push(error.explain()),
        }
    }
    let has_wanted = usable.contains(&wanted);
    let status = match (has_wanted, broken.as_slice()) {
        (false, _) => Status::Missing,
        (true, []) => Status::Ok,
        _ => Status::Warn,
    };
    let names = if usable.is_empty() {
        "none".to_owned()
    } else {
        usable.join(", ")
    };
    let remedy = match status {
        Status::Ok => None,
        _ if broken.is_empty() && usable.is_empty() => {
            Some(format!("hearken models fetch {wanted}"))
        }
        Status::Missing if broken.is_empty() => Some(format!(
            "hearken models fetch {wanted}, or name another: --model, model.name in config.toml"
        )),
        _ => Some(broken.join("; ")),
    };
    let missing = if has_wanted || usable.is_empty() {
        String::new()
    } else {
        format!(", but not {wanted},")
    };
    Check {
        status,
        remedy,
        ..ok(
            "models",
            format!("{names}{missing} in {}", directory.display()),
        )
    }
}

/// Checks whether files can be created in the directory, or, if it does not exist, in its nearest
/// existing parent.
fn writable(directory: &Path) -> Check {
    let existing = directory
        .ancestors()
        .find(|path| path.is_dir())
        .unwrap_or(Path::new("/"));
    match tempfile::tempfile_in(existing) {
        Ok(_) => ok(
            "models directory",
            format!("{} is writable", directory.display()),
        ),
        Err(error) => Check {
            status: Status::Warn,
            remedy: Some(
                "set HEARKEN_MODELS_DIR to a directory that you own, or change its permissions"
                    .to_owned(),
            ),
            ..ok(
                "models directory",
                format!("{}: {error}", existing.display()),
            )
        },
    }
}

/// Checks whether models can be fetched. Some come as Python packages.
#[cfg(feature = "fetch")]
fn fetching() -> Check {
    if crate::models::is_offline() {
        return Check {
            status: Status::Warn,
            remedy: Some("unset HEARKEN_OFFLINE to fetch models".to_owned()),
            ..ok("fetching", "disabled by HEARKEN_OFFLINE")
        };
    }
    let pip = std::process::Command::new("python3")
        .args(["-m", "pip", "--version"])
        .stdin(std::process::Stdio::null())
        .output();
    match pip {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout);
            let version: Vec<&str> = version.split_whitespace().take(2).collect();
            ok(
                "fetching",
                format!(
                    "python3 with {}, for models that come as Python packages",
                    version.join(" ")
                ),
            )
        }
        _ => Check {
            status: Status::Warn,
            remedy: Some("apt-get install python3 python3-pip".to_owned()),
            ..ok(
                "fetching",
                "python3 with pip is missing: models that come as Python packages cannot be fetched",
            )
        },
    }
}

/// Checks what an NPU needs; transcription needs none of it.
fn npu() -> impl Iterator<Item = Check> {
    let status = |remedy: &Option<String>| {
        if remedy.is_some() {
            Status::Warn
        } else {
            Status::Ok
        }
    };
    let findings = npu::examine(Path::new("/")).into_iter();
    findings.map(
        move |Finding {
                  name,
                  detail,
                  remedy,
              }| Check {
            name,
            status: status(&remedy),
            detail,
            remedy,
        },
    )
}

/// Returns the value of `name` in lines of the form `name : value`, as in `/proc`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, v)| v.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_models_says_how_to_get_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let checks = storage(
            Ok(Store::at(directory.path().join("hearken/models"))),
            "base",
        );
        assert_eq!(exit_code(&checks), exit::MODEL);
        let report = report(&checks);
        assert!(report.contains("missing  models"), "{report}");
        assert!(report.contains("-> hearken models fetch base"), "{report}");
        assert!(report.contains("is writable"), "{report}");
        assert_eq!(
            exit_code(&storage(Err(ModelError::NoDirectory), "base")),
            exit::MODEL
        );
    }

    #[test]
    fn models_that_can_be_used_are_named_and_others_explained() {
        let installed = |names: &[&str]| {
            names
                .iter()
                .map(|name| ((*name).to_owned(), Ok(())))
                .collect::<Vec<_>>()
        };
        let check = models(
            Path::new("/models"),
            installed(&["base", "tiny.en"]),
            "base",
        );
        assert_eq!(
            (check.status, check.detail.as_str(), check.remedy),
            (Status::Ok, "base, tiny.en in /models", None)
        );
        let mut mixed = installed(&["base"]);
        mixed.push(("small".to_owned(), Err(ModelError::NoDirectory)));
        let check = models(Path::new("/models"), mixed, "base");
        assert_eq!(
            (check.status, check.detail.as_str()),
            (Status::Warn, "base in /models")
        );
        assert_eq!(check.remedy, Some(ModelError::NoDirectory.explain()));
    }

    #[test]
    fn only_the_configured_model_counts() {
        let check = models(
            Path::new("/models"),
            vec![("tiny".to_owned(), Ok(()))],
            "small",
        );
        assert_eq!(
            (check.status, check.detail.as_str()),
            (Status::Missing, "tiny, but not small, in /models")
        );
        assert!(check.remedy.is_some_and(|remedy| {
            remedy.starts_with("hearken models fetch small, or name another")
        }));
    }

    #[test]
    fn an_invalid_configuration_is_reported() {
        let check = configuration(Err(ConfigError::NoDirectory));
        assert_eq!(
            (check.status, &check.detail),
            (Status::Error, &ConfigError::NoDirectory.explain())
        );
        assert_eq!(exit_code(&[check]), exit::CONFIG);
    }

    #[test]
    fn a_damaged_model_does_not_count() {
        let directory = tempfile::tempdir().expect("a directory");
        for file in ["base.safetensors", "small.safetensors.part"] {
            fs::write(directory.path().join(file), "").expect("a file");
        }
        let checks = storage(Ok(Store::at(directory.path())), "base");
        assert_eq!(exit_code(&checks), exit::MODEL);
        let report = report(&checks);
        assert!(
            report.contains("none in ") && report.contains("base.safetensors is damaged"),
            "{report}"
        );
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_a_warning() {
        let check = writable(Path::new("/proc/hearken/models"));
        assert_eq!(check.status, Status::Warn, "{check}");
    }

    #[test]
    fn little_memory_is_a_warning() {
        let much = memory("MemTotal:  16384000 kB\nMemAvailable:  8388608 kB\n");
        assert_eq!(
            (much.status, much.detail.as_str()),
            (Status::Ok, "15.6 GiB, 8.0 GiB available")
        );
        assert_eq!(
            memory("MemTotal: 2048000 kB\nMemAvailable: 512000 kB\n").status,
            Status::Warn
        );
        assert_eq!(memory("").status, Status::Warn);
    }
}
