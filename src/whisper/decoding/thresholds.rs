//! What makes a text believable: every threshold, with its unit and its measurement.
//!
//! Four judges use them: `decoding::guards` for tokens as they are sampled, `FallbackOptions` for a
//! decoded window, `recognize::second_pass` for the text of a window, and `recognize::verdict` for
//! interim text. A value with the suffix `INTERIM` differs from that of final text: interim text may
//! be withheld, since more audio follows; final text may not.

/// Compression ratio above which a text repeats itself (OpenAI's default).
pub const MAX_COMPRESSION_RATIO: f32 = 2.4;
/// Mean log-probability below which a text is rejected and decoded again at a higher temperature
/// (OpenAI's default).
pub const MIN_AVG_LOGPROB: f32 = -1.0;
/// Mean log-probability below which a greedy text is searched again with beams. Not OpenAI's.
pub const MIN_AVG_LOGPROB_GREEDY: f32 = -0.5;
/// Probability of `<|nospeech|>` above which a text with a mean log-probability below
/// [`MIN_AVG_LOGPROB`] counts as silence (OpenAI's default).
pub const MAX_NO_SPEECH_PROB_FALLBACK: f32 = 0.6;

/// Longest phrase whose repetition is noticed, in tokens.
pub const MAX_PHRASE_TOKENS: usize = 32;
/// Number of consecutive repetitions of a phrase from which they may be a loop.
pub const MIN_LOOP_REPEATS: usize = 4;
/// Number of tokens that the repetitions of a loop have together: a short word may well be said
/// four times.
pub const MIN_LOOP_TOKENS: usize = 16;
/// Number of repetitions from which [`MIN_LOOP_TOKENS_MANY_REPEATS`] tokens are enough.
pub const MANY_LOOP_REPEATS: usize = 6;
/// Number of tokens that [`MANY_LOOP_REPEATS`] repetitions have together.
pub const MIN_LOOP_TOKENS_MANY_REPEATS: usize = 12;
/// Number of tokens per second of sound up to which a text that repeats itself and ends by itself may
/// have been said.
pub const MAX_TOKENS_PER_SECOND_REPEATED: f32 = 9.0;

/// Maximum number of tokens per second of audio. OpenAI's limit of half the decoder's context (224)
/// amounts to 7.5 for 30 s, which fast speech exceeds in languages with many tokens per word, and
/// to this value for a window of 10.24 s.
pub const MAX_TOKENS_PER_SECOND: f32 = 22.0;
/// Number of tokens that even the shortest utterance may have.
pub const MIN_TOKEN_LIMIT: usize = 32;
/// Maximum number of tokens per second of an interim text. Fast English has about 6; more is a
/// loop.
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
/// Number of tokens up to which a text may be a stray word ("you") of a noise that passes the voice
/// detector.
pub const MAX_TOKENS_STRAY: usize = 2;
/// Probability of `<|nospeech|>` above which such a text has to be as likely as one in an uncertain
/// language. Speech of a clear recording has up to 0.54, counting up to 0.97 with more tokens.
pub const MAX_NO_SPEECH_PROB_STRAY: f32 = 0.9;

