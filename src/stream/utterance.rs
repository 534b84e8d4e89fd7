//! The utterance that is being spoken, as a state machine: when a pass over it is due, what of a
//! hypothesis is shown, what is committed, and what its final text is. It knows neither recognizer
//! nor clock.
//!
//! In: the growing audio as lengths, hypotheses. Out: the [`Pass`] that is due, [`Partial`]s, a
//! [`Finished`] utterance, after which the state is that of the next one.

use super::agreement::LocalAgreement;
use super::continuation::continuation;
use super::event::{Final, Partial};
use super::recognizer::{Hypothesis, Pass};
use crate::audio::vad::FRAME;
use crate::audio::{Ongoing, PRE_ROLL, SAMPLE_RATE};
use crate::text::{Word, common_prefix, join};
use crate::tokenizer::Language;
use std::time::Duration;

/// Speech from which a detected language holds for the rest of its utterance, in samples: 3 s.
const LANGUAGE_SAMPLES: usize = 3 * SAMPLE_RATE as usize;

/// Silence that counts as the beginning of a pause, in samples: 0.1 s, longer than the closure of a
/// stop consonant.
const PAUSE: usize = SAMPLE_RATE as usize / 10;

/// Length of audio that counts as transcribed before the first pass, in samples: the first pass
/// comes a step after the onset.
const BEFORE_ONSET: usize = PRE_ROLL * FRAME;

/// A stretch of the stream, in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// First sample.
    pub start: u64,
    /// Number of samples.
    pub len: usize,
}

impl Span {
    /// First sample after it.
    pub fn end(self) -> u64 {
        self.start + self.len as u64
    }
}

/// What is known of the utterance that is being spoken.
#[derive(Default)]
pub(super) struct UtteranceState {
    number: u64,
    revision: u64,
    committed: Vec<Word>,
    agreement: LocalAgreement,
    /// Text of the latest hypothesis that had any.
    predicted: String,
    /// Words of the latest hypothesis, if it was unlikely.
    unlikely: Vec<Word>,
    /// Length of the audio that the latest pass was over, in samples.
    transcribed: usize,
    /// Language, once enough was said in it.
    language: Option<Language>,
    /// The final text made ahead of the end, and the audio that it is of.
    ahead: Option<(Span, Hypothesis)>,
    /// Its first words, which were reported with the utterance before.
    reported: Vec<Word>,
}

/// An utterance that has ended.
pub(super) struct Finished {
    /// Its text; `None` if nobody spoke and nothing was shown.
    pub last: Option<Final>,
    /// All words said in its audio, in seconds of the stream.
    pub said: Vec<Word>,
    /// Language spoken.
    pub language: Language,
}

impl UtteranceState {
    /// The utterance of this number before anything is known of it, except its first words, which
    /// were `reported` with the utterance before.
    pub fn new(number: u64, reported: Vec<Word>) -> Self {
        Self {
            number,
            transcribed: BEFORE_ONSET,
            reported,
            ..Self::default()
        }
    }

    /// The pass that is due over the audio so far: interim passes every `step_s` seconds (none if
    /// `None`), the final pass once enough silence has followed.
    pub fn due(&self, ongoing: &Ongoing<'_>, step_s: Option<f64>) -> Option<Pass> {
        let span = Span {
            start: ongoing.start,
            len: ongoing.samples.len(),
        };
        if ongoing.is_settled {
            let is_made = self.ahead.as_ref().is_some_and(|(made, _)| *made == span);
            return (!is_made).then_some(Pass::Final);
        }
        let mut step_s = step_s?;
        // As long as there is nothing to show, the next pass comes sooner.
        if self.revision == 0 && self.transcribed > BEFORE_ONSET {
            step_s /= 2.0;
        }
        let is_due = if span.len - ongoing.voiced >= PAUSE {
            ongoing.voiced > self.transcribed
        } else {
            span.len >= self.transcribed + (step_s * f64::from(SAMPLE_RATE)) as usize
        };
        is_due.then_some(Pass::Interim)
    }

