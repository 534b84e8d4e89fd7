//! What makes a text believable: every threshold, with its unit and what it was measured on.
//!
//! Three judges use them. `super::guards` looks at tokens as they are sampled,
//! `recognize::second_pass` at the text of a whole window, `recognize::verdict` at interim text. A
//! value that differs between final and interim text has the suffix `INTERIM`: interim text may be
//! withheld, since more audio follows; final text may not.

/// Longest phrase whose repetition is noticed, in tokens.
pub const MAX_PHRASE_TOKENS: usize = 32;
/// Repetitions of a phrase in a row from which they may be a loop.
pub const MIN_LOOP_REPEATS: usize = 4;
/// Tokens that the repetitions of a loop have together: a short word may well be said four times.
pub const MIN_LOOP_TOKENS: usize = 16;
/// Repetitions from which [`MIN_LOOP_TOKENS_MANY_REPEATS`] are enough.
pub const MANY_LOOP_REPEATS: usize = 6;
/// Tokens that so many repetitions have together.
pub const MIN_LOOP_TOKENS_MANY_REPEATS: usize = 12;

/// Most tokens per second of audio. OpenAI's limit of half the decoder's context (224) for 30 s is
/// 7.5, which fast speech exceeds in languages with many tokens per word; for a window of 10.24 s it
/// is this.
pub const MAX_TOKENS_PER_SECOND: f32 = 22.0;
/// Tokens that even the shortest utterance may have.
pub const MIN_TOKEN_LIMIT: usize = 32;
/// Most tokens per second of an interim text. Fast English has about 6; more is a loop.
pub const MAX_TOKENS_PER_SECOND_INTERIM: usize = 10;

/// Probability of `<|nospeech|>` above which a text needs to be likely. OpenAI's threshold is 0.6.
/// No sparse text of speech had such a probability; captions of music ("MUZIEK." in Dutch) are as
/// likely as speech, with a mean log-probability of up to -0.2.
pub const MAX_NO_SPEECH_PROB: f32 = 0.5;
/// Mean log-probability that a text with such a probability needs; OpenAI's is -1. Speech with such
/// a probability has -0.5 and more, except spoken digits (-0.63).
pub const MIN_AVG_LOGPROB_NO_SPEECH: f32 = -0.65;
/// The same if the language is uncertain as well.
pub const MIN_AVG_LOGPROB_NO_SPEECH_UNSURE_LANGUAGE: f32 = -0.45;
/// The same for interim text: music gives words with up to -0.5, hens with up to -0.44. One interim
/// text of speech in thirty has less; more audio decides.
pub const MIN_AVG_LOGPROB_NO_SPEECH_INTERIM: f32 = -0.4;

/// Shortest sound in which few words are suspicious, in seconds.
pub const MIN_SOUND_S_SPARSE: f32 = 3.0;
/// Tokens per second of sound below which a text is sparse. In 687 windows of speech in 10 languages
/// there were 1.4 and more, except three in which the model had stopped after a heading (0.2 to
/// 0.4); in 34 windows of other sounds that pass the voice detector 0.5 and less, except one.
pub const MIN_TOKENS_PER_SECOND: f32 = 1.0;
/// Mean log-probability below which a sparse text was made up. The headings have -0.3 to -0.6, the
/// other sounds -1 and less.
pub const MIN_AVG_LOGPROB_SPARSE: f32 = -0.75;

/// Shortest sound in which a short text is decoded again in pieces, in seconds.
pub const MIN_SOUND_S_SHORT_TEXT: f32 = 6.0;
/// Tokens per second of sound below which that happens. In 253 windows of more than 6 s of English
/// speech there were 2.8 and more, except one, a list of digits with 1.5; a window in which a
/// sentence is missing has less than 2.
pub const MIN_TOKENS_PER_SECOND_FULL_TEXT: f32 = 2.5;
/// Letters and digits that the text of the pieces needs, relative to that of the whole: less is
/// another spelling, not another sentence.
pub const MIN_LETTER_RATIO_OF_PIECES: f32 = 1.25;
/// Shortest sound in which an empty text is decoded again, in seconds.
pub const MIN_SOUND_S_EMPTY_TEXT: f32 = 1.0;
/// Mean log-probability that the text of a second pass needs: what is made up has less.
pub const MIN_AVG_LOGPROB_SECOND_PASS: f32 = -0.7;
/// Mean log-probability that a continuation beyond an early end needs.
pub const MIN_AVG_LOGPROB_CONTINUATION: f32 = -0.7;
/// Shortest sound after an unfinished sentence that may hold the rest of it, in seconds.
pub const MIN_SOUND_S_UNFINISHED: f64 = 0.4;

/// Sound below which an unlikely interim text is shown if the next one begins with the same words,
/// in seconds.
pub const MAX_SOUND_S_IF_REPEATED: f32 = 3.0;
/// Probability of `<|nospeech|>` that such a text may have at most: the first 3 s of music and noise
/// have more than 0.8, or a mean log-probability below -1.5 (seventeen minutes; docs/streaming.md).
pub const MAX_NO_SPEECH_PROB_IF_REPEATED: f32 = 0.75;
/// Mean log-probability that such a text needs; see above.
pub const MIN_AVG_LOGPROB_IF_REPEATED: f32 = -1.5;

/// Probability from which a detected language counts as the one that is spoken.
pub const MIN_LANGUAGE_PROB: f32 = 0.7;
