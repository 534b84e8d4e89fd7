//! Live text: samples in as they come, [`Event`]s out.
//!
//! While an utterance is spoken, an interim pass transcribes it every step ([`Pace`]), and twice as
//! often while there is no text to show. [`UtteranceState`] decides what is shown and what is
//! committed. A committed word that later audio would have made another keeps its place, and what
//! follows it is what a recording of the same speech would have there. A pause is transcribed as it
//! begins, and then left alone, so that the engine is free once half a second of silence has
//! followed: the final text is made then, ahead of the end of the utterance. If speech continues
//! after all, that pass was one more interim pass.
//!
//! Nothing here knows of devices: time is the number of samples heard, and the clock only measures
//! how long the work takes.

use super::context::ContextualRecognizer;
use super::event::{Event, Final, Partial};
use super::pace::Pace;
use super::recognizer::{Hypothesis, Pass, RecognizeError, Recognizer, Request};
use super::utterance::{Finished, Span, UtteranceState, seconds};
use crate::audio::{Segmenter, SegmenterOptions, Utterance};
use crate::whisper::{Dims, SAMPLES_PER_POSITION};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How to transcribe live.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveOptions {
    /// How to cut the stream.
    pub segmenter: SegmenterOptions,
    /// Least number of seconds between two interim passes; only finals if `None`.
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

/// An utterance whose end is known.
struct Ended {
    utterance: Utterance,
    /// When its end was known.
    at: Duration,
}

/// Tells the time, from any moment on.
type Clock = Box<dyn Fn() -> Duration + Send>;

/// The live engine.
pub struct Live {
    recognizer: ContextualRecognizer,
    segmenter: Option<Segmenter>,
    pace: Option<Pace>,
    ended: VecDeque<Ended>,
    current: UtteranceState,
    busy: Duration,
    /// Measures the time that the work takes.
    clock: Clock,
}

impl Live {
    /// An engine at the start of a stream.
    pub fn new(recognizer: Box<dyn Recognizer>, options: LiveOptions) -> Self {
        let begun = Instant::now();
        Self {
            recognizer: ContextualRecognizer::new(recognizer),
            segmenter: Some(Segmenter::new(options.segmenter)),
            pace: options.step_s.map(Pace::new),
            ended: VecDeque::new(),
            current: UtteranceState::new(1, Vec::new()),
            busy: Duration::ZERO,
            clock: Box::new(move || begun.elapsed()),
        }
    }

    /// Takes samples (16 kHz, mono). This is cheap: [`Live::next_event`] does the work.
    pub fn push(&mut self, samples: &[f32]) {
        if let Some(segmenter) = &mut self.segmenter {
            let ended = segmenter.push(samples);
            self.queue(ended);
        }
    }

    /// The stream has ended; what was said until then is still to be transcribed.
    pub fn finish(&mut self) {
        let last = self.segmenter.take().and_then(Segmenter::finish);
        self.queue(last);
    }

    fn queue(&mut self, ended: impl IntoIterator<Item = Utterance>) {
        for utterance in ended {
            let at = (self.clock)();
            self.ended.push_back(Ended { utterance, at });
        }
    }

    /// Does what is due; `None` once nothing is until more samples come.
    ///
    /// # Errors
    /// Returns an error if the recognizer fails, or `cancelled` returns true.
    pub fn next_event(
        &mut self,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Event>, RecognizeError> {
        while let Some(ended) = self.ended.pop_front() {
            if let Some(last) = self.conclude(ended, cancelled)? {
                return Ok(Some(Event::Final(last)));
            }
        }
        Ok(self.update(cancelled)?.map(Event::Partial))
    }

    /// Whether somebody is speaking.
    pub fn hears_speech(&self) -> bool {
        !self.ended.is_empty() || self.ongoing_start().is_some()
    }

    /// Seconds between two interim passes at present; 0 if there are none.
    pub fn step_s(&self) -> f64 {
        self.pace.map_or(0.0, |pace| pace.step_s())
    }

    /// Time spent transcribing so far.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// Transcribes the utterance that is being spoken, if that is due.
    fn update(&mut self, cancelled: &dyn Fn() -> bool) -> Result<Option<Partial>, RecognizeError> {
        let Some(ongoing) = self.segmenter.as_ref().and_then(Segmenter::ongoing) else {
            return Ok(None);
        };
        let step_s = self.pace.map(|pace| pace.step_s());
        let Some(pass) = self.current.due(&ongoing, step_s) else {
            return Ok(None);
        };
        let span = Span {
            start: ongoing.start,
            len: ongoing.samples.len(),
        };
        let begun = (self.clock)();
        let hypothesis = transcribe(
            &mut self.recognizer,
            &self.current,
            span,
            ongoing.samples,
            pass,
            cancelled,
        )?;
        let cost = (self.clock)() - begun;
        self.busy += cost;
        if let Some(pace) = &mut self.pace {
            pace.spent(cost);
        }
        let is_shown = self.pace.is_some();
        Ok(self.current.take_partial(hypothesis, span, pass, is_shown))
    }

    /// Makes the final text of an utterance whose end is known; `None` if nobody spoke and no text
    /// was shown.
    fn conclude(
        &mut self,
        ended: Ended,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Final>, RecognizeError> {
        let Ended { utterance, at } = ended;
        let span = Span {
            start: utterance.start,
            len: utterance.samples.len(),
        };
        let begun = (self.clock)();
        let hypothesis = match self.current.take_ahead(span) {
            Some(hypothesis) => hypothesis,
            None => transcribe(
                &mut self.recognizer,
                &self.current,
                span,
                &utterance.samples,
                Pass::Final,
                cancelled,
            )?,
        };
        let is_cut = self.begins_at(span.end());
        let Finished {
            last,
            said,
            language,
        } = self.current.finish(hypothesis, span, is_cut);
        self.recognizer.keep(utterance, said, language);
        let now = (self.clock)();
        self.busy += now - begun;
        Ok(last.map(|last| Final {
            latency: now - at,
            ..last
        }))
    }

    /// Whether an utterance begins at this sample.
    fn begins_at(&self, sample: u64) -> bool {
        let queued = self.ended.front().map(|next| next.utterance.start);
        queued.or_else(|| self.ongoing_start()) == Some(sample)
    }

    /// First sample of the utterance that is being spoken.
    fn ongoing_start(&self) -> Option<u64> {
        let ongoing = self.segmenter.as_ref()?.ongoing()?;
        Some(ongoing.start)
    }
}

/// One pass over the samples of an utterance, with what is known of it.
fn transcribe(
    recognizer: &mut ContextualRecognizer,
    current: &UtteranceState,
    span: Span,
    samples: &[f32],
    pass: Pass,
    cancelled: &dyn Fn() -> bool,
) -> Result<Hypothesis, RecognizeError> {
    let request = Request {
        context: None,
        samples,
        prefix: &current.prefix(),
        predicted: current.predicted(),
        language: current.language(pass),
        pass,
    };
    let hypothesis = recognizer.recognize(span.start, request, cancelled)?;
    Ok(hypothesis.later(seconds(span.start)))
}

#[cfg(test)]
mod tests;
