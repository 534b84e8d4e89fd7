//! From the microphone to text: sessions, and the engine that they share.
//!
//! In: a configuration, commands (start, stop, cancel), samples. Out: [`SessionEvent`]s and
//! [`EngineEvent`]s through callbacks. Nothing here knows the bus.

mod live_session;
mod metrics;
mod pre_capture;
mod shared_engine;

pub use live_session::{Session, SessionError, SessionEvent, SessionSettings, SessionState};
pub use pre_capture::PreCapture;
pub use shared_engine::{EngineEvent, EngineState, SharedEngine};
