//! Arguments of `serve`.

use std::path::PathBuf;

use clap::Args;

use crate::settings::address::Address;

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Serve OpenAI's API there: HOST:PORT, a port of this machine, or the path of a Unix socket
    /// [without a value: 127.0.0.1:8674]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:8674")]
    pub http: Vec<Address>,
    /// Configuration file [default: hearken/config.toml in the configuration directory]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of the model, as hearken models list shows it [default: the configuration's]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// File with the token that clients have to send as their API key; needed if other machines can
    /// reach the address [default: the configuration's]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}