/// Shortest sound in which few words are suspicious, in seconds.
pub const MIN_SOUND_S_SPARSE: f32 = 3.0;
/// Number of tokens per second of sound below which a text is sparse. In 687 windows of speech in
/// 10 languages there were 1.4 and more, except three in which the model had stopped after a
/// heading (0.2 to 0.4); in 34 windows of other sounds that pass the voice detector 0.5 and less,
/// except one.
pub const MIN_TOKENS_PER_SECOND: f32 = 1.0;
/// Mean log-probability below which a sparse text is a hallucination. The headings have -0.3 to
/// -0.6, the other sounds -1 and less.
pub const MIN_AVG_LOGPROB_SPARSE: f32 = -0.75;
/// Number of capitals from which a text without small letters may be a caption of a sound
/// ("MUZIEK.", "СПОКОЙНАЯ МУЗЫКА") rather than an abbreviation.
pub const MIN_CAPTION_LETTERS: usize = 5;
/// Number of tokens per second of sound below which a text in capitals is such a caption. A shout has
/// 4 and more.
pub const MIN_TOKENS_PER_SECOND_CAPITALS: f32 = 2.5;
/// Number of tokens per second between the first word and the last above which nobody has said them.
/// The fastest speech has 8.6.
pub const MAX_TOKENS_PER_SECOND_SAID: f64 = 12.0;
/// Number of tokens up to which that does not count: alignment is not exact enough.
pub const MIN_TOKENS_TOO_FAST: f64 = 8.0;
/// Probability of `<|nospeech|>` up to which a window in which nobody seems to speak is decoded again in
/// every way; above, only quickly.
/// Music has more than 0.5 in English, and speech that the decoder failed on less than 0.05.
pub const MAX_NO_SPEECH_PROB_SECOND_LOOK: f32 = 0.2;
/// Length up to which such a window is decoded again at any probability, in seconds: a short sentence
/// gives the model little to tell it from noise.
pub const MAX_S_SECOND_LOOK: f64 = 5.0;
/// Probability of `<|nospeech|>` up to which somebody speaks, however unlikely a sparse text is: the
/// decoder has failed. Loud speech that begins in mid-sentence gave eight words of 40, with a mean
/// log-probability of -1.1 and a probability of 0.01.
pub const MIN_NO_SPEECH_PROB_SPARSE: f32 = 0.05;

/// Mean log-probability that the text of a second pass needs. Hallucinations have less.
pub const MIN_AVG_LOGPROB_SECOND_PASS: f32 = -0.7;
/// Number of tokens that it needs if `<|nospeech|>` is likelier than [`MAX_NO_SPEECH_PROB`]: "you" is
/// found in music.
pub const MIN_TOKENS_SECOND_PASS_QUIET: usize = 3;
/// Mean log-probability from which the text of a quick second look shows that somebody speaks, where the
/// first text said that nobody does. Counting has -0.18 to -0.55; a likelier text of music is a loop.
pub const MIN_AVG_LOGPROB_QUICK_LOOK: f32 = -0.6;
/// Number of tokens that it needs.
pub const MIN_TOKENS_QUICK_LOOK: usize = 5;
/// Mean log-probability that a continuation beyond an early end needs.
pub const MIN_AVG_LOGPROB_CONTINUATION: f32 = -0.7;
/// Shortest sound after an unfinished sentence that may hold the rest of it, in seconds.
pub const MIN_SOUND_S_UNFINISHED: f64 = 0.4;

/// Shortest sound without words that the decoder may have passed over, in seconds.
pub const MIN_HOLE_S: f64 = 1.5;
/// The same for a window without any words: a short answer is missing.
pub const MIN_HOLE_S_WITHOUT_WORDS: f64 = 0.5;
/// Sound that a second text has to cover beyond the first, in seconds.
pub const MIN_GAIN_S: f64 = 0.5;
/// Longest time that a word without letters may take, in seconds.
pub const WORD_S: f64 = 0.4;
/// Longest time that each letter may add to it, in seconds.
pub const WORD_S_PER_LETTER: f64 = 0.1;

/// Length of sound below which an unlikely interim text is shown if the next one begins with the
/// same words, in seconds.
pub const MAX_SOUND_S_IF_REPEATED: f32 = 3.0;
/// Maximum probability of `<|nospeech|>` of such a text. The first 3 s of music and noise have more
/// than 0.8, or a mean log-probability below -1.5 (seventeen minutes; docs/streaming.md).
pub const MAX_NO_SPEECH_PROB_IF_REPEATED: f32 = 0.75;
/// Minimum mean log-probability of such a text; see above.
pub const MIN_AVG_LOGPROB_IF_REPEATED: f32 = -1.5;

/// Probability from which a recording changes to a detected language.
pub const MIN_LANGUAGE_PROB_CHANGE: f32 = 0.85;
/// Length of speech from which it may, in seconds. Detection errs on shorter speech.
pub const MIN_LANGUAGE_CHANGE_S: f32 = 3.0;
/// Probability from which a detected language counts as the language spoken.
pub const MIN_LANGUAGE_PROB: f32 = 0.7;
