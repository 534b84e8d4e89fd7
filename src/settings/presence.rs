//! Settings of what `hearken desktop` shows and does besides writing: notifications, sounds, tray,
//! captions, and when it stops by itself.

use std::str::FromStr;

use super::desktop::{CaptionPosition, CaptionShow};
use super::{Problem, SettingError, Value, read, unknown, within};

settings! {
    /// What the agent of the desktop shows and does.
    "desktop" DesktopSettings;
    DesktopOverrides;
    /// Whether it notifies of text that was kept, and of what is missing.
    notifications: bool = true;
    /// Whether notifications quote the first words of such text.
    notification_text: bool = false;
    /// Whether sounds tell that dictation starts, stops or fails.
    cues: bool = false;
    /// Loudness of these sounds, from 0 to 1.
    cue_volume: f64 = 0.3, 0.0 to 1.0;
    /// Whether players that play pause while the microphone is open.
    pause_media: bool = false;
    /// Whether the microphone is closed when the screen is locked, the session becomes inactive or
    /// the machine is suspended.
    stop_on_lock: bool = true;
    /// Whether there is an icon in the tray.
    tray: bool = true;
}

settings! {
    /// Text on the screen.
    "captions" CaptionSettings;
    CaptionOverrides;
    /// When dictation shows it.
    show: CaptionShow = CaptionShow::Auto;
    /// Edge of the screen.
    position: CaptionPosition = CaptionPosition::Bottom;
    /// Distance from the edge in pixels.
    margin: f64 = 48.0, 0.0 to 10000.0;
    /// Width in pixels.
    width: f64 = 800.0, 100.0 to 10000.0;
    /// Lines of text.
    lines: f64 = 2.0, 1.0 to 20.0;
    /// Family of the font; empty is the system's sans-serif.
    font: String = String::new();
    /// Size of the font in pixels.
    size: f64 = 22.0, 6.0 to 200.0;
    /// Colour of committed text.
    colour: Colour = Colour([0xff, 0xff, 0xff, 0xff]);
    /// Colour of interim text.
    interim_colour: Colour = Colour([0xaa, 0xaa, 0xb4, 0xff]);
    /// Colour behind the text.
    background: Colour = Colour([0x1e, 0x20, 0x28, 0xdc]);
}

/// Red, green, blue and opacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub [u8; 4]);

impl FromStr for Colour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = || "give #RRGGBB or, with opacity, #RRGGBBAA".to_owned();
        let digits = text.strip_prefix('#').ok_or_else(advice)?;
        if !matches!(digits.len(), 6 | 8) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(advice());
        }
        let mut colour = [0xff; 4];
        for (value, digits) in colour.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| advice())?;
            *value = u8::from_str_radix(digits, 16).map_err(|_| advice())?;
        }
        Ok(Self(colour))
    }
}

impl Value for Colour {
    fn read(value: &toml::Value) -> Result<Self, Problem> {
        let text = String::read(value)?;
        text.parse().map_err(|advice| Problem::Value {
            value: text,
            advice,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_with_and_without_opacity() {
        assert_eq!("#ff8000".parse(), Ok(Colour([255, 128, 0, 255])));
        assert_eq!("#FF800040".parse(), Ok(Colour([255, 128, 0, 64])));
        for wrong in ["", "red", "#ff80", "#ff80zz", "#ff80000", "#é8000"] {
            assert!(wrong.parse::<Colour>().is_err(), "{wrong}");
        }
    }
}