    /// Text that the transcript is known to begin with.
    pub fn prefix(&self) -> String {
        join(&self.reported)
    }

    /// The likeliest text after the prefix.
    pub fn predicted(&self) -> &str {
        &self.predicted
    }

    /// Language for a pass, if it is known: the final text may still change it, as long as nothing
    /// is committed.
    pub fn language(&self, pass: Pass) -> Option<Language> {
        let holds = pass == Pass::Interim || !self.committed.is_empty();
        self.language.filter(|_| holds)
    }

    /// Takes the hypothesis of a pass over `span`, with times in seconds of the stream. Returns the
    /// text to show, if there is new text and it `is_shown` at all.
    pub fn take_partial(
        &mut self,
        mut hypothesis: Hypothesis,
        span: Span,
        pass: Pass,
        is_shown: bool,
    ) -> Option<Partial> {
        self.learn(&hypothesis, span, pass);
        self.keep_what_is_repeated(&mut hypothesis);
        let rest = continuation(&self.committed, &hypothesis.words);
        let rest = hypothesis.words.get(rest..).unwrap_or_default();
        if rest.is_empty() || !is_shown {
            // Two hypotheses with this one between them are not two in a row.
            self.agreement.reset();
            return None;
        }
        let end_s = seconds(span.end());
        let n_settled = if hypothesis.is_unlikely {
            0
        } else {
            self.agreement.update(rest, end_s)
        };
        let (settled, interim) = rest.split_at(n_settled);
        self.committed.extend_from_slice(settled);
        self.revision += 1;
        Some(Partial {
            utterance: self.number,
            revision: self.revision,
            start_s: seconds(span.start),
            end_s,
            committed: join(&self.committed).trim_start().to_owned(),
            words: self.committed.clone(),
            interim: as_continuation(&self.committed, interim),
            language: hypothesis.language,
        })
    }

    /// Notes what a hypothesis says of the language, of the next pass and of the final text.
    fn learn(&mut self, hypothesis: &Hypothesis, span: Span, pass: Pass) {
        self.transcribed = span.len;
        let has_words = !hypothesis.words.is_empty();
        if span.len >= LANGUAGE_SAMPLES && has_words && !hypothesis.is_unlikely {
            self.language = Some(hypothesis.language);
        }
        if pass == Pass::Final {
            self.ahead = Some((span, hypothesis.clone()));
        }
        if has_words {
            self.predicted = join(&hypothesis.words);
        }
    }

    /// Leaves of an unlikely hypothesis what the one before, unlikely too, began with. Nothing that
    /// is shown makes way for it.
    fn keep_what_is_repeated(&mut self, hypothesis: &mut Hypothesis) {
        let before = std::mem::take(&mut self.unlikely);
        if !hypothesis.is_unlikely {
            return;
        }
        let mut n_repeated = 0;
        if self.revision == 0 {
            n_repeated = common_prefix(&before, &hypothesis.words);
        }
        self.unlikely.clone_from(&hypothesis.words);
        if !join(&before[..n_repeated]).contains(char::is_alphanumeric) {
            n_repeated = 0;
        }
        hypothesis.words.truncate(n_repeated);
    }

    /// The final text of exactly this audio, if it was made ahead.
    pub fn take_ahead(&mut self, span: Span) -> Option<Hypothesis> {
        let ahead = self.ahead.take().filter(|(made, _)| *made == span);
        ahead.map(|(_, hypothesis)| hypothesis)
    }

