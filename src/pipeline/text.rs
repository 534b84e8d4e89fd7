//! From what the decoder found in a window to segments, with the times of their words where these
//! are wanted.

use super::Settings;
use crate::tokenizer::Language;
use crate::whisper::alignment::{Aligner, AlignmentInput, Pauses, give_words};
use crate::whisper::decoding::{DecodingResult, segments_from_tokens};
use crate::whisper::{DecodeError, Segment, TimedWord, Whisper, WindowCache};

/// Makes segments as the settings want them.
pub struct Segments<'a> {
    whisper: &'a Whisper,
    settings: &'a Settings,
    aligner: Aligner<'a>,
}

impl<'a> Segments<'a> {
    /// For the windows of one stream.
    pub fn new(whisper: &'a Whisper, settings: &'a Settings) -> Self {
        Self {
            whisper,
            settings,
            aligner: whisper.aligner(),
        }
    }

    /// The segments of an utterance of so many seconds, in seconds from its start; none where
    /// nobody speaks. `audio` is its window as the decoder keeps it.
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
            let tokens: Vec<u32> = segments
                .iter()
                .flat_map(|segment| segment.tokens.clone())
                .collect();
            let words = self.words(&tokens, result.language, seconds, pauses, audio)?;
            give_words(&mut segments, words, tokenizer.special().eot);
        }
        Ok(segments)
    }

    /// The words of `tokens`, which were found in an utterance of so many seconds, in seconds from
    /// its start.
    ///
    /// # Errors
    /// Where the decoder fails.
    pub fn words(
        &self,
        tokens: &[u32],
        language: Language,
        seconds: f64,
        pauses: &Pauses,
        audio: &mut WindowCache,
    ) -> Result<Vec<TimedWord>, DecodeError> {
        let task = self.settings.decoding.task;
        self.aligner.align(
            audio,
            &AlignmentInput {
                before: &[],
                tokens,
                language,
                task,
                seconds,
                pauses,
            },
        )
    }
}

/// Turns times within an utterance of so many seconds into times of what it begins in at `start_s`.
pub fn place(segments: &mut [Segment], start_s: f64, seconds: f64) {
    // The last position may end behind the audio.
    let placed = |time: &mut f64| *time = start_s + time.min(seconds);
    for segment in segments {
        placed(&mut segment.start);
        placed(&mut segment.end);
        for word in &mut segment.words {
            placed(&mut word.start);
            placed(&mut word.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::TimedWord;

    #[test]
    fn times_are_those_of_the_stream_and_none_is_behind_the_audio() {
        let word = |start, end| TimedWord {
            text: " a".into(),
            tokens: 1,
            start,
            end,
            probability: 1.0,
            attended: 0.0,
        };
        let words = vec![word(0.5, 1.0), word(1.0, 2.02)];
        let mut segments = [Segment {
            start: 0.5,
            end: 2.02,
            text: " a a".into(),
            tokens: vec![],
            words,
        }];
        place(&mut segments, 10.0, 2.0);
        let [
            Segment {
                start, end, words, ..
            },
        ] = &segments;
        assert_eq!((*start, *end), (10.5, 12.0));
        assert_eq!(
            words
                .iter()
                .map(|word| (word.start, word.end))
                .collect::<Vec<_>>(),
            [(10.5, 11.0), (11.0, 12.0)]
        );
    }
}
