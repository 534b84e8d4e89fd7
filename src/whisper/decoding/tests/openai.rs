//! Results equal those of openai-whisper's `decoding.py` for the same scripted logits and many
//! options.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Golden {
    vocabulary: Vocabulary,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Vocabulary {
    text: u8,
    timestamps: u32,
    n_text_ctx: usize,
}

#[derive(Deserialize)]
struct Case {
    seed: u32,
    options: Options,
    language: String,
    tokens: Vec<u32>,
    text: String,
    avg_logprob: f32,
    no_speech_prob: f32,
}

#[derive(Deserialize)]
struct Options {
    task: String,
    language: Option<String>,
    beam_size: Option<usize>,
    patience: Option<f32>,
    length_penalty: Option<f32>,
    sample_len: Option<usize>,
    without_timestamps: bool,
    suppress_blank: bool,
    suppress_tokens: Vec<u32>,
    max_initial_timestamp: Option<f32>,
    #[serde(default)]
    prompt: Vec<u32>,
    #[serde(default)]
    prefix: Vec<u32>,
}

impl Options {
    fn decoding_options(&self) -> DecodingOptions {
        DecodingOptions {
            task: if self.task == "translate" {
                Task::Translate
            } else {
                Task::Transcribe
            },
            language: self.language.as_deref().and_then(|code| code.parse().ok()),
            beam_size: self.beam_size,
            patience: self.patience,
            length_penalty: self.length_penalty,
            sample_len: self.sample_len,
            without_timestamps: self.without_timestamps,
            suppress_blank: self.suppress_blank,
            suppress_tokens: SuppressTokens {
                non_speech: true,
                tokens: self.suppress_tokens.clone(),
            },
            max_initial_timestamp: self.max_initial_timestamp,
            prompt: self.prompt.clone(),
            prefix: self.prefix.clone(),
            ..DecodingOptions::default()
        }
    }
}

/// Makes text and the end likelier than timestamps, and timestamps likelier than special tokens, as
/// in a real model.
fn bias(tokenizer: &Tokenizer, token: u32) -> f32 {
    let special = tokenizer.special();
    match token {
        token if token < special.eot || token == special.no_speech => 0.0,
        token if token == special.eot => 0.5,
        token if token >= special.timestamp_begin => -5.0,
        _ => -6.0,
    }
}

#[test]
fn results_are_those_of_openai_whisper() -> Result<(), Box<dyn std::error::Error>> {
    let golden: Golden =
        serde_json::from_str(include_str!("../../../../tests/data/decoding.json"))?;
    let tokenizer = alphabet(golden.vocabulary.text, golden.vocabulary.timestamps);
    assert!(golden.cases.len() > 80);
    for (number, case) in golden.cases.iter().enumerate() {
        let script = |sequence: &[u32]| {
            let mut row = hashed(case.seed, sequence, tokenizer.n_vocab());
            for (token, logit) in (0..).zip(&mut row) {
                *logit += bias(&tokenizer, token);
            }
            row
        };
        let mut model = Scripted::new(tokenizer.n_vocab(), golden.vocabulary.n_text_ctx, script);
        let result = decode_window(
            &mut model,
            &tokenizer,
            &case.options.decoding_options(),
            NEVER,
        )?;
        assert_eq!(result.tokens, case.tokens, "case {number}");
        assert_eq!(result.text, case.text, "case {number}");
        assert_eq!(result.language.code(), case.language, "case {number}");
        assert!(
            (result.avg_logprob - case.avg_logprob).abs() < 5e-5,
            "case {number}: {}",
            result.avg_logprob
        );
        assert!(
            (result.no_speech_prob - case.no_speech_prob).abs() < 5e-6,
            "case {number}: {}",
            result.no_speech_prob
        );
    }
    Ok(())
}
