//! The hotkey: when a press starts dictation and when it stops.
//!
//! In: presses, repeats and releases as some desktop reports them, with their times. Out: start and
//! stop. A release that is never reported leaves no microphone open.

pub(crate) mod portal;
pub(crate) mod print;
pub(crate) mod x11;

use std::time::{Duration, Instant};

use crate::settings::desktop::HotkeyMode;

/// A press shorter than this toggles in the mode "both".
const SHORT: Duration = Duration::from_millis(350);

/// What a desktop reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The key went down, or a key that is down repeats: portals report both alike.
    Down,
    /// The key went up.
    Up,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start dictation.
    Start,
    /// Stop dictation.
    Stop,
}

/// The state machine.
#[derive(Debug)]
pub struct Hotkey {
    mode: HotkeyMode,
    /// Longest time without speech while it listens.
    silence: Duration,
    /// Time between two reports of a key that is held; reports further apart are presses.
    repeat: Duration,
    state: State,
    /// Last report that the key is down.
    last_down: Option<Instant>,
    /// Last time that somebody spoke, or that dictation began.
    last_speech: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// Listening since this press, which is not released yet.
    Held(Instant),
    /// Listening after the release.
    Toggled,
    /// Stopped by this press, which is not released yet.
    Stopping,
}

impl Hotkey {
    /// Creates the machine.
    pub fn new(mode: HotkeyMode, silence: Duration) -> Self {
        Self {
            mode,
            silence,
            // Slower than any keyboard's delay before it repeats (at most 1 s in common settings).
            repeat: Duration::from_millis(1_200),
            state: State::Idle,
            last_down: None,
            last_speech: None,
        }
    }

    /// Whether dictation is on.
    pub fn is_listening(&self) -> bool {
        matches!(self.state, State::Held(_) | State::Toggled)
    }

    /// Takes a report.
    pub fn report(&mut self, key: Key, now: Instant) -> Option<Action> {
        match key {
            Key::Down => {
                let last = self.last_down.replace(now);
                let is_repeat =
                    last.is_some_and(|last| now.saturating_duration_since(last) < self.repeat);
                self.down(is_repeat, now)
            }
            Key::Up => {
                self.last_down = None;
                self.up(now)
            }
        }
    }

    /// Takes a start or stop that did not come from the key.
    pub fn set_listening(&mut self, is_listening: bool, now: Instant) {
        if is_listening && !self.is_listening() {
            self.state = State::Toggled;
            self.last_speech = Some(now);
        } else if !is_listening && self.is_listening() {
            self.state = State::Idle;
        }
    }

    /// Notes that somebody speaks.
    pub fn speech(&mut self, now: Instant) {
        self.last_speech = Some(now);
    }

    /// Returns when [`Self::tick`] is due; `None` if dictation is off.
    pub fn deadline(&self) -> Option<Instant> {
        let last = self.last_speech.filter(|_| self.is_listening())?;
        Some(last + self.silence)
    }

    /// Stops after too long a silence.
    pub fn tick(&mut self, now: Instant) -> Option<Action> {
        let is_due = self.deadline().is_some_and(|deadline| now >= deadline);
        is_due.then(|| self.stop(State::Idle))
    }

    fn down(&mut self, is_repeat: bool, now: Instant) -> Option<Action> {
        match self.state {
            State::Idle | State::Stopping if is_repeat => None,
            State::Idle | State::Stopping => {
                self.state = State::Held(now);
                self.last_speech = Some(now);
                Some(Action::Start)
            }
            // The key repeats, or its release was lost and this is another press.
            State::Held(_) if is_repeat => None,
            State::Held(_) | State::Toggled => Some(self.stop(State::Stopping)),
        }
    }

    fn up(&mut self, now: Instant) -> Option<Action> {
        match self.state {
            State::Held(since) => {
                let is_short = now.saturating_duration_since(since) < SHORT;
                let stays = match self.mode {
                    HotkeyMode::Hold => false,
                    HotkeyMode::Toggle => true,
                    HotkeyMode::Both => is_short,
                };
                if stays {
                    self.state = State::Toggled;
                    return None;
                }
                Some(self.stop(State::Idle))
            }
            State::Stopping => {
                self.state = State::Idle;
                None
            }
            State::Idle | State::Toggled => None,
        }
    }

