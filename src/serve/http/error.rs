//! Errors as OpenAI's API writes them: `{"error": {"message", "type", "param", "code"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::super::recording::RecordingError;
use crate::advice::Advice;
use crate::pipeline::PipelineError;
use crate::whisper::decoding::DecodingError;

/// Seconds after which a client may try again if the queue is full: about the time of a short
/// recording.
const RETRY_S: u16 = 2;

/// An answer that is an error.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

impl ApiError {
    /// Creates an error.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            param: None,
            code: None,
        }
    }

    /// An invalid value of a field.
    pub fn field(param: &'static str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param),
            code: Some("invalid_value"),
            ..Self::new(StatusCode::BAD_REQUEST, message)
        }
    }

    /// The queue of recordings is full.
    pub fn busy() -> Self {
        Self {
            code: Some("rate_limit_exceeded"),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many recordings are waiting; try again later",
            )
        }
    }

    /// There is no such model.
    pub fn no_model(asked: &str, loaded: &str) -> Self {
        Self {
            param: Some("model"),
            code: Some("model_not_found"),
            ..Self::new(
                StatusCode::NOT_FOUND,
                format!("the model '{asked}' is not loaded; use '{loaded}' or 'whisper-1'"),
            )
        }
    }

    /// Adds the code by which programs tell it apart.
    pub fn with_code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// The message, for protocols that have no more.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The value of the key `error`.
    pub fn value(&self) -> Value {
        let kind = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        json!({
            "message": self.message,
            "type": kind,
            "param": self.param,
            "code": self.code,
        })
    }

    /// Answers with a body of another shape.
    pub fn response_with(&self, body: Value) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_S));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.response_with(json!({ "error": self.value() }))
    }
}

impl From<RecordingError> for ApiError {
    fn from(error: RecordingError) -> Self {
        let message = error.explain();
        match error {
            RecordingError::Engine(_) => Self {
                code: Some("model_not_ready"),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
            },
            RecordingError::CannotTranslate(_) => Self::field("model", message),
            RecordingError::Audio(_) | RecordingError::TooLong(_) => Self::field("file", message),
            RecordingError::Text(_) => Self::field("prompt", message),
            RecordingError::Pipeline(PipelineError::Decode(DecodingError::Options(_))) => {
                Self::field("language", message)
            }
            RecordingError::Pipeline(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, message),
        }
    }
}
