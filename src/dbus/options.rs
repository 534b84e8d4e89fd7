//! The `a{sv}` options of methods, in one table: the daemon reads them by it and the client writes
//! them.
//!
//! In: options from the bus or the command line. Out: [`ClientOptions`] over the configuration, or
//! options for the bus.

use std::collections::HashMap;

use zbus::{OwnedVariant, Variant};

use super::BusError;
use crate::advice::Advice;
use crate::config::Config;
use crate::session::SessionSettings;
use crate::settings::{EndPause, Named, Overrides, SettingError, SpokenLanguage};
use crate::suggest;
use crate::text::Numbers;
use crate::tokenizer::{Language, Task};

/// Options as received from the bus.
pub(super) type Options = HashMap<String, OwnedVariant>;

/// Options of a session or job; the daemon's configuration provides the rest.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientOptions {
    /// Values in place of the configuration's.
    pub settings: Overrides,
    /// Text that precedes the speech.
    pub prompt: Option<String>,
    /// Whether to broadcast the text as well.
    pub captions: Option<bool>,
    /// Whether to report how loud the microphone is.
    pub levels: Option<bool>,
}

/// Methods that accept an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Sessions only.
    Sessions,
    /// Sessions and jobs.
    Jobs,
}

/// An option.
struct BusOption {
    /// Key in the configuration, or the option's name if the configuration does not have it.
    key: &'static str,
    scope: Scope,
    signature: &'static str,
    read: fn(&mut ClientOptions, OwnedVariant) -> Result<(), WrongValue>,
    write: fn(&ClientOptions) -> Option<Variant<'static>>,
}

impl BusOption {
    /// Returns its name on the bus.
    fn name(&self) -> &'static str {
        self.key.rsplit('.').next().unwrap_or(self.key)
    }
}

/// Declares the options: key, scope, field.
macro_rules! options {
    ($($key:literal $scope:ident $($field:ident).+: $type:ty;)*) => {
        [$(BusOption {
            key: $key,
            scope: Scope::$scope,
            signature: <$type as BusValue>::SIGNATURE,
            read: |options, value| {
                options.$($field).+ = Some(<$type as BusValue>::read(value)?);
                Ok(())
            },
            write: |options| options.$($field).+.as_ref().map(<$type as BusValue>::write),
        }),*]
    };
}

/// All options. [`ClientOptions`] has the fields; `packaging/dbus` documents them.
const OPTIONS: &[BusOption] = &options! {
    "audio.device" Sessions settings.audio.device: String;
    "audio.reach_back" Sessions settings.audio.reach_back: f64;
    "text.language" Jobs settings.text.language: SpokenLanguage;
    "text.languages" Jobs settings.text.languages: Vec<Language>;
    "text.task" Jobs settings.text.task: Task;
    "prompt" Jobs prompt: String;
    "text.hotwords" Jobs settings.text.hotwords: Vec<String>;
    "text.spoken_punctuation" Jobs settings.text.spoken_punctuation: bool;
    "text.drop_fillers" Jobs settings.text.drop_fillers: bool;
    "text.numbers" Jobs settings.text.numbers: Numbers;
    "live.partials" Sessions settings.live.partials: bool;
    "live.step" Sessions settings.live.step: f64;
    "endpoint.pause" Sessions settings.endpoint.pause: EndPause;
    "endpoint.longest" Sessions settings.endpoint.longest: f64;
    "endpoint.nothing_said" Sessions settings.endpoint.nothing_said: f64;
    "captions" Sessions captions: bool;
    "levels" Sessions levels: bool;
};

/// Settings that a client requests for a session or job.
pub(super) struct Request {
    pub settings: SessionSettings,
    /// Whether to broadcast the text as well.
    pub captions: bool,
}

/// Reads options, which override `config`.
pub(super) fn read(
    mut config: Config,
    options: Options,
    scope: Scope,
) -> Result<Request, BusError> {
    let mut given = ClientOptions::default();
    for (name, value) in options {
        let mut known = known(scope);
        let Some(option) = known.find(|option| option.name() == name) else {
            return Err(unknown(&name, scope));
        };
        (option.read)(&mut given, value).map_err(|wrong| wrong.of(option))?;
    }
    let invalid = |error: &dyn Advice| BusError::InvalidOption(error.explain());
    config.merge(given.settings);
    config.check().map_err(|error| invalid(&error))?;
    let settings = SessionSettings::new(&config).map_err(|error| invalid(&error))?;
    Ok(Request {
        settings: SessionSettings {
            prompt: given.prompt.unwrap_or_default(),
            levels: given.levels.unwrap_or_default(),
            ..settings
        },
        captions: given.captions.unwrap_or_default(),
    })
}

/// Writes options for the bus.
pub(crate) fn write(options: &ClientOptions) -> HashMap<&'static str, Variant<'static>> {
    OPTIONS
        .iter()
        .filter_map(|option| Some((option.name(), (option.write)(options)?)))
        .collect()
}

