//! The configuration: `hearken/config.toml` in the user's configuration directory. The daemon uses
//! all of it; `hearken --file` uses `model.name`, `[text]` and `[replacements]`.
//!
//! In: the file. Out: a [`Config`], checked. `packaging/config.toml` documents every key. An unknown
//! key is an error that suggests the nearest name, so that a typo does not go unnoticed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use thiserror::Error;

use crate::advice::Advice;
use crate::compute::{ComputeError, ComputeTypes};
use crate::engine::EngineOptions;
use crate::settings::presence::{CaptionSettings, DesktopSettings};
use crate::settings::profile::Profile;
use crate::settings::server::ServerSettings;
use crate::settings::{
    AudioSettings, EndpointSettings, HotkeySettings, LiveSettings, ModelSettings, Overrides,
    SettingError, TextSettings, TypeSettings, unknown,
};
use crate::text::{ReplacementError, RuleOptions, Rules};

/// Section whose keys the user chooses.
const REPLACEMENTS: &str = "replacements";

/// Largest number of threads, as on the command line.
#[cfg_attr(not(feature = "daemon"), allow(dead_code))]
const MAX_THREADS: usize = 1024;

/// Names of the sections.
const SECTIONS: [&str; 12] = [
    ModelSettings::SECTION,
    AudioSettings::SECTION,
    TextSettings::SECTION,
    REPLACEMENTS,
    LiveSettings::SECTION,
    EndpointSettings::SECTION,
    TypeSettings::SECTION,
    HotkeySettings::SECTION,
    DesktopSettings::SECTION,
    CaptionSettings::SECTION,
    ServerSettings::SECTION,
    Profile::SECTION,
];

/// The file, section by section.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Which model runs, and how.
    pub model: ModelSettings,
    /// Where sound comes from.
    pub audio: AudioSettings,
    /// What is written.
    pub text: TextSettings,
    /// Words and phrases as Whisper writes them, and their replacements.
    pub replacements: BTreeMap<String, String>,
    /// Live text.
    pub live: LiveSettings,
    /// When an utterance ends.
    pub endpoint: EndpointSettings,
    /// Text into the focused field.
    pub typing: TypeSettings,
    /// The key that starts and stops dictation.
    pub hotkey: HotkeySettings,
    /// What the agent of the desktop shows and does.
    pub desktop: DesktopSettings,
    /// Text on the screen.
    pub captions: CaptionSettings,
    /// What programs that speak another protocol than D-Bus may do.
    pub server: ServerSettings,
    /// Settings of text in some fields, later ones over earlier ones.
    pub profiles: Vec<Profile>,
}

/// Reason that a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// No directory to look for it is known.
    #[error("no configuration directory: set HOME or XDG_CONFIG_HOME, or give --config")]
    NoDirectory,
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// Something in the file is invalid.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<Self>,
    },
    /// The file is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A setting is unknown or invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The device does not have the number format.
    #[error("model.compute and model.device are incompatible: {0}")]
    Compute(#[from] ComputeError),
    /// A replacement is invalid.
    #[error(transparent)]
    Replacement(#[from] ReplacementError),
}

impl Advice for ConfigError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Read { .. } => Some("check its name and permissions".into()),
            Self::InFile { source, .. } => source.remedy(),
            Self::Syntax(_) => Some("compare it with the documented config.toml".into()),
            Self::Setting(error) => error.remedy(),
            Self::Replacement(error) => error.remedy(),
            Self::NoDirectory | Self::Compute(_) => None,
        }
    }
}

impl Config {
    /// Returns the path of the user's file: `hearken/config.toml` in `$XDG_CONFIG_HOME`.
    ///
    /// # Errors
    /// Returns an error if there is no home directory.
    pub fn path() -> Result<PathBuf, ConfigError> {
        let base = etcetera::choose_base_strategy().map_err(|_| ConfigError::NoDirectory)?;
        Ok(base.config_dir().join("hearken/config.toml"))
    }

