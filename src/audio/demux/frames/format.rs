//! What formats of frames have in common.

use crate::audio::track::Track;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Bytes, header included.
    pub len: usize,
    /// Bytes before what the decoder reads.
    pub header_len: usize,
    /// Samples of each channel.
    pub samples: u32,
    /// What may not change without a new decoder.
    pub spec: Spec,
}

/// What frames of one stream have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Layer of MPEG audio; object type of AAC.
    pub kind: u8,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels; 0 if the header does not tell.
    pub channels: u16,
}

/// Format whose frames have headers.
pub trait FrameFormat: Send + 'static {
    /// Reads a header at the start of `bytes`; `None` if there is none.
    fn parse(bytes: &[u8]) -> Option<Frame>;

    /// Returns the track of such frames.
    fn track(spec: Spec) -> Track;
}
