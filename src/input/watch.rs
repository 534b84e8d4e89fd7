//! The process that gives the user's things back if ours is killed.
//!
//! In: what has been taken, a line of JSON for each change, until the input ends. Out: the engine of
//! IBus, the keymap and the selections as they were.

use std::io::BufRead;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::board::Content;
use super::guard::Taken;
use super::sink::{Board, SinkError};

/// Time in which the window system notices that a process has ended.
const END_TIMEOUT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Watches over a process, whose lines `input` are; gives back what it had taken when it ends. Calls
/// `own` once the selections are owned, and returns when they are not any more, or at `stop`.
///
/// # Errors
/// Returns an error if the selections cannot be owned.
pub fn watch(
    input: impl BufRead,
    open: impl FnOnce() -> Result<Box<dyn Board>, SinkError>,
    own: impl FnOnce(),
    stop: &AtomicBool,
) -> Result<(), SinkError> {
    let mut taken = Taken::default();
    for line in input.lines().map_while(Result::ok) {
        // A line that was cut off tells nothing.
        if let Ok(now) = serde_json::from_str(&line) {
            taken = now;
        }
        if taken.is_over {
            break;
        }
    }
    if let Some(engine) = &taken.engine {
        super::ibus::give_back(engine);
    }
    if !taken.keycodes.is_empty() {
        super::x11::give_back(&taken.keycodes);
    }
    if taken.selections.iter().all(Option::is_none) {
        return Ok(());
    }
    let mut board = open()?;
    if taken.is_over {
        board.hold(taken.selections)?;
    } else {
        hold_abandoned(board.as_mut(), taken.selections)?;
    }
    own();
    board.wait_until_taken(stop);
    Ok(())
}

/// Takes the selections that nobody owns any more.
fn hold_abandoned(
    board: &mut dyn Board,
    mut contents: [Option<Content>; 2],
) -> Result<(), SinkError> {
    let until = Instant::now() + END_TIMEOUT;
    while contents.iter().any(Option::is_some) && Instant::now() < until {
        let are_owned = board.are_owned();
        let mut abandoned = [None, None];
        for (i, is_owned) in are_owned.into_iter().enumerate() {
            if !is_owned {
                abandoned[i] = contents[i].take();
            }
        }
        if abandoned.iter().any(Option::is_some) {
            board.hold(abandoned)?;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use crate::input::board::Chord;
    use crate::input::sink::Target;
    use crate::sync::LockExt;

    /// Selections, of which another program owns the second.
    #[derive(Default)]
    struct Other(Arc<Mutex<Vec<[Option<Content>; 2]>>>);

    impl Board for Other {
        fn is_lost(&self) -> bool {
            false
        }
        fn target(&self) -> Option<Target> {
            None
        }
        fn offer(&mut self, _: &str) -> Result<(), SinkError> {
            Ok(())
        }
        fn press(&mut self, _: Chord) -> Result<(), SinkError> {
            Ok(())
        }
        fn was_read(&mut self, _: Duration) -> bool {
            false
        }
        fn give_back(&mut self) -> Result<(), SinkError> {
            Ok(())
        }
        fn copy(&mut self, _: &str) -> Result<(), SinkError> {
            Ok(())
        }
        fn wait_until_taken(&mut self, _: &AtomicBool) {}
        fn held(&self) -> Option<[Option<Content>; 2]> {
            None
        }
        fn are_owned(&mut self) -> [bool; 2] {
            [false, true]
        }
        fn hold(&mut self, contents: [Option<Content>; 2]) -> Result<(), SinkError> {
            self.0.lock_unpoisoned().push(contents);
            Ok(())
        }
    }

    fn line(taken: &Taken) -> String {
        serde_json::to_string(taken).expect("JSON") + "\n"
    }

    fn held_after(input: &str) -> Vec<[Option<Content>; 2]> {
        let board = Other::default();
        let held = Arc::clone(&board.0);
        let watched = watch(
            input.as_bytes(),
            || Ok(Box::new(board)),
            || (),
            &AtomicBool::new(false),
        );
        watched.expect("selections");
        let held = held.lock_unpoisoned();
        held.clone()
    }

    #[test]
    fn selections_are_held_if_nobody_else_owns_them() {
        let content = Some(Content(Vec::new()));
        let both = Taken {
            selections: [content.clone(), content.clone()],
            ..Taken::default()
        };
        let killed = line(&both) + "{\"engine\":";
        assert_eq!(held_after(&killed), [[content.clone(), None]]);
        let handed_over = Taken {
            is_over: true,
            ..both.clone()
        };
        assert_eq!(
            held_after(&(line(&both) + &line(&handed_over))),
            [[content.clone(), content]]
        );
        assert!(held_after(&(line(&both) + &line(&Taken::default()))).is_empty());
        assert!(held_after("").is_empty());
    }
}
