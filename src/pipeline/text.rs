//! From what the decoder found in a window to segments, with the times of their words where these are wanted.

use super::Settings;
use crate::whisper::alignment::{Aligner, Pauses, Said, give_words};
use crate::whisper::decoding::{DecodingResult, Segment, segments_from_tokens};
use crate::whisper::{DecodeError, Whisper, WindowCache};

/// Makes segments as the settings want them.
pub struct Segments<'a> {
    whisper: &'a Whisper,
    settings: &'a Settings,
    aligner: Aligner<'a>,
}

impl<'a> Segments<'a> {
    /// For the windows of one stream.
    pub fn new(whisper: &'a Whisper, settings: &'a Settings) -> Self {
        Self { whisper, settings, aligner: whisper.aligner() }
    }

    /// The segments of an utterance of so many seconds, in seconds from its start; none where nobody speaks. `audio` is
    /// its window as the decoder keeps it.
    ///
    /// # Errors
    /// Where the decoder fails.
    pub fn of(
        &self,
        result: &DecodingResult,
        seconds: f64,
        pauses: &Pauses,
        audio: &mut WindowCache,
    ) -> Result<Vec<Segment>, DecodeError> {
        if self.settings.fallback.is_silence(result) {
            return Ok(Vec::new());
        }
        let tokenizer = self.whisper.tokenizer();
        let mut segments = segments_from_tokens(&result.tokens, seconds, tokenizer).into_segments();
        if self.settings.word_timestamps {
            let tokens: Vec<u32> = segments.iter().flat_map(|segment| segment.tokens.clone()).collect();
            let (language, task) = (result.language, self.settings.decoding.task);
            let said = Said { before: &[], tokens: &tokens, language, task, seconds, pauses };
            give_words(&mut segments, self.aligner.align(audio, &said)?, tokenizer.special().eot);
        }
        Ok(segments)
    }
}
