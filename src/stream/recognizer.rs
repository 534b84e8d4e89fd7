//! What turns the samples of an utterance into text: [`WhisperRecognizer`], and in tests something
//! faster.

use crate::advice::Advice;
use crate::audio::{SAMPLE_RATE, sound_seconds};
use crate::mel::LogMel;
use crate::text::{Word, join, timed, written};
use crate::tokenizer::{Language, Task, TokenizerError};
use crate::whisper::alignment::{AlignmentInput, Pauses};
use crate::whisper::decoding::{
    DecodingError, DecodingOptions, DecodingResult, FallbackOptions, decode_with_fallback,
    is_sparse,
};
use crate::whisper::{DecodeError, EncodeError, Encoder, SAMPLES_PER_POSITION, Whisper, Window};
use std::borrow::Cow;
use std::sync::Arc;

/// Tokens that a second of speech may give in a draft; fast English is about 6. More is a loop.
const TOKENS_PER_SECOND: usize = 10;

/// Probability of `<|nospeech|>` above which a draft has to be likely to be shown.
const NO_SPEECH: f32 = 0.5;
/// Mean log-probability that such a draft needs: music gives words of up to -0.5, hens of -0.44.
/// One draft of speech in thirty has less; more audio decides.
const LIKELY: f32 = -0.4;
/// Length of sound from which on it is no longer short, in seconds.
const SHORT_S: f32 = 3.0;
/// Probability of `<|nospeech|>` below which, and mean log-probability above which a short draft
/// that is too unlikely otherwise is worth a second look: the first 3 s of music and noise have
/// more than 0.8 or less than -1.5 (seventeen minutes of them; docs/streaming.md).
const NO_SPEECH_TWICE: f32 = 0.75;
const LIKELY_TWICE: f32 = -1.5;

/// Mean log-probability that a text needs to stand for one that stops within a sentence.
const LIKELY_MORE: f32 = -0.7;

/// How much work a text is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// One attempt, for text that will be replaced.
    Draft,
    /// OpenAI's full procedure, for text that stays.
    Full,
}

/// What a text is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// Text to be shown.
    Good,
    /// Nothing by itself, but what two have in common may be shown.
    Unlikely,
    /// Nobody speaks, or the text is no good.
    None,
}

/// Sound before an utterance, and its text.
#[derive(Debug, Default, PartialEq)]
pub struct Context {
    /// Samples, 16 kHz, mono. The silence that parts utterances is left out of them.
    pub samples: Vec<f32>,
    /// What is said in them, with the space it begins with.
    pub text: String,
}

/// What to transcribe.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What was said before it, and is not to be transcribed again.
    pub context: Option<&'a Context>,
    /// Samples of an utterance, 16 kHz, mono, that fit the window together with the context's.
    pub samples: &'a [f32],
    /// Text that its transcript is known to begin with.
    pub prefix: &'a str,
    /// A guess of the text after the prefix, with the space it begins with: the better it is, the
    /// less work remains.
    pub draft: &'a str,
    /// Language, where it is known.
    pub language: Option<Language>,
    /// How much work it is worth.
    pub effort: Effort,
}

/// A transcript.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// Words after the prefix, in seconds from the utterance's first sample; none where nobody
    /// speaks or the text is no good.
    pub words: Vec<Word>,
    /// Whether they are a draft that is too unlikely to be shown, but for what the next draft has
    /// as well.
    pub is_unlikely: bool,
    /// Language given or detected.
    pub language: Language,
    /// Mean log-probability of a token.
    pub avg_logprob: f32,
}

impl Hypothesis {
    /// The same text, its words later by so many seconds.
    pub fn later(mut self, by_s: f64) -> Self {
        self.words = self
            .words
            .into_iter()
            .map(|word| word.later(by_s))
            .collect();
        self
    }
}

/// Why there is no transcript.
#[derive(Debug, thiserror::Error)]
pub enum RecognizeError {
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The decoder failed, or was told to stop.
    #[error(transparent)]
    Decode(#[from] DecodingError<DecodeError>),
    /// The prefix cannot be turned into tokens.
    #[error(transparent)]
    Prefix(#[from] TokenizerError),
}

impl Advice for RecognizeError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Decode(error) => error.remedy(),
            Self::Encode(_) | Self::Prefix(_) => None,
        }
    }
}

