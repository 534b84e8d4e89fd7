//! Live text of a stream of samples.
//!
//! In: samples as they come. Out: [`Event`]s: partials while an utterance continues, then its
//! final.
//!
//! ```text
//! samples ──Segmenter──▶ utterance so far ──Recognizer──▶ Hypothesis ──UtteranceState──▶ Partial, Final
//!                                 │                ▲                         │
//!                                 │             Context:                 committed
//!                              Pace: when   preceding audio and text       words
//! ```
//!
//! [`Live`] holds the queue, the clock and the recognizer. What becomes of a hypothesis is decided
//! in `utterance.rs`, a state machine that needs none of them.

mod agreement;
mod context;
mod continuation;
mod event;
#[cfg(test)]
mod fake;
mod live;
mod pace;
mod recognizer;
mod rewrite;
mod utterance;

pub use event::{Event, Final, Partial};
pub use live::{Live, LiveOptions};
pub use pace::Pace;
pub use recognizer::{
    Context, Hypothesis, Pass, RecognizeError, Recognizer, Request, WhisperRecognizer,
};
