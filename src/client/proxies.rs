//! The daemon's interfaces as a client sees them.

use std::collections::HashMap;
use zbus::{OwnedObjectPath, OwnedVariant, Variant, proxy};

#[proxy(
    interface = "org.hearken.Hearken1.Manager",
    default_service = "org.hearken.Hearken1",
    default_path = "/org/hearken/Hearken1"
)]
pub trait Manager {
    fn create_session(&self, options: HashMap<&str, Variant<'_>>) -> zbus::Result<OwnedObjectPath>;

    fn transcribe_last(
        &self,
        seconds: f64,
        options: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<OwnedObjectPath>;

    #[zbus(property)]
    fn pre_capture(&self) -> zbus::Result<f64>;

    #[zbus(property)]
    fn version(&self) -> zbus::Result<String>;

    #[zbus(property)]
    fn state(&self) -> zbus::Result<u32>;

    #[zbus(property)]
    fn status_message(&self) -> zbus::Result<String>;

    #[zbus(property)]
    fn model(&self) -> zbus::Result<String>;

    #[zbus(property)]
    fn backend(&self) -> zbus::Result<String>;
}

#[proxy(
    interface = "org.hearken.Hearken1.Session",
    default_service = "org.hearken.Hearken1",
    assume_defaults = false
)]
pub trait Session {
    fn start(&self) -> zbus::Result<()>;

    fn stop(&self) -> zbus::Result<()>;

    fn toggle(&self) -> zbus::Result<()>;

    fn cancel(&self) -> zbus::Result<()>;

    #[zbus(property)]
    fn state(&self) -> zbus::Result<u32>;

    #[zbus(property)]
    fn device(&self) -> zbus::Result<String>;

    #[zbus(property)]
    fn status_message(&self) -> zbus::Result<String>;

    #[cfg(feature = "desktop")]
    #[zbus(property)]
    fn set_context(&self, text: &str) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn metrics(&self) -> zbus::Result<HashMap<String, OwnedVariant>>;
}

/// The agent that writes into the focused window.
#[cfg(feature = "desktop")]
#[proxy(
    interface = "org.hearken.Desktop1.Dictation",
    default_service = "org.hearken.Desktop1",
    default_path = "/org/hearken/Desktop1"
)]
pub trait Dictation {
    fn start(&self) -> zbus::Result<()>;

    fn stop(&self) -> zbus::Result<()>;

    fn toggle(&self) -> zbus::Result<()>;

    fn undo(&self) -> zbus::Result<()>;

    fn again(&self, n: u32) -> zbus::Result<u32>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn session(&self) -> zbus::Result<OwnedObjectPath>;
}
