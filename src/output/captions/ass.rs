//! Advanced SubStation Alpha (ASS): cues with a style. Highlighted words become karaoke, which fills
//! each word while it is spoken.

use super::cue::{Cue, CueFormat, Moment};

/// Script with one style: white on a black outline, at the bottom of a picture of 384 by 288, which
/// players scale. These are the values that libass assumes.
const HEAD: &str = "[Script Info]
; Written by Hearken
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288
ScaledBorderAndShadow: yes
WrapStyle: 2

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&H00FFFFFF,&H00A0A0A0,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
";

/// ASS: `Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,text`, with who speaks before the margins.
/// Players do not show that field, so the text has the name, too.
pub struct Ass;

impl CueFormat for Ass {
    fn begin(&mut self) -> String {
        HEAD.to_owned()
    }

    fn cue(&mut self, cue: &Cue, highlighted: bool) -> String {
        let text = if highlighted {
            karaoke(cue)
        } else {
            cue.text("\\N", |piece, _| escape(&piece.text))
        };
        // A comma ends the field.
        let name = cue.speaker.as_deref().unwrap_or_default();
        let name = name.replace(',', ";");
        format!(
            "Dialogue: 0,{},{},Default,{name},0,0,0,,{text}\n",
            time(cue.start_ms),
            time(cue.end_ms)
        )
    }
}

/// Returns the text with the time of each word and gap. Times are in hundredths of a second and
/// counted from the start, so that errors of rounding do not add up.
fn karaoke(cue: &Cue) -> String {
    let moments = cue.moments();
    let hundredths = |moment: &Moment| moment.end_ms / 10 - moment.start_ms / 10;
    cue.text("\\N", |piece, place| {
        let Some(own) = moments.iter().position(|moment| moment.word == Some(place)) else {
            return escape(&piece.text);
        };
        let gap = own
            .checked_sub(1)
            .and_then(|before| moments.get(before))
            .filter(|moment| moment.word.is_none())
            .map(|moment| format!("{{\\k{}}}", hundredths(moment)));
        let length = moments.get(own).map_or(0, hundredths);
        format!(
            "{}{{\\kf{length}}}{}",
            gap.unwrap_or_default(),
            escape(&piece.text)
        )
    })
}

/// `0:00:01.00`.
fn time(ms: u64) -> String {
    let time = super::clock::clock(ms);
    format!(
        "{}:{:02}:{:02}.{:02}",
        time.hours,
        time.minutes,
        time.seconds,
        time.milliseconds / 10
    )
}

/// Keeps braces, which begin commands, and backslashes, which a letter would make a line end, as
/// text. The invisible joiner separates the backslash from the letter.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\u{2060}")
        .replace('{', "\\{")
        .replace('}', "\\}")
}
