//! Tests of the model's internals on the real weights of Whisper base. They are ignored unless asked
//! for, since they need the model: `make test` fetches it and runs them.

mod golden;
mod npu;
mod together;
