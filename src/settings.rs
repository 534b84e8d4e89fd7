//! The settings, each declared once: type, default, limits, help and place on the command line.
//!
//! In: sections of the configuration file, overridden by the command line or by a client on the
//! bus. Out: checked values.
//!
//! ```text
//! defaults ◀── config.toml: read ◀── command line or bus options: merge ──▶ check ──▶ engine, sessions
//! ```
//!
//! For each section, `settings!` makes the settings themselves (`TextSettings`) and a variant in
//! which every value is optional (`TextOverrides`). clap fills in the latter from the command line,
//! the table in `dbus::options` from the bus.

#[cfg(feature = "serve")]
pub mod address;
pub mod desktop;
mod error;
pub mod profile;

pub use error::SettingError;

use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::compute::{Compute, Device};
use crate::models::DEFAULT_MODEL;
use crate::suggest;
use crate::text::Numbers;
use crate::tokenizer::{Language, Task};
use desktop::{
    CaptionPosition, CaptionShow, Case, FocusChange, HotkeyMode, HotkeyVia, Live, Method, Purpose,
    Space,
};

/// Declares a section of the settings: for each setting its help, its option on the command line if
/// it has one, its key, type, default and limits.
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        $section:literal $settings:ident;
        $(#[$meta:meta])*
        $overrides:ident;
        $(
            $(#[doc = $doc:literal])*
            $(#[arg $arg:tt])?
            $key:ident: $type:ty = $default:expr $(, $least:literal to $most:literal)?;
        )*
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $settings {
            $($(#[doc = $doc])* pub $key: $type,)*
        }

        #[doc = concat!("Values in place of those in [`", stringify!($settings), "`].")]
        #[allow(dead_code)] // Not every section has options.
        #[derive(Debug, Clone, PartialEq, Default)]
        $(#[$meta])*
        pub struct $overrides {
            $($(#[doc = $doc])* $(#[arg $arg])? pub $key: Option<$type>,)*
        }

        impl $overrides {
            /// Takes a value of the configuration file. Returns whether there is such a key.
            #[allow(dead_code)] // Only some sections have profiles.
            fn read(
                &mut self,
                section: &str,
                key: &str,
                value: &toml::Value,
            ) -> Result<bool, SettingError> {
                match key {
                    $(stringify!($key) => self.$key = Some(read(section, key, value)?),)*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }

        impl Default for $settings {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $settings {
            /// Name of the section in the configuration file.
            pub const SECTION: &str = $section;

            /// Keys of the section.
            pub const KEYS: &[&str] = &[$(stringify!($key)),*];

            /// Takes the values of a section of the configuration file.
            ///
            /// # Errors
            /// Returns an error if a key is unknown or a value has the wrong type.
            pub fn read(&mut self, section: &toml::Table) -> Result<(), SettingError> {
                for (key, value) in section {
                    match key.as_str() {
                        $(stringify!($key) => self.$key = read($section, key, value)?,)*
                        _ => return Err(unknown($section, key, Self::KEYS)),
                    }
                }
                Ok(())
            }

            /// Takes the values that are given.
            #[allow(dead_code)] // Not every section has options.
            pub fn merge(&mut self, overrides: $overrides) {
                $(if let Some(value) = overrides.$key {
                    self.$key = value;
                })*
            }

            /// Checks the limits.
            ///
            /// # Errors
            /// Returns an error if a value is outside its limits.
            #[allow(dead_code)] // Not every section has limits.
            pub fn check(&self) -> Result<(), SettingError> {
                $($(within($section, stringify!($key), self.$key, $least, $most)?;)?)*
                Ok(())
            }
        }
    };
}

// Below the macro, which it uses.
pub mod presence;
pub mod server;

settings! {
    /// Which model runs, and how.
    "model" ModelSettings;
    ModelOverrides;
    /// Name in the model store.
    name: String = DEFAULT_MODEL.to_owned();
    /// Precision of matrix products.
    compute: Compute = Compute::Auto;
    /// CPU threads; 0 is one per core.
    threads: usize = 0;
    /// Where the encoder runs.
    device: Device = Device::Cpu;
}

settings! {
    /// Where sound comes from.
    "audio" AudioSettings;
    AudioOverrides;
    /// Id of the input device or a part of its description; empty is the default device.
    device: String = String::new();
    /// Seconds of sound kept in memory for `hearken last`; 0 keeps nothing.
    pre_capture: f64 = 0.0, 0.0 to 300.0;
    /// Seconds before its start that a session hears too, of those that `pre_capture` keeps.
    reach_back: f64 = 1.0, 0.0 to 300.0;
}

settings! {
    /// What is written.
    "text" TextSettings;
    #[derive(Args)]
    TextOverrides;
    /// Language spoken, as code or English name, e.g. de or German [default: the configuration's,
    /// else detected]
    #[arg(long, value_name = "LANGUAGE", conflicts_with = "languages")]
    language: SpokenLanguage = SpokenLanguage::default();
    /// Languages that detection chooses from, e.g. en,de,fr [default: the configuration's, else
    /// all]
    #[arg(long, value_name = "LANGUAGES", value_delimiter = ',')]
    languages: Vec<Language> = Vec::new();
    /// Write what is said, or translate it into English [default: the configuration's, else
    /// transcribe]
    #[arg(long, value_enum)]
    task: Task = Task::Transcribe;
    /// Names and terms to expect, separated by commas
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    hotwords: Vec<String> = Vec::new();
    /// Turn spoken "comma", "full stop", "new line" and the like into marks and line ends (en, de,
    /// fr, es)
    #[arg(long, num_args = 0, default_missing_value = "true")]
    spoken_punctuation: bool = false;
    /// Leave out fillers such as "um" and "uh" (docs/text.md lists them for each language)
    #[arg(long, num_args = 0, default_missing_value = "true")]
    drop_fillers: bool = false;
    /// Write numbers as Whisper does, often in words, or in digits: "twenty one" becomes 21 (en,
    /// de) [default: the configuration's, else words]
    #[arg(long, value_enum)]
    numbers: Numbers = Numbers::Words;
    /// Shell command that gets each text on its standard input and writes the text to use; if it
    /// fails, the text stays as it is
    #[arg(long, value_name = "COMMAND")]
    filter: String = String::new();
    /// Seconds that the filter may take [default: the configuration's, else 10]
    #[arg(long, value_name = "SECONDS")]
    filter_timeout: f64 = 10.0, 0.1 to 600.0;
}

settings! {
    /// Live text.
    "live" LiveSettings;
    LiveOverrides;
    /// Whether to publish it.
    partials: bool = true;
    /// Seconds between two interim passes.
    step: f64 = 0.3, 0.2 to 5.0;
}

settings! {
    /// When an utterance ends.
    "endpoint" EndpointSettings;
    EndpointOverrides;
    /// Seconds of silence after words, or "auto": sooner after a finished sentence.
    pause: EndPause = EndPause::Seconds(0.8), 0.55 to 10.0;
    /// Seconds of the longest utterance.
    longest: f64 = 15.36, 4.0 to 15.36;
    /// Seconds from the start without a word after which a session stops; 0 is never.
    nothing_said: f64 = 0.0, 0.0 to 86400.0;
}

settings! {
    /// Text into the focused field.
    "type" TypeSettings;
    TypeOverrides;
    /// Methods, in the order in which they are tried.
    methods: Vec<Method> = Method::value_variants().to_vec();
    /// When text goes in.
    live: Live = Live::Words;
    /// What happens to the rest of an utterance if the focus changes.
    focus_change: FocusChange = FocusChange::Keep;
    /// Space between utterances.
    space: Space = Space::Auto;
    /// Case of an utterance's first letter.
    case: Case = Case::Auto;
    /// Whether the recogniser reads the text before the cursor.
    context: bool = true;
    /// Whether private fields get text.
    private_fields: bool = false;
    /// Whether terminals get line ends.
    terminal_newlines: bool = false;
}

settings! {
    /// The key that starts and stops dictation.
    "hotkey" HotkeySettings;
    HotkeyOverrides;
    /// Who tells that it was pressed.
    via: HotkeyVia = HotkeyVia::Auto;
    /// The key with its modifiers, as the portal writes them.
    keys: String = "CTRL+ALT+d".to_owned();
    /// What it does.
    mode: HotkeyMode = HotkeyMode::Both;
    /// Seconds without speech after which dictation stops, so that a release that is never reported
    /// leaves no microphone open.
    silence: f64 = 20.0, 1.0 to 3600.0;
}

/// Values in place of the configuration's.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Where sound comes from.
    pub audio: AudioOverrides,
    /// What is written.
    pub text: TextOverrides,
    /// Live text.
    pub live: LiveOverrides,
    /// When an utterance ends.
    pub endpoint: EndpointOverrides,
}

impl TextOverrides {
    /// Makes language and languages consistent: a choice of languages implies detection, and a
    /// language leaves nothing to choose.
    pub fn settled(mut self) -> Self {
        match (self.language, &self.languages) {
            (None, Some(_)) => self.language = Some(SpokenLanguage(None)),
            (Some(SpokenLanguage(Some(_))), None) => self.languages = Some(Vec::new()),
            _ => {}
        }
        self
    }
}

/// Language of the speech: one of Whisper's, or `None` to detect it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpokenLanguage(pub Option<Language>);

/// Silence that ends an utterance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EndPause {
    /// It depends on what was said: 0.5 s after a finished sentence, up to 1.5 s otherwise.
    Auto,
    /// The same number of seconds after all words.
    Seconds(f64),
}

impl EndPause {
    /// Name of [`EndPause::Auto`].
    pub const AUTO: &str = "auto";
}

impl From<EndPause> for Option<f64> {
    fn from(pause: EndPause) -> Self {
        match pause {
            EndPause::Auto => None,
            EndPause::Seconds(seconds) => Some(seconds),
        }
    }
}

impl FromStr for EndPause {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == Self::AUTO {
            return Ok(Self::Auto);
        }
        let seconds = text.parse().map(Self::Seconds);
        seconds.map_err(|_| "give auto or a number of seconds".to_owned())
    }
}

/// Value that is written as a name.
pub trait Named: Sized {
    /// Finds the value.
    ///
    /// # Errors
    /// Returns advice on what to write instead.
    fn parse(name: &str) -> Result<Self, String>;

    /// Returns its name.
    #[cfg_attr(not(feature = "daemon"), allow(dead_code))]
    fn name(&self) -> &'static str;
}

impl Named for Language {
    fn parse(name: &str) -> Result<Self, String> {
        name.parse::<Self>().map_err(|error| error.to_string())
    }

    fn name(&self) -> &'static str {
        self.code()
    }
}

impl Named for SpokenLanguage {
    fn parse(name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Ok(Self(None));
        }
        Language::parse(name).map(|language| Self(Some(language)))
    }

    fn name(&self) -> &'static str {
        self.0.map_or("", Language::code)
    }
}

impl FromStr for SpokenLanguage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::parse(name)
    }
}

impl Named for Task {
    fn parse(name: &str) -> Result<Self, String> {
        choice(name, "transcribe or translate")
    }

    fn name(&self) -> &'static str {
        Self::name(*self)
    }
}

