//! What has been taken from the user, told to a process that gives it back if ours is killed.
//!
//! In: changes. Out: a line of JSON for each, which `watch.rs` reads in that process.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::board::Content;
use crate::sync::LockExt;

/// What has been taken from the user for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The engine of IBus that was in use.
    pub engine: Option<String>,
    /// Keycodes of X11 that stand for other characters, and may be held down.
    pub keycodes: Vec<u8>,
    /// What clipboard and primary selection are to hold.
    pub selections: [Option<Content>; 2],
    /// Whether the selections change hands now, since our process ends.
    pub is_over: bool,
}

/// The guard of this process. It is started when something is taken first.
#[derive(Clone, Default)]
pub struct Guard(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    taken: Taken,
    process: Option<Child>,
}

impl Guard {
    /// Notes what is taken, or given back.
    pub fn note(&self, change: impl FnOnce(&mut Taken)) {
        let mut told = self.0.lock_unpoisoned();
        let before = told.taken.clone();
        change(&mut told.taken);
        if told.taken != before {
            told.tell();
        }
    }

    /// Hands selections over, which end with their owner, and waits until the guard owns them. Returns
    /// whether it does.
    pub fn hand_over(&self, selections: [Option<Content>; 2]) -> bool {
        self.note(|taken| {
            *taken = Taken {
                selections,
                is_over: true,
                ..Taken::default()
            };
        });
        let mut told = self.0.lock_unpoisoned();
        let output = told.process.as_mut().and_then(|guard| guard.stdout.take());
        output.is_some_and(|mut output| output.read_exact(&mut [0]).is_ok())
    }
}

impl Told {
    /// Tells the guard, which may have been killed itself.
    fn tell(&mut self) {
        let Ok(mut line) = serde_json::to_string(&self.taken) else {
            return;
        };
        line.push('\n');
        for _ in 0..2 {
            if self.process.is_none() {
                // Without a guard, things are given back as long as nobody kills us.
                self.process = start().ok();
            }
            let Some(guard) = &mut self.process else {
                return;
            };
            let input = guard.stdin.as_mut();
            if input.is_some_and(|input| input.write_all(line.as_bytes()).is_ok()) {
                return;
            }
            let _ = guard.wait();
            self.process = None;
        }
    }
}

fn start() -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["type", "--guard"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // Ctrl-C is not for it.
        .process_group(0)
        .spawn()
}
