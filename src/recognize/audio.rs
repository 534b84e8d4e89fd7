//! The audio of one window, and its encoding.
//!
//! In: samples. Out: properties of the samples for decoder and aligner, encoder states.

use crate::audio::vad::Voice;
use crate::audio::{clock, sound_seconds};
use crate::mel::{LogMel, Mel};
use crate::whisper::alignment::Pauses;
use crate::whisper::decoding::DecodingOptions;
use crate::whisper::{AudioFeatures, EncodeError, Encoder, SAMPLES_PER_POSITION, Whisper};
use std::sync::OnceLock;

/// Audio of one window.
pub struct WindowAudio {
    /// Samples, 16 kHz, mono, at most as many as the window holds.
    pub samples: Vec<f32>,
    /// Number of encoder positions of the window, 20 ms each.
    pub n_ctx: usize,
    /// Pauses in the samples.
    pub pauses: Pauses,
    /// Seconds of sound in the samples.
    pub sound_s: f32,
    /// Where a voice is heard, once that was asked.
    voice: OnceLock<Voice>,
}

impl WindowAudio {
    /// Creates the audio of the shortest window that holds `samples`, of at most `longest`
    /// positions.
    pub fn new(whisper: &Whisper, samples: Vec<f32>, longest: usize) -> Self {
        let n_ctx = whisper.window(samples.len(), longest);
        Self {
            n_ctx,
            pauses: Pauses::of(&samples),
            sound_s: sound_seconds(&samples),
            samples,
            voice: OnceLock::new(),
        }
    }

    /// The audio of the longest window, without a model.
    #[cfg(test)]
    pub fn of_samples(samples: Vec<f32>) -> Self {
        Self {
            n_ctx: crate::whisper::LONGEST_WINDOW,
            pauses: Pauses::of(&samples),
            sound_s: sound_seconds(&samples),
            samples,
            voice: OnceLock::new(),
        }
    }

    /// The same audio in a window of `n_ctx` positions.
    pub fn in_window(&self, n_ctx: usize) -> Self {
        Self {
            samples: self.samples.clone(),
            n_ctx,
            pauses: self.pauses.clone(),
            sound_s: self.sound_s,
            voice: self.voice.clone(),
        }
    }

    /// Where a voice is heard in the samples.
    pub fn voice(&self) -> &Voice {
        self.voice.get_or_init(|| Voice::of(&self.samples))
    }

    /// Whether the samples end in a pause, however short.
    pub fn ends_in_pause(&self) -> bool {
        const END_S: f64 = 0.05;
        self.pauses.sound_s(self.seconds() - END_S, self.seconds()) < END_S / 2.0
    }

    /// Length of the samples in seconds.
    pub fn seconds(&self) -> f64 {
        clock::seconds(self.samples.len() as u64)
    }

    /// Length of the window in seconds. No timestamp exceeds it.
    pub fn window_s(&self) -> f32 {
        clock::seconds((self.n_ctx * SAMPLES_PER_POSITION) as u64) as f32
    }

    /// Returns `options` with the properties of this audio.
    pub fn describe(&self, options: &DecodingOptions) -> DecodingOptions {
        DecodingOptions {
            max_timestamp: Some(self.window_s()),
            audio_s: Some(self.seconds() as f32),
            sound_s: Some(self.sound_s),
            ..options.clone()
        }
    }
}

/// Log-mel spectrogram and encoder, with their working memory.
pub struct WindowEncoder {
    log_mel: LogMel,
    encoder: Box<dyn Encoder>,
}

impl WindowEncoder {
    /// Creates an encoder for windows of a model.
    pub fn new(whisper: &Whisper) -> Self {
        Self {
            log_mel: LogMel::new(whisper.file().dims().n_mels),
            encoder: whisper.encoder(),
        }
    }

    /// Encodes a window.
    ///
    /// # Errors
    /// Returns an error if the window does not fit the model or the device fails.
    pub fn encode(&mut self, audio: &WindowAudio) -> Result<AudioFeatures, EncodeError> {
        let mel = self.mel(audio);
        self.encode_mel(&mel)
    }

    /// Computes the log-mel spectrogram of a window, padded with silence.
    pub fn mel(&mut self, audio: &WindowAudio) -> Mel {
        self.log_mel.compute(&audio.samples, 2 * audio.n_ctx)
    }

    /// Encodes a spectrogram from [`WindowEncoder::mel`].
    ///
    /// # Errors
    /// Returns the errors of [`WindowEncoder::encode`].
    pub fn encode_mel(&mut self, mel: &Mel) -> Result<AudioFeatures, EncodeError> {
        self.encoder.encode(mel)
    }
}
