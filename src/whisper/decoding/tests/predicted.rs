//! Predicted tokens make a greedy transcript faster, but never change it.

use super::scripted::Misuse;
use super::*;
use proptest::prelude::*;

const TIMESTAMPS: u32 = 41;

fn script(tokenizer: &Tokenizer, seed: u32) -> impl Fn(&[u32]) -> Vec<f32> {
    let special = tokenizer.special().clone();
    move |sequence: &[u32]| {
        let mut row = hashed(seed, sequence, special.n_vocab as usize);
        row.iter_mut()
            .skip(special.timestamp_begin as usize)
            .for_each(|logit| *logit -= 4.0);
        row[special.eot as usize] -= 1.0;
        row
    }
}

fn options(without_timestamps: bool, sample_len: usize) -> DecodingOptions {
    let sample_len = Some(sample_len);
    DecodingOptions {
        language: Some(Language::ENGLISH),
        without_timestamps,
        sample_len,
        ..DecodingOptions::default()
    }
}

/// How a prediction differs from the transcript: the place of a change, the token there, and how many
/// follow.
fn changed(transcript: &[u32], (place, token, more): (usize, u32, Vec<u32>)) -> Vec<u32> {
    let mut predicted = transcript.to_vec();
    match predicted.get_mut(place) {
        Some(changed) => *changed = token,
        None => predicted.extend(more),
    }
    predicted
}

proptest! {
    #[test]
    fn a_prediction_does_not_change_the_result(
        seed: u32,
        without_timestamps: bool,
        sample_len in 1_usize..40,
        change in (0_usize..40, 0_u32..70, prop::collection::vec(0_u32..70, 0..120)),
    ) {
        let tokenizer = alphabet(8, TIMESTAMPS);
        let decode = |options: &DecodingOptions| {
            let mut model = Scripted::new(tokenizer.n_vocab(), 64, script(&tokenizer, seed));
            decode_window(&mut model, &tokenizer, options, NEVER)
        };
        let options = options(without_timestamps, sample_len);
        let plain = decode(&options)?;
        let predicted = changed(&plain.tokens, change);
        prop_assert_eq!(decode(&DecodingOptions { predicted, ..options })?, plain);
    }
}

#[test]
fn a_right_prediction_takes_one_pass_and_a_wrong_one_continues_from_the_error()
-> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(8, TIMESTAMPS);
    let passes = |predicted: &[u32]| -> Result<_, DecodingError<Misuse>> {
        let mut model = Scripted::new(tokenizer.n_vocab(), 64, script(&tokenizer, 11));
        let options = DecodingOptions {
            predicted: predicted.to_vec(),
            ..options(false, 20)
        };
        let result = decode_window(&mut model, &tokenizer, &options, NEVER)?;
        Ok((result.tokens, model.steps))
    };
    let (tokens, steps) = passes(&[])?;
    assert!(tokens.len() > 8, "{tokens:?}");
    assert_eq!(
        passes(&tokens)?,
        (tokens.clone(), steps.saturating_sub(tokens.len()))
    );
    let mut wrong = tokens.clone();
    wrong[4] ^= 1;
    assert_eq!(passes(&wrong)?, (tokens.clone(), steps - 4));
    let eot = tokenizer.special().eot;
    let ended = [&tokens[..3], &[eot, 1, 2]].concat();
    assert_eq!(passes(&ended)?, (tokens, steps - 3));
    Ok(())
}

#[test]
fn beams_and_samples_ignore_a_prediction() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(8, TIMESTAMPS);
    for search in [
        DecodingOptions {
            beam_size: Some(3),
            ..options(false, 20)
        },
        DecodingOptions {
            temperature: 0.7,
            best_of: Some(3),
            ..options(false, 20)
        },
    ] {
        let decode = |predicted: Vec<u32>| {
            let mut model = Scripted::new(tokenizer.n_vocab(), 64, script(&tokenizer, 5));
            decode_window(
                &mut model,
                &tokenizer,
                &DecodingOptions {
                    predicted,
                    ..search.clone()
                },
                NEVER,
            )
        };
        assert_eq!(decode(vec![1, 2, 3])?, decode(Vec::new())?);
    }
    Ok(())
}
