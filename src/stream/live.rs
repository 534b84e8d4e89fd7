//! Live text: samples in as they come, [`Event`]s out.
//!
//! While an utterance goes on, it is transcribed anew every step ([`Pace`]), and as long as there
//! is no text to show in half the time; the words that a [`CommitPolicy`] settles on are committed.
//! Guesses are free all the same: a committed word that later audio would have made another keeps
//! its place, and what follows it is what a recording of the same speech would have there. A pause
//! is guessed as it begins, and then left alone, so that the engine is free when half a second of
//! silence has followed: the text is then made in full, ahead of the end of the utterance. When
//! speech goes on after all, it was one more guess.
//!
//! Nothing here knows of devices: time is the number of samples heard, and a clock tells only how
//! long the work took.

use super::context::ContextualRecognizer;
use super::continuation::continuation;
use super::pace::Pace;
use super::policy::CommitPolicy;
use super::recognizer::{Hypothesis, Pass, RecognizeError, Recognizer, Request};
use crate::audio::vad::FRAME;
use crate::audio::{Ongoing, PRE_ROLL, SAMPLE_RATE, Segmenter, SegmenterOptions, Utterance};
use crate::text::{Word, common_prefix, join};
use crate::tokenizer::Language;
use crate::whisper::{Dims, SAMPLES_PER_POSITION};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Speech from which on a detected language holds for the rest of its utterance, in samples: 3 s.
const LANGUAGE_SAMPLES: usize = 3 * SAMPLE_RATE as usize;

/// Silence that is taken as the beginning of a pause, in samples: 0.1 s, longer than the closure of
/// a stop consonant.
const PAUSE: usize = SAMPLE_RATE as usize / 10;

/// Where an utterance is taken to have been guessed before it was, in samples: the first guess
/// comes a step after the onset.
const UNGUESSED: usize = PRE_ROLL * FRAME;

/// How to transcribe live.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveOptions {
    /// How to cut the stream.
    pub segmenter: SegmenterOptions,
    /// Seconds between two guesses, at least; no guesses, only finals, when `None`.
    pub step_s: Option<f64>,
}

impl LiveOptions {
    /// The same with utterances that fit the windows of a model.
    pub fn for_model(mut self, dims: &Dims) -> Self {
        let longest = dims.n_audio_ctx * SAMPLES_PER_POSITION;
        self.segmenter.max_samples = self.segmenter.max_samples.min(longest);
        self
    }
}

/// What becomes of the text.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The text of an utterance that goes on.
    Partial(Partial),
    /// The text of an utterance, once for each.
    Final(Final),
}

/// The text of an utterance that goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// Number of the utterance, from 1.
    pub utterance: u64,
    /// Grows with every event of the utterance, from 1.
    pub revision: u64,
    /// Where the utterance begins, in seconds of the stream.
    pub start_s: f64,
    /// Where the audio that was transcribed ends, in seconds of the stream.
    pub end_s: f64,
    /// Text that will not change any more: each event's begins with the one's before it.
    pub committed: String,
    /// The words of the committed text, in seconds of the stream.
    pub words: Vec<Word>,
    /// Text after it that may change.
    pub interim: String,
    /// Language spoken.
    pub language: Language,
}

/// The text of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Final {
    /// Number of the utterance, from 1.
    pub utterance: u64,
    /// One more than that of the last partial.
    pub revision: u64,
    /// Where the utterance begins, in seconds of the stream.
    pub start_s: f64,
    /// Where it ends, in seconds of the stream.
    pub end_s: f64,
    /// The text; it begins with what was committed.
    pub text: String,
    /// Its words, in seconds of the stream. Times may differ from those of a partial, which was
    /// made of less audio.
    pub words: Vec<Word>,
    /// Language spoken.
    pub language: Language,
    /// Mean log-probability of a token.
    pub avg_logprob: f32,
    /// Time from the moment that the end of the utterance was known.
    pub latency: Duration,
}

/// An utterance whose end is known.
struct Ended {
    utterance: Utterance,
    at: Duration,
}

/// What is known about the utterance that goes on.
struct Current {
    number: u64,
    revision: u64,
    committed: Vec<Word>,
    /// Text of the latest guess that had any.
    predicted: String,
    /// Words of the latest guess, if that was unlikely.
    unlikely: Vec<Word>,
    /// Length of the latest guess's audio in samples.
    guessed: usize,
    language: Option<Language>,
    /// The text made ahead, and the audio that it is of.
    ahead: Option<(u64, usize, Hypothesis)>,
}

/// Tells the time, from any moment on.
type Clock = Box<dyn Fn() -> Duration + Send>;

/// The live engine.
pub struct Live {
    recognizer: ContextualRecognizer,
    policy: Box<dyn CommitPolicy>,
    segmenter: Option<Segmenter>,
    pace: Option<Pace>,
    ended: VecDeque<Ended>,
    current: Current,
    /// Words of the utterance that goes on which were told with the one before it.
    told: Vec<Word>,
    busy: Duration,
    /// What the work's time is measured by.
    clock: Clock,
}

