//! The text of one utterance as it grows: a state machine without recognizer and clock.
//!
//! In: the length of the utterance so far, then a [`Hypothesis`] for each pass. Out: the pass that
//! is due, a [`Partial`] for each interim pass with text, the [`Final`].
//!
//! Hypotheses need not agree with the committed words. If a later one has other words in their
//! place, the committed words stay, and [`continuation`] finds the words that follow them. A wrong
//! word that was committed too early therefore remains the only wrong word.

use super::agreement::LocalAgreement;
use super::continuation::continuation;
use super::event::{Final, Partial};
use super::recognizer::{Hypothesis, Pass, Request};
use crate::audio::vad::FRAME;
use crate::audio::{Ongoing, PRE_ROLL, SAMPLE_RATE, Utterance, clock};
use crate::text::{Word, common_prefix, join};
use crate::tokenizer::Language;
use crate::whisper::alignment::{Pauses, ends_sentence};
use std::ops::Range;
use std::time::Duration;

/// Length of speech from which a detected language holds for the rest of its utterance, in samples:
/// 3 s.
const MIN_LANGUAGE_SAMPLES: usize = 3 * SAMPLE_RATE as usize;

/// Length of silence that counts as the beginning of a pause, in samples: 0.1 s. The closure of a
/// stop consonant is shorter.
const MIN_PAUSE_SAMPLES: usize = SAMPLE_RATE as usize / 10;

/// Confidence in its last word and mean log-probability of a token from which a sentence is surely
/// finished; it then ends when its final text has been made, after half a second of silence.
const SURE: f32 = 0.7;
const LIKELY: f32 = -0.4;
/// Pause that ends a sentence that seems to be finished, in seconds.
const DOUBTFUL_END_PAUSE_S: f64 = 0.8;

/// Sound after a text made ahead that is not a word, in seconds: a click, or the fading of the last
/// word.
const MAX_SOUND_AFTER_S: f64 = 0.03;

/// Length that counts as decoded before the first pass, in samples: the first pass is due one step
/// after the onset of speech.
const NOTHING_DECODED: usize = PRE_ROLL * FRAME;

/// State of the utterance that continues.
pub(super) struct UtteranceState {
    /// Number of the utterance, from 1.
    number: u64,
    /// Number of partials so far.
    revision: u64,
    shows_partials: bool,
    agreement: LocalAgreement,
    committed: Vec<Word>,
    /// First words of the utterance, which were committed as the last words of the one before.
    carried: Vec<Word>,
    /// Text of `carried`: the prefix of each request.
    prefix: String,
    /// Text without audio that the utterance continues; `None` before its first pass.
    text_before: Option<String>,
    /// Text of the latest hypothesis that has any.
    predicted: String,
    /// Words of the latest hypothesis, if it was unlikely.
    unlikely: Vec<Word>,
    /// Number of samples in the latest pass.
    n_decoded: usize,
    /// Language, once enough speech has been decoded.
    language: Option<Language>,
    /// Hypothesis made ahead of the end that is final if only silence follows, and its samples of the
    /// stream.
    ahead: Option<(Range<u64>, Hypothesis)>,
}

/// Text of an utterance that has ended.
pub(super) struct Finished {
    /// All words said in the utterance, those of its prefix included, in seconds of the stream.
    pub said: Vec<Word>,
    /// The event; `None` if nobody spoke and no text was shown.
    pub event: Option<Final>,
}

impl UtteranceState {
    /// Creates the state of the first utterance. Without `shows_partials` there are no interim
    /// passes and no partials.
    pub fn new(shows_partials: bool) -> Self {
        Self::at(1, shows_partials, Vec::new())
    }

    fn at(number: u64, shows_partials: bool, carried: Vec<Word>) -> Self {
        Self {
            number,
            revision: 0,
            shows_partials,
            agreement: LocalAgreement::default(),
            committed: Vec::new(),
            prefix: join(&carried),
            carried,
            text_before: None,
            predicted: String::new(),
            unlikely: Vec::new(),
            n_decoded: NOTHING_DECODED,
            language: None,
            ahead: None,
        }
    }

    /// Returns the pass that is due, given the seconds between two interim passes. As long as there
    /// is no text to show, half the time is enough. A pause is decoded once, as it begins, so that
    /// the recognizer is free for the final pass.
    pub fn due(&self, ongoing: &Ongoing<'_>, step_s: f64) -> Option<Pass> {
        let len = ongoing.samples.len();
        if ongoing.is_settled {
            let samples = ongoing.start..ongoing.start + len as u64;
            return (!self.is_ahead(&samples)).then_some(Pass::Final);
        }
        if !self.shows_partials {
            return None;
        }
        let is_empty = self.revision == 0 && self.n_decoded > NOTHING_DECODED;
        let step_s = if is_empty { step_s / 2.0 } else { step_s };
        let is_pause = len - ongoing.voiced >= MIN_PAUSE_SAMPLES;
        let is_due = if is_pause {
            ongoing.voiced > self.n_decoded
        } else {
            len >= self.n_decoded + clock::samples(step_s)
        };
        is_due.then_some(Pass::Interim)
    }

