//! How a session transcribes: the part of the settings that concerns it.
//!
//! In: a configuration. Out: [`SessionSettings`].

use crate::audio::{SegmenterOptions, clock};
use crate::config::{Config, ConfigError};
use crate::settings::EndPause;
use crate::stream::LiveOptions;
use crate::text::Rules;
use crate::whisper::decoding::DecodingOptions;
use std::time::Duration;

/// Pause that ends an unfinished sentence in seconds, if the pause depends on what was said.
const LONGEST_PAUSE_S: f64 = 1.5;

/// How a session transcribes.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Id of the device or a part of its description; `None` is the default device.
    pub device: Option<String>,
    /// Sound from before a start that is heard too, in seconds, if pre-capture keeps it.
    pub reach_back_s: f64,
    /// Decoding options for every window.
    pub decoding: DecodingOptions,
    /// Text that precedes the speech: names and words to expect.
    pub prompt: String,
    /// Names and terms to expect.
    pub hotwords: Vec<String>,
    /// Rules that rewrite the text.
    pub rules: Rules,
    /// Segmentation and interim passes.
    pub live: LiveOptions,
    /// Whether to report how loud the microphone is.
    pub levels: bool,
    /// Time without a word from the start after which the session stops automatically.
    pub nothing_said: Option<Duration>,
}

impl SessionSettings {
    /// Returns the settings of a configuration.
    ///
    /// # Errors
    /// Returns an error if a value is invalid.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let end_pause_s = match config.endpoint.pause {
            EndPause::Auto => LONGEST_PAUSE_S,
            EndPause::Seconds(seconds) => seconds,
        };
        let segmenter = SegmenterOptions {
            max_samples: clock::samples(config.endpoint.longest),
            end_pause: clock::samples(end_pause_s),
        };
        Ok(Self {
            device: Some(config.audio.device.clone()).filter(|name| !name.is_empty()),
            reach_back_s: config.audio.reach_back,
            decoding: DecodingOptions {
                task: config.text.task,
                language: config.text.language.0,
                allowed_languages: config.text.languages.clone(),
                ..DecodingOptions::default()
            },
            prompt: String::new(),
            hotwords: config.text.hotwords.clone(),
            rules: config.rules()?,
            live: LiveOptions {
                segmenter,
                ends_by_sentence: config.endpoint.pause == EndPause::Auto,
                step_s: config.live.partials.then_some(config.live.step),
            },
            levels: false,
            nothing_said: Some(config.endpoint.nothing_said)
                .filter(|s| *s > 0.0)
                .map(Duration::from_secs_f64),
        })
    }
}
