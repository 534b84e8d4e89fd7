//! Arguments of `hearken models`.

use std::path::PathBuf;

use clap::Subcommand;

/// What to do with models.
#[derive(Debug, Clone, Subcommand)]
pub enum ModelsCommand {
    /// List published and installed models
    List,
    /// Download a model, verify its checksum and install it
    #[cfg(feature = "fetch")]
    Fetch {
        /// Name of a model, as hearken models list shows it
        name: String,
    },
    /// Install a model from weights on this machine
    Import {
        /// A Hugging Face or CTranslate2 directory, an OpenAI .pt or a whisper.cpp ggml .bin
        path: PathBuf,
        /// Name of the installed model [default: from the path]
        #[arg(long)]
        name: Option<String>,
    },
    /// List a model's tensors: type, shape and range of values
    Inspect {
        /// Name of an installed model
        name: String,
        /// Show each matrix's channel scales and quantisation error in int8
        #[arg(long)]
        int8: bool,
    },
    /// Check installed models against their checksums
    Verify {
        /// Name of an installed model [default: all]
        name: Option<String>,
    },
    /// Delete an installed model
    Remove {
        /// Name of an installed model
        name: String,
    },
    /// Print the path of an installed model
    Path {
        /// Name of an installed model
        name: String,
    },
}
