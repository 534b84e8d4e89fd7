//! Audio in: decoding of files and standard input, and resampling to what Whisper hears.

/// Sample rate that Whisper was trained on, in Hz; everything behind the resampler is at this rate, mono.
pub const SAMPLE_RATE: u32 = 16_000;
