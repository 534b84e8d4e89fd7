//! A second pass over a window whose text is suspicious. Other windows cost almost nothing.
//!
//! | suspicion | second pass |
//! |---|---|
//! | few tokens for the sound: the decoder has passed over a sentence, as it may if the voice changes | in shorter windows |
//! | no text, and the model does not say that nobody speaks | in the longest window |
//! | no text with timestamps, and the model says that nobody speaks | without timestamps, which make any text less likely |
//! | the text ends in mid-sentence and sound follows, as it may at a pause | with timestamps, which lead the decoder on |
//!
//! In: a window's audio and its first text. Out: the second text, if it holds more.

use super::texts::{WindowText, WindowTexts, place};
use super::verdict::{is_likely, is_short, may_be_speech};
use super::{WindowAudio, WindowEncoder, WindowError, recognize};
use crate::audio::{Segmenter, SegmenterOptions, Utterance, clock};
use crate::text::split;
use crate::whisper::alignment::ends_sentence;
use crate::whisper::decoding::thresholds::{MIN_LETTER_RATIO_OF_PIECES, MIN_SOUND_S_EMPTY_TEXT};
use crate::whisper::decoding::{DecodingOptions, DecodingResult, FallbackOptions};
use crate::whisper::{Whisper, WindowCache};

/// Longest piece as a share of the window: two pieces in most cases.
const PIECE: f64 = 0.6;

/// Whether a text may have stopped before the speech: it ends in mid-sentence, its last word ends
/// at `end_s` seconds, and sound follows.
pub fn ends_mid_sentence(text: &str, end_s: f64, audio: &WindowAudio) -> bool {
    audio.pauses.may_hide_more(text, end_s, audio.seconds())
}

/// Returns the options of a second pass after a text that ends in mid-sentence.
pub fn with_timestamps(options: &DecodingOptions, first: &DecodingResult) -> DecodingOptions {
    DecodingOptions {
        language: Some(first.language),
        without_timestamps: false,
        ..options.clone()
    }
}

/// Whether the text of a second pass replaces the first: it is likely, and has more words.
pub fn is_better(second: &DecodingResult, n_words: usize, n_words_before: usize) -> bool {
    is_likely(second) && n_words > n_words_before
}