    fn stop(&mut self, state: State) -> Action {
        self.state = state;
        Action::Stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SILENCE: Duration = Duration::from_secs(20);

    /// Reports at milliseconds, and the actions that follow.
    fn actions(mode: HotkeyMode, reports: &[(u64, Key)]) -> Vec<(u64, Action)> {
        let mut hotkey = Hotkey::new(mode, SILENCE);
        let begin = Instant::now();
        let act = |(at, key): &(u64, Key)| {
            let action = hotkey.report(*key, begin + Duration::from_millis(*at));
            action.map(|action| (*at, action))
        };
        reports.iter().filter_map(act).collect()
    }

    #[test]
    fn a_held_key_dictates_until_it_is_released() {
        let held = [
            (0, Key::Down),
            (600, Key::Down),
            (640, Key::Down),
            (2000, Key::Up),
        ];
        let expected = [(0, Action::Start), (2000, Action::Stop)];
        assert_eq!(actions(HotkeyMode::Hold, &held), expected);
        assert_eq!(actions(HotkeyMode::Both, &held), expected);
        assert_eq!(actions(HotkeyMode::Toggle, &held), expected[..1]);
    }

    #[test]
    fn a_short_press_toggles() {
        let twice = [
            (0, Key::Down),
            (100, Key::Up),
            (3000, Key::Down),
            (3100, Key::Up),
        ];
        let expected = [(0, Action::Start), (3000, Action::Stop)];
        assert_eq!(actions(HotkeyMode::Both, &twice), expected);
        assert_eq!(actions(HotkeyMode::Toggle, &twice), expected);
        let held = [
            (0, Action::Start),
            (100, Action::Stop),
            (3000, Action::Start),
            (3100, Action::Stop),
        ];
        assert_eq!(actions(HotkeyMode::Hold, &twice), held);
    }

    #[test]
    fn a_press_after_a_lost_release_stops() {
        let lost = [
            (0, Key::Down),
            (5000, Key::Down),
            (5100, Key::Up),
            (9000, Key::Down),
        ];
        let expected = [
            (0, Action::Start),
            (5000, Action::Stop),
            (9000, Action::Start),
        ];
        for mode in [HotkeyMode::Hold, HotkeyMode::Toggle, HotkeyMode::Both] {
            assert_eq!(actions(mode, &lost), expected);
        }
    }

    #[test]
    fn a_key_that_stops_and_is_held_does_not_start_again() {
        let reports = [
            (0, Key::Down),
            (100, Key::Up),
            (3000, Key::Down),
            (3600, Key::Down),
            (3700, Key::Down),
            (4000, Key::Up),
        ];
        let expected = [(0, Action::Start), (3000, Action::Stop)];
        assert_eq!(actions(HotkeyMode::Both, &reports), expected);
    }

    proptest! {
        /// Whatever is reported and lost: actions alternate, and silence ends every dictation.
        #[test]
        fn nothing_leaves_the_microphone_open(
            mode in prop_oneof![Just(HotkeyMode::Hold), Just(HotkeyMode::Toggle), Just(HotkeyMode::Both)],
            steps in prop::collection::vec((0u64..4_000, any::<bool>(), any::<bool>()), 0..60),
        ) {
            let mut hotkey = Hotkey::new(mode, SILENCE);
            let mut now = Instant::now();
            let mut is_open = false;
            let check = |action: Option<Action>, is_open: &mut bool| {
                match action {
                    Some(Action::Start) => { prop_assert!(!*is_open); *is_open = true; }
                    Some(Action::Stop) => { prop_assert!(*is_open); *is_open = false; }
                    None => {}
                }
                Ok(())
            };
            for (wait, is_down, speaks) in steps {
                now += Duration::from_millis(wait);
                let action = hotkey.tick(now);
                check(action, &mut is_open)?;
                if speaks {
                    hotkey.speech(now);
                }
                let action = hotkey.report(if is_down { Key::Down } else { Key::Up }, now);
                check(action, &mut is_open)?;
                prop_assert_eq!(hotkey.is_listening(), is_open);
            }
            let action = hotkey.tick(now + SILENCE);
            check(action, &mut is_open)?;
            prop_assert!(!is_open && !hotkey.is_listening());
        }
    }
}
