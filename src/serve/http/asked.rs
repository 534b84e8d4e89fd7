//! What a request asks for.
//!
//! In: the fields of a form, the configuration. Out: [`Asked`], checked.

use std::str::FromStr;

use super::super::recording::Order;
use super::error::ApiError;
use super::form::Form;
use super::models;
use crate::advice::Advice;
use crate::config::Config;
use crate::session::SessionSettings;
use crate::settings::{Overrides, SpokenLanguage, TextOverrides};
use crate::tokenizer::{Language, Task};

/// Shape of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The text in an object.
    Json,
    /// The text alone.
    Text,
    /// SubRip.
    Srt,
    /// WebVTT.
    Vtt,
    /// The text with segments or words.
    VerboseJson,
}

impl FromStr for Shape {
    type Err = ApiError;

    fn from_str(name: &str) -> Result<Self, ApiError> {
        Ok(match name {
            "json" => Self::Json,
            "text" => Self::Text,
            "srt" => Self::Srt,
            "vtt" => Self::Vtt,
            "verbose_json" => Self::VerboseJson,
            _ => {
                return Err(ApiError::field(
                    "response_format",
                    format!(
                        "response_format is '{name}'; use json, text, srt, vtt or verbose_json"
                    ),
                ));
            }
        })
    }
}

/// What a request asks for.
#[derive(Debug)]
pub struct Asked {
    /// How the recording is transcribed.
    pub order: Order,
    /// Shape of the answer.
    pub shape: Shape,
    /// Whether the text is sent while it is being made.
    pub streams: bool,
    /// Whether the answer has segments.
    pub has_segments: bool,
    /// Whether the answer has words.
    pub has_words: bool,
}

impl Asked {
    /// Reads the fields of OpenAI's API. `loaded` is the name of the model.
    ///
    /// # Errors
    /// Returns an error that names the first field whose value is invalid.
    pub fn read(
        form: &Form,
        config: Config,
        loaded: &str,
        task: Option<Task>,
    ) -> Result<Self, ApiError> {
        if let Some(model) = form.text("model")
            && !models::is_loaded(model, loaded)
        {
            return Err(ApiError::no_model(model, loaded));
        }
        let shape = form
            .text("response_format")
            .map_or(Ok(Shape::Json), str::parse)?;
        let (has_segments, has_words) = granularities(form, shape)?;
        Ok(Self {
            order: order(form, config, task)?,
            shape,
            streams: flag(form, "stream")?,
            has_segments,
            has_words,
        })
    }
}

fn order(form: &Form, mut config: Config, task: Option<Task>) -> Result<Order, ApiError> {
    let longest_s = config.server.longest;
    let hotwords = hotwords(form)?;
    config.merge(Overrides {
        text: TextOverrides {
            language: form.text("language").map(language).transpose()?,
            languages: languages(form)?,
            task,
            hotwords: Some(hotwords).filter(|words| !words.is_empty()),
            ..TextOverrides::default()
        },
        ..Overrides::default()
    });
    let settings = SessionSettings::new(&config)
        .map_err(|error| ApiError::field("language", error.explain()))?;
    Ok(Order {
        settings: SessionSettings {
            prompt: form.text("prompt").unwrap_or_default().to_owned(),
            ..settings
        },
        temperature: temperature(form)?,
        longest_s,
    })
}

/// A language with or without a region, such as "en" or "en-US"; "auto" detects it.
fn language(name: &str) -> Result<SpokenLanguage, ApiError> {
    if name.eq_ignore_ascii_case("auto") {
        return Ok(SpokenLanguage(None));
    }
    spoken(name, "language").map(|language| SpokenLanguage(Some(language)))
}

fn spoken(name: &str, param: &'static str) -> Result<Language, ApiError> {
    let base = name.split(['-', '_']).next().unwrap_or(name);
    let known = name
        .parse()
        .or_else(|error| base.parse().map_err(|_| error));
    known.map_err(|error: crate::tokenizer::UnknownLanguage| {
        ApiError::field(param, error.to_string())
    })
}

fn languages(form: &Form) -> Result<Option<Vec<Language>>, ApiError> {
    let names = form
        .texts("languages")
        .map(|name| spoken(name, "languages"));
    let languages = names.collect::<Result<Vec<_>, _>>()?;
    Ok(Some(languages).filter(|languages| !languages.is_empty()))
}

fn hotwords(form: &Form) -> Result<Vec<String>, ApiError> {
    let words: Vec<String> = form.texts("keywords").map(str::to_owned).collect();
    match words
        .iter()
        .find(|word| word.contains(['<', '>', '\r', '\n']))
    {
        Some(word) => Err(ApiError::field(
            "keywords",
            format!("the keyword {word:?} has '<', '>' or a line end; leave it out"),
        )),
        None => Ok(words),
    }
}

/// The temperature, if it is not 0: then the text is decoded at others too if it is doubtful.
fn temperature(form: &Form) -> Result<Option<f32>, ApiError> {
    let Some(text) = form.text("temperature") else {
        return Ok(None);
    };
    let temperature = text.parse::<f32>().ok().filter(|t| (0.0..=1.0).contains(t));
    let temperature = temperature.ok_or_else(|| {
        ApiError::field(
            "temperature",
            format!("temperature is '{text}'; give a number from 0 to 1"),
        )
    })?;
    Ok(Some(temperature).filter(|t| *t > 0.0))
}

/// Whether the answer has segments, and whether it has words.
fn granularities(form: &Form, shape: Shape) -> Result<(bool, bool), ApiError> {
    let (mut segments, mut words) = (false, false);
    for name in form.texts("timestamp_granularities") {
        match name {
            "segment" => segments = true,
            "word" => words = true,
            _ => {
                return Err(ApiError::field(
                    "timestamp_granularities",
                    format!("timestamp_granularities has '{name}'; use segment or word"),
                ));
            }
        }
    }
    if (segments || words) && shape != Shape::VerboseJson {
        return Err(ApiError::field(
            "timestamp_granularities",
            "timestamp_granularities needs response_format verbose_json",
        ));
    }
    Ok((segments || !words, words))
}

/// A value that is true or false.
pub fn flag(form: &Form, name: &'static str) -> Result<bool, ApiError> {
    match form.text(name).map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(other) => Err(ApiError::field(
            name,
            format!("{name} is '{other}'; use true or false"),
        )),
    }
}
