//! Whether the microphone hears something: a muted one gives zeros.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fix::Fix;
use crate::audio::AudioSource;
use crate::audio::capture::{CaptureStats, Microphone, StopHandle};
use crate::commands::doctor::{self, Check, Status, desktop};
use crate::config::Config;

/// How long it is listened to, and the longest time that it may take to open.
const LISTENING: Duration = Duration::from_secs(1);
const OPENING: Duration = Duration::from_secs(4);
/// Loudest sample of a microphone that is muted; the quietest room is louder.
const SILENCE: f32 = 1e-4;

/// Listens to the configured microphone for a second.
pub fn listen(config: &Config) -> (Check, Option<Fix>) {
    let check = doctor::microphone();
    if check.status == Status::Warn && check.remedy.is_some() && config.audio.device.is_empty() {
        return (check, None);
    }
    let wanted = Some(config.audio.device.clone()).filter(|device| !device.is_empty());
    match loudest(wanted) {
        None => {
            let check = Check {
                status: Status::Warn,
                remedy: Some("hearken devices; set audio.device in config.toml".to_owned()),
                ..doctor::found("microphone", "it does not open, or gives no sound")
            };
            (check, None)
        }
        Some(level) if level < SILENCE => {
            let check = Check {
                status: Status::Warn,
                remedy: Some(
                    "unmute it in the desktop's sound settings, or by its own switch".to_owned(),
                ),
                ..doctor::found("microphone", "it gives silence only: it is muted")
            };
            let unmute = "pactl set-source-mute @DEFAULT_SOURCE@ 0";
            let fix = desktop::is_program("pactl").then(|| Fix::run(unmute));
            (check, fix)
        }
        Some(level) => {
            let decibels = 20.0 * level.log10();
            let detail = format!("{}; loudest {decibels:.0} dBFS", check.detail);
            (doctor::found("microphone", &detail), None)
        }
    }
}

/// Returns the loudest sample, from 0 to 1; `None` if there is no sound.
fn loudest(wanted: Option<String>) -> Option<f32> {
    let stop = StopHandle::default();
    let ended = stop.clone();
    // Ends a device that does not open.
    std::thread::spawn(move || {
        std::thread::sleep(OPENING);
        ended.cancel();
    });
    let stats = Arc::new(CaptureStats::default());
    let mut microphone = Microphone::new(wanted, stop, stats, |_| {});
    let mut loudest = None;
    let mut until = None;
    while let Ok(Some(block)) = microphone.next_block() {
        let level = block
            .samples
            .iter()
            .fold(0.0f32, |most, x| most.max(x.abs()));
        loudest = Some(loudest.map_or(level, |most: f32| most.max(level)));
        let until = *until.get_or_insert_with(|| Instant::now() + LISTENING);
        if Instant::now() >= until {
            break;
        }
    }
    loudest
}
