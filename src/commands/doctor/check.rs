//! One thing that `hearken doctor` looks at, and how it is shown.

use std::fmt::{self, Display};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Works, but not as well as it could.
    Warn,
    /// Transcription does not work without it.
    Missing,
    /// Wrong: whatever reads it refuses it.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// How it came out.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// A command or an action that fixes it.
    pub remedy: Option<String>,
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warn => "warning",
            Status::Missing => "missing",
            Status::Error => "error",
        };
        writeln!(f, "{status:<9}{:<18}{}", self.name, self.detail)?;
        match &self.remedy {
            Some(remedy) => writeln!(f, "{:27}-> {remedy}", ""),
            None => Ok(()),
        }
    }
}

/// A check that found everything in order.
pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Check {
    Check {
        name,
        status: Status::Ok,
        detail: detail.into(),
        remedy: None,
    }
}
