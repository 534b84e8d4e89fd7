//! Turns the tokens of a window into segments and words.
//!
//! In: a [`DecodingResult`], the window's audio and its state in the decoder. Out: segments, with
//! timed words if requested.

use super::WindowAudio;
use crate::tokenizer::{Language, Task};
use crate::whisper::alignment::{Aligner, AlignmentInput, give_words};
use crate::whisper::decoding::{DecodingResult, FallbackOptions, segments_from_tokens};
use crate::whisper::{DecodeError, Segment, TimedWord, Whisper, WindowCache};

/// Text of a window.
#[derive(Debug, Clone)]
pub struct WindowText {
    /// Result of the decoder.
    pub result: DecodingResult,
    /// Segments, in seconds from the window's start; empty if nobody speaks.
    pub segments: Vec<Segment>,
}

/// Creates the texts of the windows of one stream.
pub struct WindowTexts<'a> {
    whisper: &'a Whisper,
    fallback: &'a FallbackOptions,
    task: Task,
    word_timestamps: bool,
    aligner: Aligner<'a>,
}

impl<'a> WindowTexts<'a> {
    /// Creates texts of windows that are decoded with `fallback` for `task`. With
    /// `word_timestamps`, the segments have timed words.
    pub fn new(
        whisper: &'a Whisper,
        fallback: &'a FallbackOptions,
        task: Task,
        word_timestamps: bool,
    ) -> Self {
        Self {
            whisper,
            fallback,
            task,
            word_timestamps,
            aligner: whisper.aligner(),
        }
    }

    /// Returns the text of a window. `cache` is the window's state in the decoder.
    ///
    /// # Errors
    /// Returns an error if the decoder fails.
    pub fn text(
        &self,
        result: DecodingResult,
        audio: &WindowAudio,
        cache: &mut WindowCache,
    ) -> Result<WindowText, DecodeError> {
        let mut segments = Vec::new();
        if !self.fallback.is_silence(&result) {
            let tokenizer = self.whisper.tokenizer();
            let found = segments_from_tokens(&result.tokens, audio.seconds(), tokenizer);
            segments = found.into_segments();
            if self.word_timestamps {
                let tokens: Vec<u32> = segments
                    .iter()
                    .flat_map(|segment| segment.tokens.clone())
                    .collect();
                let words = self.words(&[], &tokens, result.language, audio, cache)?;
                give_words(&mut segments, words, tokenizer.special().eot);
            }
        }
        Ok(WindowText { result, segments })
    }

    /// Returns the words of `tokens`, which follow `before` in the window, in seconds from its
    /// start.
    ///
    /// # Errors
    /// Returns an error if the decoder fails.
    pub fn words(
        &self,
        before: &[u32],
        tokens: &[u32],
        language: Language,
        audio: &WindowAudio,
        cache: &mut WindowCache,
    ) -> Result<Vec<TimedWord>, DecodeError> {
        let input = self.alignment_input(before, tokens, language, audio);
        self.aligner.align(cache, &input)
    }

    /// Returns the words of `tokens` as [`WindowTexts::words`] does, but with probabilities of 0,
    /// which costs next to nothing if the window has just been decoded without timestamps.
    ///
    /// # Errors
    /// Returns an error if the decoder fails.
    pub fn word_times(
        &self,
        before: &[u32],
        tokens: &[u32],
        language: Language,
        audio: &WindowAudio,
        cache: &mut WindowCache,
    ) -> Result<Vec<TimedWord>, DecodeError> {
        let input = self.alignment_input(before, tokens, language, audio);
        self.aligner.align_times(cache, &input)
    }

    fn alignment_input<'i>(
        &self,
        before: &'i [u32],
        tokens: &'i [u32],
        language: Language,
        audio: &'i WindowAudio,
    ) -> AlignmentInput<'i> {
        AlignmentInput {
            before,
            tokens,
            language,
            task: self.task,
            seconds: audio.seconds(),
            pauses: &audio.pauses,
        }
    }
}

/// Moves the times of an utterance of `seconds` to those of a stream in which it begins at
/// `start_s`.
pub fn place(segments: &mut [Segment], start_s: f64, seconds: f64) {
    // The last position may end after the audio.
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
    fn times_are_those_of_the_stream_and_none_is_after_the_audio() {
        let word = |start, end| TimedWord {
            text: " a".into(),
            tokens: 1,
            start,
            end,
            probability: 1.0,
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
