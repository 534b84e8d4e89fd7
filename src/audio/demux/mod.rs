//! Readers of containers.
//!
//! In: a [`ByteStream`](super::stream::ByteStream) or a file. Out: the tracks with sound, then their
//! packets.

mod aiff;
mod au;
mod caf;
mod ebml;
mod frames;
mod lossless;
mod mkv;
mod mp4;
mod pcm;
mod probed;
mod wave;
mod wave_format;

use symphonia::core::errors::Error as MediaError;
use symphonia::core::packet::Packet;

pub use aiff::Aiff;
pub use au::Au;
pub use caf::Caf;
pub use frames::{Adts, FrameReader, MpegAudio, first_frame, skip_tags};
pub use lossless::FlacParts;
pub use mkv::Mkv;
pub use mp4::{find_shift, read_facts as mp4_facts};
pub use probed::{Probed, probe};
pub use wave::Wave;

use super::track::Track;

/// What a container holds next.
pub enum Item {
    /// A packet of a track.
    Packet(Packet),
    /// Bytes that belong to no packet; the sound lost is estimated, in seconds.
    Damage(f64),
    /// The tracks are other ones from here on, or begin again: decoders start anew.
    NewTracks,
}

/// Reader of a container.
pub trait Demuxer: Send {
    /// Tracks with sound, in the order of the file.
    fn tracks(&self) -> &[Track];

    /// Returns what comes next; `None` at the end.
    ///
    /// # Errors
    /// Returns an error if the source cannot be read, or nothing after this can be.
    fn next_item(&mut self) -> Result<Option<Item>, MediaError>;

    /// Whether the end that was reached is not that of a whole recording, and why; asked at the end.
    fn early_end(&self) -> Option<EarlyEnd> {
        None
    }
}

/// Sign of a recording that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EarlyEnd {
    /// The file is shorter than it states.
    Cut,
    /// The stream lacks the mark that ends it.
    NoEndMark,
    /// The program that decodes it failed, with this message.
    Failed(String),
    /// The program that decodes it read to the end, but gave this message.
    Doubtful(String),
}
