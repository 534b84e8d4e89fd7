//! The `a{sv}` options of methods, laid over the configuration.

use super::BusError;
use crate::advice::Advice;
use crate::config::Config;
use crate::session::SessionSettings;
use crate::suggest;
use std::collections::HashMap;
use zbus::{OwnedVariant, Variant};

/// Options as they come over the bus.
pub(super) type Options = HashMap<String, OwnedVariant>;

/// Names of the options of jobs.
pub(super) const OF_JOBS: [&str; 6] = [
    "language",
    "languages",
    "task",
    "prompt",
    "hotwords",
    "spoken_punctuation",
];

/// Names of the options of sessions.
pub(super) const OF_SESSIONS: [&str; 13] = [
    "device",
    "language",
    "languages",
    "task",
    "prompt",
    "hotwords",
    "spoken_punctuation",
    "partials",
    "step",
    "pause",
    "longest",
    "nothing_said",
    "captions",
];

/// What a client wants of a session.
pub(super) struct Wanted {
    pub settings: SessionSettings,
    /// Whether its text is broadcast, too.
    pub captions: bool,
}

/// Reads options, which may have the `known` names, over `config`.
pub(super) fn read(
    mut config: Config,
    options: Options,
    known: &[&str],
) -> Result<Wanted, BusError> {
    let (mut prompt, mut captions) = (String::new(), false);
    for (name, value) in options {
        if !known.contains(&name.as_str()) {
            return Err(unknown(&name, known));
        }
        let wrong =
            || BusError::InvalidOption(format!("option '{name}' has a value of the wrong type"));
        match name.as_str() {
            "device" => config.audio.device = text(value).ok_or_else(wrong)?,
            "language" => config.text.language = text(value).ok_or_else(wrong)?,
            "languages" => config.text.languages = Vec::try_from(value).map_err(|_| wrong())?,
            "task" => config.text.task = text(value).ok_or_else(wrong)?,
            "hotwords" => config.text.hotwords = Vec::try_from(value).map_err(|_| wrong())?,
            "spoken_punctuation" => {
                config.text.spoken_punctuation = bool::try_from(value).map_err(|_| wrong())?;
            }
            "prompt" => prompt = text(value).ok_or_else(wrong)?,
            "partials" => config.live.partials = bool::try_from(value).map_err(|_| wrong())?,
            "step" => config.live.step = number(value).ok_or_else(wrong)?,
            "pause" => config.endpoint.pause = number(value).ok_or_else(wrong)?,
            "longest" => config.endpoint.longest = number(value).ok_or_else(wrong)?,
            "nothing_said" => config.endpoint.nothing_said = number(value).ok_or_else(wrong)?,
            "captions" => captions = bool::try_from(value).map_err(|_| wrong())?,
            other => return Err(unknown(other, known)),
        }
    }
    let settings =
        SessionSettings::new(&config).map_err(|e| BusError::InvalidOption(e.explain()))?;
    Ok(Wanted {
        settings: SessionSettings { prompt, ..settings },
        captions,
    })
}

fn unknown(name: &str, known: &[&str]) -> BusError {
    BusError::InvalidOption(format!(
        "unknown option '{name}': {}",
        suggest::advice(name, known.iter().copied())
    ))
}

fn text(value: OwnedVariant) -> Option<String> {
    String::try_from(value).ok()
}

/// Any of D-Bus's numbers: clients in scripting languages send what they have.
fn number(value: OwnedVariant) -> Option<f64> {
    match Variant::from(value) {
        Variant::F64(x) => Some(x),
        Variant::I32(x) => Some(f64::from(x)),
        Variant::U32(x) => Some(f64::from(x)),
        Variant::I64(x) => Some(x as f64),
        Variant::U64(x) => Some(x as f64),
        _ => None,
    }
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
    fn options_lie_over_the_configuration() {
        let given = [
            ("device", Variant::from("mic")),
            ("language", Variant::from("de")),
            ("pause", Variant::from(2u32)),
            ("partials", Variant::from(false)),
            ("captions", Variant::from(true)),
            ("hotwords", Variant::from(vec!["Hearken", "Zürich"])),
        ];
        let wanted = read(Config::default(), options(&given), &OF_SESSIONS).expect("valid");
        assert!(wanted.captions);
        assert_eq!(wanted.settings.device.as_deref(), Some("mic"));
        assert_eq!(
            wanted
                .settings
                .decoding
                .language
                .map(|language| language.code()),
            Some("de")
        );
        assert_eq!(wanted.settings.live.segmenter.end_pause, 32_000);
        assert_eq!(wanted.settings.live.step_s, None);
        assert_eq!(wanted.settings.hotwords, ["Hearken", "Zürich"]);
    }

    #[test]
    fn wrong_options_are_told() {
        let complaint_about =
            |name, value, known| match read(Config::default(), options(&[(name, value)]), known) {
                Err(BusError::InvalidOption(message)) => message,
                _ => panic!("{name} was taken"),
            };
        let complaint = |name, value| complaint_about(name, value, &OF_SESSIONS);
        assert_eq!(
            complaint("langauge", Variant::from("de")),
            "unknown option 'langauge': did you mean 'language'?"
        );
        assert_eq!(
            complaint("step", Variant::from("x")),
            "option 'step' has a value of the wrong type"
        );
        assert!(complaint("spoken_punctuation", Variant::from("yes")).contains("wrong type"));
        assert!(complaint("hotwords", Variant::from("Hearken")).contains("wrong type"));
        assert!(complaint("step", Variant::from(99.0)).contains("from 0.2 to 5"));
        assert!(complaint("task", Variant::from("sing")).contains("translate"));
        assert_eq!(
            complaint_about("captions", Variant::from(true), &OF_JOBS),
            "unknown option 'captions': there are language, languages, task, prompt, hotwords, spoken_punctuation"
        );
    }
}
