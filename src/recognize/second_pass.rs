//! A second pass over a window whose text is suspicious. Other windows cost almost nothing.
//!
//! | suspicion | decoded again |
//! |---|---|
//! | a voice without words: the decoder has passed over a sentence | with timestamps, which lead it on; the holes alone; in shorter windows; in the longest window |
//! | the text ends in mid-sentence and sound follows, as it may at a pause | with timestamps |
//!
//! In: a window's audio and its first text. Out: the text to believe. No attempt ends with less than
//! the likeliest text heard, unless the model hears nobody speak.

use super::coverage::{Hole, holes};
use super::texts::{WindowText, WindowTexts};
use super::verdict::{hears_nobody, is_likely, is_surely_heard, is_too_fast, surely_hears_nobody};
use super::{WindowAudio, WindowEncoder, WindowError, recognize};
use crate::audio::{Segmenter, SegmenterOptions, Utterance, clock};
use crate::whisper::decoding::thresholds::MIN_GAIN_S;
use crate::whisper::decoding::{DecodingOptions, DecodingResult, FallbackOptions};
use crate::whisper::{TimedWord, Whisper};

/// Longest piece as a share of the window: two pieces in most cases.
const PIECE: f64 = 0.6;

/// Pause that ends a piece, in seconds.
const END_PAUSE_S: f64 = 2.0;

/// Pause that ends a phrase, in seconds; the shortest that the segmenter takes.
const PAUSE_S: f64 = 0.5;

/// Share of a window that continues up to which its text has to reach: what follows is decoded again
/// with the next window.
const MIN_HEARD_SHARE: f64 = 0.5;

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

/// How a suspicious window is decoded again.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// With timestamps, which lead the decoder on where it would end or pass over a clause.
    Timestamps,
    /// What has no words, in windows of their own, for the place where it is missing.
    Holes,
    /// In shorter windows.
    Pieces,
    /// What is said between two pauses alone: of a sentence that is said again and again, the decoder
    /// may write only one.
    Phrases,
    /// In the model's own window of 30 s.
    Longest,
}

/// In the order in which they are tried.
const WAYS: [Way; 5] = [
    Way::Timestamps,
    Way::Holes,
    Way::Pieces,
    Way::Phrases,
    Way::Longest,
];