fn known(scope: Scope) -> impl Iterator<Item = &'static BusOption> {
    OPTIONS
        .iter()
        .filter(move |option| scope == Scope::Sessions || option.scope == Scope::Jobs)
}

fn unknown(name: &str, scope: Scope) -> BusError {
    BusError::InvalidOption(format!(
        "unknown option '{name}': {}",
        suggest::advice(name, known(scope).map(BusOption::name))
    ))
}

/// Reason that the value of an option is refused.
enum WrongValue {
    /// It has the wrong type.
    Type,
    /// It is an unknown name.
    Name { value: String, advice: String },
}

impl WrongValue {
    fn of(self, option: &BusOption) -> BusError {
        BusError::InvalidOption(match self {
            Self::Type => format!(
                "option '{}' has a value of the wrong type; give one of type {}",
                option.name(),
                option.signature
            ),
            Self::Name { value, advice } => SettingError::Value {
                key: option.key.to_owned(),
                value,
                advice,
            }
            .explain(),
        })
    }
}

/// Type of an option's value.
trait BusValue: Sized {
    /// Its D-Bus signature.
    const SIGNATURE: &'static str;

    fn read(value: OwnedVariant) -> Result<Self, WrongValue>;

    fn write(&self) -> Variant<'static>;
}

impl BusValue for String {
    const SIGNATURE: &'static str = "s";

    fn read(value: OwnedVariant) -> Result<Self, WrongValue> {
        Self::try_from(value).map_err(|_| WrongValue::Type)
    }

    fn write(&self) -> Variant<'static> {
        self.clone().into()
    }
}

impl BusValue for Vec<String> {
    const SIGNATURE: &'static str = "as";

    fn read(value: OwnedVariant) -> Result<Self, WrongValue> {
        Self::try_from(value).map_err(|_| WrongValue::Type)
    }

    fn write(&self) -> Variant<'static> {
        self.clone().into()
    }
}

impl BusValue for bool {
    const SIGNATURE: &'static str = "b";

    fn read(value: OwnedVariant) -> Result<Self, WrongValue> {
        Self::try_from(value).map_err(|_| WrongValue::Type)
    }

    fn write(&self) -> Variant<'static> {
        (*self).into()
    }
}

impl BusValue for f64 {
    const SIGNATURE: &'static str = "d";

    /// Accepts any numeric type of D-Bus, since scripting languages choose one by the value.
    fn read(value: OwnedVariant) -> Result<Self, WrongValue> {
        match Variant::from(value) {
            Variant::F64(x) => Ok(x),
            Variant::I32(x) => Ok(Self::from(x)),
            Variant::U32(x) => Ok(Self::from(x)),
            Variant::I64(x) => Ok(x as Self),
            Variant::U64(x) => Ok(x as Self),
            _ => Err(WrongValue::Type),
        }
    }

    fn write(&self) -> Variant<'static> {
        (*self).into()
    }
}

impl BusValue for EndPause {
    const SIGNATURE: &'static str = "d or s";

    fn read(value: OwnedVariant) -> Result<Self, WrongValue> {
        match Variant::from(value) {
            Variant::Str(name) => name.parse().map_err(|advice| WrongValue::Name {
                value: name.to_string(),
                advice,
            }),
            number => {
                let number = OwnedVariant::try_from(number).map_err(|_| WrongValue::Type)?;
                f64::read(number).map(Self::Seconds)
            }
        }
    }

    fn write(&self) -> Variant<'static> {
        match *self {
            Self::Auto => Self::AUTO.into(),
            Self::Seconds(seconds) => seconds.into(),
        }
    }
}

/// Values that are names on the bus.
macro_rules! named_values {
    ($($type:ty),*) => {$(
        impl BusValue for $type {
            const SIGNATURE: &'static str = "s";

            fn read(value: OwnedVariant) -> Result<Self, WrongValue> {
                named(String::read(value)?)
            }

            fn write(&self) -> Variant<'static> {
                Named::name(self).into()
            }
        }
    )*};
}

named_values!(SpokenLanguage, Task, Numbers);

impl BusValue for Vec<Language> {
    const SIGNATURE: &'static str = "as";

    fn read(value: OwnedVariant) -> Result<Self, WrongValue> {
        let names = Vec::<String>::read(value)?;
        names.into_iter().map(named).collect()
    }

    fn write(&self) -> Variant<'static> {
        let codes: Vec<String> = self.iter().map(|code| code.code().to_owned()).collect();
        codes.into()
    }
}

