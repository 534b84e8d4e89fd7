//! Audio input: decodes files and standard input, and resamples to Whisper's rate.
//!
//! ```text
//! path or "-" ──source──▶ bytes ──demux──▶ packets ──codec──▶ interleaved f32, native rate ──resample (+ downmix)──▶ 16 kHz mono
//!                             └──ffmpeg, for what Hearken cannot read──▶ wav ──▶ demux
//! ```
//!
//! Every source of sound implements [`AudioSource`]: the pipeline pulls blocks from it and does not
//! know whether they come from a file or a device. [`Mono16k`] turns any source into the 16 kHz
//! mono stream that the [`Segmenter`] cuts into utterances. [`vad`] detects speech in that stream.

mod aac;
#[cfg(feature = "daemon")]
pub mod capture;
mod channels;
pub mod clock;
mod codec;
mod container;
mod decode;
mod demux;
mod downmix;
mod error;
mod ffmpeg;
mod gaps;
mod identify;
mod levels;
mod mono;
mod opus;
mod resample;
mod segmenter;
mod sound;
mod source;
mod stream;
mod timeline;
mod track;
pub mod vad;

pub use channels::{Channel, CountedChannels, Splitter};
pub use decode::FileSource;
pub use error::{AudioError, AudioNote, AudioWarning, ResampleError};
pub use identify::BUILT_IN;
pub use mono::Mono16k;
pub use resample::Resampler;
pub use segmenter::{Ongoing, PRE_ROLL, Segmenter, SegmenterOptions, Utterance};
pub use sound::sound_seconds;
pub use track::{InputOptions, TrackLabel};

/// Sample rate that Whisper was trained on, in Hz. Everything after the resampler has this rate and
/// is mono.
pub const SAMPLE_RATE: u32 = 16_000;

/// Block of audio.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// Samples, `[frames, channels]`, row-major (interleaved), full scale ±1, all finite.
    pub samples: &'a [f32],
    /// Sample rate in Hz. It may change from block to block.
    pub rate: u32,
    /// Number of channels. It may change from block to block.
    pub channels: usize,
}

/// Source of sound: a file, standard input, a device.
pub trait AudioSource: Send {
    /// Length in seconds as stated by the container; `None` for a live source or if no length is
    /// stated.
    fn duration(&self) -> Option<f64>;

    /// Returns the next block, waiting for it if necessary; `None` at the end, and after an error.
    ///
    /// # Errors
    /// Returns an error if the source fails or is damaged. Everything before the damage has been
    /// delivered by then.
    fn next_block(&mut self) -> Result<Option<Block<'_>>, AudioError>;

    /// Problems so far that did not end the stream; complete once [`next_block`](Self::next_block)
    /// has returned `None`.
    fn warnings(&self) -> Vec<AudioWarning>;
}

/// Samples of the recording that tests share: 11 s of speech with pauses of up to a second, in which
/// there is noise 30 dB below it.
#[cfg(test)]
pub fn sample() -> Vec<f32> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/jfk.flac");
    let source = FileSource::open(path.as_ref()).expect("a recording");
    let mut stream = Mono16k::new(Box::new(source));
    let mut samples = Vec::new();
    while let Some(block) = stream.next_block().expect("a block") {
        samples.extend_from_slice(block);
    }
    samples
}
