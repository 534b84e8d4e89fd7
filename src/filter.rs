//! The user's own command that changes the text.
//!
//! In: text on its standard input. Out: text from its standard output. A command that fails, hangs or
//! writes no text is an error, never a loss: the caller keeps the text as it was.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;

use crate::advice::Advice;

/// Largest text that is accepted, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// Interval at which the end of a command that has closed its output is awaited.
const POLL: Duration = Duration::from_millis(2);

/// Command for the shell, with its time limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    command: String,
    limit: Duration,
}

/// Reason that a text stays unfiltered.
#[derive(Debug, Error)]
pub enum FilterError {
    /// The shell could not be started, or talked to.
    #[error("filter '{command}': {source}")]
    Run {
        /// The command.
        command: String,
        /// Error of the system.
        source: io::Error,
    },
    /// The command failed.
    #[error("filter '{command}': {status}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The command took too long.
    #[error("filter '{command}': no end after {limit_s} s")]
    Late {
        /// The command.
        command: String,
        /// The limit in seconds.
        limit_s: f64,
    },
    /// Its output is no text.
    #[error("filter '{command}': its output is {problem}")]
    Output {
        /// The command.
        command: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Advice for FilterError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some("the text is unfiltered".into())
    }
}

impl Filter {
    /// Creates a filter with a time limit in seconds; `None` if the command is empty.
    pub fn new(command: &str, limit_s: f64) -> Option<Self> {
        (!command.trim().is_empty()).then(|| Self {
            command: command.to_owned(),
            limit: Duration::try_from_secs_f64(limit_s).unwrap_or_default(),
        })
    }

    /// Returns the text as the command writes it. The command gets it with a line end; one line end
    /// at the end of its output is removed.
    ///
    /// # Errors
    /// Returns an error if the command cannot be started, fails, exceeds its time or does not write
    /// UTF-8.
    pub fn apply(&self, text: &str) -> Result<String, FilterError> {
        let deadline = Instant::now() + self.limit;
        let mut running = Running {
            child: self.start().map_err(|error| self.run_error(error))?,
            has_ended: false,
        };
        let child = &mut running.child;
        // A command that does not read, or reads while it writes, must not block this one.
        if let Some(mut input) = child.stdin.take() {
            let line = format!("{text}\n");
            // A command may end without reading everything.
            thread::spawn(move || drop(input.write_all(line.as_bytes())));
        }
        let (sender, output) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let read = out.take(MOST_BYTES + 1).read_to_end(&mut bytes);
                sender.send(read.map(|_| bytes))
            });
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let bytes = match output.recv_timeout(left) {
            Ok(read) => read.map_err(|error| self.run_error(error))?,
            Err(_) => return Err(self.late()),
        };
        if bytes.len() as u64 > MOST_BYTES {
            return Err(self.output_error("too long"));
        }
        let status = loop {
            match child.try_wait().map_err(|error| self.run_error(error))? {
                Some(status) => break status,
                None if Instant::now() >= deadline => return Err(self.late()),
                None => thread::sleep(POLL),
            }
        };
        running.has_ended = true;
        if !status.success() {
            return Err(FilterError::Failed {
                command: self.command.clone(),
                status,
            });
        }
        let text = String::from_utf8(bytes).map_err(|_| self.output_error("not UTF-8"))?;
        Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
    }

    /// Starts the command in a process group of its own, so that Ctrl-C does not end it while it has
    /// the text, and so that it ends with its children.
    fn start(&self) -> io::Result<Child> {
        Command::new("/bin/sh")
            .arg("-c")
            .arg(&self.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
    }

    fn run_error(&self, source: io::Error) -> FilterError {
        FilterError::Run {
            command: self.command.clone(),
            source,
        }
    }

    fn late(&self) -> FilterError {
        FilterError::Late {
            command: self.command.clone(),
            limit_s: self.limit.as_secs_f64(),
        }
    }

    fn output_error(&self, problem: &'static str) -> FilterError {
        FilterError::Output {
            command: self.command.clone(),
            problem,
        }
    }
}

/// Command that is ended with its children when it is dropped.
struct Running {
    child: Child,
    /// Whether it has ended in time.
    has_ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = id {
            // It may have ended at this moment.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(command: &str, text: &str) -> Result<String, String> {
        let filter = Filter::new(command, 20.0).expect("a command");
        filter.apply(text).map_err(|error| error.explain())
    }

    #[test]
    fn the_text_is_what_the_command_writes() {
        assert_eq!(apply("cat", "Grüße,\nyou"), Ok("Grüße,\nyou".to_owned()));
        assert_eq!(apply("tr a-z A-Z", "hello"), Ok("HELLO".to_owned()));
        assert_eq!(
            apply("printf '%s\\n\\n' done", "hello"),
            Ok("done\n".to_owned())
        );
        assert_eq!(
            apply("true", "hello"),
            Ok(String::new()),
            "it may leave nothing"
        );
        assert_eq!(Filter::new(" ", 1.0), None);
    }

    #[test]
    fn a_long_text_passes_through_a_command_that_writes_while_it_reads() {
        let text = "word ".repeat(200_000);
        assert_eq!(apply("cat", &text), Ok(text));
    }

    #[test]
    fn a_failure_is_an_error_with_its_reason() {
        let refusal = |command: &str| apply(command, "hello").expect_err(command);
        assert!(refusal("exit 3").starts_with("filter 'exit 3': exit status: 3; the text is"));
        assert!(refusal("echo no; kill -9 $$").contains("signal: 9"));
        assert!(refusal("no-such-command-here 2>/dev/null").contains("exit status: 127"));
        assert!(refusal("printf '\\377'").contains("not UTF-8"));
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_its_children() {
        let filter = Filter::new("sleep 100 & wait", 0.2).expect("a command");
        let begun = Instant::now();
        assert!(matches!(
            filter.apply("hello"),
            Err(FilterError::Late { .. })
        ));
        // It closes its output, but does not end.
        let filter = Filter::new("exec >&-; sleep 100", 0.2).expect("a command");
        assert!(matches!(
            filter.apply("hello"),
            Err(FilterError::Late { .. })
        ));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