impl Named for Numbers {
    fn parse(name: &str) -> Result<Self, String> {
        choice(name, "words or digits")
    }

    fn name(&self) -> &'static str {
        Self::name(*self)
    }
}

impl Named for Compute {
    fn parse(name: &str) -> Result<Self, String> {
        choice(name, "auto, int8, f32 or, with an NPU, bf16")
    }

    fn name(&self) -> &'static str {
        Self::name(*self)
    }
}

impl Named for Device {
    fn parse(name: &str) -> Result<Self, String> {
        choice(name, "cpu, npu or npu-emulator")
    }

    fn name(&self) -> &'static str {
        Self::name(*self)
    }
}

macro_rules! named_choices {
    ($($type:ty),*) => {$(
        impl Named for $type {
            fn parse(name: &str) -> Result<Self, String> {
                choice(name, &one_of(Self::NAMES))
            }

            fn name(&self) -> &'static str {
                Self::name(*self)
            }
        }
    )*};
}

named_choices!(
    CaptionPosition,
    CaptionShow,
    Method,
    Purpose,
    Live,
    FocusChange,
    Space,
    Case,
    HotkeyVia,
    HotkeyMode
);

/// Writes names as "a, b or c".
fn one_of(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
    }
}

fn choice<T: ValueEnum>(name: &str, choices: &str) -> Result<T, String> {
    T::from_str(name, false).map_err(|_| format!("give {choices}"))
}

