//! The lines that Waybar, i3bar and swaybar read.

use super::fields::{status_message, text};
use crate::commands::control::{Control, control_newest};
use serde_json::{Value, json};
use std::io::BufRead;

/// What i3bar's protocol begins with: its header, then an endless array.
pub const I3BAR_BEGIN: &str = "{\"version\":1,\"click_events\":true}\n[\n";

/// What is shown, the most important first: of several sessions, the first of these counts.
const STATES: [&str; 4] = ["listening", "device-lost", "starting", "finishing"];

/// One item of a bar.
#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    /// A word of the session or of the daemon; `off` without a daemon.
    state: String,
    tooltip: String,
}

impl Item {
    /// Makes the item of a status as `hearken status --json` prints it; `None` is no daemon.
    pub fn new(status: Option<&Value>) -> Self {
        let Some(status) = status else {
            return Self {
                state: "off".to_owned(),
                tooltip: "Hearken: the daemon is not running".to_owned(),
            };
        };
        let sessions = status["sessions"].as_array().map_or(&[][..], Vec::as_slice);
        let of_state = |state: &str| sessions.iter().find(|session| session["state"] == state);
        let session = STATES.iter().find_map(|state| of_state(state));
        let manager = text(status, "state");
        let state = match session {
            Some(session) => text(session, "state"),
            None if manager == "ready" => "idle".to_owned(),
            None => manager,
        };
        let mut tooltip = format!("Hearken: {state}");
        if let Some(session) = session {
            let device = text(session, "device");
            if !device.is_empty() {
                tooltip += &format!("\n{device}");
            }
            tooltip += &status_message(session).replacen(": ", "\n", 1);
        }
        tooltip += &format!(
            "\nmodel {} on the {}{}",
            text(status, "model"),
            text(status, "backend"),
            status_message(status)
        );
        Self { state, tooltip }
    }

    /// Returns a line for a custom module of Waybar with `"return-type": "json"`. Waybar reads
    /// Pango's markup.
    pub fn waybar(&self) -> String {
        let line = json!({
            "text": self.text(),
            "alt": self.state,
            "tooltip": escaped(&self.tooltip),
            "class": self.state,
        });
        format!("{line}\n")
    }

    /// Returns a block for i3bar and swaybar; in the protocol, it is the next line of the array.
    pub fn i3bar(&self, is_protocol: bool) -> String {
        let mut block = json!({
            "name": "hearken",
            "full_text": self.text(),
            "short_text": self.symbol(),
            "urgent": self.state == "device-lost",
        });
        if let Some(colour) = self.colour() {
            block["color"] = json!(colour);
        }
        if is_protocol {
            format!("[{block}],\n")
        } else {
            format!("{block}\n")
        }
    }

    fn text(&self) -> String {
        format!("{} {}", self.symbol(), self.state)
    }

    fn symbol(&self) -> &'static str {
        match self.state.as_str() {
            "listening" => "●",
            "starting" | "finishing" | "loading" => "◐",
            "idle" => "○",
            _ => "✕",
        }
    }

    fn colour(&self) -> Option<&'static str> {
        match self.state.as_str() {
            "listening" => Some("#e5484d"),
            "starting" | "finishing" => Some("#f5a623"),
            "idle" | "loading" => None,
            _ => Some("#888888"),
        }
    }
}

/// Toggles dictation on each click that the bar reports on standard input.
pub fn listen_to_clicks() {
    std::thread::spawn(|| {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        for line in lines {
            if is_click(&line) {
                // The bar has no place for an error; the status shows a daemon that is missing.
                let _ = zbus::block_on(control_newest(Control::Toggle));
            }
        }
    });
}

/// Whether a line of i3bar's endless array of events is a click with the main button.
fn is_click(line: &str) -> bool {
    let event = line.trim_start_matches([',', '[', ' ']);
    serde_json::from_str::<Value>(event).is_ok_and(|event| event["button"] == 1)
}

/// Escapes text for Pango's markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(manager: &str, sessions: &[&str]) -> Value {
        let session =
            |state: &&str| json!({"state": state, "device": "mic <1>", "status_message": ""});
        let sessions: Vec<Value> = sessions.iter().map(session).collect();
        json!({"state": manager, "status_message": "", "model": "base", "backend": "cpu", "sessions": sessions})
    }

    #[test]
    fn the_most_important_session_is_shown() {
        let state = |manager, sessions: &[&str]| Item::new(Some(&status(manager, sessions))).state;
        assert_eq!(state("ready", &[]), "idle");
        assert_eq!(
            state("ready", &["idle", "listening", "finishing"]),
            "listening"
        );
        assert_eq!(state("ready", &["finishing", "idle"]), "finishing");
        assert_eq!(state("loading", &["idle"]), "loading");
        assert_eq!(state("loading", &["listening"]), "listening");
        assert_eq!(Item::new(None).state, "off");
    }

    #[test]
    fn waybar_gets_markup_and_a_class() {
        let item = Item::new(Some(&status("ready", &["listening"])));
        let line: Value = serde_json::from_str(&item.waybar()).expect("JSON");
        assert_eq!(line["class"], "listening");
        assert_eq!(line["alt"], "listening");
        assert_eq!(line["text"], "● listening");
        assert_eq!(
            line["tooltip"],
            "Hearken: listening\nmic &lt;1&gt;\nmodel base on the cpu"
        );
    }

    #[test]
    fn i3bar_gets_an_endless_array_of_arrays() {
        let item = Item::new(None);
        let text = format!("{I3BAR_BEGIN}{}{}", item.i3bar(true), item.i3bar(true));
        let (header, array) = text.split_once('\n').expect("a header");
        assert_eq!(
            serde_json::from_str::<Value>(header).expect("JSON")["version"],
            1
        );
        let closed = format!("{}]", array.trim_end().trim_end_matches(','));
        let blocks: Value = serde_json::from_str(&closed).expect("JSON");
        assert_eq!(blocks[1][0]["full_text"], "✕ off");
        let one: Value = serde_json::from_str(&item.i3bar(false)).expect("JSON");
        assert_eq!(one["name"], "hearken");
    }

    #[test]
    fn clicks_are_read_from_an_endless_array() {
        assert!(is_click(r#",{"name":"hearken","button":1,"x":3}"#));
        assert!(is_click(r#"[{"button":1}"#));
        assert!(!is_click("["));
        assert!(!is_click(r#",{"button":3}"#));
    }
}
