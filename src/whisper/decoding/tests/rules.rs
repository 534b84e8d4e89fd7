//! For any logits, transcripts obey the timestamp rules and languages are from the allowlist.

use proptest::prelude::*;

use super::scripted::Misuse;
use super::*;

const TIMESTAMPS: u32 = 41;

/// Options that a window may be decoded with.
fn strategies() -> impl Strategy<Value = DecodingOptions> {
    let search = prop_oneof![
        Just((0.0, None, None)),
        (1_usize..6).prop_map(|beams| (0.0, Some(beams), None)),
        (1_usize..4).prop_map(|samples| (1.0, None, Some(samples))),
    ];
    let times = (
        prop::option::of(0_u32..20),
        prop::option::of(0_u32..TIMESTAMPS),
    );
    (search, times, any::<u64>()).prop_map(
        |((temperature, beam_size, best_of), (initial, max), seed)| {
            let seconds = |steps: u32| steps as f32 * 0.02;
            DecodingOptions {
                language: Some(Language::ENGLISH),
                temperature,
                beam_size,
                best_of,
                max_initial_timestamp: initial.map(seconds),
                max_timestamp: max.map(seconds),
                seed,
                ..DecodingOptions::default()
            }
        },
    )
}

/// Lengths of the runs of neighbours that are all timestamps or all text, with whether they are
/// timestamps.
fn runs(tokens: &[u32], begin: u32) -> Vec<(bool, usize)> {
    tokens
        .chunk_by(|a, b| (*a >= begin) == (*b >= begin))
        .map(|run| (run[0] >= begin, run.len()))
        .collect()
}

proptest! {
    #[test]
    fn timestamps_are_paired_ascending_and_within_the_window(options in strategies(), seed: u32, bias in -8.0_f32..4.0) {
        let tokenizer = alphabet(8, TIMESTAMPS);
        let special = tokenizer.special();
        let begin = special.timestamp_begin;
        let script = |sequence: &[u32]| {
            let mut row = hashed(seed, sequence, tokenizer.n_vocab());
            row.iter_mut().skip(begin as usize).for_each(|logit| *logit += bias);
            row[special.eot as usize] -= 4.0;
            // OpenAI's rules do not suppress language tokens; models do not produce them.
            logits::mask(&mut row, special.sot..special.translate);
            row
        };
        let mut model = Scripted::new(tokenizer.n_vocab(), 96, script);
        let tokens = decode_window(&mut model, &tokenizer, &options, NEVER)?.tokens;

        let times: Vec<u32> = tokens.iter().filter_map(|token| token.checked_sub(begin)).collect();
        prop_assert!(times.is_sorted(), "{times:?}");
        let steps = |seconds: Option<f32>| seconds.map_or(u32::MAX, |seconds| (seconds / 0.02).round() as u32);
        prop_assert!(times.iter().all(|&time| time <= steps(options.max_timestamp)));
        prop_assert!(times.first().is_some_and(|&first| first <= steps(options.max_initial_timestamp)));
        let runs = runs(&tokens, begin);
        prop_assert_eq!(runs[0], (true, 1));
        let inner = runs.iter().skip(1).rev().skip(1).filter(|run| run.0);
        prop_assert!(inner.clone().all(|run| run.1 == 2), "{runs:?}");
        prop_assert!(tokens.iter().all(|&token| token < special.eot || token >= begin));
    }

    #[test]
    fn decoding_never_panics(options in strategies(), noise in prop::collection::vec(prop_oneof![
        any::<f32>(), Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(0.0)
    ], 54 + 8)) {
        let tokenizer = alphabet(8, TIMESTAMPS);
        let row: Vec<f32> = noise.iter().copied().cycle().take(tokenizer.n_vocab()).collect();
        let mut model = Scripted::new(tokenizer.n_vocab(), 32, |_: &[u32]| row.clone());
        let _may_fail = decode_window(&mut model, &tokenizer, &options, NEVER);
    }
}

/// Languages by name.
fn languages<const N: usize>(codes: [&str; N]) -> Vec<Language> {
    codes.iter().filter_map(|code| code.parse().ok()).collect()
}

