//! What the integration tests share.

use std::path::{Path, PathBuf};

use hearken::audio::{AudioError, AudioWarning, FileSource, Mono16k};

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
