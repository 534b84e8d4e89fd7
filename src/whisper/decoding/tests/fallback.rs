//! Repeated decoding of a window.

use super::scripted::Misuse;
use super::*;

fn result(compression_ratio: f32, avg_logprob: f32, no_speech_prob: f32) -> DecodingResult {
    DecodingResult {
        language: Language::ENGLISH,
        language_probs: None,
        tokens: Vec::new(),
        text: String::new(),
        avg_logprob,
        no_speech_prob,
        temperature: 0.0,
        compression_ratio,
        can_be_said: false,
        is_non_speech: false,
        is_rejected: false,
    }
}

#[test]
fn a_transcript_is_rejected_by_openais_thresholds() {
    let fallback = FallbackOptions::default();
    let cases = [
        // ratio, log-probability, no speech, rejected, silent
        (1.0, -0.5, 0.1, false, false),
        (2.4, -1.0, 0.6, false, false),
        (2.5, -0.5, 0.1, true, false),
        (1.0, -1.1, 0.1, true, false),
        // Silence is not tried again, even when it is repetitive.
        (1.0, -1.1, 0.7, false, true),
        (2.5, -1.1, 0.7, false, true),
        // Likely text is no silence.
        (2.5, -0.5, 0.7, true, false),
        (1.0, -0.5, 0.7, false, false),
    ];
    for (ratio, logprob, no_speech, rejected, silent) in cases {
        let result = result(ratio, logprob, no_speech);
        assert_eq!(fallback.needs_fallback(&result), rejected, "{result:?}");
        assert_eq!(fallback.is_silence(&result), silent, "{result:?}");
    }
}

#[test]
fn thresholds_can_be_switched_off() {
    let off = FallbackOptions {
        compression_ratio_threshold: None,
        logprob_threshold: None,
        no_speech_threshold: None,
        ..FallbackOptions::default()
    };
    assert!(!off.needs_fallback(&result(9.0, -9.0, 0.9)));
    assert!(!off.is_silence(&result(9.0, -9.0, 0.9)));
    let no_speech_only = FallbackOptions {
        no_speech_threshold: Some(0.6),
        ..off
    };
    assert!(no_speech_only.is_silence(&result(1.0, -0.1, 0.7)));
}

/// A model that is almost undecided between all letters, with a slight preference for the next one
/// of the alphabet: unlikely at any temperature.
fn torn(tokenizer: &Tokenizer) -> Scripted<impl Fn(&[u32]) -> Vec<f32> + use<>> {
    let n_vocab = tokenizer.n_vocab();
    let eot = tokenizer.special().eot;
    Scripted::new(n_vocab, 64, move |tokens: &[u32]| {
        let mut row = vec![0.0; n_vocab];
        row[1 + tokens.len() % (eot as usize - 1)] = 0.01;
        logits::mask(&mut row, eot + 1..n_vocab as u32);
        row
    })
}

fn options() -> DecodingOptions {
    DecodingOptions {
        language: Some(Language::ENGLISH),
        without_timestamps: true,
        ..DecodingOptions::default()
    }
}

#[test]
fn every_temperature_is_tried_until_one_is_accepted() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let mut model = torn(&tokenizer);
    let fallback = FallbackOptions {
        compression_ratio_threshold: None,
        beam_logprob_threshold: None,
        ..FallbackOptions::default()
    };
    decode_with_fallback(&mut model, &tokenizer, &options(), &fallback, NEVER)?;
    assert_eq!(model.prefills.len(), 6);

    let lenient = FallbackOptions {
        logprob_threshold: Some(-9.0),
        ..fallback
    };
    let mut model = torn(&tokenizer);
    let result = decode_with_fallback(&mut model, &tokenizer, &options(), &lenient, NEVER)?;
    assert_eq!((model.prefills.len(), result.temperature), (1, 0.0));
    Ok(())
}