/// Detects Chinese as the likeliest language, then German, then English.
fn polyglot(tokenizer: &Tokenizer) -> impl Fn(&[u32]) -> Vec<f32> {
    let (n_vocab, sot) = (tokenizer.n_vocab(), tokenizer.special().sot);
    move |_| {
        let mut row = vec![0.0; n_vocab];
        row[sot as usize] = 30.0;
        for (place, weight) in [1.0_f32, 7.0, 2.0].into_iter().enumerate() {
            row[sot as usize + 1 + place] = 5.0 + weight.ln();
        }
        row
    }
}

#[test]
fn a_language_is_detected_among_those_allowed() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(4, 3);
    let detect = |allowlist: &[Language]| {
        let mut model = Scripted::new(tokenizer.n_vocab(), 32, polyglot(&tokenizer));
        detect_language(&mut model, &tokenizer, allowlist).map(|probabilities| {
            probabilities
                .into_iter()
                .map(|(language, p)| (language.code(), (p * 1000.0).round()))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(detect(&[])?, [("zh", 700.0), ("de", 200.0), ("en", 100.0)]);
    assert_eq!(
        detect(&languages(["en", "de"]))?,
        [("de", 667.0), ("en", 333.0)]
    );
    assert_eq!(detect(&languages(["fr", "en"]))?, [("en", 1000.0)]);
    let unknown = detect(&languages(["fr"])).err();
    assert!(
        matches!(
            unknown,
            Some(DecodingError::Options(OptionsError::Language(_)))
        ),
        "{unknown:?}"
    );
    Ok(())
}

#[test]
fn the_language_detected_begins_the_transcript() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(4, 3);
    let mut model = Scripted::new(tokenizer.n_vocab(), 32, polyglot(&tokenizer));
    let options = DecodingOptions {
        allowed_languages: languages(["en", "de"]),
        ..DecodingOptions::default()
    };
    let result = decode_window(&mut model, &tokenizer, &options, NEVER)?;
    assert_eq!(result.language.code(), "de");
    assert_eq!(
        result
            .language_probs
            .map(|probabilities| probabilities.len()),
        Some(2)
    );
    let special = tokenizer.special();
    let start = special.sot_sequence(result.language, Task::Transcribe, false);
    assert_eq!(model.prefills, [vec![special.sot], start]);
    Ok(())
}

#[test]
fn an_english_only_model_refuses_other_languages_and_translation() {
    let tokenizer = Tokenizer::miniature(&[b" ", b"a"], 3, 3, false);
    let decode = |options: DecodingOptions| {
        let mut model = Scripted::new(tokenizer.n_vocab(), 32, |_: &[u32]| {
            vec![0.0; tokenizer.n_vocab()]
        });
        let options = DecodingOptions {
            sample_len: Some(2),
            ..options
        };
        decode_window(&mut model, &tokenizer, &options, NEVER)
            .map(|result| (result.language, model.prefills))
    };
    let start = vec![vec![tokenizer.special().sot]];
    assert_eq!(
        decode(DecodingOptions::default()),
        Ok((Language::ENGLISH, start))
    );
    let german = "de".parse().ok();
    let refused = decode(DecodingOptions {
        language: german,
        ..DecodingOptions::default()
    });
    assert!(matches!(
        refused,
        Err(DecodingError::Options(OptionsError::Language(_)))
    ));
    let refused = decode(DecodingOptions {
        task: Task::Translate,
        ..DecodingOptions::default()
    });
    assert_eq!(
        refused,
        Err(DecodingError::Options(OptionsError::Translate))
    );
}

#[test]
fn the_probability_of_no_speech_is_taken_at_the_start_token() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(4, 3);
    let special = tokenizer.special();
    let n_vocab = tokenizer.n_vocab();
    // At the start token, silence is as likely as everything else together; later it is certain.
    let script = |sequence: &[u32]| {
        let mut row = vec![0.0; n_vocab];
        let logit = if sequence.last() == Some(&special.sot) {
            (n_vocab as f32 - 1.0).ln()
        } else {
            40.0
        };
        row[special.no_speech as usize] = logit;
        row
    };
    for prompt in [vec![], vec![1, 2]] {
        let mut model = Scripted::new(n_vocab, 32, script);
        let options = DecodingOptions {
            language: Some(Language::ENGLISH),
            prompt,
            ..DecodingOptions::default()
        };
        let result = decode_window(&mut model, &tokenizer, &options, NEVER)?;
        assert!(
            (result.no_speech_prob - 0.5).abs() < 1e-5,
            "{}",
            result.no_speech_prob
        );
    }
    Ok(())
}
