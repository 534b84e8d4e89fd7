//! The recordings that silent tails are computed from, embedded in the program
//! (`models/tail/README.md`).
//!
//! In: an imported model file. Out: its derived tensors.

use super::prepare::derive;
use crate::audio::{AudioError, FileSource, Mono16k};
use crate::models::{ModelFile, NewTensor, PrepareError};

macro_rules! recordings {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../models/tail/", $name)).as_slice())),*]
    };
}

const RECORDINGS: [(&str, &[u8]); 8] = recordings![
    "01-ls2384.flac",
    "02-ls1970.flac",
    "03-ls307.flac",
    "04-ls289.flac",
    "05-ls5703.flac",
    "06-ls1688.flac",
    "07-fleurs-de.flac",
    "08-fleurs-fr.flac",
];

/// Computes the tensors that an import derives from the weights. `progress` receives the share
/// done, 0 to 1.
///
/// # Errors
/// Returns an error if the model is damaged.
pub fn prepare(
    file: &ModelFile,
    progress: &mut dyn FnMut(f32),
) -> Result<Vec<NewTensor>, PrepareError> {
    let decoded = RECORDINGS
        .iter()
        .map(|(name, flac)| samples(name, flac))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(derive(file, &decoded, progress)?)
}

/// Decodes a recording to 16 kHz, mono.
fn samples(name: &str, flac: &'static [u8]) -> Result<Vec<f32>, AudioError> {
    let mut stream = Mono16k::new(Box::new(FileSource::embedded(name, flac)?));
    let mut samples = Vec::new();
    while let Some(block) = stream.next_block()? {
        samples.extend_from_slice(block);
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::SAMPLE_RATE;

    #[test]
    fn every_recording_is_at_least_ten_seconds_of_speech() {
        for (name, flac) in RECORDINGS {
            let samples = samples(name, flac).expect(name);
            assert!(
                samples.len() >= 10 * SAMPLE_RATE as usize,
                "{name}: {} samples",
                samples.len()
            );
            let rms = (samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32).sqrt();
            assert!(rms > 0.01, "{name} is silent");
        }
    }
}