/// The second pass over windows of one stream.
pub struct SecondPass<'a> {
    /// The model.
    pub whisper: &'a Whisper,
    /// Creates the texts.
    pub texts: &'a WindowTexts<'a>,
    /// When a window is decoded again at a higher temperature.
    pub fallback: &'a FallbackOptions,
    /// Number of encoder positions of the longest window.
    pub n_ctx: usize,
    /// Returns whether to give up.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl SecondPass<'_> {
    /// Returns a better text of a window than `first`, which was decoded with `options`; `None` if
    /// `first` is not suspicious or there is no better one. `cache` is the window's state in the
    /// decoder.
    ///
    /// # Errors
    /// Returns an error if the encoder or the decoder fails, or the caller cancelled.
    pub fn better_text(
        &self,
        first: &WindowText,
        audio: &WindowAudio,
        options: &DecodingOptions,
        cache: &mut WindowCache,
    ) -> Result<Option<WindowText>, WindowError> {
        let result = &first.result;
        if first.segments.is_empty() {
            return self.retry_empty(result, audio, options);
        }
        let eot = self.whisper.tokenizer().special().eot;
        if is_short(result, audio.sound_s, eot) {
            return self.retry_in_pieces(result, audio, options);
        }
        if options.without_timestamps
            && !result.is_rejected
            && self.ends_mid_sentence(result, audio, cache)?
        {
            return self.retry_with_timestamps(result, audio, options);
        }
        Ok(None)
    }

    /// Decodes sound again in which no text was found. A language that is not given is detected
    /// again, since without text the first detection is unreliable.
    fn retry_empty(
        &self,
        first: &DecodingResult,
        audio: &WindowAudio,
        options: &DecodingOptions,
    ) -> Result<Option<WindowText>, WindowError> {
        let text = if may_be_speech(first, audio.sound_s) {
            let longest = WindowAudio {
                n_ctx: self.n_ctx,
                samples: audio.samples.clone(),
                pauses: audio.pauses.clone(),
                sound_s: audio.sound_s,
            };
            self.text_of(&longest, options)?
        } else if audio.sound_s >= MIN_SOUND_S_EMPTY_TEXT && !options.without_timestamps {
            let options = DecodingOptions {
                without_timestamps: true,
                ..options.clone()
            };
            self.text_of(audio, &options)?
        } else {
            return Ok(None);
        };
        Ok(Some(text).filter(|text| is_likely(&text.result) && !text.segments.is_empty()))
    }

    /// Decodes the window in pieces. Returns their text if it has more letters.
    fn retry_in_pieces(
        &self,
        first: &DecodingResult,
        audio: &WindowAudio,
        options: &DecodingOptions,
    ) -> Result<Option<WindowText>, WindowError> {
        let options = DecodingOptions {
            language: Some(first.language),
            ..options.clone()
        };
        let mut texts = Vec::new();
        for Utterance { samples, start } in cut(&audio.samples) {
            let piece = WindowAudio::new(self.whisper, samples, self.n_ctx);
            let mut text = self.text_of(&piece, &options)?;
            if !is_likely(&text.result) {
                return Ok(None);
            }
            let start_s = clock::seconds(start);
            place(&mut text.segments, start_s, piece.seconds());
            // A piece in which nobody speaks has no segments.
            if !text.segments.is_empty() {
                texts.push(text);
            }
        }
        let least = MIN_LETTER_RATIO_OF_PIECES * n_letters(&first.text) as f32;
        let text = texts.into_iter().reduce(join);
        Ok(text.filter(|text| n_letters(&text.result.text) as f32 >= least))
    }

    /// Decodes the window with timestamps. Returns the text if it has more words.
    fn retry_with_timestamps(
        &self,
        first: &DecodingResult,
        audio: &WindowAudio,
        options: &DecodingOptions,
    ) -> Result<Option<WindowText>, WindowError> {
        let text = self.text_of(audio, &with_timestamps(options, first))?;
        let n_words = |text: &str| split(text, first.language).len();
        if !is_better(
            &text.result,
            n_words(&text.result.text),
            n_words(&first.text),
        ) {
            return Ok(None);
        }
        Ok(self.without_timestamps(text))
    }

    fn ends_mid_sentence(
        &self,
        result: &DecodingResult,
        audio: &WindowAudio,
        cache: &mut WindowCache,
    ) -> Result<bool, WindowError> {
        // Alignment is more expensive than a look at the text.
        if ends_sentence(&result.text) {
            return Ok(false);
        }
        let words = self
            .texts
            .word_times(&[], &result.tokens, result.language, audio, cache)?;
        Ok(words
            .last()
            .is_some_and(|last| ends_mid_sentence(&result.text, last.end, audio)))
    }

    /// Returns a text decoded with timestamps in the form of one decoded without: a single segment
    /// of text tokens.
    fn without_timestamps(&self, text: WindowText) -> Option<WindowText> {
        let eot = self.whisper.tokenizer().special().eot;
        let mut whole = text.segments.into_iter().reduce(|mut whole, more| {
            whole.end = more.end;
            whole.text += &more.text;
            whole.tokens.extend(more.tokens);
            whole.words.extend(more.words);
            whole
        })?;
        whole.tokens.retain(|token| *token < eot);
        let mut result = text.result;
        result.tokens.retain(|token| *token < eot);
        Some(WindowText {
            result,
            segments: vec![whole],
        })
    }

    /// Decodes a window. Times lie within its audio.
    fn text_of(
        &self,
        audio: &WindowAudio,
        options: &DecodingOptions,
    ) -> Result<WindowText, WindowError> {
        let mut encoder = WindowEncoder::new(self.whisper);
        let options = audio.describe(options);
        let (result, mut window) = recognize(
            self.whisper,
            &mut encoder,
            audio,
            &options,
            self.fallback,
            self.cancelled,
        )?;
        let mut text = self.texts.text(result, audio, window.cache())?;
        place(&mut text.segments, 0.0, audio.seconds());
        Ok(text)
    }
}