    /// Reads a file; a missing one counts as empty.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or is invalid.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|error| ConfigError::InFile {
                path: path.to_owned(),
                source: Box::new(error),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn parse(text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::Syntax(error.to_string().trim().replace('\n', " "))
        })?;
        let mut config = Self::default();
        for (name, section) in &table {
            if !SECTIONS.contains(&name.as_str()) {
                return Err(unknown("", name, &SECTIONS).into());
            }
            if name == Profile::SECTION {
                config.profiles = profiles(section)?;
                continue;
            }
            let section = table_of(name, section)?;
            match name.as_str() {
                ModelSettings::SECTION => config.model.read(section)?,
                AudioSettings::SECTION => config.audio.read(section)?,
                TextSettings::SECTION => config.text.read(section)?,
                LiveSettings::SECTION => config.live.read(section)?,
                EndpointSettings::SECTION => config.endpoint.read(section)?,
                TypeSettings::SECTION => config.typing.read(section)?,
                HotkeySettings::SECTION => config.hotkey.read(section)?,
                DesktopSettings::SECTION => config.desktop.read(section)?,
                CaptionSettings::SECTION => config.captions.read(section)?,
                ServerSettings::SECTION => config.server.read(section)?,
                _ => config.replacements = replacements(section)?,
            }
        }
        config.check()?;
        Ok(config)
    }

    /// Overrides values with those of the command line or a client.
    pub fn merge(&mut self, overrides: Overrides) {
        self.audio.merge(overrides.audio);
        self.text.merge(overrides.text.settled());
        self.live.merge(overrides.live);
        self.endpoint.merge(overrides.endpoint);
    }

    /// Checks the values.
    ///
    /// # Errors
    /// Returns an error for the first invalid value.
    pub fn check(&self) -> Result<(), ConfigError> {
        ComputeTypes::new(self.model.compute, self.model.device)?;
        self.rules()?;
        self.audio.check()?;
        self.text.check()?;
        self.live.check()?;
        self.endpoint.check()?;
        self.hotkey.check()?;
        self.desktop.check()?;
        self.captions.check()?;
        self.server.check()?;
        Ok(())
    }

    /// Returns the options of the engine.
    #[cfg_attr(not(feature = "daemon"), allow(dead_code))]
    pub fn engine(&self) -> EngineOptions {
        EngineOptions {
            model: self.model.name.clone(),
            compute: self.model.compute,
            device: self.model.device,
            window: None,
            threads: Some(self.model.threads.min(MAX_THREADS)).filter(|n| *n > 0),
        }
    }

    /// Returns the rules that the text passes through.
    ///
    /// # Errors
    /// Returns an error if a replacement is invalid.
    pub fn rules(&self) -> Result<Rules, ConfigError> {
        Ok(Rules::new(
            &self.replacements,
            RuleOptions {
                spoken_punctuation: self.text.spoken_punctuation,
                drop_fillers: self.text.drop_fillers,
                numbers: self.text.numbers,
            },
        )?)
    }
}

fn table_of<'a>(name: &str, section: &'a toml::Value) -> Result<&'a toml::Table, SettingError> {
    section.as_table().ok_or_else(|| SettingError::Type {
        key: name.to_owned(),
        problem: format!("invalid type: {}, expected a table", section.type_str()),
    })
}

fn profiles(sections: &toml::Value) -> Result<Vec<Profile>, SettingError> {
    let sections = sections.as_array().ok_or_else(|| SettingError::Type {
        key: Profile::SECTION.to_owned(),
        problem: format!(
            "invalid type: {}, expected [[profile]]",
            sections.type_str()
        ),
    })?;
    let read = |section| Profile::read(table_of(Profile::SECTION, section)?);
    sections.iter().map(read).collect()
}

