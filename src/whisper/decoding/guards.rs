//! Guards against text that the audio does not hold, or that holds less than the audio: a phrase
//! that repeats itself, more tokens than anybody says in the time, an end before the speech ends.
//! They look at the tokens as they come and change nothing while all is well.

use super::thresholds::{
    MANY_LOOP_REPEATS, MAX_NO_SPEECH_PROB, MAX_NO_SPEECH_PROB_STRAY, MAX_PHRASE_TOKENS,
    MAX_TOKENS_PER_SECOND, MAX_TOKENS_PER_SECOND_REPEATED, MAX_TOKENS_STRAY,
    MIN_AVG_LOGPROB_NO_SPEECH, MIN_AVG_LOGPROB_NO_SPEECH_UNSURE_LANGUAGE, MIN_AVG_LOGPROB_SPARSE,
    MIN_CAPTION_LETTERS, MIN_LOOP_REPEATS, MIN_LOOP_TOKENS, MIN_LOOP_TOKENS_MANY_REPEATS,
    MIN_NO_SPEECH_PROB_SPARSE, MIN_SOUND_S_SPARSE, MIN_TOKEN_LIMIT, MIN_TOKENS_PER_SECOND,
    MIN_TOKENS_PER_SECOND_CAPITALS,
};

/// Returns the maximum number of tokens to sample for `seconds` of audio.
pub(super) fn most_tokens(seconds: f32) -> usize {
    MIN_TOKEN_LIMIT + (seconds.max(0.0) * MAX_TOKENS_PER_SECOND) as usize
}

/// Whether `n_tokens` can be said in `sound_s` seconds of sound; not known to be if that is `None`. A
/// loop of the decoder goes on beyond; somebody who repeats a phrase does not.
pub(super) fn can_be_said(n_tokens: usize, sound_s: Option<f32>) -> bool {
    sound_s.is_some_and(|sound_s| n_tokens as f32 <= MAX_TOKENS_PER_SECOND_REPEATED * sound_s)
}

/// Returns how many tokens at the end of `tokens` only repeat the text before them, or `None` if
/// there is no loop. Timestamps, which are above `eot`, do not interrupt a repetition.
pub(super) fn repetition(tokens: &[u32], eot: u32) -> Option<usize> {
    let text: Vec<(usize, u32)> = tokens
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, token)| *token < eot)
        .collect();
    let alike = (1..=MAX_PHRASE_TOKENS.min(text.len() / MIN_LOOP_REPEATS)).find_map(|phrase| {
        let (_, earlier) = text.split_at(phrase);
        let again = text.iter().rev().skip(phrase).zip(earlier.iter().rev());
        let alike = again
            .take_while(|((_, before), (_, now))| before == now)
            .count();
        let times = 1 + alike / phrase;
        let needed = if times < MANY_LOOP_REPEATS {
            MIN_LOOP_TOKENS
        } else {
            MIN_LOOP_TOKENS_MANY_REPEATS
        };
        let is_loop = times >= MIN_LOOP_REPEATS && alike + phrase >= needed;
        is_loop.then_some(alike)
    })?;
    let (first, _) = text.get(text.len() - alike)?;
    Some(tokens.len() - first)
}

/// Whether a text of `n_tokens` is too short for `sound_s` seconds of sound.
pub fn is_sparse(n_tokens: usize, sound_s: f32) -> bool {
    sound_s >= MIN_SOUND_S_SPARSE && (n_tokens as f32) < MIN_TOKENS_PER_SECOND * sound_s
}

/// Whether a text is in capitals only, as subtitles write what is heard besides speech ("MUZIEK.").
pub(super) fn is_caption(text: &str) -> bool {
    let n_capitals = text.chars().filter(|c| c.is_uppercase()).count();
    n_capitals >= MIN_CAPTION_LETTERS && !text.chars().any(char::is_lowercase)
}

/// Whether a text names those who made subtitles, as subtitles do where nobody speaks: over music.
pub(super) fn is_credit(text: &str) -> bool {
    const CREDITS: [&str; 7] = [
        "Редактор субтитров",
        "Субтитры сделал",
        "Amara.org",
        "Untertitel im Auftrag",
        "Untertitel von",
        "Sous-titrage",
        "Sottotitoli",
    ];
    CREDITS.iter().any(|credit| text.contains(credit))
}

/// Whether a text is a hallucination without speech. `is_language_sure`: whether its language is
/// given or very likely. `is_caption`: whether it is in capitals only.
pub(super) fn is_non_speech(
    n_tokens: usize,
    sound_s: f32,
    avg_logprob: f32,
    no_speech_prob: f32,
    is_language_sure: bool,
    is_caption: bool,
) -> bool {
    let is_quiet = no_speech_prob > MAX_NO_SPEECH_PROB;
    let is_slow = (n_tokens as f32) < MIN_TOKENS_PER_SECOND_CAPITALS * sound_s;
    if is_caption && (is_quiet || is_slow) {
        return true;
    }
    let is_stray = n_tokens <= MAX_TOKENS_STRAY && no_speech_prob > MAX_NO_SPEECH_PROB_STRAY;
    let least = if is_language_sure && !is_stray {
        MIN_AVG_LOGPROB_NO_SPEECH
    } else {
        MIN_AVG_LOGPROB_NO_SPEECH_UNSURE_LANGUAGE
    };
    let is_unlikely = is_sparse(n_tokens, sound_s)
        && no_speech_prob > MIN_NO_SPEECH_PROB_SPARSE
        && avg_logprob < MIN_AVG_LOGPROB_SPARSE;
    is_unlikely || is_quiet && avg_logprob < least
}