    /// Begins the utterance, if its first pass is due: it continues `text`, whatever that becomes
    /// later.
    pub fn begin(&mut self, text: &str) {
        self.text_before.get_or_insert_with(|| text.to_owned());
    }

    /// Whether the utterance is finished according to its text so far: silence has followed for as
    /// long as a sentence like that needs.
    pub fn is_finished(&self, ongoing: &Ongoing<'_>) -> bool {
        let samples = ongoing.start..ongoing.start + ongoing.samples.len() as u64;
        let Some((_, hypothesis)) = self.ahead.as_ref().filter(|(ahead, _)| *ahead == samples)
        else {
            return false;
        };
        let silence_s = clock::seconds(ongoing.silence as u64);
        ongoing.is_settled && end_pause_s(hypothesis).is_some_and(|pause_s| silence_s >= pause_s)
    }

    /// Returns the request for a pass over `samples`, without context.
    pub fn request<'a>(&'a self, samples: &'a [f32], pass: Pass) -> Request<'a> {
        // Without committed text, a final pass may still find another language.
        let holds = pass == Pass::Interim || !self.committed.is_empty();
        Request {
            context: None,
            text_before: self.text_before.as_deref().unwrap_or_default(),
            samples,
            prefix: &self.prefix,
            predicted: &self.predicted,
            language: self.language.filter(|_| holds),
            pass,
        }
    }

    /// Takes the hypothesis of a pass over `samples` of the stream. Returns the partial, if there
    /// is text to show.
    pub fn take_partial(
        &mut self,
        samples: &Range<u64>,
        pass: Pass,
        hypothesis: Hypothesis,
    ) -> Option<Partial> {
        self.note(samples, pass, &hypothesis);
        let Hypothesis {
            words,
            is_unlikely,
            language,
            ..
        } = hypothesis;
        let shown = self.shown(words, is_unlikely);
        let next = continuation(&self.committed, &shown);
        let following = shown.get(next..).unwrap_or_default();
        if following.is_empty() || !self.shows_partials {
            // The hypotheses before and after this one are not consecutive.
            self.agreement.reset();
            return None;
        }
        let end_s = clock::seconds(samples.end);
        let n_committed = if is_unlikely {
            0
        } else {
            self.agreement.update(following, end_s)
        };
        let (committed, interim) = following.split_at(n_committed);
        self.committed.extend_from_slice(committed);
        self.revision += 1;
        Some(Partial {
            utterance: self.number,
            revision: self.revision,
            start_s: clock::seconds(samples.start),
            end_s,
            committed: join(&self.committed).trim_start().to_owned(),
            words: self.committed.clone(),
            interim: self.interim_text(interim),
            language,
        })
    }

    /// Takes the hypothesis of the final pass over an utterance, if it was made ahead and only silence
    /// has followed.
    pub fn take_ahead(&mut self, utterance: &Utterance) -> Option<Hypothesis> {
        let covers = |ahead: &Range<u64>| {
            ahead.start == utterance.start
                && ahead.end <= utterance.end()
                && is_silent_from((ahead.end - ahead.start) as usize, utterance)
        };
        let (_, hypothesis) = self.ahead.take_if(|(ahead, _)| covers(ahead))?;
        Some(hypothesis)
    }

    /// Ends the utterance, which consists of `samples` of the stream, with the hypothesis of its
    /// final pass, and begins the next. `is_cut`: whether speech continues after it without a
    /// pause. The latency of the event is left at zero.
    pub fn finish(
        &mut self,
        samples: &Range<u64>,
        is_cut: bool,
        hypothesis: Hypothesis,
    ) -> Finished {
        let mut words = std::mem::take(&mut self.committed);
        let agreed = common_prefix(&words, &hypothesis.words);
        for (committed, found) in words.iter_mut().zip(&hypothesis.words).take(agreed) {
            // The text stays, but times are more precise with all of the audio.
            committed.retime(found);
        }
        let mut beyond = Vec::new();
        if is_cut {
            let n_before = n_before_cut(&words, &hypothesis.words, agreed, samples.end);
            beyond = words.get(n_before..).unwrap_or_default().to_vec();
        }
        if beyond.is_empty() {
            let next = continuation(&words, &hypothesis.words);
            words.extend_from_slice(hypothesis.words.get(next..).unwrap_or_default());
        }
        let n_said = words.len() - beyond.len();
        let mut said = std::mem::take(&mut self.carried);
        said.extend_from_slice(words.get(..n_said).unwrap_or_default());
        let text = join(&words).trim().to_owned();
        let is_shown = !text.is_empty() || self.revision > 0;
        let event = is_shown.then(|| Final {
            utterance: self.number,
            revision: self.revision + 1,
            start_s: clock::seconds(samples.start),
            end_s: clock::seconds(samples.end),
            text,
            words,
            language: hypothesis.language,
            avg_logprob: hypothesis.avg_logprob,
            latency: Duration::ZERO,
        });
        *self = Self::at(
            self.number + u64::from(is_shown),
            self.shows_partials,
            beyond,
        );
        Finished { said, event }
    }

