//! What to do about an error.
//!
//! The `Display` text of an error states the problem alone. [`Advice`] adds the remedy, and the
//! places that speak to people (the commands, the bus, the log, `hearken doctor`) print both.

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;

/// An error that knows what can be done about it.
pub trait Advice: Error {
    /// Returns what the user can do, as an imperative without a full stop: "free some space".
    fn remedy(&self) -> Option<Cow<'_, str>>;

    /// Returns the problem and the remedy as one line: "problem; remedy".
    fn explain(&self) -> String {
        match self.remedy() {
            Some(remedy) => format!("{self}; {remedy}"),
            None => self.to_string(),
        }
    }
}

impl Advice for Infallible {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the disk is full")]
    struct Full(bool);

    impl Advice for Full {
        fn remedy(&self) -> Option<Cow<'_, str>> {
            self.0.then_some("free some space".into())
        }
    }

    #[test]
    fn a_remedy_follows_the_problem() {
        assert_eq!(Full(true).explain(), "the disk is full; free some space");
        assert_eq!(Full(false).explain(), "the disk is full");
    }
}
