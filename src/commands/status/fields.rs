//! Fields of a status as `hearken status --json` prints it.

use serde_json::Value;

/// Returns a text; empty if there is none.
pub fn text(value: &Value, key: &str) -> String {
    let text = value.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// Returns the status message after a colon; empty if all is well.
pub fn status_message(value: &Value) -> String {
    let message = text(value, "status_message");
    if message.is_empty() {
        message
    } else {
        format!(": {message}")
    }
}
