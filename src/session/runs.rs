//! The runs of a session: each lasts from a start until all of its speech is text.
//!
//! In: commands, what happens to the microphone, the end of each run. Out: the state of the session.
//! At most one run records, the newest; those before it have been stopped and are transcribed one
//! after another. So a start never waits for the text of earlier speech.

use crate::audio::capture::StopHandle;
use std::collections::VecDeque;
use std::time::Instant;

/// State of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// The microphone is closed.
    Idle,
    /// The microphone is being opened.
    Starting,
    /// The microphone is open.
    Listening,
    /// There is no sound: the device is lost or suspended, and the session waits for it.
    DeviceLost,
    /// The microphone is closed; the last words are still being transcribed.
    Finishing,
}

/// A run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    number: u64,
    /// Ends its recording.
    pub stop: StopHandle,
    /// When it was started.
    pub begun: Instant,
    /// When the one before it was stopped. What it had recorded by then is not heard again.
    pub previous_stopped: Option<Instant>,
}

/// The runs that have not ended, oldest first.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: VecDeque<Run>,
    /// Number of runs that were started.
    started: u64,
    /// State of the newest run while it records.
    recording: Option<SessionState>,
    /// When recording was last stopped.
    stopped: Option<Instant>,
}

impl Runs {
    /// Starts a run; returns `None` if one records already.
    pub fn start(&mut self) -> Option<Run> {
        if self.recording.is_some() {
            return None;
        }
        self.started += 1;
        let run = Run {
            number: self.started,
            stop: StopHandle::default(),
            begun: Instant::now(),
            previous_stopped: self.stopped,
        };
        self.runs.push_back(run.clone());
        self.recording = Some(SessionState::Starting);
        Some(run)
    }

    /// Stops the run that records; its speech is still to be transcribed. Returns false if none
    /// records.
    pub fn stop(&mut self) -> bool {
        let was_recording = self.recording.take().is_some();
        if was_recording {
            self.stopped = Some(Instant::now());
        }
        if was_recording && let Some(run) = self.runs.back() {
            run.stop.finish();
        }
        was_recording
    }

    /// Stops a run if it still records.
    pub fn stop_run(&mut self, run: &Run) -> bool {
        self.is_newest(run) && self.stop()
    }

    /// Cancels all runs.
    pub fn cancel(&mut self) {
        self.stop();
        self.runs.iter().for_each(|run| run.stop.cancel());
    }

    /// Takes the state of a run's recording: listening, or without sound.
    pub fn follow(&mut self, run: &Run, state: SessionState) {
        if self.is_newest(run) {
            self.recording = self.recording.map(|_| state);
        }
    }

    /// Removes a run: all of its speech is text, or dropped.
    pub fn end(&mut self, run: &Run) {
        run.stop.cancel();
        if self.is_newest(run) {
            self.recording = None;
        }
        self.runs.retain(|other| other.number != run.number);
    }

    /// Returns the state of the session.
    pub fn state(&self) -> SessionState {
        match self.recording {
            Some(state) => state,
            None if self.runs.is_empty() => SessionState::Idle,
            None => SessionState::Finishing,
        }
    }

    fn is_newest(&self, run: &Run) -> bool {
        self.started == run.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Start,
        Stop,
        Toggle,
        Cancel,
        Opened,
        Lost,
        /// The oldest run has been transcribed.
        Done,
    }

    fn step() -> impl Strategy<Value = Step> {
        use Step::{Cancel, Done, Lost, Opened, Start, Stop, Toggle};
        prop::sample::select(vec![
            Start, Start, Stop, Stop, Toggle, Toggle, Cancel, Opened, Lost, Done, Done,
        ])
    }

    fn is_recording(runs: &Runs) -> bool {
        !matches!(runs.state(), SessionState::Idle | SessionState::Finishing)
    }

    proptest! {
        #[test]
        fn a_start_is_never_refused_and_runs_are_transcribed_in_order(
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let mut runs = Runs::default();
            let mut waiting = VecDeque::new();
            for step in steps {
                let was_recording = is_recording(&runs);
                let starts = matches!(step, Step::Start) || matches!(step, Step::Toggle) && !was_recording;
                match step {
                    _ if starts => {
                        let run = runs.start();
                        prop_assert_eq!(run.is_some(), !was_recording, "refused in {:?}", runs.state());
                        waiting.extend(run);
                        prop_assert!(is_recording(&runs));
                    }
                    Step::Stop | Step::Toggle => prop_assert_eq!(runs.stop(), was_recording),
                    Step::Cancel => {
                        runs.cancel();
                        prop_assert!(waiting.iter().all(|run: &Run| run.stop.is_cancelled()));
                    }
                    Step::Opened | Step::Lost => {
                        let state = if matches!(step, Step::Opened) { SessionState::Listening } else { SessionState::DeviceLost };
                        // What happens to the microphone of an earlier run does not show.
                        let of = waiting.iter().rev().nth(usize::from(was_recording));
                        let before = runs.state();
                        of.into_iter().for_each(|run| runs.follow(run, state));
                        prop_assert_eq!(runs.state(), before);
                        waiting.back().into_iter().for_each(|run| runs.follow(run, state));
                        prop_assert_eq!(runs.state(), if was_recording { state } else { before });
                    }
                    _ => if let Some(run) = waiting.pop_front() {
                        runs.end(&run);
                        prop_assert!(run.stop.is_cancelled(), "nothing records for it any more");
                    }
                }
                let n_recording = waiting.iter().filter(|run| !run.stop.is_stopped()).count();
                prop_assert_eq!(n_recording, usize::from(is_recording(&runs)), "only the newest records");
                prop_assert_eq!(runs.state() == SessionState::Idle, waiting.is_empty());
            }
        }
    }
}