/// Reason that a value of the configuration file is refused.
enum Problem {
    /// It has the wrong type.
    Type(String),
    /// It is invalid.
    Value { value: String, advice: String },
}

/// Type of a value in the configuration file.
trait Value: Sized {
    fn read(value: &toml::Value) -> Result<Self, Problem>;
}

macro_rules! plain_values {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read(value: &toml::Value) -> Result<Self, Problem> {
                value.clone().try_into().map_err(|error: toml::de::Error| {
                    Problem::Type(error.message().trim().replace('\n', " "))
                })
            }
        }
    )*};
}

macro_rules! named_values {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read(value: &toml::Value) -> Result<Self, Problem> {
                let name = String::read(value)?;
                Self::parse(&name).map_err(|advice| Problem::Value {
                    value: name,
                    advice,
                })
            }
        }
    )*};
}

plain_values!(String, bool, f64, usize);
named_values!(
    Language,
    SpokenLanguage,
    Task,
    Numbers,
    Compute,
    Device,
    CaptionPosition,
    CaptionShow,
    Method,
    Purpose,
    Live,
    FocusChange,
    Space,
    Case,
    HotkeyVia,
    HotkeyMode
);

impl Value for EndPause {
    fn read(value: &toml::Value) -> Result<Self, Problem> {
        if let toml::Value::String(name) = value {
            return Self::from_str(name).map_err(|advice| Problem::Value {
                value: name.clone(),
                advice,
            });
        }
        f64::read(value).map(Self::Seconds)
    }
}

