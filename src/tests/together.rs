//! Windows decoded together, and windows decoded with a draft, say what each says alone and
//! without; the times of their words do not depend on what the decoder has read before.

use crate::mel::LogMel;
use crate::support::{data, decode_all, model, n_threads};
use crate::tokenizer::{Language, Task};
use crate::whisper::alignment::{AlignmentInput, Pauses};
use crate::whisper::decoding::{
    Decoding, DecodingError, DecodingOptions, DecodingResult, FallbackOptions, decode_window,
    decode_with_fallback,
};
use crate::whisper::{AudioFeatures, Batch, DecodeError, Precision, Whisper, Window};

/// Seconds of the recording that windows are cut from; they end at different times.
const WINDOWS: [(usize, usize); 5] = [(0, 10), (0, 4), (3, 8), (7, 11), (2, 11)];

struct Model {
    whisper: Whisper,
    features: Vec<AudioFeatures>,
}

impl Model {
    fn new(precision: Precision) -> Self {
        let whisper = Whisper::load(model("base"), precision, n_threads()).expect("a model");
        let audio = decode_all(&data("golden/jfk_16k.flac")).samples;
        let encode = |(from, to): &(usize, usize)| {
            let samples = &audio[from * 16_000..audio.len().min(to * 16_000)];
            let mel = LogMel::new(80).compute(samples, 2 * whisper.window(samples.len(), 512));
            whisper.encoder().encode(&mel).expect("a window")
        };
        let features = WINDOWS.iter().map(encode).collect();
        Self { whisper, features }
    }

    fn alone(&self, options: &DecodingOptions, fallback: &FallbackOptions) -> Vec<DecodingResult> {
        let decode = |features: &AudioFeatures| {
            let mut window =
                Window::new(self.whisper.decoder(), features).expect("features of the model");
            decode_with_fallback(
                &mut window,
                self.whisper.tokenizer(),
                options,
                fallback,
                &|| false,
            )
            .expect("a text")
        };
        self.features.iter().map(decode).collect()
    }

    /// All windows in one batch; a new one comes in with every third pass.
    fn together(
        &self,
        options: &DecodingOptions,
        fallback: &FallbackOptions,
    ) -> Vec<Option<DecodingResult>> {
        let mut batch = Batch::new(self.whisper.decoder());
        let mut results = vec![None; self.features.len()];
        let mut coming = self.features.iter().enumerate();
        for pass in 0.. {
            if let Some((i, features)) = coming.next_if_at(pass) {
                let isa = self.whisper.cpu().isa;
                let tokenizer = self.whisper.tokenizer();
                let decoding = Decoding::new::<DecodeError>(isa, tokenizer, 448, options, fallback);
                batch
                    .admit(i, features, decoding.expect("sound options"))
                    .expect("features of the model");
            }
            for done in batch.step().expect("a pass") {
                results[done.tag] = Some(done.result);
            }
            if batch.is_empty() && pass > 3 * WINDOWS.len() {
                break;
            }
        }
        results
    }
}

/// Windows that come one with every third pass.
trait NextAt: Iterator {
    fn next_if_at(&mut self, pass: usize) -> Option<Self::Item>;
}

impl<I: Iterator> NextAt for I {
    fn next_if_at(&mut self, pass: usize) -> Option<Self::Item> {
        if pass.is_multiple_of(3) {
            self.next()
        } else {
            None
        }
    }
}

