//! Running speech: where a window begins if the one before ends without a pause.
//!
//! In: utterances, and the words of those that were cut while somebody went on speaking. Out: the
//! utterances to decode, which begin at a sentence or at least at a word.
//!
//! A window that is full before a pause ends in mid-sentence. Whisper was trained on windows that
//! begin with a sentence: of one that does not, it may write only the end, or nothing. So the text
//! is kept up to its last sentence, and the sound after it is decoded again with what follows, as
//! openai-whisper's `transcribe.py` does by its timestamps. If no sentence ends late enough, the next
//! window begins with the last words that are kept: the decoder continues their text, as live text
//! does.

use crate::audio::{Utterance, clock};
use crate::recognize::ends_sentence_after;
use crate::whisper::TimedWord;
use std::ops::Range;

/// Share of the window that is decoded only once: a later window begins after it.
const KEPT_SHARE: f64 = 0.4;
/// Share of the window after which any pause between two words will do, if no sentence ends.
const KEPT_SHARE_OF_WORDS: f64 = 0.6;
/// Length at the end of a cut window without words from which the decoder has stopped early, in
/// seconds.
const UNHEARD_S: f64 = 1.5;
/// Longest end of a window that is decoded a second time, with its text given, in seconds. Of running
/// speech in eight languages 88 words are lost without it, 72 with 1.5 s, 74 with 3 s.
const CONTEXT_S: f64 = 2.0;
/// Length at the end of a cut window in which a word may be cut through, in seconds.
const CUT_WORD_S: f64 = 0.3;

/// Sound that waits for a window.
pub struct Running {
    /// Longest window in samples.
    max_samples: usize,
    /// What follows the last window and is not decoded yet.
    rest: Option<Utterance>,
    /// The end of the last window, which `rest` follows.
    context: Option<Context>,
}

/// The end of a window, with its text: what follows is decoded as its continuation.
pub struct Context {
    /// Samples, 16 kHz, mono.
    pub samples: Vec<f32>,
    /// Tokens of its words.
    pub tokens: Vec<u32>,
}

impl Running {
    /// For windows of at most `max_samples`.
    pub fn new(max_samples: usize) -> Self {
        Self {
            max_samples,
            rest: None,
            context: None,
        }
    }

    /// Whether an utterance can be had without another one from the stream.
    pub fn is_ready(&self) -> bool {
        self.rest
            .as_ref()
            .is_some_and(|rest| !rest.continues || rest.samples.len() > self.room())
    }

    /// Whether sound waits.
    pub fn is_pending(&self) -> bool {
        self.rest.is_some()
    }

    /// Number of samples that fit a window after the context.
    fn room(&self) -> usize {
        let n_before = self
            .context
            .as_ref()
            .map_or(0, |context| context.samples.len());
        self.max_samples - n_before
    }

    /// Returns the next utterance, from what is left and the one that came from the stream, and what it
    /// continues.
    pub fn next(&mut self, incoming: Option<Utterance>) -> Option<(Utterance, Option<Context>)> {
        let whole = match (self.rest.take(), incoming) {
            (Some(rest), Some(next)) => rest.joined(next),
            (rest, next) => rest.or(next)?,
        };
        let (utterance, rest) = whole.cut(self.room());
        self.rest = rest.filter(|rest| rest.continues || rest.has_voice());
        Some((utterance, self.context.take()))
    }

    /// Ends the stream: nothing follows what is left.
    pub fn end(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.continues = false;
        }
    }

    /// Puts sound back that is to be decoded with what follows it, as a continuation of `context`.
    pub fn put_back(&mut self, utterance: Utterance, context: Option<Context>) {
        if utterance.samples.is_empty() {
            return;
        }
        self.rest = Some(match self.rest.take() {
            Some(rest) => utterance.joined(rest),
            None => utterance,
        });
        self.context = context;
    }
}

/// Returns what is decoded again `at_s` seconds from the start of a window as the continuation of: the
/// last words before; `None` if a sentence ends there. `words` are those that are kept, `tokens` theirs.
pub fn context(words: &[TimedWord], tokens: &[u32], samples: &[f32], at_s: f64) -> Option<Context> {
    if ends_sentence_after(words, words.len()) {
        return None;
    }
    let first = words
        .iter()
        .position(|word| word.start >= at_s - CONTEXT_S)?;
    let n_tokens: usize = words[..first].iter().map(|word| word.tokens).sum();
    let sound = clock::samples(words[first].start)..clock::samples(at_s);
    Some(Context {
        samples: samples.get(sound)?.to_vec(),
        tokens: tokens.get(n_tokens..)?.to_vec(),
    })
}

