//! The live engine: queue, clock and recognizer around the state of the current utterance.
//!
//! In: samples as they come. Out: [`Event`]s.
//!
//! While an utterance continues, it is decoded again every step ([`Pace`]). Once half a second of
//! silence has followed, its final pass is made ahead of the pause that ends it; if speech
//! continues after all, that was one more interim pass.
//!
//! Nothing here knows of devices. Time is the number of samples received; the clock only measures
//! how long the work takes.

use super::context::ContextualRecognizer;
use super::event::{Event, Final, Partial};
use super::pace::Pace;
use super::recognizer::{Pass, RecognizeError, Recognizer};
use super::utterance::UtteranceState;
use crate::audio::{Segmenter, SegmenterOptions, Utterance};
use crate::whisper::{Dims, SAMPLES_PER_POSITION};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Options of live transcription.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveOptions {
    /// How the stream is cut.
    pub segmenter: SegmenterOptions,
    /// Whether the pause that ends an utterance depends on what was said: a finished sentence ends
    /// sooner than at the segmenter's `end_pause`.
    pub ends_by_sentence: bool,
    /// Least time between two interim passes in seconds. If `None`, there are only finals.
    pub step_s: Option<f64>,
}

impl LiveOptions {
    /// Returns the options with utterances that fit the windows of a model.
    pub fn for_model(mut self, dims: &Dims) -> Self {
        let longest = dims.n_audio_ctx * SAMPLES_PER_POSITION;
        self.segmenter.max_samples = self.segmenter.max_samples.min(longest);
        self
    }
}

/// Reports the time since some fixed moment.
type Clock = Box<dyn Fn() -> Duration + Send>;

/// The live engine.
pub struct Live {
    recognizer: ContextualRecognizer,
    /// `None` once the stream has ended.
    segmenter: Option<Segmenter>,
    pace: Option<Pace>,
    /// Utterances whose final pass is due.
    ended: VecDeque<Ended>,
    utterance: UtteranceState,
    ends_by_sentence: bool,
    /// Text that the next utterance continues.
    text_before: String,
    busy: Duration,
    /// Measures the work.
    clock: Clock,
}

/// Utterance whose end is known.
struct Ended {
    utterance: Utterance,
    /// When its end became known.
    at: Duration,
}

