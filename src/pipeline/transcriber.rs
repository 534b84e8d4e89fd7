//! The shortest way from a source to text: defaults, and what is often changed.

use super::{PipelineError, Settings, StreamSummary, WindowTranscript, transcribe};
use crate::audio::AudioSource;
use crate::tokenizer::{Language, Task, TokenizerError};
use crate::whisper::Whisper;
use crate::whisper::decoding::Hotwords;
use std::sync::atomic::AtomicBool;

/// Transcribes sources with a model.
///
/// ```no_run
/// use hearken::audio::FileSource;
/// use hearken::engine::{Engine, EngineOptions};
/// use hearken::pipeline::Transcriber;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let engine = Engine::load(&EngineOptions::default(), |state| eprintln!("{state}"))?;
///     let source = FileSource::open("talk.flac".as_ref())?;
///     Transcriber::new(&engine.whisper).run(source, |window| {
///         println!("{:6.1} s {}", window.start_s, window.text());
///         Ok::<_, std::io::Error>(())
///     })?;
///     Ok(())
/// }
/// ```
pub struct Transcriber<'a> {
    whisper: &'a Whisper,
    settings: Settings,
    stop: &'a AtomicBool,
}

/// Never set.
static NEVER: AtomicBool = AtomicBool::new(false);

impl<'a> Transcriber<'a> {
    /// A transcriber with the defaults of the command line: the language is detected, and text is
    /// written as it is spoken.
    pub fn new(whisper: &'a Whisper) -> Self {
        let mut settings = Settings::default();
        settings.n_ctx = settings.n_ctx.min(whisper.file().dims().n_audio_ctx);
        Self {
            whisper,
            settings,
            stop: &NEVER,
        }
    }

    /// Sets the language spoken, which is detected otherwise.
    pub fn language(mut self, language: Language) -> Self {
        self.settings.decoding.language = Some(language);
        self
    }

    /// Translates into English.
    pub fn translate(mut self) -> Self {
        self.settings.decoding.task = Task::Translate;
        self
    }

    /// Finds start, end and probability of each word.
    pub fn word_timestamps(mut self) -> Self {
        self.settings.word_timestamps = true;
        self
    }

    /// Expects names and terms.
    ///
    /// # Errors
    /// Returns an error if the model's vocabulary cannot spell one of them.
    pub fn hotwords(mut self, words: &[String]) -> Result<Self, TokenizerError> {
        self.settings.decoding.hotwords = Hotwords::shared(self.whisper.tokenizer(), words)?;
        Ok(self)
    }

    /// Gives up soon after `stop` is set.
    pub fn stop(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = stop;
        self
    }

    /// Transcribes a source to its end and hands the text of each window to `publish`, in order, while
    /// later windows are being transcribed.
    ///
    /// # Errors
    /// Returns an error if the model or the device fails, `publish` does, or `stop` is set. A damaged
    /// source is no error: the [`StreamSummary`] reports it.
    pub fn run<E>(
        &self,
        source: impl AudioSource + 'static,
        publish: impl FnMut(WindowTranscript) -> Result<(), E>,
    ) -> Result<StreamSummary, PipelineError<E>> {
        let source = Box::new(source);
        transcribe(self.whisper, source, &self.settings, self.stop, publish)
    }
}
