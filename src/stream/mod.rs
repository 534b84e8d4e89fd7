//! Live text: from samples as they come to partial and final text.
//!
//! In: samples, 16 kHz, mono. Out: [`Event`]s. [`Live`] runs a [`Recognizer`] over the utterance that
//! is being spoken again and again, after the [`Context`] of what was said before; a state machine
//! (`utterance`) decides which words of the hypotheses are shown and which are committed. Committed
//! text never changes.

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
