//! The text of a recording in the shapes of OpenAI's API.
//!
//! In: segments as they come. Out: the body of the answer.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::super::recording::Summary;
use super::asked::{Asked, Shape};
use crate::advice::Advice;
use crate::output::{Footer, Format, FormatOptions, Header, Segment, Word};
use crate::text::{append, trimmed};
use crate::tokenizer::{Language, Task};

/// Text of a recording, as far as it is known.
#[derive(Debug, Default)]
pub struct Answer {
    segments: Vec<Segment>,
    /// Languages spoken, in the order in which they were first heard.
    languages: Vec<Language>,
    text: String,
    /// Number of bytes of the text that have been sent.
    sent: usize,
}

impl Answer {
    /// Adds the segments of a window, and the language spoken in it.
    pub fn push(&mut self, segments: Vec<Segment>, language: Language) {
        for segment in &segments {
            append(&mut self.text, &segment.text);
        }
        if !self.languages.contains(&language) {
            self.languages.push(language);
        }
        self.segments.extend(segments);
    }

    /// The text, without spaces around it.
    fn text(&self) -> &str {
        trimmed(&self.text)
    }

    /// Returns the text that has been added since the last call; `None` if there is none. The parts
    /// together are the whole text.
    pub fn delta(&mut self) -> Option<String> {
        let delta = self.text()[self.sent..].to_owned();
        self.sent += delta.len();
        Some(delta).filter(|delta| !delta.is_empty())
    }

    /// The event that ends a stream. Its type knows usage in tokens only.
    pub fn done(&self, summary: &Summary) -> Value {
        let mut done = self.object(summary);
        done.remove("usage");
        done.insert("type".into(), "transcript.text.done".into());
        Value::Object(done)
    }

    /// The whole answer. `model` is the name of the model.
    pub fn response(&self, asked: &Asked, model: &str, summary: &Summary) -> Response {
        let task = asked.order.settings.decoding.task;
        match asked.shape {
            Shape::Json => Json(Value::Object(self.object(summary))).into_response(),
            Shape::Text => plain("text/plain", format!("{}\n", self.text())),
            Shape::Srt => plain(
                "text/plain",
                self.captions(Format::Srt, task, model, summary),
            ),
            Shape::Vtt => plain("text/vtt", self.captions(Format::Vtt, task, model, summary)),
            Shape::VerboseJson => Json(self.verbose(asked, summary)).into_response(),
        }
    }

    fn object(&self, summary: &Summary) -> Map<String, Value> {
        let codes = self.languages.iter();
        let codes = codes.map(|language| json!({ "code": language.code() }));
        let mut object = Map::new();
        object.insert("text".into(), self.text().into());
        object.insert("languages".into(), codes.collect());
        object.insert("usage".into(), usage(summary));
        if let Some(damage) = &summary.damage {
            object.insert("warning".into(), damage.explain().into());
        }
        object
    }

    fn verbose(&self, asked: &Asked, summary: &Summary) -> Value {
        let task = asked.order.settings.decoding.task;
        let language = self
            .languages
            .first()
            .map_or("", |language| language.name());
        let mut object = self.object(summary);
        object.insert("task".into(), task.name().into());
        object.insert("language".into(), language.into());
        object.insert("duration".into(), summary.duration_s.into());
        if asked.has_segments {
            object.insert(
                "segments".into(),
                self.segments.iter().map(segment).collect(),
            );
        }
        if asked.has_words {
            let words = self
                .segments
                .iter()
                .flat_map(|segment| segment.words.iter().flatten());
            object.insert("words".into(), words.map(word).collect());
        }
        Value::Object(object)
    }

    fn captions(&self, format: Format, task: Task, model: &str, summary: &Summary) -> String {
        let mut writer = format.writer(&FormatOptions::default());
        let mut text = writer.begin(&Header {
            file: String::new(),
            model: model.to_owned(),
            task: task.name().to_owned(),
            has_speakers: false,
        });
        for segment in &self.segments {
            text += &writer.segment(segment);
        }
        text + &writer.finish(&Footer {
            language: self
                .languages
                .first()
                .map(|language| language.code().to_owned()),
            duration_s: summary.duration_s,
        })
    }
}

/// Seconds of sound, in integers as OpenAI counts them.
fn usage(summary: &Summary) -> Value {
    json!({ "type": "duration", "seconds": summary.duration_s.ceil() as u64 })
}

fn segment(segment: &Segment) -> Value {
    let mut value = json!(Segment {
        words: None,
        ..segment.clone()
    });
    value["seek"] = 0.into();
    value
}

fn word(word: &Word) -> Value {
    json!(Word {
        word: word.word.trim().to_owned(),
        ..word.clone()
    })
}

fn plain(kind: &str, text: String) -> Response {
    (
        [(header::CONTENT_TYPE, format!("{kind}; charset=utf-8"))],
        text,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(text: &str) -> Segment {
        Segment {
            id: 0,
            speaker: None,
            start_s: 0.0,
            end_s: 1.0,
            text: text.to_owned(),
            tokens: Vec::new(),
            temperature: 0.0,
            avg_logprob: -0.2,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: None,
        }
    }

    proptest! {
        #[test]
        fn the_parts_of_a_stream_are_its_text(texts in prop::collection::vec("[ \n]{0,2}[aß ]{0,4}[ \n]?", 0..8)) {
            let summary = Summary { duration_s: 10.2, damage: None };
            let mut answer = Answer::default();
            let mut sum = String::new();
            for text in &texts {
                answer.push(vec![said(text)], Language::ENGLISH);
                sum.extend(answer.delta());
            }
            let done = answer.done(&summary);
            prop_assert_eq!(done["text"].as_str(), Some(sum.as_str()));
        }
    }
}
