//! Constants that the segmenter and the search for cuts share, in frames of the voice detector (16
//! ms) and in its probabilities. [`crate::audio::vad`] has the measurements.

use crate::audio::clock;
use crate::audio::vad::FRAME;

/// Speech probability from which a frame is surely speech, and can begin it.
pub(super) const ONSET_THRESHOLD: f32 = 0.6;
/// Speech probability up to which a frame is silence; frames between the two thresholds continue
/// speech, but do not begin it.
pub(super) const OFFSET_THRESHOLD: f32 = 0.35;
/// Frames of an utterance before its first speech frame: 0.5 s, for soft first consonants.
pub const PRE_ROLL: usize = frames(0.5);
/// Frames of an utterance after its last speech frame: 0.5 s, for words that fade out.
pub(super) const HANGOVER: usize = frames(0.5);

/// Converts seconds to full frames.
pub(super) const fn frames(seconds: f64) -> usize {
    clock::samples(seconds) / FRAME
}