#[test]
fn where_none_is_accepted_the_likeliest_is_kept() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(27, 3);
    let (n_vocab, eot) = (tokenizer.n_vocab(), tokenizer.special().eot);
    // The alphabet, by a model that would hardly be surprised by anything else.
    let script = |tokens: &[u32]| {
        let mut row = vec![0.0; n_vocab];
        row[tokens.len().min(eot as usize)] = 1.5;
        logits::mask(&mut row, eot + 1..n_vocab as u32);
        row
    };
    let mut model = Scripted::new(n_vocab, 64, script);
    let fallback = FallbackOptions {
        logprob_threshold: Some(-0.1),
        ..FallbackOptions::default()
    };
    let result = decode_with_fallback(&mut model, &tokenizer, &options(), &fallback, NEVER)?;
    assert_eq!(
        (model.prefills.len(), result.temperature, result.is_rejected),
        (7, 0.0, true)
    );
    Ok(())
}

/// A model for which "a" is a little likelier than "b", but which can continue only after "b".
fn garden_path(n_vocab: usize, eot: u32) -> impl Fn(&[u32]) -> Vec<f32> {
    move |tokens: &[u32]| {
        let mut row = vec![-9.0; n_vocab];
        match tokens.last().filter(|&&token| token < eot) {
            None => (row[1], row[2]) = (2.0, 1.9),
            Some(1) => row[3..10].fill(0.0),
            Some(2) => row[10] = 9.0,
            Some(_) => row[eot as usize] = 9.0,
        }
        row
    }
}

#[test]
fn beams_look_for_a_likelier_text_than_an_unlikely_one() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let (n_vocab, eot) = (tokenizer.n_vocab(), tokenizer.special().eot);
    let decode = |fallback: &FallbackOptions| -> Result<_, DecodingError<Misuse>> {
        let mut model = Scripted::new(n_vocab, 64, garden_path(n_vocab, eot));
        let result = decode_with_fallback(&mut model, &tokenizer, &options(), fallback, NEVER)?;
        Ok((result.tokens, result.temperature, model.prefills.len()))
    };
    let default = FallbackOptions::default();
    assert_eq!(decode(&default)?, (vec![2, 10], 0.0, 2));
    let lenient = FallbackOptions {
        beam_logprob_threshold: Some(-0.95),
        ..default.clone()
    };
    assert_eq!(decode(&lenient)?, (vec![1, 3], 0.0, 1), "likely enough");
    let once = FallbackOptions {
        temperatures: vec![0.0],
        ..default
    };
    assert_eq!(
        decode(&once)?,
        (vec![1, 3], 0.0, 1),
        "nothing is to be tried again"
    );
    Ok(())
}

#[test]
fn the_greedy_text_is_kept_where_beams_find_nothing_likelier() -> Result<(), DecodingError<Misuse>>
{
    let tokenizer = alphabet(20, 3);
    let (n_vocab, eot) = (tokenizer.n_vocab(), tokenizer.special().eot);
    // The longer the text, the surer the model is of what follows: beams find the same text as the
    // greedy search.
    let script = |tokens: &[u32]| {
        let mut row = vec![0.0; n_vocab];
        row[(tokens.len() + 1).min(eot as usize)] = 3.0;
        row
    };
    let mut model = Scripted::new(n_vocab, 64, script);
    let fallback = FallbackOptions {
        logprob_threshold: None,
        ..FallbackOptions::default()
    };
    let greedy = decode_window(&mut model, &tokenizer, &options(), NEVER)?;
    let result = decode_with_fallback(&mut model, &tokenizer, &options(), &fallback, NEVER)?;
    assert!(greedy.avg_logprob < -0.5, "{}", greedy.avg_logprob);
    assert_eq!((result.tokens, model.prefills.len()), (greedy.tokens, 3));
    Ok(())
}

#[test]
fn a_loop_at_temperature_zero_is_left_by_sampling() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(27, 3);
    let special = tokenizer.special();
    let n_vocab = tokenizer.n_vocab();
    // The likeliest token is always "a"; the others together are likelier, and the end comes now
    // and then.
    let script = |_: &[u32]| {
        let mut row = vec![1.0; n_vocab];
        row[1] = 2.0;
        logits::mask(&mut row, special.eot + 1..special.n_vocab);
        row
    };
    let mut model = Scripted::new(n_vocab, 256, script);
    let fallback = FallbackOptions {
        logprob_threshold: None,
        ..FallbackOptions::default()
    };
    let options = DecodingOptions {
        beam_size: Some(1),
        best_of: Some(1),
        ..options()
    };
    let result = decode_with_fallback(&mut model, &tokenizer, &options, &fallback, NEVER)?;
    assert!(result.temperature > 0.0);
    assert!(result.compression_ratio <= 2.4, "{}", result.text);
    assert!(result.text.contains(|letter| letter != 'a'));
    Ok(())
}