impl Live {
    /// An engine at the start of a stream.
    pub fn new(
        recognizer: Box<dyn Recognizer>,
        policy: Box<dyn CommitPolicy>,
        options: LiveOptions,
    ) -> Self {
        let begun = Instant::now();
        Self {
            recognizer: ContextualRecognizer::new(recognizer),
            policy,
            segmenter: Some(Segmenter::new(options.segmenter)),
            pace: options.step_s.map(Pace::new),
            ended: VecDeque::new(),
            current: Current::new(1),
            told: Vec::new(),
            busy: Duration::ZERO,
            clock: Box::new(move || begun.elapsed()),
        }
    }

    /// Takes samples (16 kHz, mono). This is cheap: the work is done by [`Live::next_event`].
    pub fn push(&mut self, samples: &[f32]) {
        if let Some(segmenter) = &mut self.segmenter {
            let ended = segmenter.push(samples).into_iter();
            self.ended.extend(ended.map(|utterance| Ended {
                utterance,
                at: (self.clock)(),
            }));
        }
    }

    /// The stream has ended; what was said until then is still to be transcribed.
    pub fn finish(&mut self) {
        let last = self.segmenter.take().and_then(Segmenter::finish);
        self.ended.extend(last.map(|utterance| Ended {
            utterance,
            at: (self.clock)(),
        }));
    }

