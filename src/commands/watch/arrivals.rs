//! Decides which recordings are complete: those that have not changed for some time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::output::Input;

/// Time for which a recording must not change. Programs that record or copy write at least every
/// second; a file that is complete sooner is moved into the folder.
const SETTLED: Duration = Duration::from_secs(3);

/// Version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    pub bytes: u64,
    pub modified: SystemTime,
    /// When its permissions or its contents last changed: seconds and nanoseconds.
    pub changed: (i64, i64),
}

/// Recordings seen so far that have no transcripts.
#[derive(Default)]
pub struct Arrivals {
    seen: HashMap<PathBuf, Seen>,
}

struct Seen {
    version: Version,
    /// When this version was first seen.
    since: Instant,
    /// Whether it has been handed out.
    is_taken: bool,
}

impl Arrivals {
    /// Returns the recordings that have become complete, each version once, given those without
    /// transcripts at present. Empty ones are never complete.
    pub fn complete(&mut self, present: Vec<(Input, Version)>, now: Instant) -> Vec<Input> {
        let mut before = std::mem::take(&mut self.seen);
        let mut complete = Vec::new();
        for (input, version) in present {
            let known = before.remove(&input.path);
            let mut seen = known
                .filter(|seen| seen.version == version)
                .unwrap_or(Seen {
                    version,
                    since: now,
                    is_taken: false,
                });
            let is_settled = now.duration_since(seen.since) >= SETTLED && version.bytes > 0;
            let path = input.path.clone();
            if is_settled && !seen.is_taken {
                seen.is_taken = true;
                complete.push(input);
            }
            self.seen.insert(path, seen);
        }
        complete
    }

    /// Whether a recording may soon be complete.
    pub fn is_waiting(&self) -> bool {
        self.seen.values().any(|seen| !seen.is_taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_complete_once_it_has_stopped_growing() {
        let mut arrivals = Arrivals::default();
        let begin = Instant::now();
        let mut at = |seconds: u64, bytes: u64| {
            let version = Version {
                bytes,
                modified: SystemTime::UNIX_EPOCH,
                changed: (0, 0),
            };
            let present = vec![(Input::new("a.wav"), version)];
            arrivals
                .complete(present, begin + Duration::from_secs(seconds))
                .len()
        };
        assert_eq!(at(0, 0), 0);
        assert_eq!(at(10, 0), 0, "it is empty");
        assert_eq!(at(11, 5), 0);
        assert_eq!(at(13, 9), 0, "it grows");
        assert_eq!(at(15, 9), 0);
        assert_eq!(at(16, 9), 1);
        assert_eq!(at(20, 9), 0, "once");
        assert_eq!(at(21, 10), 0);
        assert_eq!(at(24, 10), 1, "it is a new version");
    }

    #[test]
    fn what_has_gone_is_forgotten() {
        let mut arrivals = Arrivals::default();
        let now = Instant::now();
        let version = Version {
            bytes: 1,
            modified: SystemTime::UNIX_EPOCH,
            changed: (0, 0),
        };
        arrivals.complete(vec![(Input::new("a.wav"), version)], now);
        assert!(arrivals.is_waiting());
        arrivals.complete(Vec::new(), now);
        assert!(!arrivals.is_waiting());
    }
}