#[test]
#[ignore = "needs the model base: make test"]
fn windows_together_say_what_each_says_alone() {
    let english = DecodingOptions {
        language: Some(Language::ENGLISH),
        ..DecodingOptions::default()
    };
    let plain = FallbackOptions::default();
    // Nothing is likely enough: all temperatures are tried, and samples drawn.
    let strict = FallbackOptions {
        logprob_threshold: Some(-0.01),
        no_speech_threshold: None,
        ..plain.clone()
    };
    let model = Model::new(Precision::Int8);
    for (options, fallback) in [
        (DecodingOptions::default(), &plain),
        (
            DecodingOptions {
                without_timestamps: true,
                ..english.clone()
            },
            &plain,
        ),
        (
            DecodingOptions {
                beam_size: Some(5),
                ..english.clone()
            },
            &plain,
        ),
        (
            DecodingOptions {
                best_of: Some(3),
                sample_len: Some(24),
                ..english.clone()
            },
            &strict,
        ),
    ] {
        let together: Vec<_> = model
            .together(&options, fallback)
            .into_iter()
            .flatten()
            .collect();
        let alone = model.alone(&options, fallback);
        assert!(
            alone.iter().all(|result| !result.text.is_empty()),
            "{alone:?}"
        );
        assert_eq!(together, alone, "{options:?}");
    }
    let model = Model::new(Precision::F32);
    let together: Vec<_> = model
        .together(&english, &plain)
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(together, model.alone(&english, &plain));
}

#[test]
#[ignore = "needs the model base: make test"]
fn a_draft_does_not_change_what_a_window_says() {
    let model = Model::new(Precision::Int8);
    for without_timestamps in [false, true] {
        let options = DecodingOptions {
            language: Some(Language::ENGLISH),
            without_timestamps,
            ..DecodingOptions::default()
        };
        for (i, features) in model.features.iter().enumerate() {
            let decode = |draft: &[u32]| -> Result<DecodingResult, DecodingError<DecodeError>> {
                let mut window = Window::new(model.whisper.decoder(), features)
                    .map_err(DecodingError::Inference)?;
                let options = DecodingOptions {
                    predicted: draft.to_vec(),
                    ..options.clone()
                };
                decode_window(&mut window, model.whisper.tokenizer(), &options, &|| false)
            };
            let plain = decode(&[]).expect("a text");
            let tokens = &plain.tokens;
            let half = tokens.len() / 2;
            let mut wrong = tokens.clone();
            wrong[half] = 452;
            let drafts = [
                tokens.clone(),
                tokens[..half].to_vec(),
                wrong,
                [tokens, &tokens[..]].concat(),
                vec![99_999],
            ];
            for draft in drafts {
                assert_eq!(
                    decode(&draft).expect("a text"),
                    plain,
                    "window {i}, draft {draft:?}"
                );
            }
        }
    }
}

#[test]
#[ignore = "needs the model base: make test"]
fn word_times_do_not_depend_on_what_the_decoder_has_read_before() {
    let pauses = Pauses::default();
    for precision in [Precision::Int8, Precision::F32] {
        let model = Model::new(precision);
        let aligner = model.whisper.aligner();
        for (beam_size, prompt) in [(None, vec![]), (Some(5), vec![]), (None, vec![11])] {
            let options = DecodingOptions {
                language: Some(Language::ENGLISH),
                without_timestamps: true,
                beam_size,
                prompt,
                ..DecodingOptions::default()
            };
            for (features, (from, to)) in model.features.iter().zip(WINDOWS) {
                let mut window =
                    Window::new(model.whisper.decoder(), features).expect("features of the model");
                let tokenizer = model.whisper.tokenizer();
                let result =
                    decode_window(&mut window, tokenizer, &options, &|| false).expect("a text");
                let (before, tokens) = result.tokens.split_at(2);
                let input = AlignmentInput {
                    before,
                    tokens,
                    language: Language::ENGLISH,
                    task: Task::Transcribe,
                    seconds: (to - from) as f64,
                    pauses: &pauses,
                };
                let after_decoding = aligner.align(window.cache(), &input, false);
                let after_times = aligner.align(window.cache(), &input, false);
                let mut words = aligner.align(window.cache(), &input, true).expect("words");
                let after_words = aligner.align(window.cache(), &input, false);
                assert!(words.len() > 2 && words.iter().all(|word| word.probability > 0.0));
                words.iter_mut().for_each(|word| word.probability = 0.0);
                for times in [after_decoding, after_times, after_words] {
                    assert_eq!(times.expect("words"), words, "{precision:?} {beam_size:?}");
                }
            }
        }
    }
}