fn named<T: Named>(name: String) -> Result<T, WrongValue> {
    T::parse(&name).map_err(|advice| WrongValue::Name {
        value: name,
        advice,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&str, Variant<'static>)]) -> Options {
        let owned =
            |value: &Variant<'static>| OwnedVariant::try_from(value).expect("no file descriptors");
        given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), owned(value)))
            .collect()
    }

    #[test]
    fn options_override_the_configuration() {
        let given = [
            ("device", Variant::from("mic")),
            ("language", Variant::from("de")),
            ("pause", Variant::from(2u32)),
            ("partials", Variant::from(false)),
            ("captions", Variant::from(true)),
            ("hotwords", Variant::from(vec!["Hearken", "Zürich"])),
        ];
        let request = read(Config::default(), options(&given), Scope::Sessions).expect("valid");
        assert!(request.captions);
        assert_eq!(request.settings.device.as_deref(), Some("mic"));
        assert_eq!(
            request
                .settings
                .decoding
                .language
                .map(|language| language.code()),
            Some("de")
        );
        assert_eq!(request.settings.live.segmenter.end_pause, 32_000);
        assert!(!request.settings.live.ends_by_sentence);
        assert_eq!(request.settings.live.step_s, None);
        assert_eq!(request.settings.hotwords, ["Hearken", "Zürich"]);
    }

    #[test]
    fn wrong_options_are_refused_with_a_reason() {
        let refusal_of =
            |name, value, scope| match read(Config::default(), options(&[(name, value)]), scope) {
                Err(BusError::InvalidOption(message)) => message,
                _ => panic!("{name} was accepted"),
            };
        let refusal = |name, value| refusal_of(name, value, Scope::Sessions);
        assert_eq!(
            refusal("langauge", Variant::from("de")),
            "unknown option 'langauge': did you mean 'language'?"
        );
        assert_eq!(
            refusal("step", Variant::from("x")),
            "option 'step' has a value of the wrong type; give one of type d"
        );
        assert!(refusal("spoken_punctuation", Variant::from("yes")).contains("wrong type"));
        assert!(refusal("hotwords", Variant::from("Hearken")).contains("wrong type"));
        assert!(refusal("step", Variant::from(99.0)).contains("from 0.2 to 5"));
        assert!(refusal("pause", Variant::from(0.1)).contains("from 0.55 to 10"));
        assert!(refusal("pause", Variant::from("soon")).contains("give auto or a number"));
        assert!(refusal("pause", Variant::from(true)).contains("one of type d or s"));
        assert!(refusal("task", Variant::from("sing")).contains("translate"));
        assert_eq!(
            refusal_of("captions", Variant::from(true), Scope::Jobs),
            "unknown option 'captions': there are language, languages, task, prompt, hotwords, spoken_punctuation, drop_fillers, numbers"
        );
    }

    #[test]
    fn what_the_client_writes_the_daemon_reads() {
        let mut given = ClientOptions {
            prompt: Some("Dear Ms".to_owned()),
            captions: Some(true),
            ..ClientOptions::default()
        };
        given.settings.audio.device = Some("mic".to_owned());
        given.settings.text.language = SpokenLanguage::parse("de").ok();
        given.settings.text.task = Some(Task::Translate);
        given.settings.text.hotwords = Some(vec!["Hearken".to_owned()]);
        given.settings.live.partials = Some(false);
        given.settings.endpoint.pause = Some(EndPause::Auto);
        let written = write(&given);
        assert_eq!(written.len(), 8);
        let written: Vec<_> = written.into_iter().collect();
        let read = read(Config::default(), options(&written), Scope::Sessions).expect("valid");
        assert!(read.captions);
        assert_eq!(read.settings.prompt, "Dear Ms");
        assert_eq!(read.settings.device.as_deref(), Some("mic"));
        assert_eq!(read.settings.decoding.task, Task::Translate);
        assert_eq!(read.settings.hotwords, ["Hearken"]);
        assert_eq!(read.settings.live.step_s, None);
        assert!(read.settings.live.ends_by_sentence);
    }

    #[test]
    fn the_interface_documents_every_option_with_its_type() {
        let document = include_str!("../../packaging/dbus/org.hearken.Hearken1.Manager.xml");
        let words: Vec<&str> = document.split_whitespace().collect();
        let text = words.join(" ");
        let (sessions, jobs) = text.split_once("CreateSession\">").expect("the method");
        for option in OPTIONS {
            // Several names may share one type: "step, pause (d)".
            let (_, rest) = sessions
                .split_once(&format!(" {}", option.name()))
                .unwrap_or_else(|| panic!("{} is not documented", option.name()));
            let signature = rest
                .split_once(" (")
                .and_then(|(_, rest)| rest.split_once(')'));
            assert_eq!(
                signature.map(|(s, _)| s),
                Some(option.signature),
                "{}",
                option.name()
            );
        }
        let names: Vec<_> = known(Scope::Jobs).map(BusOption::name).collect();
        assert!(jobs.contains(&format!("options: {} as for", names.join(", "))));
    }
}
