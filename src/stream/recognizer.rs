//! Turns the samples of an utterance into text: [`WhisperRecognizer`], or a fake in tests.
//!
//! In: a [`Request`] with the samples of an utterance and its context. Out: a [`Hypothesis`].

use crate::advice::Advice;
use crate::audio::{clock, sound_seconds};
use crate::recognize::verdict::{self, Verdict, hears_nobody};
use crate::recognize::{
    SecondPass, WindowAudio, WindowEncoder, WindowError, WindowText, WindowTexts, recognize,
};
use crate::text::{Word, timed, written};
use crate::tokenizer::{Language, Task, TokenizerError};
use crate::whisper::decoding::thresholds::MAX_TOKENS_PER_SECOND_INTERIM;
use crate::whisper::decoding::{DecodingOptions, DecodingResult, FallbackOptions};
use crate::whisper::{LONGEST_WINDOW, SAMPLES_PER_POSITION, TimedWord, Whisper};
use std::borrow::Cow;
use std::sync::Arc;

/// Number of characters of the text before an utterance that the decoder is given.
const MAX_TEXT_BEFORE: usize = 200;

/// Kind of a pass over an utterance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// One attempt, for text that later passes replace.
    Interim,
    /// OpenAI's full procedure with fallback, for text that stays.
    Final,
}

/// Audio before an utterance, and its text.
#[derive(Debug, Default, PartialEq)]
pub struct Context {
    /// Samples, 16 kHz, mono, without the silence between utterances.
    pub samples: Vec<f32>,
    /// Text of the samples, with its leading space.
    pub text: String,
}

/// Request to transcribe an utterance.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Preceding audio and its text, which is not part of the result.
    pub context: Option<&'a Context>,
    /// Text that precedes the speech and whose audio is not known.
    pub text_before: &'a str,
    /// Samples of the utterance, 16 kHz, mono. They fit the window together with those of the
    /// context.
    pub samples: &'a [f32],
    /// Text that the transcript is known to begin with.
    pub prefix: &'a str,
    /// Predicted text after the prefix, with its leading space. The more of it is right, the less
    /// work remains.
    pub predicted: &'a str,
    /// Language, if it is known.
    pub language: Option<Language>,
    /// Kind of the pass.
    pub pass: Pass,
}

/// Text that the model proposes for an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// Words after the prefix, in seconds from the utterance's first sample; none if nobody speaks
    /// or the text is not believed.
    pub words: Vec<Word>,
    /// Whether the words are too unlikely to be shown, except those that the next interim text
    /// repeats.
    pub is_unlikely: bool,
    /// Whether a final pass over the same audio would find the same.
    pub stands: bool,
    /// Language, given or detected.
    pub language: Language,
    /// Mean log-probability of a token.
    pub avg_logprob: f32,
}

impl Hypothesis {
    /// Returns the hypothesis with its words moved `by_s` seconds later.
    pub fn later(mut self, by_s: f64) -> Self {
        let words = self.words.into_iter();
        self.words = words.map(|word| word.later(by_s)).collect();
        self
    }
}

/// Error of transcribing an utterance.
#[derive(Debug, thiserror::Error)]
pub enum RecognizeError {
    /// The encoder or the decoder failed, or the caller cancelled.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// The prefix cannot be turned into tokens.
    #[error(transparent)]
    Prefix(#[from] TokenizerError),
}

impl Advice for RecognizeError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Window(error) => error.remedy(),
            Self::Prefix(_) => None,
        }
    }
}

/// Turns samples into text.
pub trait Recognizer: Send {
    /// Transcribes an utterance. Gives up soon after `cancelled` returns true.
    ///
    /// # Errors
    /// Returns an error if the model fails, or `cancelled` returns true.
    fn recognize(
        &mut self,
        request: Request<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError>;

    /// Language of all audio, if it is given. The default is that it is detected.
    fn language(&self) -> Option<Language> {
        None
    }

    /// Maximum number of samples that fit the window, those of the context included. The default is
    /// the longest window.
    fn max_samples(&self) -> usize {
        LONGEST_WINDOW * SAMPLES_PER_POSITION
    }
}

/// Recognizer with a Whisper model.
pub struct WhisperRecognizer {
    whisper: Arc<Whisper>,
    encoder: WindowEncoder,
    n_ctx: usize,
    decoding: DecodingOptions,
    fallback: FallbackOptions,
}

/// What the decoder found in a window.
struct Decoded {
    /// Its words are those after the prefix, in seconds from the utterance's first sample.
    text: WindowText,
    verdict: Verdict,
}

impl WhisperRecognizer {
    /// Creates a recognizer for windows of at most `n_ctx` encoder positions of 20 ms each, or as
    /// many as the model has. `decoding` are the options of all passes.
    pub fn new(whisper: Arc<Whisper>, n_ctx: usize, decoding: DecodingOptions) -> Self {
        Self {
            encoder: WindowEncoder::new(&whisper),
            n_ctx: n_ctx.min(whisper.file().dims().n_audio_ctx),
            decoding: DecodingOptions {
                without_timestamps: true,
                ..decoding
            },
            fallback: FallbackOptions::default(),
            whisper,
        }
    }