    /// Does what is due; `None` once nothing is until more samples come.
    ///
    /// # Errors
    /// When the recognizer fails, or gives up because `cancelled` says so.
    pub fn next_event(
        &mut self,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Event>, RecognizeError> {
        while let Some(ended) = self.ended.pop_front() {
            if let Some(done) = self.conclude(ended, cancelled)? {
                return Ok(Some(Event::Final(done)));
            }
        }
        Ok(self.guess(cancelled)?.map(Event::Partial))
    }

    /// Whether somebody is speaking.
    pub fn hears_speech(&self) -> bool {
        !self.ended.is_empty()
            || self
                .segmenter
                .as_ref()
                .is_some_and(|segmenter| segmenter.ongoing().is_some())
    }

    /// Seconds between two guesses at present; 0 where there are none.
    pub fn step_s(&self) -> f64 {
        self.pace.map_or(0.0, |pace| pace.step_s())
    }

    /// Time spent transcribing so far.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// Transcribes the utterance that goes on, if that is due.
    fn guess(&mut self, cancelled: &dyn Fn() -> bool) -> Result<Option<Partial>, RecognizeError> {
        let Some(ongoing) = self.segmenter.as_ref().and_then(Segmenter::ongoing) else {
            return Ok(None);
        };
        let (start, len) = (ongoing.start, ongoing.samples.len());
        let current = &mut self.current;
        let Some(pass) = current.pass(&ongoing, self.pace) else {
            return Ok(None);
        };
        let prefix = join(&self.told);
        let language = current
            .language
            .filter(|_| pass == Pass::Interim || !current.committed.is_empty());
        let begun = (self.clock)();
        let (context, samples) = (None, ongoing.samples);
        let request = Request {
            context,
            samples,
            prefix: &prefix,
            predicted: &current.predicted,
            language,
            pass,
        };
        let mut guess = self
            .recognizer
            .recognize(start, request, cancelled)?
            .later(seconds(start));
        let cost = (self.clock)() - begun;
        self.busy += cost;
        if let Some(pace) = &mut self.pace {
            pace.spent(cost);
        }
        current.guessed = len;
        if len >= LANGUAGE_SAMPLES && !guess.words.is_empty() && !guess.is_unlikely {
            current.language = Some(guess.language);
        }
        if pass == Pass::Final {
            current.ahead = Some((start, len, guess.clone()));
        }
        if !guess.words.is_empty() {
            current.predicted = join(&guess.words);
        }
        let unlikely = std::mem::take(&mut current.unlikely);
        if guess.is_unlikely {
            // Nothing that is shown makes way for it.
            let agreed = if current.revision == 0 {
                common_prefix(&unlikely, &guess.words)
            } else {
                0
            };
            current.unlikely.clone_from(&guess.words);
            let is_text = join(&unlikely[..agreed]).contains(char::is_alphanumeric);
            guess.words.truncate(if is_text { agreed } else { 0 });
        }
        let tail = guess
            .words
            .get(continuation(&current.committed, &guess.words)..)
            .unwrap_or_default();
        if tail.is_empty() || self.pace.is_none() {
            // Two guesses with this one between them are not two in a row.
            self.policy.reset();
            return Ok(None);
        }
        let end_s = seconds(start + len as u64);
        let n_settled = if guess.is_unlikely {
            0
        } else {
            self.policy.update(tail, end_s).min(tail.len())
        };
        let (settled, tail) = tail.split_at(n_settled);
        current.committed.extend_from_slice(settled);
        current.revision += 1;
        Ok(Some(Partial {
            utterance: current.number,
            revision: current.revision,
            start_s: seconds(start),
            end_s,
            committed: join(&current.committed).trim_start().to_owned(),
            words: current.committed.clone(),
            interim: shown_tail(&current.committed, tail),
            language: guess.language,
        }))
    }

    /// Makes the text of an utterance whose end is known; `None` where nobody spoke and no text was
    /// shown.
    fn conclude(
        &mut self,
        ended: Ended,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Final>, RecognizeError> {
        let Ended { utterance, at } = ended;
        let Utterance { samples, start } = &utterance;
        let (start, end) = (*start, start + samples.len() as u64);
        let begun = (self.clock)();
        let ahead = self
            .current
            .ahead
            .take()
            .filter(|(s, n, _)| (*s, *n) == (start, samples.len()));
        let language = self
            .current
            .language
            .filter(|_| !self.current.committed.is_empty());
        let told = join(&self.told);
        let predicted = std::mem::take(&mut self.current.predicted);
        let (context, pass) = (None, Pass::Final);
        let request = Request {
            context,
            samples,
            prefix: &told,
            predicted: &predicted,
            language,
            pass,
        };
        let hypothesis = match ahead {
            Some((_, _, hypothesis)) => hypothesis,
            None => self
                .recognizer
                .recognize(start, request, cancelled)?
                .later(seconds(start)),
        };
        let mut words = std::mem::take(&mut self.current.committed);
        let agreed = common_prefix(&words, &hypothesis.words);
        for (committed, heard) in words.iter_mut().zip(&hypothesis.words).take(agreed) {
            // The text is settled; of all audio its times are better known.
            committed.retime(heard);
        }
        // Where the cut lies before words that were committed already, they are the next
        // utterance's first. A text of no words says nothing of where it lies.
        let before = match self.goes_on_at(end) {
            true if agreed > 0 && agreed == hypothesis.words.len() => agreed,
            true => words
                .iter()
                .take_while(|word| word.start_s.midpoint(word.end_s) < seconds(end))
                .count(),
            false => words.len(),
        };
        let beyond = words.get(before..).unwrap_or_default().to_vec();
        if beyond.is_empty() {
            let next = continuation(&words, &hypothesis.words);
            words.extend_from_slice(hypothesis.words.get(next..).unwrap_or_default());
        }
        let text = join(&words);
        self.busy += (self.clock)() - begun;
        let Current {
            number, revision, ..
        } = self.current;
        let n_said = words.len() - beyond.len();
        let mut said = std::mem::replace(&mut self.told, beyond);
        said.extend_from_slice(words.get(..n_said).unwrap_or_default());
        self.recognizer.keep(utterance, said, hypothesis.language);
        self.policy.reset();
        if text.trim().is_empty() && revision == 0 {
            self.current = Current::new(number);
            return Ok(None);
        }
        self.current = Current::new(number + 1);
        Ok(Some(Final {
            utterance: number,
            revision: revision + 1,
            start_s: seconds(start),
            end_s: seconds(end),
            text: text.trim().to_owned(),
            words,
            language: hypothesis.language,
            avg_logprob: hypothesis.avg_logprob,
            latency: (self.clock)() - at,
        }))
    }

    /// Whether an utterance begins at this sample.
    fn goes_on_at(&self, end: u64) -> bool {
        let queued = self.ended.front().map(|next| next.utterance.start);
        let ongoing = || {
            self.segmenter
                .as_ref()
                .and_then(|s| s.ongoing().map(|ongoing| ongoing.start))
        };
        queued.or_else(ongoing) == Some(end)
    }
}

impl Current {
    fn new(number: u64) -> Self {
        Self {
            number,
            revision: 0,
            committed: Vec::new(),
            predicted: String::new(),
            unlikely: Vec::new(),
            guessed: UNGUESSED,
            language: None,
            ahead: None,
        }
    }

    /// What the utterance is worth now, in the steps of `pace`, or without partials; `None` where
    /// nothing is due.
    fn pass(&self, ongoing: &Ongoing<'_>, pace: Option<Pace>) -> Option<Pass> {
        let len = ongoing.samples.len();
        if ongoing.is_settled {
            let is_made = self
                .ahead
                .as_ref()
                .is_some_and(|(s, n, _)| (*s, *n) == (ongoing.start, len));
            return (!is_made).then_some(Pass::Final);
        }
        let step_s = match pace? {
            pace if self.revision == 0 && self.guessed > UNGUESSED => pace.step_s() / 2.0,
            pace => pace.step_s(),
        };
        let is_due = if len - ongoing.voiced >= PAUSE {
            ongoing.voiced > self.guessed
        } else {
            len >= self.guessed + (step_s * f64::from(SAMPLE_RATE)) as usize
        };
        is_due.then_some(Pass::Interim)
    }
}

/// The tail as it continues what is committed.
fn shown_tail(committed: &[Word], tail: &[Word]) -> String {
    let text = join(tail);
    if committed.is_empty() {
        text.trim_start().to_owned()
    } else {
        text
    }
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

#[cfg(test)]
mod tests;