    /// Whether the final pass over these samples was made ahead.
    fn is_ahead(&self, samples: &Range<u64>) -> bool {
        self.ahead
            .as_ref()
            .is_some_and(|(ahead, _)| ahead == samples)
    }

    /// Keeps what later passes need of a hypothesis.
    fn note(&mut self, samples: &Range<u64>, pass: Pass, hypothesis: &Hypothesis) {
        self.n_decoded = (samples.end - samples.start) as usize;
        let has_words = !hypothesis.words.is_empty();
        let is_long = self.n_decoded >= MIN_LANGUAGE_SAMPLES;
        if is_long && has_words && !hypothesis.is_unlikely {
            self.language = Some(hypothesis.language);
        }
        if pass == Pass::Final || hypothesis.stands {
            self.ahead = Some((samples.clone(), hypothesis.clone()));
        }
        if has_words {
            self.predicted = join(&hypothesis.words);
        }
    }

    /// Returns the words of a hypothesis that may be shown. Of an unlikely one these are the words
    /// that it has in common with the unlikely one before it, if nothing has been shown yet.
    fn shown(&mut self, mut words: Vec<Word>, is_unlikely: bool) -> Vec<Word> {
        let unlikely_before = std::mem::take(&mut self.unlikely);
        if !is_unlikely {
            return words;
        }
        self.unlikely.clone_from(&words);
        let mut n_shown = 0;
        if self.revision == 0 {
            n_shown = common_prefix(&unlikely_before, &words);
        }
        let is_text = join(&unlikely_before[..n_shown]).contains(char::is_alphanumeric);
        words.truncate(if is_text { n_shown } else { 0 });
        words
    }

    /// Returns the text of words that continue the committed ones.
    fn interim_text(&self, words: &[Word]) -> String {
        let text = join(words);
        if self.committed.is_empty() {
            text.trim_start().to_owned()
        } else {
            text
        }
    }
}

/// Returns the silence in seconds that ends an utterance with this text; `None` if the sentence is not
/// finished, so that the longest pause is waited for. The decoder also puts a full stop where only
/// the sound ends, and is then less sure of the last word.
fn end_pause_s(hypothesis: &Hypothesis) -> Option<f64> {
    let last = hypothesis.words.last()?;
    let text = last.text.trim_end();
    if !ends_sentence(text) || text.ends_with("...") || text.ends_with('…') {
        return None;
    }
    let is_sure = last.confidence >= SURE && hypothesis.avg_logprob >= LIKELY;
    Some(if is_sure { 0.0 } else { DOUBTFUL_END_PAUSE_S })
}

/// Whether an utterance is silent from its `n`th sample on: the voice detector hears nobody, or it is
/// as quiet as the utterance's pauses. The detector takes up to a third of a second to notice the end
/// of speech.
fn is_silent_from(n: usize, utterance: &Utterance) -> bool {
    if n >= utterance.samples.len() || !utterance.after_has_voice(n) {
        return true;
    }
    let seconds = |n: usize| clock::seconds(n as u64);
    let pauses = Pauses::of(&utterance.samples);
    pauses.sound_s(seconds(n), seconds(utterance.samples.len())) < MAX_SOUND_AFTER_S
}

/// Returns the number of committed words that lie before a cut at sample `end`: those that the
/// final hypothesis consists of (`agreed` words are the same), or else, by their times, those whose
/// middle lies before it. The others belong to the next utterance.
fn n_before_cut(committed: &[Word], found: &[Word], agreed: usize, end: u64) -> usize {
    // A hypothesis without words does not tell where the cut lies.
    if agreed > 0 && agreed == found.len() {
        return agreed;
    }
    committed
        .iter()
        .take_while(|word| word.start_s.midpoint(word.end_s) < clock::seconds(end))
        .count()
}

#[cfg(test)]
mod tests;