    /// Transcribes an utterance. A suspicious final text is decoded again, without the context, since
    /// what a second pass needs of it is not known.
    fn transcribe(
        &mut self,
        request: Request<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError> {
        let before = request.context.map_or(&[][..], |context| &context.samples);
        let audio = self.audio([before, request.samples].concat());
        let options = self.options(&request)?;
        let first = self.decode(&audio, &options, &request, cancelled)?;
        let has_second_pass = request.prefix.is_empty();
        let is_interim = request.pass == Pass::Interim;
        // What an interim pass finds stands at most if its audio ends in a pause.
        let may_stand = has_second_pass && first.verdict == Verdict::Show && audio.ends_in_pause();
        if is_interim && !may_stand || !has_second_pass {
            return Ok(first.into_hypothesis(options.task, !is_interim));
        }
        let alone = Request {
            context: None,
            text_before: "",
            predicted: "",
            ..request
        };
        let utterance = self.audio(request.samples.to_vec());
        let second_pass = SecondPass {
            whisper: &self.whisper,
            texts: &WindowTexts::new(&self.whisper, options.task, true),
            fallback: &self.fallback,
            n_ctx: self.n_ctx,
            cancelled,
        };
        if is_interim {
            let stands = !second_pass.is_suspicious(&first.text, &utterance);
            return Ok(first.into_hypothesis(options.task, stands));
        }
        let text = second_pass.believed(first.text, &utterance, false, &self.options(&alone)?)?;
        let believed = Decoded {
            text,
            verdict: first.verdict,
        };
        Ok(believed.into_hypothesis(options.task, true))
    }

    fn audio(&self, samples: Vec<f32>) -> WindowAudio {
        WindowAudio::new(&self.whisper, samples, self.n_ctx)
    }

    /// Decodes a window, judges its text and aligns its words.
    fn decode(
        &mut self,
        audio: &WindowAudio,
        options: &DecodingOptions,
        request: &Request<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Decoded, RecognizeError> {
        let once = FallbackOptions {
            temperatures: vec![0.0],
            ..self.fallback.clone()
        };
        let fallback = match request.pass {
            Pass::Interim => &once,
            Pass::Final => &self.fallback,
        };
        let encoder = &mut self.encoder;
        let (result, mut window) =
            recognize(&self.whisper, encoder, audio, options, fallback, cancelled)?;
        let verdict = self.judge(&result, options, request.pass);
        let mut words = Vec::new();
        if verdict != Verdict::Drop {
            let aligned = WindowTexts::new(&self.whisper, options.task, true)
                .words(
                    &options.prefix,
                    &result.tokens,
                    result.language,
                    audio,
                    window.cache(),
                )
                .map_err(WindowError::from)?;
            let context = request.context.map_or(&[][..], |context| &context.samples);
            words = after(context, aligned);
        }
        Ok(Decoded {
            text: WindowText { result, words },
            verdict,
        })
    }

    /// Judges the text of a pass.
    fn judge(&self, result: &DecodingResult, options: &DecodingOptions, pass: Pass) -> Verdict {
        match pass {
            Pass::Interim => verdict::of_interim(
                result,
                options.n_said() + result.tokens.len(),
                options.sound_s.unwrap_or_default(),
                &self.fallback,
            ),
            Pass::Final if hears_nobody(result, &self.fallback) => Verdict::Drop,
            Pass::Final => Verdict::Show,
        }
    }

    /// Returns the decoding options for a request.
    fn options(&self, request: &Request<'_>) -> Result<DecodingOptions, RecognizeError> {
        let seconds = clock::seconds(request.samples.len() as u64) as f32;
        let tokenizer = self.whisper.tokenizer();
        let before = request.context.map_or("", |context| &context.text);
        let mut prompt = self.decoding.prompt.clone();
        prompt.extend(tokenizer.encode_prompt(last_words(request.text_before))?);
        Ok(DecodingOptions {
            prompt,
            sample_len: match request.pass {
                Pass::Interim => Some((seconds as usize + 1) * MAX_TOKENS_PER_SECOND_INTERIM),
                Pass::Final => self.decoding.sample_len,
            },
            prefix: tokenizer.encode_prompt(&format!("{before}{}", request.prefix))?,
            n_before: tokenizer.encode_prompt(before)?.len(),
            predicted: tokenizer.encode(request.predicted)?,
            language: self.decoding.language.or(request.language),
            audio_s: Some(seconds),
            sound_s: Some(sound_seconds(request.samples)),
            ..self.decoding.clone()
        })
    }

    /// Whether a context can be used: its text is short enough for the decoder, and it is a
    /// transcript of its audio, not a translation.
    fn can_use(&self, context: &Context) -> bool {
        let most = self.whisper.file().dims().n_text_ctx / 4;
        let tokens = self.whisper.tokenizer().encode_prompt(&context.text);
        let is_short = tokens.is_ok_and(|tokens| tokens.len() <= most);
        is_short && self.decoding.task == Task::Transcribe
    }
}

impl Recognizer for WhisperRecognizer {
    fn recognize(
        &mut self,
        request: Request<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError> {
        let context = request.context.filter(|context| self.can_use(context));
        self.transcribe(Request { context, ..request }, cancelled)
    }

    fn language(&self) -> Option<Language> {
        self.decoding.language
    }

    fn max_samples(&self) -> usize {
        self.n_ctx * SAMPLES_PER_POSITION
    }
}

impl Decoded {
    fn into_hypothesis(self, task: Task, stands: bool) -> Hypothesis {
        let WindowText { result, words } = self.text;
        Hypothesis {
            words: timed(&words, written(task, result.language)),
            is_unlikely: self.verdict == Verdict::ShowIfRepeated,
            stands,
            language: result.language,
            avg_logprob: result.avg_logprob,
        }
    }
}

/// Returns the last words of a text, as many as are worth the decoder's time.
fn last_words(text: &str) -> &str {
    let text = text.trim();
    let n = text.chars().count().saturating_sub(MAX_TEXT_BEFORE);
    match text.char_indices().nth(n) {
        Some((from, _)) if n > 0 => {
            let rest = &text[from..];
            rest.split_once(char::is_whitespace)
                .map_or(rest, |(_, words)| words)
        }
        _ => text,
    }
}

/// Returns the words of an utterance in seconds from its own start, given those in seconds from the
/// start of the context.
fn after(context: &[f32], words: Vec<TimedWord>) -> Vec<TimedWord> {
    let context_s = clock::seconds(context.len() as u64);
    let words = words.into_iter().map(|word| TimedWord {
        start: (word.start - context_s).max(0.0),
        end: (word.end - context_s).max(0.0),
        ..word
    });
    // Even if nothing is said after the context, the decoder adds a full stop or a comma to it.
    let is_mark =
        |word: &TimedWord| !context.is_empty() && !word.text.contains(char::is_alphanumeric);
    words.skip_while(is_mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{SAMPLE_RATE, SegmenterOptions};
    use crate::models::{ModelFile, Origin, import, synthetic};
    use crate::stream::LiveOptions;
    use crate::whisper::{Dims, Precision};

    #[test]
    fn of_a_long_text_the_last_words_are_used() {
        assert_eq!(last_words(" Dear Ms Müller, "), "Dear Ms Müller,");
        let long = "ärger ".repeat(100);
        let last = last_words(&long);
        assert!(
            last.starts_with("ärger ") && last.ends_with(" ärger"),
            "{last}"
        );
        assert!((MAX_TEXT_BEFORE - 10..=MAX_TEXT_BEFORE).contains(&last.chars().count()));
        assert_eq!(
            last_words(&"漢".repeat(300)).chars().count(),
            MAX_TEXT_BEFORE
        );
        assert_eq!(last_words(" \n"), "");
    }

    #[test]
    fn a_model_of_short_windows_gets_no_longer_ones() {
        let dims = Dims {
            n_audio_ctx: 300,
            n_text_ctx: 64,
            ..synthetic::dims()
        };
        let directory = tempfile::tempdir().expect("a directory");
        let pt = directory.path().join("tiny.pt");
        let model = directory.path().join("tiny.safetensors");
        synthetic::write_pt(&pt, &dims, &synthetic::model(&dims));
        let origin = Origin {
            name: "tiny".to_owned(),
            source: "nowhere".to_owned(),
            dims: None,
        };
        import(&pt, &model, &origin, &|_, _| Ok(Vec::new()), &mut |_, _| ()).expect("an import");
        let file = Arc::new(ModelFile::open(&model).expect("a model"));
        let whisper = Arc::new(Whisper::load(file, Precision::F32, 1).expect("a model"));

        let options = LiveOptions {
            segmenter: SegmenterOptions::default(),
            ends_by_sentence: false,
            step_s: None,
        };
        let longest = options.for_model(&dims).segmenter.max_samples;
        assert_eq!(longest, 6 * SAMPLE_RATE as usize);
        let tone: Vec<f32> = (0..longest).map(|i| (i as f32 * 0.3).sin()).collect();
        let mut recognizer =
            WhisperRecognizer::new(whisper, LONGEST_WINDOW, DecodingOptions::default());
        let request = Request {
            context: None,
            text_before: "",
            samples: &tone,
            prefix: "",
            predicted: "",
            language: None,
            pass: Pass::Interim,
        };
        recognizer
            .recognize(request, &|| false)
            .expect("a window that the model has");
    }
}
