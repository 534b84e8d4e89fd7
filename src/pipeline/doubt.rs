//! Windows with too few words for their sound, which are decoded again; that costs next to nothing
//! while all is well. Where the decoder has passed over a sentence, as it does now and then where
//! the voice changes within a window, in shorter ones; where it has found nothing and does not say
//! that nobody speaks, in the longest, and where it says so with timestamps, without them; where
//! its text stops within a sentence and sound follows, as it does now and then at a pause, with
//! timestamps, which lead it on.
//!
//! In: a window's samples and text. Out: the other text, where it holds more.

use super::text::{Segments, place};
use super::{Settings, StageError};
use crate::audio::{SAMPLE_RATE, sound_seconds};
use crate::mel::LogMel;
use crate::stream::{Segmenter, SegmenterOptions, Utterance};
use crate::text::split;
use crate::whisper::alignment::{Pauses, ends_sentence};
use crate::whisper::decoding::{
    DecodingError, DecodingOptions, DecodingResult, decode_with_fallback,
};
use crate::whisper::{SAMPLES_PER_POSITION, Segment, Whisper, Window, WindowCache};
use std::sync::atomic::{AtomicBool, Ordering};

/// Shortest sound in which few words are doubtful, in seconds.
const LONG_ENOUGH: f32 = 6.0;
/// Tokens a second of sound below which a text is doubtful. In 253 windows of more than 6 s of
/// English speech there were 2.8 and more but for one, a list of digits with 1.5; a window in which
/// a sentence is missing has less than 2.
const FEW: f32 = 2.5;
/// How many times the letters and digits of the whole the pieces must have: less is another
/// spelling, not another sentence.
const MORE: f32 = 1.25;
/// Mean log-probability that each piece must have: what is made up has less.
const LIKELY: f32 = -0.7;
/// Shortest sound in which no words are doubtful, in seconds.
const AUDIBLE: f32 = 1.0;
/// Probability of `<|nospeech|>` above which they are not.
const NO_SPEECH: f32 = 0.5;
/// The longest piece, as a share of the window: two pieces mostly.
const PIECE: f64 = 0.6;

/// A window's text: what the decoder found and its segments, in seconds from the window's start.
pub type Text = (DecodingResult, Vec<Segment>);

/// Whether a text is too short for so many seconds of sound.
fn is_short(result: &DecodingResult, sound_s: f32, eot: u32) -> bool {
    sound_s >= LONG_ENOUGH
        && (result.tokens.iter().filter(|token| **token < eot).count() as f32) < FEW * sound_s
}

/// Whether so many seconds of sound without a text may be speech.
fn is_unheard(result: &DecodingResult, sound_s: f32) -> bool {
    sound_s >= AUDIBLE && result.no_speech_prob < NO_SPEECH
}

/// Decodes doubtful windows again.
pub struct Again<'a> {
    /// The model.
    pub whisper: &'a Whisper,
    /// Those of the windows.
    pub settings: &'a Settings,
    /// What makes segments.
    pub segments: &'a Segments<'a>,
    /// Whether to give up.
    pub stop: &'a AtomicBool,
}

