//! The configuration: `hearken/config.toml` in the user's configuration directory. All of it is the
//! daemon's; `hearken --file` takes `model.name`, `[text]` and `[replacements]`.
//!
//! `packaging/config.toml` documents every key. A key that nothing reads is an error with the
//! nearest name, so that a slip does not go unnoticed.

use crate::advice::Advice;
use crate::compute::{Compute, ComputeError, ComputeTypes, Device};
use crate::engine::EngineOptions;
use crate::suggest;
use crate::text::{ReplacementError, Rules};
use crate::tokenizer::{Language, Task};
use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use thiserror::Error;

/// Most threads, as on the command line.
const MAX_THREADS: usize = 1024;

/// The model that runs where nobody names another.
pub const DEFAULT_MODEL: &str = "base";

/// The section whose keys are the user's.
const REPLACEMENTS: &str = "replacements";

/// The file, section by section.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Which model runs, and how.
    pub model: ModelConfig,
    /// Where sound comes from.
    pub audio: AudioConfig,
    /// What is written.
    pub text: TextConfig,
    /// Words and phrases as Whisper writes them, and what is written in their place.
    pub replacements: BTreeMap<String, String>,
    /// Text while one speaks.
    pub live: LiveConfig,
    /// When an utterance ends.
    pub endpoint: EndpointConfig,
}

/// Which model runs, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelConfig {
    /// Name in the model store.
    pub name: String,
    /// `auto`, `int8`, `f32`, or with an NPU `bf16`.
    pub compute: String,
    /// CPU threads; 0 is one for each core.
    pub threads: usize,
    /// `cpu`, `npu` or `npu-emulator`.
    pub device: String,
}

/// Where sound comes from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AudioConfig {
    /// Id or a part of the description; empty is the default device.
    pub device: String,
    /// Seconds of sound that are kept for text after the fact, up to 300; 0 is none.
    pub pre_capture: f64,
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextConfig {
    /// Code or English name; empty means that it is detected.
    pub language: String,
    /// Languages that detection chooses from; all, when empty.
    pub languages: Vec<String>,
    /// `transcribe` or `translate`.
    pub task: String,
    /// Names and terms to expect.
    pub hotwords: Vec<String>,
    /// Whether punctuation can be spoken.
    pub spoken_punctuation: bool,
}

/// Text while one speaks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveConfig {
    /// Whether there is any.
    pub partials: bool,
    /// Seconds between two guesses, 0.2 to 5.
    pub step: f64,
}

/// When an utterance ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointConfig {
    /// Seconds of silence after words, 0.55 to 10.
    pub pause: f64,
    /// Seconds of the longest utterance, 4 to 15.36.
    pub longest: f64,
    /// Seconds from the start without a word; 0 is never.
    pub nothing_said: f64,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            name: DEFAULT_MODEL.to_owned(),
            compute: "auto".to_owned(),
            threads: 0,
            device: "cpu".to_owned(),
        }
    }
}

impl Default for TextConfig {
    fn default() -> Self {
        let task = "transcribe".to_owned();
        Self {
            language: String::new(),
            languages: Vec::new(),
            task,
            hotwords: Vec::new(),
            spoken_punctuation: false,
        }
    }
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            partials: true,
            step: 0.3,
        }
    }
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            pause: 0.8,
            longest: 15.36,
            nothing_said: 0.0,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// There is nowhere to look for it.
    #[error("no configuration directory: set HOME or XDG_CONFIG_HOME, or give --config")]
    NoDirectory,
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("{}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// Something in the file makes no sense.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What.
        source: Box<Self>,
    },
    /// A key that nothing reads.
    #[error("unknown key '{key}': {advice}")]
    UnknownKey {
        /// The key, with its section.
        key: String,
        /// What may have been meant.
        advice: String,
    },
    /// A number format that the device does not have.
    #[error("model.compute and model.device do not go together: {0}")]
    Compute(#[from] ComputeError),
    /// A replacement that makes no sense.
    #[error(transparent)]
    Replacement(#[from] ReplacementError),
    /// A value that makes no sense.
    #[error("{key} is '{value}': {advice}")]
    Value {
        /// The key, with its section.
        key: &'static str,
        /// What was given.
        value: String,
        /// What may be given.
        advice: String,
    },
}

impl Advice for ConfigError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Read { .. } => "check its name and permissions".into(),
            Self::Syntax { .. } => "compare it with the documented config.toml".into(),
            Self::Replacement(error) => return error.remedy(),
            Self::InFile { source, .. } => return source.remedy(),
            _ => return None,
        })
    }
}