impl SecondPass<'_> {
    /// Returns the text of a window: `first`, which was decoded with `options`, or a better one if
    /// it is suspicious. If the window `continues`, what lies behind the last word is decoded again
    /// with the next window in any case.
    ///
    /// # Errors
    /// Returns an error if the encoder or the decoder fails, or the caller cancelled.
    pub fn believed(
        &self,
        first: WindowText,
        audio: &WindowAudio,
        continues: bool,
        options: &DecodingOptions,
    ) -> Result<WindowText, WindowError> {
        let nobody =
            surely_hears_nobody(&first.result, audio.seconds(), audio.sound_s, self.fallback);
        if nobody && !self.hears_somebody(&first, audio, options)? {
            return Ok(first.without_words());
        }
        // A text in the expected language that is not believed may be one in another language.
        let anew = DecodingOptions {
            expected_language: None,
            ..options.clone()
        };
        let options = if hears_nobody(&first.result, self.fallback) {
            &anew
        } else {
            options
        };
        let best = self.best_of(first, audio, continues, options)?;
        Ok(
            if hears_nobody(&best.result, self.fallback) || is_too_fast(&best) {
                best.without_words()
            } else {
                best
            },
        )
    }

    /// Whether a quick second look finds speech where the first text has next to none: of digits that are
    /// counted the model may hear only one, and with timestamps or in pieces all. Music and noise come in
    /// many windows, so nothing is attempted twice.
    fn hears_somebody(
        &self,
        first: &WindowText,
        audio: &WindowAudio,
        options: &DecodingOptions,
    ) -> Result<bool, WindowError> {
        let fallback = FallbackOptions {
            temperatures: vec![0.0],
            beam_logprob_threshold: None,
            ..self.fallback.clone()
        };
        let quick = SecondPass {
            fallback: &fallback,
            ..*self
        };
        let is_heard = |text: &WindowText| is_surely_heard(&text.result, &fallback);
        Ok(
            is_heard(&quick.with_timestamps(&first.result, audio, options)?)
                || is_heard(&quick.in_pieces(&first.result, audio, END_PAUSE_S, options)?),
        )
    }

    /// Returns the first text, or the one of a later attempt that is likely and covers more voice, until
    /// no voice is without words.
    fn best_of(
        &self,
        first: WindowText,
        audio: &WindowAudio,
        continues: bool,
        options: &DecodingOptions,
    ) -> Result<WindowText, WindowError> {
        let holes = |text: &WindowText| self.holes(text, audio, continues);
        let mut left = holes(&first);
        let ends_early = !continues && ends_early(&first, audio);
        let mut best = first;
        for way in WAYS {
            if left.is_empty() && !ends_early {
                break;
            }
            loop {
                let text = match way {
                    // A text that is not believed has no holes to fill.
                    Way::Holes if hears_nobody(&best.result, self.fallback) => break,
                    Way::Holes => self.filled(&best, &left, audio, options)?,
                    Way::Timestamps => self.with_timestamps(&best.result, audio, options)?,
                    Way::Pieces => self.in_pieces(&best.result, audio, END_PAUSE_S, options)?,
                    Way::Phrases => self.in_pieces(&best.result, audio, PAUSE_S, options)?,
                    Way::Longest => self.in_longest_window(&best.result, audio, options)?,
                };
                let found = holes(&text);
                let covers_more = if left.is_empty() {
                    found.is_empty() && text.words.len() > best.words.len()
                } else {
                    unheard_s(&found) + MIN_GAIN_S < unheard_s(&left)
                };
                if !covers_more || !is_likely(&text.result) {
                    break;
                }
                left = found;
                best = text;
                // Filling goes on while it gains.
                if left.is_empty() || !matches!(way, Way::Holes) {
                    break;
                }
            }
            if left.is_empty() {
                break;
            }
        }
        Ok(best)
    }

    /// Whether a text that ends with its window would be decoded again or dropped.
    pub fn is_suspicious(&self, text: &WindowText, audio: &WindowAudio) -> bool {
        hears_nobody(&text.result, self.fallback)
            || is_too_fast(text)
            || ends_early(text, audio)
            || !self.holes(text, audio, false).is_empty()
    }

    /// Returns the holes in a text. One in which nobody seems to speak is a hole as a whole. If the
    /// window continues and the text reaches far enough, what follows it does not count.
    fn holes(&self, text: &WindowText, audio: &WindowAudio, continues: bool) -> Vec<Hole> {
        let seconds = audio.seconds();
        if hears_nobody(&text.result, self.fallback) {
            return super::coverage::holes(&[], audio, seconds);
        }
        let end = match text.words.last() {
            Some(last) if continues && last.end >= MIN_HEARD_SHARE * seconds => last.end,
            _ => seconds,
        };
        holes(&text.words, audio, end)
    }

    /// Returns a text with words in its holes.
    fn filled(
        &self,
        text: &WindowText,
        holes: &[Hole],
        audio: &WindowAudio,
        options: &DecodingOptions,
    ) -> Result<WindowText, WindowError> {
        let mut filled = text.clone();
        for hole in holes.iter().rev() {
            let before = text.words[..hole.words.start].last();
            let from = before.map_or(0.0, |word| word.end);
            let to = text
                .words
                .get(hole.words.end)
                .map_or(audio.seconds(), |word| word.start);
            let samples = audio.samples.get(clock::samples(from)..clock::samples(to));
            let Some(samples) = samples.filter(|samples| samples.len() + 1 < audio.samples.len())
            else {
                continue;
            };
            let piece = WindowAudio::new(self.whisper, samples.to_vec(), self.n_ctx);
            let options = DecodingOptions {
                language: Some(text.result.language),
                ..options.clone()
            };
            let mut found = self.text_of(&piece, &options)?;
            if !hears_nobody(&found.result, self.fallback) && is_likely(&found.result) {
                found.delay(from);
                filled.splice(hole.words.clone(), found, self.whisper.tokenizer());
            }
        }
        Ok(filled)
    }

    /// Decodes the window with timestamps.
    fn with_timestamps(
        &self,
        before: &DecodingResult,
        audio: &WindowAudio,
        options: &DecodingOptions,
    ) -> Result<WindowText, WindowError> {
        let options = DecodingOptions {
            without_timestamps: false,
            ..self.in_language_of(before, options)
        };
        self.text_of(audio, &options)
    }

    /// Decodes the window in the model's own window of 30 s.
    fn in_longest_window(
        &self,
        before: &DecodingResult,
        audio: &WindowAudio,
        options: &DecodingOptions,
    ) -> Result<WindowText, WindowError> {
        let longest = audio.in_window(self.whisper.file().dims().n_audio_ctx);
        self.text_of(&longest, &self.in_language_of(before, options))
    }

    /// Decodes the window in pieces, which end at pauses of `end_pause_s` seconds.
    fn in_pieces(
        &self,
        before: &DecodingResult,
        audio: &WindowAudio,
        end_pause_s: f64,
        options: &DecodingOptions,
    ) -> Result<WindowText, WindowError> {
        let mut options = self.in_language_of(before, options);
        let mut whole = WindowText {
            result: before.clone(),
            words: Vec::new(),
        };
        for Utterance { samples, start, .. } in cut(&audio.samples, end_pause_s) {
            let piece = WindowAudio::new(self.whisper, samples, self.n_ctx);
            let mut text = self.text_of(&piece, &options)?;
            if hears_nobody(&text.result, self.fallback) {
                continue;
            }
            options = self.in_language_of(&text.result, &options);
            text.delay(clock::seconds(start));
            whole = if whole.words.is_empty() {
                text
            } else {
                join(whole, text)
            };
        }
        Ok(whole)
    }

    /// Returns options for the language of an earlier text. If that is not sure, or the text is not
    /// believed, the language is detected anew.
    fn in_language_of(
        &self,
        before: &DecodingResult,
        options: &DecodingOptions,
    ) -> DecodingOptions {
        let is_known = before.is_language_sure() && !hears_nobody(before, self.fallback);
        DecodingOptions {
            language: options.language.or(is_known.then_some(before.language)),
            ..options.clone()
        }
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
        Ok(self.texts.text(result, audio, window.cache())?)
    }
}

