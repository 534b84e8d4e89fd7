//! Guards against text that the audio does not hold, or that holds less than the audio: a phrase
//! that repeats itself, more tokens than anybody says in the time, an end before the speech ends.
//! They look at the tokens as they come and change nothing while all is well.

/// Longest phrase whose repetition is noticed, in tokens.
const PHRASE: usize = 32;
/// How often a phrase is said in a row, at least, to count as a loop.
const TIMES: usize = 4;
/// Tokens that all repetitions have together, at least: a short word may well be said four times.
const REPEATED: usize = 16;
/// From so many times on fewer tokens will do.
const MANY_TIMES: usize = 6;
/// Tokens that so many repetitions have together, at least.
const REPEATED_MANY: usize = 12;

/// Most tokens a second: OpenAI's limit of half the decoder's context (224) for 30 s is 7.5, which
/// fast speech in languages of many tokens a word exceeds; for a window of 10.24 s it is this.
const TOKENS_PER_SECOND: f32 = 22.0;
/// Tokens that even the shortest utterance may have.
const LEAST_LIMIT: usize = 32;

/// Shortest sound in which few words are suspicious, in seconds.
const LONG_ENOUGH: f32 = 3.0;
/// Tokens a second of sound below which text is sparse. In 687 windows of speech in 10 languages
/// there were 1.4 and more, but for three in which the model had stopped after a heading (0.2 to
/// 0.4); in 34 of other sounds that pass the voice detector 0.5 and less, but for one.
const SPARSE: f32 = 1.0;
/// Mean log-probability below which sparse text was made up. The headings have -0.3 to -0.6, the
/// other sounds -1 and less.
pub(super) const SPARSE_LOGPROB: f32 = -0.75;
/// Probability of `<|nospeech|>` above which sparse text was made up, too: music's captions
/// ("MUZIEK." in Dutch) are as likely as speech, -0.2 and less, but no speech was sparse and had
/// such a probability.
pub(super) const NO_SPEECH: f32 = 0.5;
/// Mean log-probability below which, with such a probability, text that is not sparse was made up:
/// OpenAI's rule with stricter thresholds (OpenAI's: 0.6 and -1). Speech that has such a
/// probability has -0.5 and more, but for spoken digits (-0.63).
const NO_SPEECH_LOGPROB: f32 = -0.65;
/// The same where the language is doubtful, too.
const NO_SPEECH_LOGPROB_UNSURE: f32 = -0.45;

/// Returns the maximum number of tokens to sample for `seconds` of audio.
pub(super) fn most_tokens(seconds: f32) -> usize {
    LEAST_LIMIT + (seconds.max(0.0) * TOKENS_PER_SECOND) as usize
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
    let alike = (1..=PHRASE.min(text.len() / TIMES)).find_map(|phrase| {
        let (_, earlier) = text.split_at(phrase);
        let again = text.iter().rev().skip(phrase).zip(earlier.iter().rev());
        let alike = again
            .take_while(|((_, before), (_, now))| before == now)
            .count();
        let times = 1 + alike / phrase;
        let needed = if times < MANY_TIMES {
            REPEATED
        } else {
            REPEATED_MANY
        };
        let is_loop = times >= TIMES && alike + phrase >= needed;
        is_loop.then_some(alike)
    })?;
    let (first, _) = text.get(text.len() - alike)?;
    Some(tokens.len() - first)
}

/// Whether a text of `n_tokens` is too short for `sound_s` seconds of sound.
pub fn is_sparse(n_tokens: usize, sound_s: f32) -> bool {
    sound_s >= LONG_ENOUGH && (n_tokens as f32) < SPARSE * sound_s
}

/// Whether a text is a hallucination without speech. `is_language_sure`: whether its language is
/// given or very likely.
pub(super) fn is_non_speech(
    n_tokens: usize,
    sound_s: f32,
    avg_logprob: f32,
    no_speech_prob: f32,
    is_language_sure: bool,
) -> bool {
    let is_quiet = no_speech_prob > NO_SPEECH;
    let least = if is_language_sure {
        NO_SPEECH_LOGPROB
    } else {
        NO_SPEECH_LOGPROB_UNSURE
    };
    if is_sparse(n_tokens, sound_s) {
        is_quiet || avg_logprob < SPARSE_LOGPROB
    } else {
        is_quiet && avg_logprob < least
    }
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
        let is_non_speech =
            |n, sound_s, logprob, no_speech| is_non_speech(n, sound_s, logprob, no_speech, true);
        let you_in_music = is_non_speech(1, 8.5, -1.6, 0.1);
        let heading = is_non_speech(3, 8.5, -0.4, 0.1);
        let one_word = is_non_speech(1, 0.4, -0.8, 0.45);
        let long_and_hard = is_non_speech(20, 8.0, -0.95, 0.1);
        assert!(you_in_music && !heading && !one_word && !long_and_hard);
        assert!(is_non_speech(16, 9.8, -0.7, 0.56) && !is_non_speech(10, 6.5, -0.45, 0.82));
        let (digits, numbers_in_music) = (
            is_non_speech(4, 2.6, -0.63, 0.68),
            is_non_speech(3, 9.0, -0.54, 0.71),
        );
        let caption_of_music = is_non_speech(5, 14.0, -0.24, 0.74);
        assert!(!digits && numbers_in_music && caption_of_music);
    }

    #[test]
    fn a_text_in_a_language_that_nobody_may_speak_has_to_be_likelier() {
        let ouch_in_music = |is_sure| is_non_speech(28, 14.0, -0.56, 0.74, is_sure);
        assert!(ouch_in_music(false) && !ouch_in_music(true));
        assert!(!is_non_speech(28, 14.0, -0.56, 0.4, false));
    }
}
