//! The icon, drawn here: a microphone whose colour tells the state, crossed out where nothing is
//! heard.

use crate::desktop::bus::State;

/// Sizes in pixels: those of trays at scales 1, 2 and 3.
const SIZES: [i32; 3] = [22, 44, 66];

/// Colour of the outline, so that the icon is seen on light and dark panels.
const OUTLINE: [f32; 3] = [40.0, 42.0, 48.0];

/// Returns the icon in all sizes: width, height, and pixels of four bytes, opacity first.
pub fn pixmaps(state: State) -> Vec<(i32, i32, Vec<u8>)> {
    SIZES.map(|size| (size, size, pixels(state, size))).to_vec()
}

fn colour(state: State) -> [f32; 3] {
    match state {
        State::Listening => [229.0, 72.0, 77.0],
        State::Finishing => [245.0, 166.0, 35.0],
        State::Idle => [236.0, 237.0, 238.0],
        State::Unknown | State::NoSound => [150.0, 152.0, 156.0],
    }
}

fn pixels(state: State, size: i32) -> Vec<u8> {
    let is_crossed = matches!(state, State::Unknown | State::NoSound);
    // Drawn in a square of side 1; a pixel is this long.
    let pixel = 1.0 / size as f32;
    let coverage = |distance: f32| (0.5 - distance / pixel).clamp(0.0, 1.0);
    let colour = colour(state);
    let mut pixels = Vec::with_capacity((size * size * 4) as usize);
    for row in 0..size {
        for column in 0..size {
            let at = [
                (column as f32 + 0.5) * pixel - 0.5,
                (row as f32 + 0.5) * pixel - 0.5,
            ];
            let microphone = microphone(at);
            let mut inside = coverage(microphone);
            let mut outside = coverage(microphone - 0.04);
            if is_crossed {
                let line = segment(at, [-0.34, -0.36], [0.34, 0.36]) - 0.045;
                // The line stands free of what it crosses.
                inside = inside.min(1.0 - coverage(line - 0.05)).max(coverage(line));
                outside = outside.max(coverage(line - 0.04));
            }
            let blend = |channel: usize| {
                let value = colour[channel] * inside + OUTLINE[channel] * (1.0 - inside);
                value as u8
            };
            let opacity = (inside + (outside - inside).max(0.0) * 0.7).min(1.0);
            pixels.extend([(opacity * 255.0) as u8, blend(0), blend(1), blend(2)]);
        }
    }
    pixels
}

/// Signed distance to a microphone: body, holder, stem and foot.
fn microphone(at: [f32; 2]) -> f32 {
    let body = segment(at, [0.0, -0.26], [0.0, -0.02]) - 0.13;
    let stem = segment(at, [0.0, 0.25], [0.0, 0.38]) - 0.035;
    let foot = segment(at, [-0.14, 0.40], [0.14, 0.40]) - 0.035;
    body.min(holder(at)).min(stem).min(foot)
}

/// Signed distance to the lower half of a ring around the body.
fn holder(at: [f32; 2]) -> f32 {
    let [x, y] = [at[0], at[1] + 0.02];
    let ring = if y > 0.0 {
        (x.hypot(y) - 0.24).abs()
    } else {
        (x.abs() - 0.24).hypot(y)
    };
    ring - 0.035
}

/// Distance to a line from `a` to `b`.
fn segment(at: [f32; 2], a: [f32; 2], b: [f32; 2]) -> f32 {
    let [px, py] = [at[0] - a[0], at[1] - a[1]];
    let [dx, dy] = [b[0] - a[0], b[1] - a[1]];
    let along = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    (px - dx * along).hypot(py - dy * along)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opacity and colour in the middle of the body, and at a corner.
    fn seen(state: State) -> ([u8; 4], u8) {
        let (width, height, pixels) = pixmaps(state).remove(1);
        let at = |x: i32, y: i32| {
            let start = ((y * width + x) * 4) as usize;
            [0, 1, 2, 3].map(|i| pixels[start + i])
        };
        (at(width / 2, height / 3), at(0, height - 1)[0])
    }

    #[test]
    fn the_colour_tells_the_state() {
        let (listening, corner) = seen(State::Listening);
        assert_eq!((listening, corner), ([255, 229, 72, 77], 0));
        assert_eq!(seen(State::Idle).0, [255, 236, 237, 238]);
        for (width, height, pixels) in pixmaps(State::NoSound) {
            assert_eq!(pixels.len(), (width * height * 4) as usize);
        }
    }

    #[test]
    fn a_microphone_without_sound_is_crossed_out() {
        let [opacity, ..] = pixel_at(State::NoSound, 0.8, 0.82);
        assert_eq!(opacity, 255, "the line");
        assert_eq!(pixel_at(State::Idle, 0.8, 0.82)[0], 0);
    }

    fn pixel_at(state: State, x: f32, y: f32) -> [u8; 4] {
        let (width, _, pixels) = pixmaps(state).remove(2);
        let index = |share: f32| (share * width as f32) as i32;
        let start = ((index(y) * width + index(x)) * 4) as usize;
        [0, 1, 2, 3].map(|i| pixels[start + i])
    }
}
