//! When dictation shows captions. They are opened at the first text, since fonts take memory.

use super::moment::Heard;
use crate::settings::presence::CaptionSettings;

#[cfg(feature = "captions")]
use {
    super::caption::Caption, crate::advice::Advice, crate::settings::desktop::CaptionShow,
    tracing::info,
};

/// The captions of the agent.
#[cfg(feature = "captions")]
pub struct Captions {
    settings: CaptionSettings,
    caption: Option<Caption>,
    /// Whether it is known that there are none.
    is_impossible: bool,
}

#[cfg(feature = "captions")]
impl Captions {
    pub fn new(settings: &CaptionSettings) -> Self {
        Self {
            settings: settings.clone(),
            caption: None,
            is_impossible: settings.show == CaptionShow::Never,
        }
    }

    /// Shows text, unless its field does.
    pub fn hear(&mut self, heard: &Heard) {
        if heard.is_shown && self.settings.show != CaptionShow::Always {
            self.fade();
        } else if let Some(caption) = self.caption() {
            caption.hear(&heard.committed, &heard.interim, heard.is_final);
        }
    }

    /// Shows a message.
    pub fn say(&mut self, message: &str) {
        if let Some(caption) = self.caption() {
            caption.say(message);
        }
    }

    /// Takes off soon what is shown.
    pub fn fade(&mut self) {
        if let Some(caption) = &self.caption {
            caption.fade();
        }
    }

    fn caption(&mut self) -> Option<&Caption> {
        if self.caption.is_none() && !self.is_impossible {
            match Caption::open(&self.settings) {
                Ok(caption) => self.caption = Some(caption),
                Err(error) => {
                    info!("{}", error.explain());
                    self.is_impossible = true;
                }
            }
        }
        self.caption.as_ref()
    }
}

/// Without the feature `captions`, there are none.
#[cfg(not(feature = "captions"))]
pub struct Captions;

#[cfg(not(feature = "captions"))]
impl Captions {
    pub fn new(_settings: &CaptionSettings) -> Self {
        Self
    }

    pub fn hear(&mut self, _heard: &Heard) {}

    pub fn say(&mut self, _message: &str) {}

    pub fn fade(&mut self) {}
}