/// Turns samples into text.
pub trait Recognizer: Send {
    /// Transcribes; gives up soon after `cancelled` says so.
    ///
    /// # Errors
    /// When the model fails, or as told.
    fn recognize(
        &mut self,
        request: Request<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError>;

    /// The language of all that it transcribes, where that is given.
    fn language(&self) -> Option<Language>;

    /// Most samples that fit its window, those of the context among them.
    fn max_samples(&self) -> usize;
}

/// Whisper.
pub struct WhisperRecognizer {
    whisper: Arc<Whisper>,
    encoder: Box<dyn Encoder>,
    log_mel: LogMel,
    n_ctx: usize,
    decoding: DecodingOptions,
    fallback: FallbackOptions,
}

impl WhisperRecognizer {
    /// A recognizer for windows of at most `n_ctx` encoder positions of 20 ms each, or what the
    /// model has; `decoding` holds for all that it transcribes.
    pub fn new(whisper: Arc<Whisper>, n_ctx: usize, decoding: DecodingOptions) -> Self {
        let decoding = DecodingOptions {
            without_timestamps: true,
            ..decoding
        };
        let (encoder, log_mel) = (whisper.encoder(), LogMel::new(whisper.file().dims().n_mels));
        let n_ctx = n_ctx.min(whisper.file().dims().n_audio_ctx);
        Self {
            whisper,
            encoder,
            log_mel,
            n_ctx,
            decoding,
            fallback: FallbackOptions::default(),
        }
    }