/// Returns how many of the words of a window that continues are kept, and the time in seconds
/// from its start from which it is decoded again; `None` if all of it stands. The window has
/// `seconds` of audio, which ends in a pause or within speech.
pub fn restart(words: &[TimedWord], seconds: f64, ends_in_pause: bool) -> Option<(usize, f64)> {
    let Some(last) = words.last() else {
        return Some((0, KEPT_SHARE_OF_WORDS * seconds));
    };
    if seconds - last.end > UNHEARD_S {
        // The second pass has searched what is before.
        return Some((words.len(), last.end.max(KEPT_SHARE * seconds)));
    }
    if ends_in_pause && ends_sentence_after(words, words.len()) {
        return None;
    }
    let gaps = |range: Range<f64>| {
        let ends = (1..=words.len()).map(move |n| {
            let end = words.get(n).map_or(seconds, |next| next.start);
            (n, words[n - 1].end, end)
        });
        ends.filter(move |(_, from, _)| range.contains(from))
    };
    let sentence = gaps(KEPT_SHARE * seconds..seconds)
        .rfind(|(n, ..)| *n < words.len() && ends_sentence_after(words, *n));
    let pause = || {
        gaps(KEPT_SHARE_OF_WORDS * seconds..seconds - CUT_WORD_S)
            .max_by(|a, b| (a.2 - a.1).total_cmp(&(b.2 - b.1)).then(a.0.cmp(&b.0)))
    };
    let (n, from, to) = sentence.or_else(pause)?;
    Some((n, from.midpoint(to.min(from + 2.0 * CUT_WORD_S))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::vad::{FRAME, FrameScore};

    /// Words of a second each; a sentence ends after those in `stops`.
    fn words(n: usize, stops: &[usize]) -> Vec<TimedWord> {
        let word = |i: usize| TimedWord {
            text: if stops.contains(&i) {
                " Ab.".into()
            } else {
                " Ab".into()
            },
            tokens: 1,
            start: i as f64,
            end: i as f64 + 0.9,
            probability: 1.0,
        };
        (0..n).map(word).collect()
    }

    #[test]
    fn a_window_is_kept_up_to_its_last_sentence() {
        let restart = |stops, ends_in_pause| restart(&words(15, stops), 15.0, ends_in_pause);
        let (n, at) = restart(&[3, 8], true).expect("a restart");
        assert_eq!(n, 9);
        assert!((8.9..9.0).contains(&at), "between the words: {at}");
        assert_eq!(restart(&[3, 14], true), None, "a whole sentence");
        let (n, _) = restart(&[8, 14], false).expect("a restart");
        assert_eq!(
            n, 9,
            "the last word may be cut through, whatever its full stop"
        );
    }

    #[test]
    fn without_a_late_sentence_a_word_is_not_cut_through() {
        let mut words = words(15, &[3]);
        words[11].end = 11.5;
        let (n, at) = restart(&words, 15.0, false).expect("a restart");
        assert_eq!(n, 12, "at the longest pause");
        assert!((11.5..12.0).contains(&at));
    }

    #[test]
    fn what_begins_in_mid_sentence_continues_the_words_before() {
        let tokens: Vec<u32> = (0..12).collect();
        let samples = vec![0.0; clock::samples(15.0)];
        let words = words(12, &[3]);
        let context = context(&words, &tokens, &samples, 11.95).expect("a context");
        assert_eq!(context.tokens, [10, 11], "the words of the last 2 s");
        assert_eq!(
            context.samples.len(),
            clock::samples(11.95) - clock::samples(10.0)
        );
        assert!(
            super::context(&words[..4], &tokens, &samples, 3.95).is_none(),
            "a sentence"
        );
        assert!(super::context(&[], &[], &samples, 9.0).is_none(), "no text");
        assert!(
            super::context(&words, &tokens, &samples, 14.0).is_none(),
            "too far"
        );
    }

    #[test]
    fn what_follows_a_context_leaves_it_room() {
        let mut running = Running::new(500 * FRAME);
        let context = Context {
            samples: vec![0.0; 100 * FRAME],
            tokens: vec![1],
        };
        running.put_back(utterance(0, 450, true), Some(context));
        assert!(running.is_ready(), "more than fits with the context");
        let (taken, context) = running.next(None).expect("a window");
        assert!(taken.samples.len() + context.expect("it").samples.len() <= 500 * FRAME);
        let (rest, context) = running.next(None).expect("the rest");
        assert!(context.is_none() && rest.start == taken.end());
    }

    #[test]
    fn what_the_decoder_did_not_reach_is_decoded_again() {
        assert_eq!(restart(&words(10, &[4]), 15.0, true), Some((10, 9.9)));
        assert_eq!(
            restart(&words(1, &[0]), 15.0, true),
            Some((1, 6.0)),
            "it goes on"
        );
        assert_eq!(restart(&[], 15.0, true), Some((0, 9.0)));
    }

    fn utterance(start: usize, n: usize, continues: bool) -> Utterance {
        Utterance {
            samples: (start * FRAME..(start + n) * FRAME)
                .map(|i| i as f32)
                .collect(),
            start: (start * FRAME) as u64,
            scores: vec![
                FrameScore {
                    speech: 0.9,
                    level_db: -20.0
                };
                n
            ],
            continues,
        }
    }

    #[test]
    fn no_sample_is_lost_between_windows() {
        let mut running = Running::new(500 * FRAME);
        running.put_back(utterance(0, 200, true), None);
        assert!(running.is_pending() && !running.is_ready(), "more follows");
        let mut taken = running
            .next(Some(utterance(200, 400, false)))
            .expect("a window")
            .0
            .samples;
        assert!(taken.len() <= 500 * FRAME && running.is_ready());
        taken.extend(running.next(None).expect("the rest").0.samples);
        assert_eq!(taken, utterance(0, 600, false).samples);
        assert!(!running.is_pending());
        assert!(running.next(None).is_none());
        running.put_back(utterance(0, 100, true), None);
        running.end();
        assert!(running.is_ready(), "nothing follows");
    }
}
