//! The work thread of a session: turns the blocks of a run into text.
//!
//! In: blocks of 16 kHz mono samples. Out: [`SessionEvent::Text`].

use super::latency::LatencyTracker;
use super::live_session::{Session, SessionEvent};
use super::runs::Run;
use super::session_settings::SessionSettings;
use crate::advice::Advice;
use crate::stream::{Event, Live, Pass, WhisperRecognizer};
use crate::text::written;
use crate::whisper::LONGEST_WINDOW;
use crate::whisper::decoding::{DecodingOptions, Hotwords};
use crossbeam_channel::Receiver;
use std::sync::atomic::Ordering;
use tracing::error;

impl Session {
    /// Transcribes a run until its sound ends or it is cancelled.
    pub(super) fn transcribe(&self, run: &Run, blocks: &Receiver<Vec<f32>>) {
        let cancelled = || run.stop.is_cancelled();
        // Once the user has stopped, interim text would only delay the final one.
        let gives_up = |pass| cancelled() || (pass == Pass::Interim && run.stop.is_stopped());
        let Some(mut live) = self.live(run) else {
            return;
        };
        let mut has_speech = false;
        let mut latency = LatencyTracker::new();
        let mut is_open = true;
        while is_open && !cancelled() {
            match blocks.recv() {
                Ok(block) => {
                    for block in std::iter::once(block).chain(blocks.try_iter()) {
                        latency.received(block.len());
                        live.push(&block);
                    }
                    if run.stop.is_stopped() {
                        // The rest is on its way. A pass over less would only delay the final one.
                        continue;
                    }
                }
                Err(_) => {
                    live.finish();
                    is_open = false;
                }
            }
            has_speech |= live.hears_speech();
            let most = self.settings.nothing_said.filter(|_| !has_speech);
            if most.is_some_and(|most| run.begun.elapsed() > most) {
                self.change(|runs| runs.stop_run(run));
            }
            live.set_text_before(&self.context());
            if !self.publish_events(&mut live, &mut latency, &gives_up) {
                return;
            }
            let backlog_s = latency.blocks_s(blocks.len());
            self.metrics
                .processed(latency.audio_s(), live.busy(), live.step_s(), backlog_s);
        }
        if cancelled() {
            // A dropped utterance keeps its number.
            self.utterances.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Publishes the events that are due. Returns false if transcription failed.
    fn publish_events(
        &self,
        live: &mut Live,
        latency: &mut LatencyTracker,
        gives_up: &dyn Fn(Pass) -> bool,
    ) -> bool {
        loop {
            match live.next_event(gives_up) {
                Ok(Some(event)) => {
                    latency
                        .lags_s(&event)
                        .into_iter()
                        .for_each(|lag_s| self.metrics.committed(lag_s));
                    (self.notify)(SessionEvent::Text(self.numbered(self.rewritten(event))));
                }
                Ok(None) => return true,
                Err(_) if gives_up(Pass::Interim) => return true,
                Err(error) => {
                    error!("transcription failed: {}", error.explain());
                    self.set_status_message(error.explain());
                    return false;
                }
            }
        }
    }

    /// Applies the user's rules to the text of an event.
    fn rewritten(&self, event: Event) -> Event {
        let SessionSettings {
            rules, decoding, ..
        } = &self.settings;
        let language = match &event {
            Event::Partial(partial) => partial.language,
            Event::Final(done) => done.language,
        };
        event.rewritten(rules, written(decoding.task, language))
    }

    /// Numbers the utterance of an event through the session.
    fn numbered(&self, mut event: Event) -> Event {
        match &mut event {
            Event::Partial(partial) => {
                partial.utterance = self.utterances.load(Ordering::Relaxed) + 1
            }
            Event::Final(done) => {
                done.utterance = self.utterances.fetch_add(1, Ordering::Relaxed) + 1;
                self.metrics.finished(done.latency);
            }
        }
        event
    }

    /// Waits for the model and creates a live engine. Returns `None` if the run ends first.
    fn live(&self, run: &Run) -> Option<Live> {
        let should_stop = |status_message: &str| {
            run.stop.is_cancelled() || (!status_message.is_empty() && run.stop.is_stopped())
        };
        let whisper = self.engine.wait(&should_stop)?;
        self.lock().waits_for_model = false;
        let SessionSettings { decoding, live, .. } = &self.settings;
        let prompt = whisper
            .tokenizer()
            .encode_prompt(&self.settings.prompt)
            .unwrap_or_default();
        let hotwords =
            Hotwords::shared(whisper.tokenizer(), &self.settings.hotwords).unwrap_or_default();
        let decoding = DecodingOptions {
            prompt,
            hotwords,
            ..decoding.clone()
        };
        let live = live.for_model(whisper.file().dims());
        let recognizer = WhisperRecognizer::new(whisper, LONGEST_WINDOW, decoding);
        Some(Live::new(Box::new(recognizer), live))
    }
}