fn replacements(section: &toml::Table) -> Result<BTreeMap<String, String>, ReplacementError> {
    let pairs = section.iter().map(|(from, to)| match to.as_str() {
        Some(text) => Ok((from.clone(), text.to_owned())),
        None => Err(ReplacementError::Type(
            from.clone(),
            to.type_str().to_owned(),
        )),
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Named;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text)
    }

    fn complaint(text: &str) -> String {
        parse(text).expect_err(text).explain()
    }

    #[test]
    fn the_documented_file_is_the_default_and_complete() {
        let documented = include_str!("../packaging/config.toml");
        assert_eq!(parse(documented).expect("valid"), Config::default());
        let table: toml::Table = documented.parse().expect("toml");
        let keys = |section: &str| -> Vec<String> {
            let section = table.get(section).and_then(toml::Value::as_table);
            let section = section.expect("every section is there");
            section.keys().cloned().collect()
        };
        let sorted = |known: &[&'static str]| {
            let mut known = known.to_vec();
            known.sort_unstable();
            known
        };
        // A profile is for somebody's program, so it stands in a comment.
        let mut sections = sorted(&SECTIONS);
        sections.retain(|section| *section != Profile::SECTION);
        assert_eq!(table.keys().collect::<Vec<_>>(), sections);
        assert_eq!(keys(ModelSettings::SECTION), sorted(ModelSettings::KEYS));
        assert_eq!(keys(AudioSettings::SECTION), sorted(AudioSettings::KEYS));
        assert_eq!(keys(TextSettings::SECTION), sorted(TextSettings::KEYS));
        assert_eq!(keys(LiveSettings::SECTION), sorted(LiveSettings::KEYS));
        assert_eq!(
            keys(EndpointSettings::SECTION),
            sorted(EndpointSettings::KEYS)
        );
        assert_eq!(keys(TypeSettings::SECTION), sorted(TypeSettings::KEYS));
        assert_eq!(keys(HotkeySettings::SECTION), sorted(HotkeySettings::KEYS));
    }

    #[test]
    fn profiles_change_settings_for_some_programs() {
        let text = "[[profile]]\nprogram = \"slack\"\nlive = \"final\"\n\
            [[profile]]\npurpose = \"terminal\"\nmethods = [\"paste\"]\ncontext = false";
        let config = parse(text).expect("valid");
        let [slack, terminal] = &config.profiles[..] else {
            panic!("two profiles");
        };
        assert_eq!((slack.program.as_str(), slack.purpose), ("slack", None));
        assert_eq!(slack.changes.live.map(|live| live.name()), Some("final"));
        assert_eq!(
            terminal.purpose.map(|purpose| purpose.name()),
            Some("terminal")
        );
        assert_eq!(terminal.changes.context, Some(false));
        assert_eq!(
            complaint("[[profile]]\nlvie = \"final\""),
            "unknown key 'profile.lvie': did you mean 'live'?"
        );
        assert_eq!(
            complaint("[type]\nlive = \"never\""),
            "type.live is 'never': give words, preedit or final"
        );
        assert!(complaint("[profile]\nlive = \"final\"").contains("expected [[profile]]"));
        assert!(complaint("[hotkey]\nsilence = 0").contains("from 1 to 3600"));
    }

    #[test]
    fn a_part_of_it_is_enough() {
        let config = parse("[live]\nstep = 1\n[text]\nlanguage = \"German\"").expect("valid");
        assert_eq!((config.live.step, config.live.partials), (1.0, true));
        assert_eq!(config.text.language.name(), "de");
        assert_eq!(parse("").expect("empty"), Config::default());
    }

    #[test]
    fn typos_are_answered_with_a_suggestion() {
        assert_eq!(
            complaint("[modle]\nname = \"tiny\""),
            "unknown key 'modle': did you mean 'model'?"
        );
        assert_eq!(
            complaint("[audio]\ndevcie = \"x\""),
            "unknown key 'audio.devcie': did you mean 'device'?"
        );
        assert!(complaint("[live]\nxyzzy = 1").contains("there are partials, step"));
        assert!(
            complaint("[model]\ncompute = \"f16\"")
                .contains("auto, int8, f32 or, with an NPU, bf16")
        );
        let unfit = "model.compute and model.device are incompatible: ";
        assert!(complaint("[model]\ncompute = \"bf16\"").starts_with(unfit));
        assert!(complaint("[model]\ncompute = \"f32\"\ndevice = \"npu\"").starts_with(unfit));
        assert!(
            complaint("[text]\nlanguage = \"Klingon\"").starts_with("text.language is 'Klingon': ")
        );
        assert!(complaint("[text]\ntask = \"sing\"").contains("transcribe or translate"));
        assert!(complaint("[endpoint]\npause = 0.1").contains("from 0.55 to 10"));
        assert!(complaint("[audio]\npre_capture = 1e9").contains("from 0 to 300"));
        assert_eq!(
            complaint("[live]\nstep = \"fast\""),
            "invalid type: string \"fast\", expected f64 in `live.step`; compare it with the \
             documented config.toml"
        );
        assert!(
            complaint("[replacements]\n\" \" = \"x\"")
                .contains("replacements.' ': the left side is empty; write")
        );
        assert!(
            complaint("[replacements]\nnode.js = \"Node.js\"")
                .contains("replacements.'node' is of type table, not text; write")
        );
        assert!(
            complaint("[replacements]\nsix = 6").contains("replacements.'six' is of type integer")
        );
        let twice = complaint("[replacements]\n\"New York\" = \"NY\"\n\"new  york\" = \"N.Y.\"");
        assert!(
            twice.contains("'new  york': 'New York' differs only in case and spaces")
                && twice.contains("keep one"),
            "{twice}"
        );
        assert!(
            complaint("[replacements]\nbell = \"\\u0007\"")
                .contains("control character '\\u{7}'; remove")
        );
        let no_table = "invalid type: integer, expected a table in `";
        assert!(complaint("replacements = 3").starts_with(no_table));
        assert!(complaint("live = 3").starts_with(no_table));
        assert!(complaint("[live").ends_with("; compare it with the documented config.toml"));
    }

    #[test]
    fn a_wrong_file_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "[live]\nstep = 99").expect("a file");
        let complaint = Config::read(&path).expect_err("out of limits").explain();
        let expected = "config.toml: live.step is '99': give a number from 0.2 to 5";
        assert!(complaint.ends_with(expected), "{complaint}");
    }
}
