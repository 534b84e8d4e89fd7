//! Arguments of the commands that put text into the focused window.

use clap::{Args, Subcommand};

use super::dictation::SessionArgs;
use crate::settings::desktop::{Compositor, Method};

/// Commands of dictation into the focused window.
#[derive(Debug, Subcommand)]
pub enum DesktopCommand {
    /// Dictate into the focused window until Ctrl-C, or put a given text in
    #[command(
        after_help = "Examples:\n  hearken type\n      Dictate into the window that has the focus.\n  \
                      sleep 3; hearken type --text 'Grüße, 世界'\n      Put this text in after three seconds."
    )]
    Type(TypeArgs),
    /// Dictate into the focused window by a hotkey, for as long as the desktop session lasts
    Desktop {
        /// Take the place of a running one
        #[arg(long)]
        replace: bool,
    },
    /// Check what dictation needs, mend what is missing after asking, and try it
    Setup(SetupArgs),
    /// Show what is said on the screen, by default what the machine plays, until Ctrl-C
    #[cfg(feature = "captions")]
    Captions(CaptionsArgs),
    /// Delete what was dictated last, if it still stands before the cursor; needs hearken desktop
    Undo,
    /// Print the lines of a compositor's configuration that make a key dictate
    Hotkey {
        /// The compositor
        #[arg(long, value_enum, value_name = "COMPOSITOR")]
        print: Compositor,
    },
}

/// Arguments of `setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Mend what is missing without asking
    #[arg(long)]
    pub yes: bool,
    /// Leave out the sentence at the end
    #[arg(long)]
    pub no_trial: bool,
}

/// Arguments of `captions`.
#[cfg(feature = "captions")]
#[derive(Debug, Args)]
pub struct CaptionsArgs {
    /// The session; without --device, the sound that the machine plays.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Arguments of `type`.
#[derive(Debug, Args)]
pub struct TypeArgs {
    /// The session.
    #[command(flatten)]
    pub session: SessionArgs,
    /// Put this text in instead of speech; - reads standard input
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// Put in one of the latest texts of hearken desktop again; 0, the default, is the last
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0", conflicts_with = "text")]
    pub again: Option<u32>,
    /// Use this method alone [default: the first that reaches the focused field]
    #[arg(long, value_enum, value_name = "METHOD")]
    pub method: Option<Method>,
    /// With --text: fail with exit code 13 unless the field shows that the text has arrived
    #[arg(long, requires = "text")]
    pub verify: bool,
    /// Give back what the process on standard input has taken, once it has ended.
    #[arg(long, hide = true)]
    pub guard: bool,
}