    /// The text of one window, sought without timestamps or with them.
    fn hear(
        &mut self,
        request: Request<'_>,
        without_timestamps: bool,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError> {
        let before = request.context.map_or(&[][..], |context| &context.samples);
        let samples = [before, request.samples].concat();
        let mut options = self.options(&request)?;
        let once = FallbackOptions {
            temperatures: vec![0.0],
            ..self.fallback.clone()
        };
        // A second look that is not sure at once is no use.
        let fallback = if request.effort == Effort::Draft || !without_timestamps {
            &once
        } else {
            &self.fallback
        };
        let n_ctx = self.whisper.window(samples.len(), self.n_ctx);
        let window_s = (n_ctx * SAMPLES_PER_POSITION) as f32 / SAMPLE_RATE as f32;
        (options.without_timestamps, options.max_timestamp) = (without_timestamps, Some(window_s));
        let features = self
            .encoder
            .encode(&self.log_mel.compute(&samples, 2 * n_ctx))?;
        let mut window =
            Window::new(self.whisper.decoder(), &features).map_err(DecodingError::Inference)?;
        let result = decode_with_fallback(
            &mut window,
            self.whisper.tokenizer(),
            &options,
            fallback,
            cancelled,
        )?;
        let worth = match request.effort {
            Effort::Draft => self.worth(&result, &options),
            Effort::Full if self.fallback.is_silence(&result) => Worth::None,
            Effort::Full if !without_timestamps && result.is_rejected => Worth::None,
            Effort::Full => Worth::Good,
        };
        let mut words = Vec::new();
        if worth != Worth::None {
            let said = AlignmentInput {
                before: &options.prefix,
                tokens: &result.tokens,
                language: result.language,
                task: options.task,
                seconds: seconds(&samples),
                pauses: &Pauses::of(&samples),
            };
            let aligned = self
                .whisper
                .aligner()
                .align(window.cache(), &said)
                .map_err(DecodingError::Inference)?;
            let before_s = seconds(before);
            let utterance = timed(&aligned, written(options.task, result.language)).into_iter();
            let utterance = utterance.map(|word| word.later(-before_s).from_zero());
            // Where all is said the decoder still adds a full stop, or a comma, to what was said
            // before.
            let is_mark =
                |word: &Word| !before.is_empty() && !word.text.contains(char::is_alphanumeric);
            words = utterance.skip_while(is_mark).collect();
        }
        let is_unlikely = worth == Worth::Unlikely;
        Ok(Hypothesis {
            words,
            is_unlikely,
            language: result.language,
            avg_logprob: result.avg_logprob,
        })
    }

    /// Options for one request.
    fn options(&self, request: &Request<'_>) -> Result<DecodingOptions, RecognizeError> {
        let seconds = seconds(request.samples) as f32;
        let sample_len = match request.effort {
            Effort::Draft => Some((seconds as usize + 1) * TOKENS_PER_SECOND),
            Effort::Full => self.decoding.sample_len,
        };
        let (audio_s, sound_s) = (Some(seconds), Some(sound_seconds(request.samples)));
        let tokenizer = self.whisper.tokenizer();
        let before = request.context.map_or("", |context| &context.text);
        let n_before = tokenizer.encode_prompt(before)?.len();
        let prefix = tokenizer.encode_prompt(&format!("{before}{}", request.prefix))?;
        let draft = tokenizer.encode(request.draft)?;
        let language = self.decoding.language.or(request.language);
        Ok(DecodingOptions {
            sample_len,
            prefix,
            n_before,
            predicted: draft,
            language,
            audio_s,
            sound_s,
            ..self.decoding.clone()
        })
    }

    /// Whether a context is of use: its text is short enough for the decoder and says in its words
    /// what is said in its sound, which a translation does not.
    fn can_hear_after(&self, context: &Context) -> bool {
        let most = self.whisper.file().dims().n_text_ctx / 4;
        let is_short = self
            .whisper
            .tokenizer()
            .encode_prompt(&context.text)
            .is_ok_and(|tokens| tokens.len() <= most);
        is_short && self.decoding.task == Task::Transcribe
    }

    /// What a draft is worth.
    fn worth(&self, result: &DecodingResult, options: &DecodingOptions) -> Worth {
        let sound_s = options.sound_s.unwrap_or_default();
        let is_short = sound_s < SHORT_S;
        let is_doubtful = result.no_speech_prob > NO_SPEECH && result.avg_logprob < LIKELY;
        // Few words in much sound may be none; what follows them is looked for in the final text
        // alone.
        let is_sparse = is_sparse(options.n_said() + result.tokens.len(), sound_s);
        let is_poor =
            is_doubtful || self.fallback.needs_fallback(result) || self.fallback.is_silence(result);
        let may_agree = is_short
            && result.no_speech_prob < NO_SPEECH_TWICE
            && result.avg_logprob > LIKELY_TWICE;
        if !is_sparse && !is_poor {
            Worth::Good
        } else if !is_sparse && may_agree {
            Worth::Unlikely
        } else {
            Worth::None
        }
    }
}

impl Recognizer for WhisperRecognizer {
    fn recognize(
        &mut self,
        request: Request<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError> {
        let request = Request {
            context: request
                .context
                .filter(|context| self.can_hear_after(context)),
            ..request
        };
        let heard = self.hear(request, true, cancelled)?;
        let pauses = Pauses::of(request.samples);
        let stops_early = |last: &Word| {
            pauses.may_hide_more(&join(&heard.words), last.end_s, seconds(request.samples))
        };
        if request.effort == Effort::Draft
            || !request.prefix.is_empty()
            || !heard.words.last().is_some_and(stops_early)
        {
            return Ok(heard);
        }
        // Timestamps lead the decoder on where it would stop at a pause; they are not known of the
        // context.
        let request = Request {
            context: None,
            draft: "",
            language: Some(heard.language),
            ..request
        };
        let more = self.hear(request, false, cancelled)?;
        let is_better = more.avg_logprob >= LIKELY_MORE && more.words.len() > heard.words.len();
        Ok(if is_better { more } else { heard })
    }

    fn language(&self) -> Option<Language> {
        self.decoding.language
    }

    fn max_samples(&self) -> usize {
        self.n_ctx * SAMPLES_PER_POSITION
    }
}

fn seconds(samples: &[f32]) -> f64 {
    samples.len() as f64 / f64::from(SAMPLE_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ModelFile, Origin, import, synthetic};
    use crate::stream::{LiveOptions, SegmenterOptions};
    use crate::whisper::{Compute, Dims, LONGEST_WINDOW};

    #[test]
    fn a_model_of_short_windows_gets_no_longer_ones() {
        let dims = Dims {
            n_audio_ctx: 300,
            n_text_ctx: 64,
            ..synthetic::dims()
        };
        let directory = tempfile::tempdir().expect("a directory");
        let (pt, model) = (
            directory.path().join("tiny.pt"),
            directory.path().join("tiny.safetensors"),
        );
        synthetic::write_pt(&pt, &dims, &synthetic::model(&dims));
        let origin = Origin {
            name: "tiny".to_owned(),
            source: "nowhere".to_owned(),
            dims: None,
        };
        import(&pt, &model, &origin, &|_, _| Ok(Vec::new()), &mut |_, _| ()).expect("an import");
        let file = Arc::new(ModelFile::open(&model).expect("a model"));
        let whisper = Arc::new(Whisper::load(file, Compute::F32, 1).expect("a model"));

        let options = LiveOptions {
            segmenter: SegmenterOptions::default(),
            step_s: None,
        };
        let longest = options.for_model(&dims).segmenter.max_samples;
        assert_eq!(longest, 6 * SAMPLE_RATE as usize);
        let tone: Vec<f32> = (0..longest).map(|i| (i as f32 * 0.3).sin()).collect();
        let mut recognizer =
            WhisperRecognizer::new(whisper, LONGEST_WINDOW, DecodingOptions::default());
        let (context, effort) = (None, Effort::Draft);
        let request = Request {
            context,
            samples: &tone,
            prefix: "",
            draft: "",
            language: None,
            effort,
        };
        recognizer
            .recognize(request, &|| false)
            .expect("a window that the model has");
    }
}