    /// Ends the utterance with the hypothesis of its final pass. `is_cut`: whether speech continues
    /// at its end, in the next utterance. The state is that of the next utterance then.
    pub fn finish(&mut self, hypothesis: Hypothesis, span: Span, is_cut: bool) -> Finished {
        let mut words = std::mem::take(&mut self.committed);
        let agreed = common_prefix(&words, &hypothesis.words);
        for (committed, heard) in words.iter_mut().zip(&hypothesis.words).take(agreed) {
            // The text is settled; its times are known better from all of the audio.
            committed.retime(heard);
        }
        let n_before = if is_cut {
            n_before_cut(&words, agreed, &hypothesis, seconds(span.end()))
        } else {
            words.len()
        };
        // Committed words behind the cut are the first of the next utterance.
        let beyond = words.get(n_before..).unwrap_or_default().to_vec();
        if beyond.is_empty() {
            let rest = continuation(&words, &hypothesis.words);
            words.extend_from_slice(hypothesis.words.get(rest..).unwrap_or_default());
        }
        let n_said = words.len() - beyond.len();
        let mut said = std::mem::take(&mut self.reported);
        said.extend_from_slice(words.get(..n_said).unwrap_or_default());
        let text = join(&words).trim().to_owned();
        let is_silent = text.is_empty() && self.revision == 0;
        let last = Final {
            utterance: self.number,
            revision: self.revision + 1,
            start_s: seconds(span.start),
            end_s: seconds(span.end()),
            text,
            words,
            language: hypothesis.language,
            avg_logprob: hypothesis.avg_logprob,
            latency: Duration::ZERO,
        };
        let next = if is_silent {
            self.number
        } else {
            self.number + 1
        };
        *self = Self::new(next, beyond);
        Finished {
            last: (!is_silent).then_some(last),
            said,
            language: hypothesis.language,
        }
    }
}

/// How many of the committed words, of which the hypothesis has the first `agreed`, lie before a cut
/// at `end_s`. A text without words says nothing of where the cut lies.
fn n_before_cut(committed: &[Word], agreed: usize, hypothesis: &Hypothesis, end_s: f64) -> usize {
    if agreed > 0 && agreed == hypothesis.words.len() {
        return agreed;
    }
    let is_before = |word: &&Word| word.start_s.midpoint(word.end_s) < end_s;
    committed.iter().take_while(is_before).count()
}

/// Interim text as it continues the committed text.
fn as_continuation(committed: &[Word], interim: &[Word]) -> String {
    let text = join(interim);
    if committed.is_empty() {
        text.trim_start().to_owned()
    } else {
        text
    }
}

