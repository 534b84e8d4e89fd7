//! Settings of text for some programs or fields.

use super::desktop::Purpose;
use super::{SettingError, TypeOverrides, TypeSettings, read, unknown};

/// Settings in place of those of `[type]`, for some fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// Part of the program's name, in any case; empty for all programs.
    pub program: String,
    /// Purpose of the field; `None` for all.
    pub purpose: Option<Purpose>,
    /// The settings.
    pub changes: TypeOverrides,
}

impl Profile {
    /// Name of the sections in the configuration file.
    pub const SECTION: &str = "profile";

    /// Reads a section of the configuration file.
    ///
    /// # Errors
    /// Returns an error if a key is unknown or a value is invalid.
    pub fn read(section: &toml::Table) -> Result<Self, SettingError> {
        let mut profile = Self::default();
        for (key, value) in section {
            match key.as_str() {
                "program" => profile.program = read(Self::SECTION, key, value)?,
                "purpose" => profile.purpose = Some(read(Self::SECTION, key, value)?),
                _ if profile.changes.read(Self::SECTION, key, value)? => {}
                _ => {
                    let mut known = vec!["program", "purpose"];
                    known.extend(TypeSettings::KEYS);
                    return Err(unknown(Self::SECTION, key, &known));
                }
            }
        }
        Ok(profile)
    }
}