/// Returns the seconds of voice in holes.
fn unheard_s(holes: &[Hole]) -> f64 {
    holes.iter().map(|hole| hole.unheard_s).sum()
}

/// Whether a text may have stopped before the speech: it ends in mid-sentence, and sound follows
/// its last word.
fn ends_early(text: &WindowText, audio: &WindowAudio) -> bool {
    let hides_more = |last: &TimedWord| {
        audio
            .pauses
            .may_hide_more(&text.result.text, last.end, audio.seconds())
    };
    !text.result.is_rejected && text.words.last().is_some_and(hides_more)
}

/// Cuts a window into pieces at its pauses, at each one of `end_pause_s` seconds.
fn cut(samples: &[f32], end_pause_s: f64) -> Vec<Utterance> {
    let mut segmenter = Segmenter::new(SegmenterOptions {
        max_samples: (samples.len() as f64 * PIECE) as usize,
        end_pause: clock::samples(end_pause_s),
    });
    let mut pieces = segmenter.push(samples);
    pieces.extend(segmenter.finish());
    pieces
}

/// Joins the texts of two pieces to one that is as likely as the less likely piece, in the language of the
/// first or, if only that of the second is sure, of the second.
fn join(first: WindowText, second: WindowText) -> WindowText {
    let (a, b) = (first.result, second.result);
    let words = [first.words, second.words].concat();
    let surer = if a.is_language_sure() || !b.is_language_sure() {
        &a
    } else {
        &b
    };
    let (language, language_probs) = (surer.language, surer.language_probs.clone());
    let result = DecodingResult {
        language,
        language_probs,
        tokens: [a.tokens, b.tokens].concat(),
        text: format!("{} {}", a.text, b.text),
        avg_logprob: a.avg_logprob.min(b.avg_logprob),
        no_speech_prob: a.no_speech_prob.min(b.no_speech_prob),
        temperature: a.temperature.max(b.temperature),
        compression_ratio: a.compression_ratio.max(b.compression_ratio),
        is_rejected: a.is_rejected || b.is_rejected,
        ..a
    };
    WindowText { result, words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{Language, Tokenizer};

    /// A text of these words of one token each, from `start` on.
    fn text(tokens: Vec<u32>, start: f64, avg_logprob: f32) -> WindowText {
        let words = (0..tokens.len())
            .map(|i| TimedWord {
                text: " a".into(),
                tokens: 1,
                start: start + i as f64,
                end: start + i as f64 + 1.0,
                probability: 1.0,
            })
            .collect();
        WindowText {
            result: DecodingResult {
                language: Language::ENGLISH,
                language_probs: None,
                text: "a ".repeat(tokens.len()).trim().to_owned(),
                tokens,
                avg_logprob,
                no_speech_prob: 0.1,
                temperature: 0.0,
                compression_ratio: 1.2,
                can_be_said: false,
                is_non_speech: false,
                is_rejected: false,
            },
            words,
        }
    }

    #[test]
    fn two_pieces_are_one_text() {
        let joined = join(text(vec![1], 0.0, -0.1), text(vec![2, 3], 5.0, -0.4));
        assert_eq!(joined.result.text, "a a a");
        assert_eq!(
            (joined.result.tokens, joined.result.avg_logprob),
            (vec![1, 2, 3], -0.4)
        );
        let starts: Vec<f64> = joined.words.iter().map(|word| word.start).collect();
        assert_eq!(starts, [0.0, 5.0, 6.0]);
    }

    #[test]
    fn a_hole_is_filled_where_it_is() {
        let tokenizer = Tokenizer::miniature(&[b" a", b" b"], 1, 1, true);
        let mut whole = text(vec![0, 0, 0], 0.0, -0.1);
        whole.splice(1..2, text(vec![1, 1], 1.0, -0.6), &tokenizer);
        assert_eq!(whole.result.tokens, [0, 1, 1, 0]);
        assert_eq!(whole.result.text, "a b b a");
        assert_eq!(whole.words.len(), 4);
        assert!(
            (whole.result.avg_logprob - -0.3).abs() < 1e-6,
            "the mean over all tokens"
        );
        whole.truncate(2, &tokenizer);
        assert_eq!((whole.result.text.as_str(), whole.words.len()), ("a b", 2));
    }
}
