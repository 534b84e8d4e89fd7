//! From an endless stream of samples to utterances that fit an encoder window, and to live text.
//!
//! `Segmenter` cuts the stream; the pipeline for recordings takes its utterances as they are.
//! [`Live`] shows text while an utterance goes on: a [`Recognizer`] guesses again and again, after
//! the [`Context`] of what was said before; a [`CommitPolicy`] decides which words of the guesses
//! are settled, and what is settled never changes.

mod context;
mod continuation;
mod live;
mod pace;
mod policy;
mod recognizer;
mod rewrite;

pub use live::{Event, Final, Live, LiveOptions, Partial};
pub use pace::Pace;
pub use policy::{AlignAtt, Both, CommitPolicy, LocalAgreement, Policy};
pub use recognizer::{
    Context, Hypothesis, Pass, RecognizeError, Recognizer, Request, WhisperRecognizer,
};
