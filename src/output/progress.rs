//! Progress of a transcription on the terminal, and the line that summarises it.
//!
//! In: the position in the recording. Out: one line on standard error, redrawn in place; nothing if
//! standard error is not a terminal.

use std::fmt::Write;
use std::time::Duration;

use super::console::visible;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Number of redraws per second: enough for a clock of seconds to look alive.
const REDRAWS_PER_SECOND: u8 = 5;

/// Line of the terminal with the position in a recording, the speed and the time left. Its length
/// is in milliseconds of audio.
#[derive(Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins to show the progress of a recording of `duration_s` seconds, if that is known. Shows
    /// nothing if `quiet` or if standard error is not a terminal. The line begins with `label`.
    pub fn new(duration_s: Option<f64>, quiet: bool, label: &str) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND)
        };
        Self::drawn_to(target, duration_s, label)
    }

    fn drawn_to(target: ProgressDrawTarget, duration_s: Option<f64>, label: &str) -> Self {
        let length = duration_s.map(audio_ms);
        let template = match length {
            Some(_) => "{prefix}{position} / {duration} {bar:30} {speed}, {left} left",
            None => "{prefix}{position} {spinner} {speed}",
        };
        // An invalid template changes the looks, but does not stop the transcription.
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("position", |state: &ProgressState, out: &mut dyn Write| {
                put(out, &clock(state.pos()))
            })
            .with_key("duration", |state: &ProgressState, out: &mut dyn Write| {
                put(out, &clock(state.len().unwrap_or_default()));
            })
            .with_key("speed", |state: &ProgressState, out: &mut dyn Write| {
                put(
                    out,
                    &format!("{:.1}× realtime", speed(state.pos(), state.elapsed())),
                );
            })
            .with_key("left", |state: &ProgressState, out: &mut dyn Write| {
                put(out, &left(state))
            });
        let bar = ProgressBar::with_draw_target(length, target)
            .with_style(style)
            .with_prefix(visible(label).into_owned());
        bar.tick();
        Self { bar }
    }

    /// Reports that everything before `position_s` (seconds of audio) has been transcribed.
    pub fn advance_to(&self, position_s: f64) {
        let position = audio_ms(position_s);
        self.bar.set_position(
            self.bar
                .length()
                .map_or(position, |length| position.min(length)),
        );
    }

    /// Removes the line from the terminal while `f` writes to it.
    pub fn suspend<R>(&self, f: impl FnOnce() -> R) -> R {
        self.bar.suspend(f)
    }

    /// Removes the line from the terminal for good.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Returns the summary of a run: seconds of audio, seconds of work, and their ratio both ways.
pub fn closing_line(audio_s: f64, elapsed: Duration) -> String {
    let elapsed_s = elapsed.as_secs_f64();
    let spent = format!("{audio_s:.1} s of audio in {elapsed_s:.2} s");
    if audio_s <= 0.0 || elapsed_s <= 0.0 {
        return spent;
    }
    let speed = audio_s / elapsed_s;
    let decimals = if speed < 10.0 { 1 } else { 0 };
    format!(
        "{spent}: real-time factor {:.3} ({speed:.decimals$}× realtime)",
        elapsed_s / audio_s
    )
}

fn audio_ms(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

/// Returns the seconds of audio per second of work.
fn speed(position_ms: u64, elapsed: Duration) -> f64 {
    match elapsed.as_secs_f64() {
        elapsed_s if elapsed_s > 0.0 => position_ms as f64 / 1000.0 / elapsed_s,
        _ => 0.0,
    }
}

fn left(state: &ProgressState) -> String {
    let rest_ms = state.len().unwrap_or_default().saturating_sub(state.pos());
    match speed(state.pos(), state.elapsed()) {
        speed if speed > 0.0 => clock((rest_ms as f64 / speed) as u64),
        _ => "?".to_owned(),
    }
}

/// Formats milliseconds as `m:ss` or `h:mm:ss`.
fn clock(ms: u64) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

fn put(out: &mut dyn Write, text: &str) {
    // The bar ignores errors, and its line buffer cannot fail.
    let _ = out.write_str(text);
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    fn on_a_terminal(duration_s: Option<f64>) -> (Progress, InMemoryTerm) {
        let terminal = InMemoryTerm::new(5, 100);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        (Progress::drawn_to(target, duration_s, ""), terminal)
    }

    #[test]
    fn shows_position_length_and_speed() {
        let (progress, terminal) = on_a_terminal(Some(3725.0));
        progress.advance_to(62.5);
        progress.bar.tick();
        let line = terminal.contents();
        assert!(line.starts_with("1:02 / 1:02:05 "), "{line}");
        assert!(
            line.contains("× realtime, ") && line.ends_with(" left"),
            "{line}"
        );
    }

    #[test]
    fn a_stream_without_a_length_shows_the_position() {
        let (progress, terminal) = on_a_terminal(None);
        progress.advance_to(7.9);
        progress.bar.tick();
        assert!(
            terminal.contents().starts_with("0:07 "),
            "{}",
            terminal.contents()
        );
    }

    #[test]
    fn a_position_beyond_a_wrong_length_stays_within_it() {
        let (progress, terminal) = on_a_terminal(Some(10.0));
        progress.advance_to(12.0);
        progress.bar.tick();
        assert!(
            terminal.contents().starts_with("0:10 / 0:10 "),
            "{}",
            terminal.contents()
        );
    }

    #[test]
    fn leaves_the_terminal_to_text_and_clears_at_the_end() {
        let (progress, terminal) = on_a_terminal(Some(10.0));
        progress.suspend(|| assert_eq!(terminal.contents(), ""));
        progress.finish();
        assert_eq!(terminal.contents(), "");
    }

    #[test]
    fn one_of_several_recordings_has_its_number() {
        let terminal = InMemoryTerm::new(5, 100);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let progress = Progress::drawn_to(target, Some(10.0), "3 of 12 a.wav: ");
        progress.bar.tick();
        assert!(
            terminal
                .contents()
                .starts_with("3 of 12 a.wav: 0:00 / 0:10 ")
        );
    }

    #[test]
    fn the_closing_line_gives_the_ratio_both_ways() {
        assert_eq!(
            closing_line(11.0, Duration::from_millis(340)),
            "11.0 s of audio in 0.34 s: real-time factor 0.031 (32× realtime)"
        );
        assert_eq!(
            closing_line(11.0, Duration::from_millis(24_850)),
            "11.0 s of audio in 24.85 s: real-time factor 2.259 (0.4× realtime)"
        );
        assert_eq!(
            closing_line(0.0, Duration::from_millis(10)),
            "0.0 s of audio in 0.01 s"
        );
    }
}
