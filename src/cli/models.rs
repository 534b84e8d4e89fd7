//! Arguments of `hearken models`.

use std::path::PathBuf;

use clap::Subcommand;

/// What to do with models.
#[derive(Debug, Clone, Subcommand)]
pub enum ModelsCommand {
    /// List the known and the installed models
    List,
    /// Download a model, verify its checksum and install it
    Fetch {
        /// A name from `hearken models list`
        name: String,
    },
    /// Install a model from weights that are on this machine
    Import {
        /// A Hugging Face or CTranslate2 directory, an OpenAI .pt or a whisper.cpp ggml .bin
        path: PathBuf,
        /// The name to install it under [default: from the path]
        #[arg(long)]
        name: Option<String>,
    },
    /// List a model's tensors with type, shape and range
    Inspect {
        /// An installed model
        name: String,
        /// Show each matrix's channel scales and quantisation error in int8
        #[arg(long)]
        int8: bool,
    },
    /// Compare installed models with their checksums
    Verify {
        /// An installed model [default: all]
        name: Option<String>,
    },
    /// Delete an installed model
    Remove {
        /// An installed model
        name: String,
    },
    /// Print where an installed model is
    Path {
        /// An installed model
        name: String,
    },
}