/// Samples of the stream in seconds.
pub(super) fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::split;

    const SECOND: usize = SAMPLE_RATE as usize;

    fn span(seconds: f64) -> Span {
        Span {
            start: 0,
            len: (seconds * SECOND as f64) as usize,
        }
    }

    /// A hypothesis of words of 0.3 s each that the model is sure of.
    fn heard(text: &str) -> Hypothesis {
        let mut words = split(text, Language::ENGLISH);
        for (i, word) in words.iter_mut().enumerate() {
            word.confidence = 1.0;
            word.start_s = 0.3 * i as f64;
            word.end_s = 0.3 * (i + 1) as f64;
        }
        Hypothesis {
            words,
            is_unlikely: false,
            language: Language::ENGLISH,
            avg_logprob: -0.1,
        }
    }

    fn unlikely(text: &str) -> Hypothesis {
        Hypothesis {
            is_unlikely: true,
            ..heard(text)
        }
    }

    fn interim(state: &mut UtteranceState, text: &str, at_s: f64) -> Option<(String, String)> {
        let partial = state.take_partial(heard(text), span(at_s), Pass::Interim, true)?;
        Some((partial.committed, partial.interim))
    }

    fn ongoing(samples: &[f32], voiced: usize, is_settled: bool) -> Ongoing<'_> {
        Ongoing {
            samples,
            start: 0,
            voiced,
            is_settled,
        }
    }

    #[test]
    fn passes_are_due_by_steps_at_a_pause_and_once_when_it_is_settled() {
        let silence = vec![0.0; 4 * SECOND];
        let mut state = UtteranceState::new(1, Vec::new());
        let audio = |n: usize| ongoing(&silence[..n], n, false);
        assert_eq!(state.due(&audio(BEFORE_ONSET), Some(0.5)), None);
        let first = BEFORE_ONSET + SECOND / 2;
        assert_eq!(state.due(&audio(first), Some(0.5)), Some(Pass::Interim));
        assert_eq!(state.due(&audio(first), None), None, "finals alone");
        interim(&mut state, "", first as f64 / SECOND as f64);
        let half = first + SECOND / 4;
        assert_eq!(
            state.due(&audio(half), Some(0.5)),
            Some(Pass::Interim),
            "nothing is shown yet"
        );
        let pause = ongoing(&silence[..first + 2 * PAUSE], first + 1, false);
        assert_eq!(state.due(&pause, Some(9.0)), Some(Pass::Interim));
        let settled = ongoing(&silence[..2 * SECOND], SECOND, true);
        assert_eq!(state.due(&settled, None), Some(Pass::Final));
        state.take_partial(heard(" so"), span(2.0), Pass::Final, true);
        assert_eq!(state.due(&settled, None), None, "it is made");
        assert_eq!(state.take_ahead(span(1.9)), None, "of other audio");
    }

    #[test]
    fn words_that_two_hypotheses_agree_on_are_committed_and_stay() {
        let mut state = UtteranceState::new(1, Vec::new());
        let shown = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(
            interim(&mut state, " And so my", 3.0),
            shown("", "And so my")
        );
        assert_eq!(
            interim(&mut state, " and so my fellow", 3.5),
            shown("And so my", " fellow")
        );
        assert_eq!(
            interim(&mut state, " An sew my fellow", 4.0),
            shown("And so my", " fellow")
        );
        let last = state.finish(heard(" And so my fellow Americans."), span(5.0), false);
        let last = last.last.expect("somebody spoke");
        assert_eq!(last.text, "And so my fellow Americans.");
        assert_eq!((last.utterance, last.revision), (1, 4));
    }

    #[test]
    fn an_empty_hypothesis_between_two_keeps_them_from_agreeing() {
        let mut state = UtteranceState::new(1, Vec::new());
        interim(&mut state, " And so", 3.0);
        assert_eq!(interim(&mut state, "", 3.3), None);
        let shown = interim(&mut state, " And so my", 3.6).expect("text");
        assert_eq!(shown.0, "");
    }

    #[test]
    fn unlikely_words_are_shown_once_repeated_and_never_committed() {
        let mut state = UtteranceState::new(1, Vec::new());
        let mut take = |text| state.take_partial(unlikely(text), span(2.0), Pass::Interim, true);
        assert_eq!(take(" And so on"), None);
        let partial = take(" And so my").expect("two begin alike");
        assert_eq!(
            (partial.committed.as_str(), partial.interim.as_str()),
            ("", "And so")
        );
        assert_eq!(
            take(" And so my"),
            None,
            "nothing that is shown makes way for it"
        );
    }

    #[test]
    fn committed_words_behind_a_cut_are_the_first_of_the_next_utterance() {
        let mut state = UtteranceState::new(1, Vec::new());
        interim(&mut state, " one two three four", 9.0);
        interim(&mut state, " one two three four", 9.5);
        let finished = state.finish(heard(" one two"), span(0.65), true);
        assert_eq!(finished.last.expect("text").text, "one two three");
        assert_eq!(join(&finished.said), " one two");
        assert_eq!(state.prefix(), " three", "it is not reported again");
    }

    #[test]
    fn silence_takes_no_number() {
        let mut state = UtteranceState::new(7, Vec::new());
        assert_eq!(state.finish(heard(""), span(1.0), false).last, None);
        let last = state.finish(heard(" so"), span(1.0), false).last;
        assert_eq!(last.expect("text").utterance, 7);
    }

    #[test]
    fn a_language_holds_after_three_seconds_and_for_the_final_once_words_are_committed() {
        let mut state = UtteranceState::new(1, Vec::new());
        interim(&mut state, " And so my", 2.0);
        assert_eq!(state.language(Pass::Interim), None);
        interim(&mut state, " But no one", 3.0);
        assert_eq!(state.language(Pass::Interim), Some(Language::ENGLISH));
        assert_eq!(state.language(Pass::Final), None);
        interim(&mut state, " But no one", 3.5);
        assert_eq!(state.language(Pass::Final), Some(Language::ENGLISH));
    }
}
