//! The fields of a request, from multipart/form-data or JSON.
//!
//! In: a request in any order and transfer coding. Out: its fields as text, and the recording in a
//! file in memory. Names and types that the client states for the recording are ignored.

use std::fs::File;
use std::io::Write;

use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt;
use serde_json::Value;

use super::error::ApiError;
use super::upload::{UploadError, limited, memory_file};

/// Most bytes of a field that is text.
const MOST_TEXT: usize = 64 << 10;
/// Most fields.
const MOST_FIELDS: usize = 1000;

/// Fields of a request.
#[derive(Debug, Default)]
pub struct Form {
    fields: Vec<(String, String)>,
    /// The recording.
    pub file: Option<File>,
}

impl Form {
    /// Reads a request of at most `limit` bytes.
    ///
    /// # Errors
    /// Returns an error if the request is too large, too slow, or ill-formed.
    pub async fn read(request: Request, limit: u64) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        if stated_length(&parts.headers).is_some_and(|length| length > limit) {
            return Err((&UploadError::TooLarge { limit }).into());
        }
        let kind = media_type(&parts.headers);
        let body = limited(body, limit);
        match kind.as_str() {
            "multipart/form-data" => {
                // Else axum takes the body for one that is already read.
                parts.extensions.clear();
                let request = Request::from_parts(parts, Body::from_stream(body));
                Self::from_multipart(request).await
            }
            "application/json" => {
                let bytes = body.try_fold(Vec::new(), |mut all, chunk: Bytes| async move {
                    all.extend_from_slice(&chunk);
                    Ok(all)
                });
                Self::from_json(&bytes.await.map_err(|error| ApiError::from(&error))?)
            }
            _ => Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!(
                    "the content type is '{kind}'; send multipart/form-data or application/json"
                ),
            )),
        }
    }

    async fn from_multipart(request: Request) -> Result<Self, ApiError> {
        let multipart = Multipart::from_request(request, &()).await;
        let mut multipart = multipart.map_err(|error| ill_formed(&error.body_text()))?;
        let mut form = Self::default();
        while let Some(field) = multipart.next_field().await.map_err(multipart_error)? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "file" {
                form.file = Some(spool(field).await?);
            } else {
                let value = text(field, &name).await?;
                form.push(name, value)?;
            }
        }
        Ok(form)
    }

    fn from_json(bytes: &[u8]) -> Result<Self, ApiError> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| ill_formed(&error.to_string()))?;
        let Value::Object(fields) = value else {
            return Err(ill_formed("the body is not an object"));
        };
        let mut form = Self::default();
        for (name, value) in fields {
            match value {
                Value::Object(audio) if name == "input_audio" => {
                    let data = audio.get("data").and_then(Value::as_str);
                    form.file = Some(decoded(data.unwrap_or_default())?);
                }
                Value::Array(values) => {
                    for value in values.iter().filter_map(plain) {
                        form.push(format!("{name}[]"), value)?;
                    }
                }
                value => {
                    if let Some(value) = plain(&value) {
                        form.push(name, value)?;
                    }
                }
            }
        }
        Ok(form)
    }

    fn push(&mut self, name: String, value: String) -> Result<(), ApiError> {
        if self.fields.len() == MOST_FIELDS {
            return Err(ill_formed("there are too many fields"));
        }
        self.fields.push((name, value));
        Ok(())
    }

    /// The value of a field, without spaces around it; `None` if it is missing or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(other, _)| other == name);
        let value = values.next_back().map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// The values of an array, whose name may have brackets.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.fields.iter();
        let values =
            values.filter(move |(other, _)| other.strip_suffix("[]").unwrap_or(other) == name);
        values
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }
}

fn stated_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// The content type without parameters, in lower case.
fn media_type(headers: &HeaderMap) -> String {
    let stated = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = stated.and_then(|value| value.split(';').next());
    kind.unwrap_or_default().trim().to_ascii_lowercase()
}

/// A plain value of JSON as text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn decoded(data: &str) -> Result<File, ApiError> {
    let bytes = STANDARD.decode(data).map_err(|error| {
        ApiError::field(
            "input_audio",
            format!("the recording is not base64: {error}"),
        )
    })?;
    let mut file = memory_file().map_err(no_room)?;
    file.write_all(&bytes).map_err(no_room)?;
    Ok(file)
}

async fn spool(mut field: Field<'_>) -> Result<File, ApiError> {
    let mut file = memory_file().map_err(no_room)?;
    while let Some(chunk) = field.chunk().await.map_err(multipart_error)? {
        file.write_all(&chunk).map_err(no_room)?;
    }
    Ok(file)
}

async fn text(mut field: Field<'_>, name: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(multipart_error)? {
        if bytes.len() + chunk.len() > MOST_TEXT {
            return Err(ill_formed(&format!("the field '{name}' is too long")));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| ill_formed(&format!("the field '{name}' is not UTF-8")))
}

fn multipart_error(error: MultipartError) -> ApiError {
    match UploadError::cause_of(&error) {
        Some(upload) => upload.into(),
        None => ill_formed(&error.body_text()),
    }
}

fn ill_formed(reason: &str) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        format!("the request is ill-formed: {reason}"),
    )
}

fn no_room(error: std::io::Error) -> ApiError {
    ApiError::new(
        StatusCode::INSUFFICIENT_STORAGE,
        format!("the recording does not fit into memory: {error}"),
    )
}
