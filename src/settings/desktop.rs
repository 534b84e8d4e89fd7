//! Choices of the settings of text in the focused field and of the hotkey.

use clap::ValueEnum;

/// Declares an enumeration whose values have names in the configuration, and some on the command
/// line.
macro_rules! choices {
    (
        $(#[$meta:meta])* $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident $word:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
        pub enum $name {
            $( $(#[$variant_meta])* #[value(name = $word)] $variant ),+
        }

        impl $name {
            /// All names, for messages.
            pub const NAMES: &[&str] = &[$($word),+];

            /// Returns the name in the configuration.
            pub fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $word ),+
                }
            }
        }
    };
}

choices! {
    /// A way to put text into the focused field.
    Method {
        /// IBus: as an engine, or as a guest beside the engine in use
        Ibus "ibus",
        /// Fcitx 5 with Hearken's addon
        Fcitx "fcitx",
        /// The compositor's input method protocol
        Wayland "wayland",
        /// The clipboard and a key combination; knows whether the text was read
        Paste "paste",
        /// Keys, on X11
        Xtest "xtest",
        /// The clipboard alone; the user pastes
        Clipboard "clipboard",
    }
}

choices! {
    /// What a field is for.
    #[derive(Default)]
    Purpose {
        /// Text
        #[default]
        Text "text",
        /// A password or PIN
        Secret "secret",
        /// Text that the program asks not to be remembered
        Private "private",
        /// A terminal
        Terminal "terminal",
    }
}

choices! {
    /// When text is put in.
    Live {
        /// Words as they are committed; interim text is shown
        Words "words",
        /// At the end of an utterance; until then all of it is shown
        Preedit "preedit",
        /// At the end of an utterance; nothing is shown
        Final "final",
    }
}

choices! {
    /// What happens to the rest of an utterance if the focus changes.
    FocusChange {
        /// It waits for its field, or for hearken type --again
        Keep "keep",
        /// It goes into the new field
        Follow "follow",
        /// As keep, and dictation stops
        Stop "stop",
    }
}

choices! {
    /// Space between utterances.
    Space {
        /// Before an utterance, if what precedes it needs one
        Auto "auto",
        /// After each utterance
        After "after",
        /// None
        None "none",
    }
}

choices! {
    /// Case of an utterance's first letter.
    Case {
        /// Lower case within a sentence
        Auto "auto",
        /// As it was recognised
        Keep "keep",
    }
}

/// A compositor or window manager whose configuration runs hearken when a key is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // They are names.
pub enum Compositor {
    Sway,
    Hyprland,
    Niri,
    River,
    Labwc,
    I3,
}

choices! {
    /// What a hotkey does.
    HotkeyMode {
        /// Dictate while it is held
        Hold "hold",
        /// Start and stop
        Toggle "toggle",
        /// A short press starts or stops, a long one is held
        Both "both",
    }
}

choices! {
    /// Who tells that a hotkey was pressed.
    HotkeyVia {
        /// The portal, or X11
        Auto "auto",
        /// The GlobalShortcuts portal
        Portal "portal",
        /// A grab of the X server
        X11 "x11",
        /// Nobody: the compositor's configuration runs hearken
        None "none",
    }
}

choices! {
    /// When dictation shows its text on the screen.
    CaptionShow {
        /// Where the field cannot show interim text
        Auto "auto",
        /// Always
        Always "always",
        /// Never
        Never "never",
    }
}

choices! {
    /// Edge of the screen at which text is shown.
    CaptionPosition {
        /// The lower one
        Bottom "bottom",
        /// The upper one
        Top "top",
    }
}
