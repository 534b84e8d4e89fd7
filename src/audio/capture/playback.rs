//! Plays short sounds through the sound server.

use super::error::CaptureError;
use super::server::{ask, connect};
use super::timeout::within_time;
use pulseaudio::protocol::stream::BufferAttr;
use pulseaudio::protocol::{
    ChannelMap, PlaybackStreamParams, Prop, Props, SampleFormat, SampleSpec,
};
use std::time::Duration;

/// Sound that the server collects before it plays it, in milliseconds.
const BUFFER_MS: u32 = 40;

/// Plays mono samples of this rate in Hz on the default output. Returns once they are over, or after
/// `limit`.
///
/// # Errors
/// Returns an error if there is no sound server, or if it refuses or does not answer.
pub fn play(samples: Vec<f32>, rate: u32, limit: Duration) -> Result<(), CaptureError> {
    let client = connect()?;
    let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
    let source = futures::io::Cursor::new(bytes);
    let stream = ask("play", client.create_playback_stream(params(rate), source))?;
    // A server that does not say that they are over has played them, or never will.
    let played = within_time(limit, stream.play_all());
    let _ = within_time(limit, stream.delete());
    played.map(|_| ())
}

fn params(rate: u32) -> PlaybackStreamParams {
    let mut props = Props::new();
    props.set(Prop::MediaName, c"Dictation");
    props.set(Prop::MediaRole, c"event");
    props.set(Prop::ApplicationId, c"org.hearken.Hearken");
    let length = rate * BUFFER_MS / 1000 * size_of::<f32>() as u32;
    PlaybackStreamParams {
        sample_spec: SampleSpec {
            format: SampleFormat::Float32Le,
            channels: 1,
            sample_rate: rate,
        },
        channel_map: ChannelMap::mono(),
        buffer_attr: BufferAttr {
            target_length: length,
            // Less than the shortest sound, which would otherwise wait for more.
            pre_buffering: length / 2,
            ..BufferAttr::default()
        },
        props,
        ..PlaybackStreamParams::default()
    }
}