impl Live {
    /// Creates an engine at the start of a stream.
    pub fn new(recognizer: Box<dyn Recognizer>, options: LiveOptions) -> Self {
        let begun = Instant::now();
        Self {
            recognizer: ContextualRecognizer::new(recognizer),
            segmenter: Some(Segmenter::new(options.segmenter)),
            pace: options.step_s.map(Pace::new),
            ended: VecDeque::new(),
            utterance: UtteranceState::new(options.step_s.is_some()),
            ends_by_sentence: options.ends_by_sentence,
            text_before: String::new(),
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

    /// Sets the text that utterances from the next one on continue, for example what stands before
    /// the cursor. It has no audio, so that of a preceding utterance is preferred to it.
    pub fn set_text_before(&mut self, text: &str) {
        if self.text_before != text {
            text.clone_into(&mut self.text_before);
        }
    }

    /// Ends the stream. What was said until then is still to be transcribed.
    pub fn finish(&mut self) {
        let last = self.segmenter.take().and_then(Segmenter::finish);
        self.queue(last);
    }

    /// Does the next work that is due; returns `None` if there is none until more samples come. Gives up
    /// a pass soon after `cancelled` returns true for its kind; if it is asked again, the work is
    /// still due.
    ///
    /// # Errors
    /// Returns an error if the recognizer fails or gives up.
    pub fn next_event(
        &mut self,
        cancelled: &dyn Fn(Pass) -> bool,
    ) -> Result<Option<Event>, RecognizeError> {
        loop {
            self.end_finished_sentence();
            while let Some(ended) = self.ended.pop_front() {
                if let Some(last) = self.finish_utterance(ended, cancelled)? {
                    return Ok(Some(Event::Final(last)));
                }
            }
            if let Some(partial) = self.decode_ongoing(cancelled)? {
                return Ok(Some(Event::Partial(partial)));
            }
            // The pass may have shown that the sentence is finished.
            if !self.end_finished_sentence() {
                return Ok(None);
            }
        }
    }

    /// Whether somebody is speaking.
    pub fn hears_speech(&self) -> bool {
        !self.ended.is_empty() || self.ongoing_start().is_some()
    }

    /// Current time between two interim passes in seconds; 0 without partials.
    pub fn step_s(&self) -> f64 {
        self.pace.map_or(0.0, |pace| pace.step_s())
    }

    /// Time spent transcribing so far.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    fn queue(&mut self, ended: impl IntoIterator<Item = Utterance>) {
        for utterance in ended {
            let at = (self.clock)();
            self.ended.push_back(Ended { utterance, at });
        }
    }

    /// Ends the utterance that continues if its sentence is finished and the silence is long enough
    /// for that. Returns whether it ended.
    fn end_finished_sentence(&mut self) -> bool {
        let ongoing = self.segmenter.as_ref().and_then(Segmenter::ongoing);
        let ends = self.ends_by_sentence && ongoing.is_some_and(|o| self.utterance.is_finished(&o));
        let ended = self.segmenter.as_mut().filter(|_| ends);
        let ended = ended.and_then(Segmenter::end_ongoing);
        let has_ended = ended.is_some();
        self.queue(ended);
        has_ended
    }

    /// Makes the pass over the utterance that continues, if one is due.
    fn decode_ongoing(
        &mut self,
        cancelled: &dyn Fn(Pass) -> bool,
    ) -> Result<Option<Partial>, RecognizeError> {
        let Some(ongoing) = self.segmenter.as_ref().and_then(Segmenter::ongoing) else {
            return Ok(None);
        };
        let Some(pass) = self.utterance.due(&ongoing, self.step_s()) else {
            return Ok(None);
        };
        let begun = (self.clock)();
        self.utterance.begin(&self.text_before);
        let request = self.utterance.request(ongoing.samples, pass);
        let hypothesis = self
            .recognizer
            .recognize(ongoing.start, request, &|| cancelled(pass))?;
        let cost = (self.clock)() - begun;
        self.busy += cost;
        if let Some(pace) = &mut self.pace {
            pace.spent(cost);
        }
        let samples = ongoing.start..ongoing.start + ongoing.samples.len() as u64;
        Ok(self.utterance.take_partial(&samples, pass, hypothesis))
    }

    /// Makes the final text of an utterance; `None` if nobody spoke and no text was shown.
    fn finish_utterance(
        &mut self,
        ended: Ended,
        cancelled: &dyn Fn(Pass) -> bool,
    ) -> Result<Option<Final>, RecognizeError> {
        let Utterance { samples, start, .. } = &ended.utterance;
        let span = *start..start + samples.len() as u64;
        self.utterance.begin(&self.text_before);
        let begun = (self.clock)();
        let hypothesis = match self.utterance.take_ahead(&ended.utterance) {
            Some(hypothesis) => hypothesis,
            None => {
                let request = self.utterance.request(samples, Pass::Final);
                self.recognizer
                    .recognize(*start, request, &|| cancelled(Pass::Final))?
            }
        };
        self.busy += (self.clock)() - begun;
        let language = hypothesis.language;
        let is_cut = self.next_start() == Some(span.end);
        let finished = self.utterance.finish(&span, is_cut, hypothesis);
        self.recognizer
            .keep(ended.utterance, finished.said, language);
        let latency = (self.clock)() - ended.at;
        Ok(finished.event.map(|event| Final { latency, ..event }))
    }

    /// First sample of the next utterance, if it has begun.
    fn next_start(&self) -> Option<u64> {
        let queued = self.ended.front().map(|next| next.utterance.start);
        queued.or_else(|| self.ongoing_start())
    }

    /// First sample of the utterance that continues.
    fn ongoing_start(&self) -> Option<u64> {
        let ongoing = self.segmenter.as_ref()?.ongoing()?;
        Some(ongoing.start)
    }
}

#[cfg(test)]
mod tests;
