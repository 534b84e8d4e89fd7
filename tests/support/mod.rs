//! What test programs share: data, decoded recordings, the model, golden data.

#![allow(dead_code)] // Each test program uses a part of it.

use hearken::audio::{AudioError, AudioWarning, FileSource, Mono16k};
use hearken::models::{ModelFile, Store};
use std::io::Write;
use std::ops::RangeInclusive;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// A file among the tests' data.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// All that a file gave.
pub struct Decoded {
    /// 16 kHz, mono.
    pub samples: Vec<f32>,
    /// Seconds, as stated.
    pub duration: Option<f64>,
    /// Why it ended early.
    pub error: Option<AudioError>,
    /// What was amiss.
    pub warnings: Vec<AudioWarning>,
}

/// Reads a file to its end or to its first error.
pub fn decode_all(path: &Path) -> Decoded {
    let source = match FileSource::open(path) {
        Ok(source) => source,
        Err(error) => {
            return Decoded {
                samples: vec![],
                duration: None,
                error: Some(error),
                warnings: vec![],
            };
        }
    };
    let mut stream = Mono16k::new(Box::new(source));
    let mut samples = Vec::new();
    let error = loop {
        match stream.next_block() {
            Ok(Some(block)) => samples.extend_from_slice(block),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    Decoded {
        samples,
        duration: stream.duration(),
        error,
        warnings: stream.warnings(),
    }
}

/// Reads bytes from a pipe, as [`decode_all`] reads a file.
pub fn decode_pipe(bytes: &[u8]) -> Decoded {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let bytes = bytes.to_vec();
    // A reader that has enough closes the pipe.
    let feeder = std::thread::spawn(move || drop(writer.write_all(&bytes)));
    let decoded = decode_all(format!("/proc/self/fd/{}", reader.as_raw_fd()).as_ref());
    drop(reader);
    feeder.join().expect("the feeder");
    decoded
}

/// Reads bytes from a file of their own.
pub fn decode_file(bytes: &[u8]) -> Decoded {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    decode_all(file.path())
}

/// Whether ffmpeg is installed, to make inputs and to read them. The test is left out without it,
/// but not where all tests must run.
pub fn has_ffmpeg() -> bool {
    let version = Command::new("ffmpeg").arg("-version").output().is_ok();
    assert!(
        version || std::env::var_os("CI").is_none(),
        "ffmpeg is not installed"
    );
    if !version {
        println!("left out: ffmpeg is not installed");
    }
    version
}

/// Makes a file with ffmpeg; the arguments are separated by spaces. Returns false if this ffmpeg
/// cannot write it.
pub fn ffmpeg(arguments: &str, to: &Path) -> bool {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]);
    command.args(arguments.split(' ').filter(|argument| !argument.is_empty()));
    command.arg(to).stdin(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Lag of `other` behind `reference` in samples, among these, and the correlation there (1: the same
/// but for scale).
pub fn align(reference: &[f32], other: &[f32], lags: RangeInclusive<isize>) -> (isize, f64) {
    let dot = |x: &[f32], y: &[f32]| f64::from(x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>());
    let correlation = |lag: isize| {
        let a = reference.get((-lag).max(0) as usize..).unwrap_or_default();
        let b = other.get(lag.max(0) as usize..).unwrap_or_default();
        let n = a.len().min(b.len());
        let (a, b) = (&a[..n], &b[..n]);
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-9)
    };
    let all = lags.map(|lag| (lag, correlation(lag)));
    all.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

/// The sample recording, 16 kHz mono.
pub fn jfk() -> Vec<f32> {
    decode_all(&data("jfk.flac")).samples
}

/// A wav file of 16-bit samples, 16 kHz, mono.
pub fn wav16(samples: &[f32]) -> Vec<u8> {
    let n = samples.len() as u32 * 2;
    let header = [
        *b"RIFF",
        (36 + n).to_le_bytes(),
        *b"WAVE",
        *b"fmt ",
        16u32.to_le_bytes(),
    ];
    let mut bytes = header.as_flattened().to_vec();
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(
        [
            16_000u32.to_le_bytes(),
            32_000u32.to_le_bytes(),
            [2, 0, 16, 0],
        ]
        .as_flattened(),
    );
    bytes.extend([*b"data", n.to_le_bytes()].as_flattened());
    bytes.extend(
        samples
            .iter()
            .flat_map(|x| ((x * 32_767.0) as i16).to_le_bytes()),
    );
    bytes
}

/// The model `name` from the models directory.
pub fn model(name: &str) -> Arc<ModelFile> {
    let opened = Store::locate().and_then(|store| store.open(name));
    Arc::new(
        opened.unwrap_or_else(|e| panic!("{e}\nThese tests need the model: make test fetches it")),
    )
}

/// Lower-case words without punctuation.
pub fn words(text: &str) -> Vec<String> {
    let bare = |word: &str| {
        word.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect()
    };
    text.split_whitespace().map(bare).collect()
}

/// All cores.
pub fn n_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Golden data of openai-whisper, see `tests/data/README.md`.
pub mod golden {
    fn bytes(name: &str) -> Vec<u8> {
        let file = std::fs::read(super::data("golden/jfk-base.safetensors")).expect("golden data");
        let tensors = safetensors::SafeTensors::deserialize(&file).expect("golden data");
        tensors.tensor(name).expect("golden tensor").data().to_vec()
    }

    /// A tensor of F32.
    pub fn f32(name: &str) -> Vec<f32> {
        bytes(name)
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect()
    }

    /// A tensor of I32 without negative values.
    pub fn u32(name: &str) -> Vec<u32> {
        bytes(name)
            .as_chunks()
            .0
            .iter()
            .map(|b| u32::from_le_bytes(*b))
            .collect()
    }
}
