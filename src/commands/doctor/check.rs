//! One check of `hearken doctor`, and how it is printed.

use std::fmt::{self, Display};

/// Outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything is in order.
    Ok,
    /// It works, but not as well as it could.
    Warn,
    /// It is not there, and nothing needs it.
    #[cfg(feature = "desktop")]
    Absent,
    /// It is missing, and transcription needs it.
    Missing,
    /// It is invalid, and the program refuses it.
    Error,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked, in a word or two.
    pub name: &'static str,
    /// Outcome.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// Command or action that fixes it.
    pub remedy: Option<String>,
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warn => "warning",
            #[cfg(feature = "desktop")]
            Status::Absent => "absent",
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

/// Returns a check that found everything in order.
pub fn ok(name: &'static str, detail: impl Into<String>) -> Check {
    Check {
        name,
        status: Status::Ok,
        detail: detail.into(),
        remedy: None,
    }
}
