//! Greedy and beam search compared with brute force, cancellation and faulty decoders.

use std::cell::Cell;

use proptest::prelude::*;

use super::scripted::Misuse;
use super::*;

/// Options for text without timestamps, with only special tokens suppressed.
fn plain() -> DecodingOptions {
    DecodingOptions {
        language: Some(Language::ENGLISH),
        without_timestamps: true,
        suppress_blank: false,
        ..DecodingOptions::default()
    }
}

/// Logits of a model that produces only text and the end.
fn text_only(tokenizer: &Tokenizer, seed: u32, sequence: &[u32]) -> Vec<f32> {
    let mut row = hashed(seed, sequence, tokenizer.n_vocab());
    for logit in row.iter_mut() {
        *logit /= 4.0;
    }
    logits::mask(
        &mut row,
        tokenizer.special().eot + 1..tokenizer.special().n_vocab,
    );
    row
}

fn log_softmax(row: &[f32]) -> Vec<f64> {
    let total: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
    row.iter()
        .map(|&logit| f64::from(logit) - total.ln())
        .collect()
}

/// All texts of up to `sample_len` tokens with the sums of their log-probabilities. Shorter texts
/// have ended.
fn all_texts(
    tokenizer: &Tokenizer,
    script: &dyn Fn(&[u32]) -> Vec<f32>,
    sample_len: usize,
) -> Vec<(Vec<u32>, f64)> {
    let eot = tokenizer.special().eot;
    let initial = tokenizer
        .special()
        .sot_sequence(Language::ENGLISH, Task::Transcribe, true);
    let mut texts = Vec::new();
    let mut open = vec![(Vec::new(), 0.0)];
    for _ in 0..sample_len {
        for (tokens, sum) in std::mem::take(&mut open) {
            let logprobs = log_softmax(&script(&[initial.as_slice(), &tokens].concat()));
            texts.push((tokens.clone(), sum + logprobs[eot as usize]));
            open.extend((0..eot).map(|token| {
                (
                    [tokens.as_slice(), &[token]].concat(),
                    sum + logprobs[token as usize],
                )
            }));
        }
    }
    texts.extend(open);
    texts
}

proptest! {
    #[test]
    fn greedy_follows_the_likeliest_token(seed: u32, sample_len in 1_usize..20) {
        let tokenizer = alphabet(6, 3);
        let eot = tokenizer.special().eot;
        let script = |sequence: &[u32]| text_only(&tokenizer, seed, sequence);
        let mut sequence = tokenizer.special().sot_sequence(Language::ENGLISH, Task::Transcribe, true);
        let begin = sequence.len();
        let mut sum = 0.0;
        let mut ended = false;
        while !ended && sequence.len() < begin + sample_len {
            let logprobs = log_softmax(&script(&sequence));
            let likeliest = (0..=eot).max_by(|&a, &b| logprobs[a as usize].total_cmp(&logprobs[b as usize])).unwrap_or(eot);
            sum += logprobs[likeliest as usize];
            ended = likeliest == eot;
            sequence.extend((!ended).then_some(likeliest));
        }
        let mut model = Scripted::new(tokenizer.n_vocab(), 64, script);
        let options = DecodingOptions { sample_len: Some(sample_len), ..plain() };
        let result = decode_window(&mut model, &tokenizer, &options, NEVER)?;
        prop_assert_eq!(&result.tokens, &sequence[begin..]);
        let average = sum / (result.tokens.len() + 1) as f64;
        prop_assert!((f64::from(result.avg_logprob) - average).abs() < 1e-5);
    }

    #[test]
    fn beams_as_wide_as_the_space_search_all_of_it(seed: u32, alpha in prop::option::of(0.0_f32..1.0)) {
        let tokenizer = alphabet(3, 3);
        let script = |sequence: &[u32]| text_only(&tokenizer, seed, sequence);
        let texts = all_texts(&tokenizer, &script, 3);
        let score = |(tokens, sum): &(Vec<u32>, f64)| {
            let length = tokens.len() as f64;
            sum / alpha.map_or(length.max(1.0), |alpha| ((5.0 + length) / 6.0).powf(f64::from(alpha)))
        };
        let best = texts.iter().max_by(|a, b| score(a).total_cmp(&score(b))).map(|(tokens, _)| tokens.clone());
        let mut model = Scripted::new(tokenizer.n_vocab(), 64, script);
        // 27 unfinished texts of three tokens and 13 that end before.
        let options = DecodingOptions { beam_size: Some(40), length_penalty: alpha, sample_len: Some(3), ..plain() };
        let result = decode_window(&mut model, &tokenizer, &options, NEVER)?;
        prop_assert_eq!(texts.len(), 40);
        prop_assert_eq!(Some(result.tokens), best);
    }

    #[test]
    fn one_beam_is_greedy(seed: u32) {
        let tokenizer = alphabet(6, 3);
        let decode = |options: DecodingOptions| {
            let mut model = Scripted::new(tokenizer.n_vocab(), 64, |sequence: &[u32]| text_only(&tokenizer, seed, sequence));
            decode_window(&mut model, &tokenizer, &options, NEVER)
        };
        let beam = decode(DecodingOptions { beam_size: Some(1), ..plain() })?;
        let greedy = decode(plain())?;
        // With one beam, an end counts only if it is the likeliest: then greedy search ends too.
        prop_assert_eq!(beam.tokens, greedy.tokens);
    }
}