#[test]
fn a_language_is_detected_once_and_reported_to_the_end() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let n_vocab = tokenizer.n_vocab();
    let mut model = Scripted::new(n_vocab, 64, |_: &[u32]| vec![0.0; n_vocab]);
    let options = DecodingOptions {
        without_timestamps: true,
        ..DecodingOptions::default()
    };
    let result = decode_with_fallback(
        &mut model,
        &tokenizer,
        &options,
        &FallbackOptions::default(),
        NEVER,
    )?;
    assert_eq!(
        model
            .prefills
            .iter()
            .filter(|tokens| tokens.len() == 1)
            .count(),
        1
    );
    assert!(model.prefills.len() > 2);
    assert!(result.language_probs.is_some());
    Ok(())
}

/// A model that detects the first of its languages with probability 0.5, the second with 0.45 or
/// the given value, and can write only the second.
fn torn_between_languages(
    tokenizer: &Tokenizer,
    second: f32,
) -> impl Fn(&[u32]) -> Vec<f32> + use<> {
    let special = tokenizer.special().clone();
    let n_vocab = tokenizer.n_vocab();
    let tokens: Vec<u32> = special
        .languages()
        .filter_map(|language| special.language_token(language))
        .collect();
    move |sequence: &[u32]| {
        let mut row = vec![-9.0; n_vocab];
        if let [_sot] = sequence {
            row[tokens[0] as usize] = 0.5f32.ln();
            row[tokens[1] as usize] = second.ln();
            return row;
        }
        let letters = sequence
            .iter()
            .filter(|token| **token < special.eot)
            .count();
        let next = if letters < 3 {
            letters as u32 + 1
        } else {
            special.eot
        };
        row[next as usize] = if sequence.contains(&tokens[0]) {
            -8.0
        } else {
            9.0
        };
        row
    }
}

#[test]
fn of_two_languages_that_are_nearly_as_likely_the_text_decides() -> Result<(), DecodingError<Misuse>>
{
    let tokenizer = alphabet(20, 3);
    let languages: Vec<Language> = tokenizer.special().languages().collect();
    let decode = |second, fallback: &FallbackOptions| -> Result<_, DecodingError<Misuse>> {
        let mut model = Scripted::new(
            tokenizer.n_vocab(),
            64,
            torn_between_languages(&tokenizer, second),
        );
        let options = DecodingOptions {
            without_timestamps: true,
            ..DecodingOptions::default()
        };
        Ok(decode_with_fallback(&mut model, &tokenizer, &options, fallback, NEVER)?.language)
    };
    let fallback = FallbackOptions {
        logprob_threshold: None,
        beam_logprob_threshold: None,
        ..FallbackOptions::default()
    };
    assert_eq!(decode(0.45, &fallback)?, languages[1]);
    assert_eq!(
        decode(0.05, &fallback)?,
        languages[0],
        "the second language is too unlikely to be tried"
    );
    let once = FallbackOptions {
        temperatures: vec![0.0],
        ..fallback
    };
    assert_eq!(
        decode(0.45, &once)?,
        languages[0],
        "nothing is to be tried again"
    );
    Ok(())
}

#[test]
fn a_loop_is_no_text_of_a_language() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let languages: Vec<Language> = tokenizer.special().languages().collect();
    let special = tokenizer.special().clone();
    let first = special.language_token(languages[0]).unwrap_or_default();
    let torn = torn_between_languages(&tokenizer, 0.45);
    // The first language repeats one letter and is sure of it.
    let script = |sequence: &[u32]| {
        let mut row = torn(sequence);
        if sequence.len() > 1 && sequence.contains(&first) {
            row[5] = 30.0;
        }
        row
    };
    let mut model = Scripted::new(tokenizer.n_vocab(), 64, script);
    let options = DecodingOptions {
        without_timestamps: true,
        ..DecodingOptions::default()
    };
    let result = decode_with_fallback(
        &mut model,
        &tokenizer,
        &options,
        &FallbackOptions::default(),
        NEVER,
    )?;
    assert_eq!(
        (result.language, result.tokens),
        (languages[1], vec![1, 2, 3])
    );
    Ok(())
}