impl Again<'_> {
    /// A better text of a window, decoded with the same options; `None` where there is nothing to
    /// doubt in `first`, or nothing better. `audio` is the window as the decoder keeps it.
    ///
    /// # Errors
    /// Where the encoder or the decoder fails, or [`DecodingError::Cancelled`].
    pub fn decode(
        &self,
        samples: &[f32],
        sound_s: f32,
        options: &DecodingOptions,
        (result, segments): (&DecodingResult, &[Segment]),
        audio: &mut WindowCache,
    ) -> Result<Option<Text>, StageError> {
        if segments.is_empty() {
            return self.unheard(samples, sound_s, options, result);
        }
        let options = DecodingOptions {
            language: Some(result.language),
            ..options.clone()
        };
        if !is_short(result, sound_s, self.whisper.tokenizer().special().eot) {
            if !options.without_timestamps
                || result.is_rejected
                || !self.stops_early(samples, result, audio)?
            {
                return Ok(None);
            }
            let whole = Utterance {
                start: 0,
                samples: samples.to_vec(),
            };
            let options = DecodingOptions {
                without_timestamps: false,
                ..options
            };
            let text = self.text_of(
                &whole,
                self.whisper.window(samples.len(), self.settings.n_ctx),
                &options,
            )?;
            let n_words = |text: &str| split(text, result.language).len();
            let is_more =
                |text: &Text| is_likely(text) && n_words(&text.0.text) > n_words(&result.text);
            return Ok(Some(text)
                .filter(is_more)
                .and_then(|text| self.without_timestamps(text)));
        }
        let mut texts = Vec::new();
        for piece in cut(samples) {
            let n_ctx = self
                .whisper
                .window(piece.samples.len(), self.settings.n_ctx);
            let text = self.text_of(&piece, n_ctx, &options)?;
            if !is_likely(&text) {
                return Ok(None);
            }
            // Text of a piece in which nobody speaks is none.
            if !text.1.is_empty() {
                texts.push(text);
            }
        }
        let text = texts.into_iter().reduce(join);
        Ok(text.filter(|(found, _)| {
            n_letters(&found.text) as f32 >= MORE * n_letters(&result.text) as f32
        }))
    }

    /// The text of sound in which none was found: in the longest window, or where the model says
    /// that nobody speaks, without timestamps, which make any text less likely. A language that is
    /// not given is detected anew, since that of no text says little.
    fn unheard(
        &self,
        samples: &[f32],
        sound_s: f32,
        options: &DecodingOptions,
        result: &DecodingResult,
    ) -> Result<Option<Text>, StageError> {
        let whole = Utterance {
            start: 0,
            samples: samples.to_vec(),
        };
        let text = if is_unheard(result, sound_s) {
            self.text_of(&whole, self.settings.n_ctx, options)?
        } else if sound_s >= AUDIBLE && !options.without_timestamps {
            let options = DecodingOptions {
                without_timestamps: true,
                ..options.clone()
            };
            self.text_of(
                &whole,
                self.whisper.window(samples.len(), self.settings.n_ctx),
                &options,
            )?
        } else {
            return Ok(None);
        };
        Ok(Some(text).filter(|text| is_likely(text) && !text.1.is_empty()))
    }

    /// Whether a text stops within a sentence and sound follows.
    fn stops_early(
        &self,
        samples: &[f32],
        result: &DecodingResult,
        audio: &mut WindowCache,
    ) -> Result<bool, StageError> {
        if ends_sentence(&result.text) {
            return Ok(false);
        }
        let (seconds, pauses) = (
            samples.len() as f64 / f64::from(SAMPLE_RATE),
            Pauses::of(samples),
        );
        let words = self
            .segments
            .words(&result.tokens, result.language, seconds, &pauses, audio);
        let words = words.map_err(DecodingError::Inference)?;
        Ok(words
            .last()
            .is_some_and(|last| pauses.may_hide_more(&result.text, last.end, seconds)))
    }

    /// A text that timestamps led to as one that was found without them: one segment of text
    /// tokens.
    fn without_timestamps(&self, (mut result, segments): Text) -> Option<Text> {
        let eot = self.whisper.tokenizer().special().eot;
        let mut whole = segments.into_iter().reduce(|mut whole, more| {
            whole.end = more.end;
            whole.text += &more.text;
            whole.tokens.extend(more.tokens);
            whole.words.extend(more.words);
            whole
        })?;
        whole.tokens.retain(|token| *token < eot);
        result.tokens.retain(|token| *token < eot);
        Some((result, vec![whole]))
    }

    /// What a piece says in a window of `n_ctx` positions, in seconds from the start of the whole.
    fn text_of(
        &self,
        piece: &Utterance,
        n_ctx: usize,
        options: &DecodingOptions,
    ) -> Result<Text, StageError> {
        let Self {
            whisper,
            settings,
            segments,
            stop,
        } = self;
        let samples = &piece.samples;
        let mel = LogMel::new(whisper.file().dims().n_mels).compute(samples, 2 * n_ctx);
        let features = whisper.encoder().encode(&mel)?;
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        let options = DecodingOptions {
            max_timestamp: Some((n_ctx * SAMPLES_PER_POSITION) as f32 / SAMPLE_RATE as f32),
            audio_s: Some(seconds as f32),
            sound_s: Some(sound_seconds(samples)),
            ..options.clone()
        };
        let mut window =
            Window::new(whisper.decoder(), &features).map_err(DecodingError::Inference)?;
        let stopped = || stop.load(Ordering::Relaxed);
        let result = decode_with_fallback(
            &mut window,
            whisper.tokenizer(),
            &options,
            &settings.fallback,
            &stopped,
        )?;
        let segments = segments.of(&result, seconds, &Pauses::of(samples), window.cache());
        let mut segments = segments.map_err(DecodingError::Inference)?;
        place(
            &mut segments,
            piece.start as f64 / f64::from(SAMPLE_RATE),
            seconds,
        );
        Ok((result, segments))
    }
}

/// Whether a text that was decoded again is to be believed.
fn is_likely((result, _): &Text) -> bool {
    !result.is_rejected && result.avg_logprob >= LIKELY
}

/// Letters and digits of a text.
fn n_letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

/// A window cut anew, at its pauses.
fn cut(samples: &[f32]) -> Vec<Utterance> {
    let max_samples = (samples.len() as f64 * PIECE) as usize;
    let mut segmenter = Segmenter::new(SegmenterOptions {
        max_samples,
        ..SegmenterOptions::default()
    });
    let mut pieces = segmenter.push(samples);
    pieces.extend(segmenter.finish());
    pieces
}

/// The text of two pieces as one: no likelier than its less likely piece.
fn join((first, mut segments): Text, (second, more): Text) -> Text {
    segments.extend(more);
    let result = DecodingResult {
        tokens: [first.tokens, second.tokens].concat(),
        text: format!("{} {}", first.text, second.text),
        avg_logprob: first.avg_logprob.min(second.avg_logprob),
        no_speech_prob: first.no_speech_prob.min(second.no_speech_prob),
        temperature: first.temperature.max(second.temperature),
        compression_ratio: first.compression_ratio.max(second.compression_ratio),
        ..first
    };
    (result, segments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Language;

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
    fn few_tokens_in_much_sound_are_doubtful() {
        let timestamps = vec![EOT + 200; 100];
        let sparse = result([vec![7; 20], timestamps.clone()].concat(), "", -0.1);
        assert!(is_short(&sparse, 12.0, EOT), "timestamps are no text");
        assert_eq!(n_letters("9-0-2, 1"), 4);
        assert!(!is_short(&sparse, 7.0, EOT) && !is_short(&result(vec![7], "", -0.1), 5.0, EOT));
    }

    #[test]
    fn sound_without_words_is_doubtful_unless_the_model_says_that_nobody_speaks() {
        let nothing = result(vec![], "", -1.2);
        let nobody = DecodingResult {
            no_speech_prob: 0.7,
            ..nothing.clone()
        };
        assert!(
            is_unheard(&nothing, 4.0) && !is_unheard(&nothing, 0.5) && !is_unheard(&nobody, 4.0)
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
        let first = (result(vec![1], "a", -0.1), vec![segment(0.0)]);
        let second = (result(vec![2, 3], "b", -0.4), vec![segment(5.0)]);
        let (joined, segments) = join(first, second);
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
