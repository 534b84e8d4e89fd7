//! Turns the tokens of a window into timed words.
//!
//! In: a [`DecodingResult`], the window's audio and its state in the decoder. Out: a [`WindowText`],
//! which can be joined with others.

use super::WindowAudio;
use crate::tokenizer::{Language, Task, Tokenizer};
use crate::whisper::alignment::{Aligner, AlignmentInput};
use crate::whisper::decoding::DecodingResult;
use crate::whisper::{DecodeError, Segment, TimedWord, Whisper, WindowCache};
use std::ops::Range;

/// Text of a window.
#[derive(Debug, Clone)]
pub struct WindowText {
    /// Result of the decoder, with text tokens alone.
    pub result: DecodingResult,
    /// Words, in seconds from the window's start; none if nobody speaks.
    pub words: Vec<TimedWord>,
}

impl WindowText {
    /// The same without words: nobody speaks.
    pub fn without_words(mut self) -> Self {
        self.words.clear();
        self
    }

    /// Moves the words `by_s` seconds later.
    pub fn delay(&mut self, by_s: f64) {
        for word in &mut self.words {
            word.start += by_s;
            word.end += by_s;
        }
    }

    /// Moves the words `by_s` seconds earlier, at most to the start of the window.
    pub fn hasten(&mut self, by_s: f64) {
        for word in &mut self.words {
            word.start = (word.start - by_s).max(0.0);
            word.end = (word.end - by_s).max(0.0);
        }
    }

    /// Puts the words of another text in the place of some.
    pub fn splice(&mut self, words: Range<usize>, other: Self, tokenizer: &Tokenizer) {
        let n_tokens = |words: &[TimedWord]| words.iter().map(|word| word.tokens).sum::<usize>();
        let from = n_tokens(&self.words[..words.start]);
        let to = from + n_tokens(&self.words[words.clone()]);
        let (n_old, n_new) = (self.result.tokens.len(), other.result.tokens.len());
        self.result.tokens.splice(from..to, other.result.tokens);
        self.words.splice(words, other.words);
        self.result.text = tokenizer.decode(&self.result.tokens).trim().to_owned();
        let sum = self.result.avg_logprob * n_old as f32 + other.result.avg_logprob * n_new as f32;
        self.result.avg_logprob = sum / (n_old + n_new).max(1) as f32;
    }

    /// Drops all but the first `n` words.
    pub fn truncate(&mut self, n: usize, tokenizer: &Tokenizer) {
        self.words.truncate(n);
        let n_tokens = self.words.iter().map(|word| word.tokens).sum();
        self.result.tokens.truncate(n_tokens);
        self.result.text = tokenizer.decode(&self.result.tokens).trim().to_owned();
    }
}

/// Creates the texts of the windows of one stream.
pub struct WindowTexts<'a> {
    whisper: &'a Whisper,
    task: Task,
    /// Whether words need probabilities, which cost another pass of the decoder.
    with_probabilities: bool,
    aligner: Aligner<'a>,
}

impl<'a> WindowTexts<'a> {
    /// Creates texts of windows that are decoded for `task`. Without `with_probabilities`, those of
    /// words are 0.
    pub fn new(whisper: &'a Whisper, task: Task, with_probabilities: bool) -> Self {
        Self {
            whisper,
            task,
            with_probabilities,
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
        self.text_after(&[], result, audio, cache)
    }

    /// Returns the text of a window that continues `before`, the tokens at its start.
    ///
    /// # Errors
    /// Returns an error if the decoder fails.
    pub fn text_after(
        &self,
        before: &[u32],
        mut result: DecodingResult,
        audio: &WindowAudio,
        cache: &mut WindowCache,
    ) -> Result<WindowText, DecodeError> {
        let eot = self.whisper.tokenizer().special().eot;
        result.tokens.retain(|token| *token < eot);
        let words = self.words(before, &result.tokens, result.language, audio, cache)?;
        Ok(WindowText { result, words })
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
        let input = AlignmentInput {
            before,
            tokens,
            language,
            task: self.task,
            seconds: audio.seconds(),
            pauses: &audio.pauses,
        };
        self.aligner.align(cache, &input, self.with_probabilities)
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