impl Config {
    /// The user's file: `hearken/config.toml` in `$XDG_CONFIG_HOME`.
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn path() -> Result<PathBuf, ConfigError> {
        let base = etcetera::choose_base_strategy().map_err(|_| ConfigError::NoDirectory)?;
        Ok(base.config_dir().join("hearken/config.toml"))
    }

    /// Reads a file; one that is not there is an empty one.
    ///
    /// # Errors
    /// When it cannot be read, or says something that makes no sense.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path).map_err(|error| match error {
                ConfigError::Syntax { .. } => error,
                other => ConfigError::InFile {
                    path: path.to_owned(),
                    source: Box::new(other),
                },
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let syntax = |e: &dyn ToString| {
            let reason = e.to_string().trim().replace('\n', " ");
            ConfigError::Syntax {
                path: path.to_owned(),
                reason,
            }
        };
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| syntax(&e))?;
        let known = toml::Table::try_from(Self::default()).map_err(|e| syntax(&e))?;
        only_known_keys(&table, &known, "")?;
        only_text(&table)?;
        let config: Self = table.try_into().map_err(|e: toml::de::Error| syntax(&e))?;
        config.check()?;
        Ok(config)
    }

    /// Checks the values.
    ///
    /// # Errors
    /// The first that makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.engine()?;
        self.language()?;
        self.languages()?;
        self.task()?;
        self.rules()?;
        within("audio.pre_capture", self.audio.pre_capture, 0.0, 300.0)?;
        within("live.step", self.live.step, 0.2, 5.0)?;
        within("endpoint.pause", self.endpoint.pause, 0.55, 10.0)?;
        within("endpoint.longest", self.endpoint.longest, 4.0, 15.36)?;
        within(
            "endpoint.nothing_said",
            self.endpoint.nothing_said,
            0.0,
            86_400.0,
        )
    }

    /// Returns the options of the engine.
    ///
    /// # Errors
    /// Returns an error if a value is invalid, or the device does not have the number format.
    pub fn engine(&self) -> Result<EngineOptions, ConfigError> {
        let options = EngineOptions {
            model: self.model.name.clone(),
            compute: self.compute()?,
            device: self.device()?,
            window: None,
            threads: Some(self.model.threads.min(MAX_THREADS)).filter(|n| *n > 0),
        };
        ComputeTypes::new(options.compute, options.device)?;
        Ok(options)
    }

    fn compute(&self) -> Result<Compute, ConfigError> {
        match self.model.compute.as_str() {
            "auto" => Ok(Compute::Auto),
            "int8" => Ok(Compute::Int8),
            "f32" => Ok(Compute::F32),
            "bf16" => Ok(Compute::Bf16),
            other => Err(value(
                "model.compute",
                other,
                "auto, int8, f32 or, with an NPU, bf16",
            )),
        }
    }

    fn device(&self) -> Result<Device, ConfigError> {
        let known = [Device::Cpu, Device::Npu, Device::NpuEmulator];
        let found = known
            .into_iter()
            .find(|kind| kind.name() == self.model.device);
        found.ok_or_else(|| {
            value(
                "model.device",
                &self.model.device,
                "cpu, npu or npu-emulator",
            )
        })
    }

    /// Language spoken, if it is not to be detected.
    ///
    /// # Errors
    /// When it is none of Whisper's.
    pub fn language(&self) -> Result<Option<Language>, ConfigError> {
        match self.text.language.as_str() {
            "" => Ok(None),
            name => language("text.language", name).map(Some),
        }
    }

    /// Languages that detection chooses from.
    ///
    /// # Errors
    /// When one is none of Whisper's.
    pub fn languages(&self) -> Result<Vec<Language>, ConfigError> {
        self.text
            .languages
            .iter()
            .map(|name| language("text.languages", name))
            .collect()
    }

    /// What to write.
    ///
    /// # Errors
    /// When it is none that there is.
    pub fn task(&self) -> Result<Task, ConfigError> {
        match self.text.task.as_str() {
            "transcribe" => Ok(Task::Transcribe),
            "translate" => Ok(Task::Translate),
            other => Err(value("text.task", other, "transcribe or translate")),
        }
    }

    /// What to make of the text.
    ///
    /// # Errors
    /// When a replacement makes no sense.
    pub fn rules(&self) -> Result<Rules, ConfigError> {
        Ok(Rules::new(
            &self.replacements,
            self.text.spoken_punctuation,
        )?)
    }
}