#[test]
fn samples_are_reproducible_by_seed_and_the_best_is_kept() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(6, 3);
    let decode = |seed: u64, best_of: usize| {
        let mut model = Scripted::new(tokenizer.n_vocab(), 64, |sequence: &[u32]| {
            text_only(&tokenizer, 3, sequence)
        });
        let options = DecodingOptions {
            temperature: 1.0,
            best_of: Some(best_of),
            seed,
            ..plain()
        };
        decode_window(&mut model, &tokenizer, &options, NEVER)
    };
    assert_eq!(decode(5, 3)?, decode(5, 3)?);
    let texts: Vec<String> = (0..8)
        .map(|seed| decode(seed, 1).map(|result| result.text))
        .collect::<Result<_, _>>()?;
    assert!(texts.iter().any(|text| *text != texts[0]), "{texts:?}");
    let mean = |best_of| -> Result<f32, DecodingError<Misuse>> {
        (0..32)
            .map(|seed| decode(seed, best_of).map(|result| result.avg_logprob))
            .sum::<Result<f32, _>>()
    };
    assert!(mean(8)? > mean(1)?);
    Ok(())
}

#[test]
fn the_context_is_filled_but_never_exceeded() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(6, 3);
    // Never ends.
    let script = |sequence: &[u32]| {
        let mut row = text_only(&tokenizer, 1, sequence);
        row[tokenizer.special().eot as usize] = f32::NEG_INFINITY;
        row
    };
    let decode = |options: DecodingOptions| {
        let mut model = Scripted::new(tokenizer.n_vocab(), 32, script);
        decode_window(&mut model, &tokenizer, &options, NEVER)
            .map(|result| (result.tokens.len(), model.steps))
    };
    assert_eq!(decode(plain())?, (16, 15));
    assert_eq!(
        decode(DecodingOptions {
            sample_len: Some(4),
            ..plain()
        })?,
        (4, 3)
    );
    // A prompt of 15, its start token and 4 initial tokens leave 12 positions, and one token is
    // never fed back.
    assert_eq!(
        decode(DecodingOptions {
            prompt: vec![1; 99],
            ..plain()
        })?
        .0,
        13
    );
    for beam_size in [None, Some(3)] {
        let options = DecodingOptions {
            prompt: vec![1; 99],
            prefix: vec![1; 99],
            beam_size,
            ..plain()
        };
        assert_eq!(decode(options)?.0, 1);
    }
    Ok(())
}

#[test]
fn a_cancelled_window_stops_before_the_next_step() {
    let tokenizer = alphabet(6, 3);
    let mut model = Scripted::new(tokenizer.n_vocab(), 64, |sequence: &[u32]| {
        let mut row = text_only(&tokenizer, 1, sequence);
        row[tokenizer.special().eot as usize] = f32::NEG_INFINITY;
        row
    });
    let asked = Cell::new(0);
    let cancelled = || {
        asked.set(asked.get() + 1);
        asked.get() > 4
    };
    let result = decode_window(&mut model, &tokenizer, &plain(), &cancelled);
    assert_eq!(result.err(), Some(DecodingError::Cancelled));
    assert_eq!(model.steps, 3);
}

#[test]
fn a_decoder_that_misbehaves_is_an_error() {
    let tokenizer = alphabet(6, 3);
    let decode = |row: Vec<f32>, n_text_ctx: usize| {
        let mut model = Scripted::new(tokenizer.n_vocab(), n_text_ctx, |_: &[u32]| row.clone());
        decode_window(&mut model, &tokenizer, &plain(), NEVER).err()
    };
    let n_vocab = tokenizer.n_vocab();
    assert_eq!(
        decode(vec![f32::NAN; n_vocab], 64),
        Some(DecodingError::NotFinite)
    );
    assert_eq!(
        decode(vec![f32::NEG_INFINITY; n_vocab], 64),
        Some(DecodingError::NotFinite)
    );
    let lengths = DecodingError::LogitsLength {
        given: 2,
        wanted: 2 * n_vocab,
    };
    assert_eq!(decode(vec![0.0; 1], 64), Some(lengths));
    assert!(matches!(
        decode(vec![0.0; n_vocab], 2),
        Some(DecodingError::Inference(Misuse(_)))
    ));
}

#[test]
fn one_prefill_and_no_rearrangement_serve_a_greedy_window() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(6, 3);
    let decode = |beam_size| {
        let mut model = Scripted::new(tokenizer.n_vocab(), 64, |sequence: &[u32]| {
            text_only(&tokenizer, 9, sequence)
        });
        let options = DecodingOptions {
            prompt: vec![1, 2],
            beam_size,
            ..plain()
        };
        decode_window(&mut model, &tokenizer, &options, NEVER)
            .map(|_| (model.prefills, model.steps, model.rearrangements))
    };
    let (prefills, steps, rearrangements) = decode(None)?;
    let special = tokenizer.special();
    let start = special.sot_sequence(Language::ENGLISH, Task::Transcribe, true);
    assert_eq!(
        prefills,
        [[&[special.sot_prev, 1, 2], start.as_slice()].concat()]
    );
    assert!(
        steps > 1 && rearrangements == 0,
        "{steps} steps, {rearrangements} rearrangements"
    );
    assert!(decode(Some(3))?.2 > 0);
    Ok(())
}
