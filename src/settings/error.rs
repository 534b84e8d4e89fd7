//! Errors of settings: which one is refused, why, and what would be valid.

use std::borrow::Cow;

use crate::advice::Advice;

/// Reason that a setting is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// The key is unknown.
    #[error("unknown key '{key}': {advice}")]
    Unknown {
        /// The key, with its section.
        key: String,
        /// Similar or valid keys.
        advice: String,
    },
    /// The value has the wrong type.
    #[error("{problem} in `{key}`")]
    Type {
        /// The key, with its section.
        key: String,
        /// The type that it has, and the expected one.
        problem: String,
    },
    /// The value is invalid.
    #[error("{key} is '{value}': {advice}")]
    Value {
        /// The key, with its section.
        key: String,
        /// The value.
        value: String,
        /// Valid values.
        advice: String,
    },
}

impl Advice for SettingError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Type { .. } => Some("compare it with the documented config.toml".into()),
            Self::Unknown { .. } | Self::Value { .. } => None,
        }
    }
}
