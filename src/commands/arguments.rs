//! Arguments of the commands as options for the daemon, and the filter, which the commands run.

use super::error::Error;
use crate::cli::{SessionArgs, TextArgs};
use crate::config::{Config, ConfigError};
use crate::dbus::options::ClientOptions;
use crate::filter::Filter;
use crate::settings::Overrides;

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

    /// Returns the filter of the command line, or else that of the user's configuration.
    ///
    /// # Errors
    /// Returns an error if the configuration is invalid, or the time limit of the filter is.
    pub(super) fn filter(&self) -> Result<Option<Filter>, Error> {
        let mut config = match Config::path() {
            Ok(path) => Config::read(&path)?,
            Err(_) => Config::default(),
        };
        config.merge(Overrides {
            text: self.settings.clone(),
            ..Overrides::default()
        });
        config.text.check().map_err(ConfigError::from)?;
        Ok(Filter::new(&config.text.filter, config.text.filter_timeout))
    }
}