#[cfg(test)]
mod tests {
    use super::*;

    const EOT: u32 = 100;

    fn repetition(tokens: &[u32]) -> Option<usize> {
        super::repetition(tokens, EOT)
    }

    #[test]
    fn timestamps_do_not_hide_a_loop() {
        let round = |at: u32| [EOT + at, 1, 2, 3, 4, EOT + at + 1];
        let said: Vec<u32> = (0..4).flat_map(|i| round(2 * i)).collect();
        // All but the first round, and the timestamps around it.
        assert_eq!(repetition(&said), Some(6 * 3 - 1));
        assert_eq!(repetition(&said[..18]), None);
    }

    #[test]
    fn a_loop_is_noticed_at_its_fourth_round_and_not_before() {
        let phrase = [1, 2, 3, 4, 5];
        let said = |times: usize| [&[9, 8][..], &phrase.repeat(times)].concat();
        assert_eq!(repetition(&said(3)), None);
        assert_eq!(repetition(&said(4)), Some(15));
        assert_eq!(
            repetition(&[said(4), vec![7]].concat()),
            None,
            "the text has continued"
        );
        assert_eq!(repetition(&[said(3), vec![1, 2]].concat()), None);
    }

    #[test]
    fn what_can_be_said_depends_on_the_sound() {
        assert!(can_be_said(40, Some(8.0)), "a phrase said eight times");
        assert!(!can_be_said(120, Some(8.0)), "a loop");
        assert!(!can_be_said(1, None));
    }

    #[test]
    fn short_words_may_be_repeated() {
        assert_eq!(repetition(&[3; 11]), None);
        assert_eq!(repetition(&[3; 12]), Some(11));
        assert_eq!(repetition(&[3, 4].repeat(5)), None);
        assert_eq!(repetition(&[3, 4].repeat(6)), Some(10));
        assert_eq!(repetition(&[3, 4, 5].repeat(5)), None);
        assert_eq!(repetition(&[]), None);
    }

    #[test]
    fn the_limit_follows_the_audio() {
        assert_eq!(most_tokens(0.0), 32);
        assert!(
            most_tokens(10.24) > 224,
            "never less than OpenAI's for the longest short window"
        );
    }

    #[test]
    fn few_and_unlikely_words_are_no_speech() {
        assert!(is_sparse(3, 8.0) && !is_sparse(8, 8.0) && !is_sparse(0, 2.0));
        let is_non_speech = |n, sound_s, logprob, no_speech| {
            is_non_speech(n, sound_s, logprob, no_speech, true, false)
        };
        assert!(is_non_speech(1, 8.5, -1.6, 0.1), "\"you\" in music");
        assert!(!is_non_speech(3, 8.5, -0.4, 0.1), "a heading");
        assert!(!is_non_speech(1, 0.4, -0.8, 0.45), "one word");
        assert!(!is_non_speech(20, 8.0, -0.95, 0.1), "long and hard");
        assert!(
            !is_non_speech(10, 14.0, -1.1, 0.01),
            "speech on which the decoder failed"
        );
        assert!(
            !is_non_speech(7, 9.0, -0.37, 0.55),
            "a phrase that is repeated"
        );
        assert!(is_non_speech(16, 9.8, -0.7, 0.56) && !is_non_speech(10, 6.5, -0.45, 0.82));
        assert!(!is_non_speech(4, 2.6, -0.63, 0.68), "digits");
        assert!(is_non_speech(1, 1.2, -0.52, 0.94), "\"you\" in noise");
        assert!(!is_non_speech(1, 0.6, -0.4, 0.94), "a clear word");
    }

    #[test]
    fn sparse_capitals_are_captions_of_sounds() {
        assert!(is_caption("MUZIEK.") && is_caption("СПОКОЙНАЯ МУЗЫКА"));
        assert!(is_credit("Редактор субтитров А.Семкин Корректор А.Егорова"));
        assert!(!is_credit("Он редактор газеты."));
        assert!(!is_caption("Muziek.") && !is_caption("USA") && !is_caption("1, 2, 3, 4, 5, 6"));
        let caption =
            |n, sound_s, no_speech| is_non_speech(n, sound_s, -0.24, no_speech, true, true);
        assert!(caption(5, 14.0, 0.1) && caption(5, 2.0, 0.6));
        assert!(caption(5, 4.0, 0.3) && !caption(5, 1.0, 0.3), "ASK NOT!");
    }

    #[test]
    fn a_text_in_a_language_that_nobody_may_speak_has_to_be_likelier() {
        let ouch_in_music = |is_sure| is_non_speech(28, 14.0, -0.56, 0.74, is_sure, false);
        assert!(ouch_in_music(false) && !ouch_in_music(true));
        assert!(!is_non_speech(28, 14.0, -0.56, 0.4, false, false));
    }
}