/// Returns the number of letters and digits of a text.
fn n_letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

/// Cuts a window into pieces at its pauses.
fn cut(samples: &[f32]) -> Vec<Utterance> {
    let mut segmenter = Segmenter::new(SegmenterOptions {
        max_samples: (samples.len() as f64 * PIECE) as usize,
        ..SegmenterOptions::default()
    });
    let mut pieces = segmenter.push(samples);
    pieces.extend(segmenter.finish());
    pieces
}

/// Joins the texts of two pieces to one that is as likely as the less likely piece.
fn join(first: WindowText, second: WindowText) -> WindowText {
    let (a, b) = (first.result, second.result);
    let mut segments = first.segments;
    segments.extend(second.segments);
    let result = DecodingResult {
        tokens: [a.tokens, b.tokens].concat(),
        text: format!("{} {}", a.text, b.text),
        avg_logprob: a.avg_logprob.min(b.avg_logprob),
        no_speech_prob: a.no_speech_prob.min(b.no_speech_prob),
        temperature: a.temperature.max(b.temperature),
        compression_ratio: a.compression_ratio.max(b.compression_ratio),
        ..a
    };
    WindowText { result, segments }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::{is_short, may_be_speech};
    use super::*;
    use crate::tokenizer::Language;
    use crate::whisper::Segment;

    const EOT: u32 = 50_257;

    fn result(tokens: Vec<u32>, text: &str, avg_logprob: f32) -> DecodingResult {
        DecodingResult {
            language: Language::ENGLISH,
            language_probs: None,
            tokens,
            text: text.to_owned(),
            avg_logprob,
            no_speech_prob: 0.1,
            temperature: 0.0,
            compression_ratio: 1.2,
            is_non_speech: false,
            is_rejected: false,
        }
    }

    #[test]
    fn few_tokens_in_much_sound_are_suspicious() {
        let timestamps = vec![EOT + 200; 100];
        let sparse = result([vec![7; 20], timestamps.clone()].concat(), "", -0.1);
        assert!(is_short(&sparse, 12.0, EOT), "timestamps are no text");
        assert_eq!(n_letters("9-0-2, 1"), 4);
        assert!(!is_short(&sparse, 7.0, EOT) && !is_short(&result(vec![7], "", -0.1), 5.0, EOT));
    }

    #[test]
    fn sound_without_words_is_suspicious_unless_the_model_says_that_nobody_speaks() {
        let nothing = result(vec![], "", -1.2);
        let nobody = DecodingResult {
            no_speech_prob: 0.7,
            ..nothing.clone()
        };
        assert!(
            may_be_speech(&nothing, 4.0)
                && !may_be_speech(&nothing, 0.5)
                && !may_be_speech(&nobody, 4.0)
        );
    }

    #[test]
    fn two_pieces_are_one_text() {
        let segment = |start: f64| Segment {
            start,
            end: start + 1.0,
            text: " a".into(),
            tokens: vec![],
            words: vec![],
        };
        let text = |result, at| WindowText {
            result,
            segments: vec![segment(at)],
        };
        let first = text(result(vec![1], "a", -0.1), 0.0);
        let second = text(result(vec![2, 3], "b", -0.4), 5.0);
        let WindowText {
            result: joined,
            segments,
        } = join(first, second);
        assert_eq!(
            (joined.text.as_str(), joined.tokens, joined.avg_logprob),
            ("a b", vec![1, 2, 3], -0.4)
        );
        assert_eq!(
            segments
                .iter()
                .map(|segment| segment.start)
                .collect::<Vec<_>>(),
            [0.0, 5.0]
        );
    }
}