impl<T: Value> Value for Vec<T> {
    fn read(value: &toml::Value) -> Result<Self, Problem> {
        match value {
            toml::Value::Array(values) => values.iter().map(T::read).collect(),
            other => Err(Problem::Type(format!(
                "invalid type: {}, expected an array",
                other.type_str()
            ))),
        }
    }
}

/// Reads the value of a key.
fn read<T: Value>(section: &str, key: &str, value: &toml::Value) -> Result<T, SettingError> {
    T::read(value).map_err(|problem| {
        let key = format!("{section}.{key}");
        match problem {
            Problem::Type(problem) => SettingError::Type { key, problem },
            Problem::Value { value, advice } => SettingError::Value { key, value, advice },
        }
    })
}

/// Returns the error for a key that is not in `known`.
pub fn unknown(section: &str, key: &str, known: &[&str]) -> SettingError {
    let dot = if section.is_empty() { "" } else { "." };
    SettingError::Unknown {
        key: format!("{section}{dot}{key}"),
        advice: suggest::advice(key, known.iter().copied()),
    }
}

/// Checks the limits of a value, unless it is a name.
fn within(
    section: &str,
    key: &str,
    value: impl Into<Option<f64>>,
    least: f64,
    most: f64,
) -> Result<(), SettingError> {
    let Some(value) = value.into().filter(|value| !(least..=most).contains(value)) else {
        return Ok(());
    };
    Err(SettingError::Value {
        key: format!("{section}.{key}"),
        value: value.to_string(),
        advice: format!("give a number from {least} to {most}"),
    })
}

#[cfg(test)]
mod tests;
