//! Arguments of the commands as options for the daemon.

use crate::cli::{SessionArgs, TextArgs};
use crate::dbus::options::ClientOptions;

impl SessionArgs {
    /// Returns the options of a session.
    pub(super) fn options(&self) -> ClientOptions {
        let mut options = self.text.options();
        options.settings.audio.device.clone_from(&self.device);
        options.captions = self.captions.then_some(true);
        options
    }
}

impl TextArgs {
    /// Returns the options of a session or a job.
    pub(super) fn options(&self) -> ClientOptions {
        let mut options = ClientOptions {
            prompt: self.prompt.clone(),
            ..ClientOptions::default()
        };
        options.settings.text = self.settings.clone();
        options
    }
}
