//! `/v1/models`: the loaded model, and the names of OpenAI's that stand for it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::super::service::Service;
use super::error::ApiError;

/// Names by which programs ask for OpenAI's models.
const ALIASES: [&str; 6] = [
    "default",
    "gpt-4o-mini-transcribe",
    "gpt-4o-transcribe",
    "gpt-realtime-whisper",
    "gpt-transcribe",
    "whisper-1",
];

/// Whether a name stands for the loaded model.
pub fn is_loaded(name: &str, loaded: &str) -> bool {
    name == loaded || ALIASES.contains(&name)
}

/// Lists the loaded model.
pub async fn list(State(service): State<Arc<Service>>) -> Json<Value> {
    let loaded = service.engine.model();
    Json(json!({ "object": "list", "data": [model(&loaded)] }))
}

/// Describes the loaded model.
pub async fn find(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let loaded = service.engine.model();
    if is_loaded(&name, &loaded) {
        Ok(Json(model(&name)))
    } else {
        Err(ApiError::no_model(&name, &loaded))
    }
}

fn model(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": 0, "owned_by": "openai" })
}
