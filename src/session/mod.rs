//! From the microphone to text: sessions, and the engine that they share.
//!
//! In: a configuration, commands (start, stop, cancel), samples. Out: [`SessionEvent`]s and
//! [`EngineEvent`]s through callbacks. Nothing here knows the bus.

mod latency;
mod levels;
mod live_session;
mod metrics;
mod pre_capture;
mod recording;
mod runs;
mod session_settings;
mod shared_engine;
mod transcription;

pub use levels::Level;
pub use live_session::{Session, SessionError, SessionEvent};
pub use pre_capture::PreCapture;
pub use runs::SessionState;
pub use session_settings::SessionSettings;
pub use shared_engine::{EngineEvent, EngineState, SharedEngine};
