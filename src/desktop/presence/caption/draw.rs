//! Draws captions: the last lines of a text on a rounded background.

use cosmic_text::{Attrs, Buffer, Color, Family, FontSystem, Metrics, Shaping, SwashCache, Wrap};

use super::surface::Picture;
use super::text::Rolling;
use crate::settings::presence::{CaptionSettings, Colour};

/// Height of a line, of the font's size.
const LINE_HEIGHT: f32 = 1.3;
/// Space around the text and radius of the corners, of the font's size.
const PADDING: f32 = 0.7;
const RADIUS: f32 = 0.6;

/// Fonts and colours.
pub struct Painter {
    fonts: FontSystem,
    glyphs: SwashCache,
    settings: CaptionSettings,
}

impl Painter {
    /// Reads the fonts of the system.
    pub fn new(settings: &CaptionSettings) -> Self {
        Self {
            fonts: FontSystem::new(),
            glyphs: SwashCache::new(),
            settings: settings.clone(),
        }
    }

    /// Draws the end of a text, `width` wide before it is scaled.
    pub fn paint(&mut self, text: &Rolling, width: u32, scale: u32) -> Picture {
        let size = self.settings.size as f32 * scale as f32;
        let (line, padding) = (size * LINE_HEIGHT, (size * PADDING).round());
        let width = width * scale;
        let mut buffer = Buffer::new(&mut self.fonts, Metrics::new(size, line));
        buffer.set_wrap(Wrap::WordOrGlyph);
        buffer.set_size(Some((width as f32 - 2.0 * padding).max(size)), None);
        let family = match self.settings.font.as_str() {
            "" => Family::SansSerif,
            name => Family::Name(name),
        };
        let plain = Attrs::new().family(family);
        let (committed, interim) = (text.committed(), text.interim());
        let spans = [
            (
                committed.as_str(),
                plain.clone().color(colour(self.settings.colour)),
            ),
            (
                interim.as_str(),
                plain.clone().color(colour(self.settings.interim_colour)),
            ),
        ];
        buffer.set_rich_text(spans, &plain, Shaping::Advanced, None);
        buffer.shape_until_scroll(&mut self.fonts, false);
        let n_lines = buffer.layout_runs().count();
        let n_shown = n_lines.clamp(1, self.settings.lines as usize);
        let hidden = (n_lines.saturating_sub(n_shown)) as f32 * line;
        let height = (n_shown as f32 * line + 2.0 * padding).ceil() as u32;
        let mut picture = Picture {
            width,
            height,
            scale,
            pixels: background(width, height, size * RADIUS, self.settings.background),
        };
        let (left, top) = (padding as i32, (padding - hidden) as i32);
        let rows = padding as i32..height as i32 - padding as i32;
        let default = colour(self.settings.colour);
        buffer.draw(
            &mut self.fonts,
            &mut self.glyphs,
            default,
            |x, y, w, h, colour| {
                for y in y + top..y + top + h as i32 {
                    if !rows.contains(&y) {
                        // A line above those that are shown.
                        continue;
                    }
                    for x in x + left..x + left + w as i32 {
                        picture.blend(x, y, colour);
                    }
                }
            },
        );
        picture
    }
}

impl Picture {
    /// Lays a colour over a pixel.
    fn blend(&mut self, x: i32, y: i32, colour: Color) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            return;
        };
        if x >= self.width || y >= self.height {
            return;
        }
        let start = (y as usize * self.width as usize + x as usize) * 4;
        let opacity = u16::from(colour.a());
        let over = [colour.b(), colour.g(), colour.r(), 255];
        for (value, over) in self.pixels[start..start + 4].iter_mut().zip(over) {
            let mixed = u16::from(over) * opacity + u16::from(*value) * (255 - opacity);
            *value = (mixed / 255) as u8;
        }
    }
}

fn colour(Colour([red, green, blue, opacity]): Colour) -> Color {
    Color::rgba(red, green, blue, opacity)
}

/// Returns the pixels of a rectangle with round corners.
fn background(width: u32, height: u32, radius: f32, colour: Colour) -> Vec<u8> {
    let Colour([red, green, blue, opacity]) = colour;
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 4);
    // Distance of a pixel's middle to the part without corners.
    let beyond = |at: u32, length: u32| {
        let at = at as f32 + 0.5;
        (radius - at).max(at - (length as f32 - radius)).max(0.0)
    };
    for y in 0..height {
        let down = beyond(y, height);
        for x in 0..width {
            let inside = (radius + 0.5 - beyond(x, width).hypot(down)).clamp(0.0, 1.0);
            let opacity = (f32::from(opacity) * inside) as u16;
            let premultiplied = |value: u8| (u16::from(value) * opacity / 255) as u8;
            pixels.extend([
                premultiplied(blue),
                premultiplied(green),
                premultiplied(red),
                opacity as u8,
            ]);
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(text: &str, scale: u32) -> Picture {
        let mut rolling = Rolling::default();
        rolling.hear(text, "", false);
        Painter::new(&CaptionSettings::default()).paint(&rolling, 400, scale)
    }

    /// Number of pixels that are nearly white.
    fn n_white(picture: &Picture) -> usize {
        let pixels = picture.pixels.chunks_exact(4);
        pixels
            .filter(|pixel| pixel.iter().all(|value| *value > 200))
            .count()
    }

    #[test]
    fn words_are_white_on_a_dark_ground_with_clear_corners() {
        let picture = painted("Ask not what your country", 1);
        assert_eq!(picture.width, 400);
        assert_eq!(
            picture.pixels.len(),
            (picture.width * picture.height * 4) as usize
        );
        assert_eq!(picture.pixels[3], 0, "a corner");
        assert!(n_white(&picture) > 100, "{}", n_white(&picture));
        assert_eq!(n_white(&painted("", 1)), 0);
    }

    #[test]
    fn long_text_shows_its_last_lines_only() {
        let short = painted("Short.", 1);
        let long = painted(&"A sentence that is longer than a line. ".repeat(20), 1);
        let longer = painted(&"A sentence that is longer than a line. ".repeat(40), 1);
        assert!(long.height > short.height);
        assert_eq!(long.height, longer.height);
        assert!(n_white(&long) > n_white(&short));
        assert_eq!(painted("Short.", 2).width, 800);
    }
}