#[test]
fn a_single_word_is_not_what_was_said_in_nine_seconds() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let special = tokenizer.special().clone();
    let languages: Vec<Language> = special.languages().collect();
    let first = special.language_token(languages[0]).unwrap_or_default();
    let torn = torn_between_languages(&tokenizer, 0.45);
    // The first language has one letter and is surer of it than the second of its twelve.
    let script = |sequence: &[u32]| {
        let mut row = torn(sequence);
        if sequence.len() > 1 {
            let n_letters = sequence
                .iter()
                .filter(|token| **token < special.eot)
                .count();
            let last = if sequence.contains(&first) { 1 } else { 12 };
            let next = if n_letters < last {
                n_letters as u32 + 1
            } else {
                special.eot
            };
            row.fill(-9.0);
            row[next as usize] = if last == 1 { 9.0 } else { 0.0 };
        }
        row
    };
    let mut model = Scripted::new(tokenizer.n_vocab(), 64, script);
    let options = DecodingOptions {
        without_timestamps: true,
        sound_s: Some(9.0),
        ..DecodingOptions::default()
    };
    let result = decode_with_fallback(
        &mut model,
        &tokenizer,
        &options,
        &FallbackOptions::default(),
        NEVER,
    )?;
    assert_eq!((result.language, result.tokens.len()), (languages[1], 12));
    Ok(())
}

#[test]
fn where_the_model_hears_nobody_no_other_language_is_tried() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let languages: Vec<Language> = tokenizer.special().languages().collect();
    let no_speech = tokenizer.special().no_speech as usize;
    let torn = torn_between_languages(&tokenizer, 0.45);
    let script = |sequence: &[u32]| {
        let mut row = torn(sequence);
        if sequence.len() == 1 {
            row[no_speech] = 9.0;
        }
        row
    };
    let mut model = Scripted::new(tokenizer.n_vocab(), 64, script);
    let options = DecodingOptions {
        without_timestamps: true,
        ..DecodingOptions::default()
    };
    let result = decode_with_fallback(
        &mut model,
        &tokenizer,
        &options,
        &FallbackOptions::default(),
        NEVER,
    )?;
    assert!(result.no_speech_prob > 0.9);
    assert_eq!(result.language, languages[0]);
    Ok(())
}

#[test]
fn without_a_good_text_in_a_sure_language_nobody_speaks() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let languages: Vec<Language> = tokenizer.special().languages().collect();
    let decode = |language| {
        let mut model = Scripted::new(tokenizer.n_vocab(), 64, |_: &[u32]| {
            vec![0.0; tokenizer.n_vocab()]
        });
        let options = DecodingOptions {
            without_timestamps: true,
            language,
            ..DecodingOptions::default()
        };
        decode_with_fallback(
            &mut model,
            &tokenizer,
            &options,
            &FallbackOptions::default(),
            NEVER,
        )
    };
    let (given, detected) = (decode(Some(languages[0]))?, decode(None)?);
    assert_eq!(
        (
            given.is_rejected,
            given.is_non_speech,
            given.is_language_sure()
        ),
        (true, false, true)
    );
    assert_eq!(
        (
            detected.is_rejected,
            detected.is_non_speech,
            detected.is_language_sure()
        ),
        (true, true, false)
    );
    Ok(())
}

#[test]
fn a_single_temperature_is_used_as_given() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let mut model = torn(&tokenizer);
    let fallback = FallbackOptions {
        temperatures: Vec::new(),
        ..FallbackOptions::default()
    };
    let options = DecodingOptions {
        temperature: 0.3,
        best_of: Some(2),
        ..options()
    };
    let result = decode_with_fallback(&mut model, &tokenizer, &options, &fallback, NEVER)?;
    assert_eq!((model.prefills.len(), result.temperature), (1, 0.3));
    Ok(())
}