fn only_known_keys(
    table: &toml::Table,
    known: &toml::Table,
    section: &str,
) -> Result<(), ConfigError> {
    for (key, value) in table {
        match (known.get(key), value) {
            // The user's own words are its keys.
            (Some(_), _) if section.is_empty() && key == REPLACEMENTS => {}
            (None, _) => {
                let advice = suggest::advice(key, known.keys().map(String::as_str));
                return Err(ConfigError::UnknownKey {
                    key: format!("{section}{key}"),
                    advice,
                });
            }
            (Some(toml::Value::Table(known)), toml::Value::Table(table)) => {
                only_known_keys(table, known, &format!("{section}{key}."))?;
            }
            (Some(_), _) => {}
        }
    }
    Ok(())
}

/// Checks that the replacements are text, for a clearer complaint than that about a type.
fn only_text(table: &toml::Table) -> Result<(), ConfigError> {
    let replacements = table.get(REPLACEMENTS).and_then(toml::Value::as_table);
    match replacements
        .into_iter()
        .flatten()
        .find(|(_, to)| !to.is_str())
    {
        Some((from, to)) => {
            Err(ReplacementError::Type(from.clone(), to.type_str().to_owned()).into())
        }
        None => Ok(()),
    }
}

fn language(key: &'static str, name: &str) -> Result<Language, ConfigError> {
    Language::from_str(name).map_err(|e| ConfigError::Value {
        key,
        value: name.to_owned(),
        advice: e.to_string(),
    })
}

fn within(key: &'static str, given: f64, least: f64, most: f64) -> Result<(), ConfigError> {
    match (least..=most).contains(&given) {
        true => Ok(()),
        false => Err(value(
            key,
            &given.to_string(),
            &format!("a number from {least} to {most}"),
        )),
    }
}

fn value(key: &'static str, value: &str, choices: &str) -> ConfigError {
    ConfigError::Value {
        key,
        value: value.to_owned(),
        advice: format!("give {choices}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("config.toml"))
    }

    fn complaint(text: &str) -> String {
        parse(text).expect_err(text).explain()
    }

    #[test]
    fn the_documented_file_is_the_default_and_complete() {
        let documented = include_str!("../packaging/config.toml");
        assert_eq!(parse(documented).expect("valid"), Config::default());
        let table: toml::Table = documented.parse().expect("toml");
        let all = toml::Table::try_from(Config::default()).expect("a table");
        let keys = |table: &toml::Table| -> Vec<String> {
            let inner = |(k, v): (&String, &toml::Value)| match v {
                toml::Value::Table(t) => t.keys().map(|key| format!("{k}.{key}")).collect(),
                _ => vec![k.clone()],
            };
            table.iter().flat_map(inner).collect()
        };
        assert_eq!(keys(&table), keys(&all));
    }

    #[test]
    fn a_part_of_it_is_enough() {
        let config = parse("[live]\nstep = 1\n[text]\nlanguage = \"German\"").expect("valid");
        assert_eq!((config.live.step, config.live.partials), (1.0, true));
        assert_eq!(
            config.language().expect("known").map(Language::code),
            Some("de")
        );
        assert_eq!(parse("").expect("empty"), Config::default());
    }

    #[test]
    fn slips_are_told_with_what_was_meant() {
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
        let unfit = "model.compute and model.device do not go together: ";
        assert!(complaint("[model]\ncompute = \"bf16\"").starts_with(unfit));
        assert!(complaint("[model]\ncompute = \"f32\"\ndevice = \"npu\"").starts_with(unfit));
        assert!(
            complaint("[text]\nlanguage = \"Klingon\"").starts_with("text.language is 'Klingon': ")
        );
        assert!(complaint("[text]\ntask = \"sing\"").contains("transcribe or translate"));
        assert!(complaint("[endpoint]\npause = 0.1").contains("from 0.55 to 10"));
        assert!(complaint("[audio]\npre_capture = 1e9").contains("from 0 to 300"));
        assert!(complaint("[live]\nstep = \"fast\"").starts_with("config.toml: "));
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
            twice.contains("'new  york': 'New York' is the same") && twice.contains("keep one"),
            "{twice}"
        );
        assert!(
            complaint("[replacements]\nbell = \"\\u0007\"")
                .contains("control character '\\u{7}'; leave")
        );
        assert!(complaint("replacements = 3").starts_with("config.toml: "));
        assert!(complaint("[live").starts_with("config.toml: "));
        assert!(complaint("live = 3").starts_with("config.toml: "));
    }
}
