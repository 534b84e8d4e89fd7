//! The capture thread of a run: reads blocks from the microphone until stopped.
//!
//! The microphone is that of pre-capture if it records the same device: then sound from before the
//! start is heard, too. In: a device. Out: blocks of 16 kHz mono samples, and what happens to the device.

use super::levels::LevelMeter;
use super::live_session::{Session, SessionEvent};
use super::pre_capture::Heard;
use super::runs::{Run, SessionState};
use crate::advice::Advice;
use crate::audio::Mono16k;
use crate::audio::capture::{CaptureEvent, Microphone};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info, warn};

/// Interval at which a listener to pre-capture checks for a stop.
const POLL: Duration = Duration::from_millis(50);
/// Time from the arrival of sound at the machine until pre-capture has it at 16 kHz: the delay of the
/// resampler, and the interval at which sound arrives.
const RESAMPLED: Duration = Duration::from_millis(64);
/// Longest time that the sound before a stop may take to arrive.
const MAX_TAIL: Duration = Duration::from_millis(200);

/// The capture thread of a run.
struct Recorder<'a> {
    session: &'a Session,
    run: &'a Run,
    next: &'a Sender<Vec<f32>>,
    meter: Option<LevelMeter>,
}

impl Session {
    /// Records a run until it is stopped.
    pub(super) fn record(self: &Arc<Self>, run: &Run, next: &Sender<Vec<f32>>) {
        let mut recorder = Recorder {
            session: self,
            run,
            next,
            meter: self.settings.levels.then(LevelMeter::new),
        };
        let device = self.settings.device.as_deref();
        let heard = self.pre_capture.listen(device, self.reach_back_s(run));
        if heard.is_some_and(|heard| recorder.listen_in(&heard)) {
            return;
        }
        recorder.open_microphone(self.clone());
    }

    /// Returns how much sound from before its start a run hears, in seconds. The run before it has
    /// heard what was recorded until it was stopped, and a moment more.
    fn reach_back_s(&self, run: &Run) -> f64 {
        let since = |stopped| run.begun.saturating_duration_since(stopped);
        let unheard = run
            .previous_stopped
            .map(|stopped| since(stopped).saturating_sub(MAX_TAIL).as_secs_f64());
        let most = self.settings.reach_back_s;
        unheard.map_or(most, |unheard| unheard.min(most))
    }

    /// Records what has happened to the device.
    fn follow(&self, run: &Run, event: CaptureEvent) {
        let mut inner = self.lock();
        match event {
            CaptureEvent::Opened(device) => {
                info!(device, "the microphone is open");
                inner.device = device;
                inner.status_message.clear();
                inner.runs.follow(run, SessionState::Listening);
            }
            CaptureEvent::Moved(device) => {
                info!(device, "the sound server has moved the stream");
                inner.device = device;
            }
            CaptureEvent::Lost(reason) => {
                warn!(reason, "no sound");
                inner.status_message = reason;
                inner.runs.follow(run, SessionState::DeviceLost);
            }
        }
        drop(inner);
        (self.notify)(SessionEvent::Changed);
    }
}

impl Recorder<'_> {
    /// Records from pre-capture, which has the microphone open. Returns false if pre-capture ends
    /// before the run.
    fn listen_in(&mut self, heard: &Receiver<Heard>) -> bool {
        let stop = &self.run.stop;
        let stopped_for = || stop.stopped_at().map_or(Duration::ZERO, |at| at.elapsed());
        while !stop.is_cancelled() && stopped_for() <= MAX_TAIL {
            match heard.recv_timeout(POLL) {
                Ok(Heard::Device(event)) => self.session.follow(self.run, event),
                Ok(Heard::Sound(block)) => {
                    let is_last = stopped_for() > RESAMPLED;
                    if !self.pass_on(&block) || is_last {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return stop.is_stopped(),
            }
        }
        true
    }

    /// Records from a microphone of its own.
    fn open_microphone(&mut self, session: Arc<Session>) {
        let run = self.run.clone();
        let microphone = Microphone::new(
            session.settings.device.clone(),
            run.stop.clone(),
            session.stats.clone(),
            move |event| session.follow(&run, event),
        );
        let mut stream = Mono16k::new(Box::new(microphone));
        loop {
            match stream.next_block() {
                Ok(Some(block)) => {
                    if !self.pass_on(block) {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    error!("{}", error.explain());
                    self.session.set_status_message(error.explain());
                    break;
                }
            }
        }
    }

    /// Passes a block on, and reports its level if that is wanted. Returns false if nobody
    /// transcribes it.
    fn pass_on(&mut self, block: &[f32]) -> bool {
        let levels = self.meter.iter_mut().flat_map(|meter| meter.push(block));
        levels.for_each(|level| (self.session.notify)(SessionEvent::Level(level)));
        self.next.send(block.to_vec()).is_ok()
    }
}
