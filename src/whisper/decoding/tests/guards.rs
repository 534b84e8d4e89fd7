//! Loops and early ends.

use super::scripted::Misuse;
use super::*;

fn options(sound_s: Option<f32>) -> DecodingOptions {
    let language = Some(Language::ENGLISH);
    DecodingOptions {
        language,
        sound_s,
        without_timestamps: true,
        ..DecodingOptions::default()
    }
}

/// A model that stops after the first letter. If it may not stop, it continues by `rest`, a map
/// from each letter to the next.
fn heading(
    tokenizer: &Tokenizer,
    rest: fn(u32) -> Option<u32>,
) -> Scripted<impl Fn(&[u32]) -> Vec<f32> + use<>> {
    let (n_vocab, eot) = (tokenizer.n_vocab(), tokenizer.special().eot);
    Scripted::new(n_vocab, 64, move |tokens: &[u32]| {
        let last = tokens.last().copied().filter(|&token| token < eot);
        let mut row = vec![-9.0; n_vocab];
        let next = match last {
            None => 1,
            Some(1) => {
                row[eot as usize] = 10.0;
                2
            }
            Some(last) => rest(last).unwrap_or(eot),
        };
        row[next as usize] = 9.0;
        row
    })
}

#[test]
fn text_that_ends_before_the_speech_is_continued() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let alphabet = |last| (last < 9).then_some(last + 1);
    let text = |sound_s| -> Result<_, DecodingError<Misuse>> {
        let mut model = heading(&tokenizer, alphabet);
        let fallback = FallbackOptions::default();
        let result =
            decode_with_fallback(&mut model, &tokenizer, &options(sound_s), &fallback, NEVER)?;
        Ok((result.tokens, model.prefills.len()))
    };
    assert_eq!(text(None)?, (vec![1], 1));
    assert_eq!(
        text(Some(2.0))?,
        (vec![1], 1),
        "a word in two seconds is no wonder"
    );
    assert_eq!(text(Some(8.0))?, ((1..=9).collect(), 2));
    Ok(())
}

#[test]
fn a_continuation_that_says_nothing_is_dropped() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let mut model = heading(&tokenizer, |_| None);
    let fallback = FallbackOptions::default();
    let result = decode_with_fallback(
        &mut model,
        &tokenizer,
        &options(Some(8.0)),
        &fallback,
        NEVER,
    )?;
    assert_eq!((result.tokens, model.prefills.len()), (vec![1], 2));
    Ok(())
}

#[test]
fn a_loop_is_left_as_soon_as_it_is_noticed() -> Result<(), DecodingError<Misuse>> {
    let tokenizer = alphabet(20, 3);
    let n_vocab = tokenizer.n_vocab();
    let script = |tokens: &[u32]| {
        let mut row = vec![-9.0; n_vocab];
        row[1 + tokens.len() % 4] = 9.0;
        row
    };
    let mut model = Scripted::new(n_vocab, 256, script);
    let fallback = FallbackOptions {
        temperatures: vec![0.0],
        ..FallbackOptions::default()
    };
    let result = decode_with_fallback(&mut model, &tokenizer, &options(None), &fallback, NEVER)?;
    assert_eq!(
        (result.tokens.len(), model.steps),
        (4, 15),
        "four rounds were heard, one is kept"
    );
    Ok(())
}
