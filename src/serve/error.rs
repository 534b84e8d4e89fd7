//! Reasons that a server cannot run.

use std::borrow::Cow;
use std::io;

use super::listener::BindError;
use crate::advice::Advice;

/// Reason that a server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened at.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An address can be reached by others, and there is no token.
    #[error("{address}: can be reached from other machines, which needs a token")]
    Open {
        /// The address.
        address: String,
    },
    /// There is nothing to serve.
    #[error("there is no address to serve at")]
    NoAddress,
    /// The token cannot be read.
    #[error("the token in {path} cannot be used: {reason}")]
    Token {
        /// Its file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The system refuses what a server needs.
    #[error("the server cannot run: {0}")]
    System(#[from] io::Error),
}

impl Advice for ServerError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Bind(error) => error.remedy(),
            Self::Open { .. } => {
                Some("give --token-file, or server.token_file in the configuration".into())
            }
            Self::NoAddress => Some("give --http".into()),
            Self::Token { .. } | Self::System(_) => None,
        }
    }
}
