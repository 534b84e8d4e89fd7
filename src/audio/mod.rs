//! Audio in: decoding of files and standard input, and resampling to what Whisper hears.
//!
//! ```text
//! path or "-" ──source──▶ bytes ──decode (+ opus)──▶ interleaved f32, native rate ──resample──▶ 16 kHz mono
//! ```
//!
//! Whatever produces sound stands behind [`AudioSource`]: the pipeline pulls blocks from it and
//! does not know whether they come from a file or a device. [`Mono16k`] turns any source into the
//! 16 kHz mono stream that the [`Segmenter`] cuts into utterances. [`vad`] tells speech from the rest
//! of that stream.

#[cfg(feature = "daemon")]
pub mod capture;
pub mod clock;
mod codec;
mod container;
mod decode;
mod error;
mod mono;
mod opus;
mod resample;
mod segmenter;
mod sound;
mod source;
pub mod vad;

pub use decode::FileSource;
pub use error::{AudioError, AudioWarning, ResampleError};
pub use mono::Mono16k;
pub use resample::Resampler;
pub use segmenter::{Ongoing, PRE_ROLL, Segmenter, SegmenterOptions, Utterance};
pub use sound::sound_seconds;

/// Sample rate that Whisper was trained on, in Hz; everything behind the resampler is at this rate,
/// mono.
pub const SAMPLE_RATE: u32 = 16_000;

/// A stretch of sound.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// Samples, `[frames, channels]`, row-major (interleaved), full scale ±1, all finite.
    pub samples: &'a [f32],
    /// Sample rate in Hz. It may change from block to block.
    pub rate: u32,
    /// Channels. They may change from block to block.
    pub channels: usize,
}

/// Something that yields sound: a file, standard input, a device.
pub trait AudioSource: Send {
    /// Length in seconds as the container states it; `None` for a live source or where nothing
    /// states it.
    fn duration(&self) -> Option<f64>;

    /// The next block; waits for it if need be. `None` at the end, and after an error.
    ///
    /// # Errors
    /// When the source fails or turns out to be damaged. Everything before the damage has been
    /// yielded by then.
    fn next_block(&mut self) -> Result<Option<Block<'_>>, AudioError>;

    /// What was amiss so far without ending the stream; complete once
    /// [`next_block`](Self::next_block) gave `None`.
    fn warnings(&self) -> Vec<AudioWarning>;
}
