//! Tests of internals against openai-whisper's data, across modules. Those that need the real weights
//! of Whisper base are ignored unless asked for: `make test` fetches the model and runs them.

mod golden;
mod mel;
mod npu;
mod together;
