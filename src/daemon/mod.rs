//! From the microphone to text: the engine and the sessions that share it.

mod engine;
mod figures;
mod pre_capture;
mod session;

pub use engine::{Engine, EngineNotice, EngineState};
pub use figures::{Figures, Snapshot};
pub use pre_capture::PreCapture;
pub use session::{Notice, Session, SessionError, SessionSettings, SessionState};
