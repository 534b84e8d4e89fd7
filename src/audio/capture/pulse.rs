//! Records through PulseAudio's protocol, which PipeWire speaks too.
//!
//! This uses the `pulseaudio` crate directly, not cpal's host on top of it: cpal does not delete
//! its recording stream on drop, so the microphone would stay open.

use super::device::{DEFAULT_MONITOR, Device, find};
use super::error::CaptureError;
use super::ring::{CaptureStats, Drain, Feed, ring};
use super::server::{ask, connect, cookie, socket};
use super::stream_moves::{self, MoveWatcher};
use super::timeout::{MAX_TAIL, within, within_time};
use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    ChannelMap, Prop, Props, RecordStreamParams, SampleFormat, SampleSpec, SourceInfo,
};
use pulseaudio::{Client, RecordStream};
use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sound that the server collects before it sends it, in milliseconds. It adds to the lag of every
/// word; smaller values wake up the process more often.
const FRAGMENT_MS: u32 = 60;

/// Recording stream.
pub(super) struct Recording {
    stream: RecordStream,
    pub drain: Drain,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Id of the device.
    pub device: String,
    moves: Option<MoveWatcher>,
}

/// Returns the server's input devices, microphones first.
pub(super) fn devices() -> Result<Vec<Device>, CaptureError> {
    let described = described(&connect()?)?;
    Ok(described.into_iter().map(|(device, _)| device).collect())
}

/// Returns the devices and what each of their channels is.
fn described(client: &Client) -> Result<Vec<(Device, ChannelMap)>, CaptureError> {
    let default = ask("report its default device", client.server_info())?.default_source_name;
    let sources = ask("list its devices", client.list_sources())?;
    let mut devices: Vec<_> = sources
        .iter()
        .map(|source| (describe(source, default.as_deref()), source.channel_map))
        .collect();
    devices.sort_by_key(|(device, _)| device.is_monitor);
    Ok(devices)
}

/// Starts recording from the device that `wanted` names, or from the server's default, even if that
/// changes later.
pub(super) fn open(
    wanted: Option<&str>,
    stats: Arc<CaptureStats>,
) -> Result<Recording, CaptureError> {
    let client = connect()?;
    let (devices, maps): (Vec<_>, Vec<_>) = described(&client)?.into_iter().unzip();
    let monitor = match wanted {
        Some(DEFAULT_MONITOR) => Some(default_monitor(&client)?),
        _ => None,
    };
    let wanted = monitor.as_deref().or(wanted);
    let device = match wanted {
        Some(name) => find(&devices, name)?,
        None => devices
            .iter()
            .find(|device| device.is_default)
            .or(devices.first())
            .ok_or(CaptureError::NoDevice)?,
    };
    let mut known = devices.iter().zip(maps);
    let map = known.find(|(other, _)| other.id == device.id);
    let map = map.map_or(ChannelMap::mono(), |(_, map)| recorded(map));
    let channels = usize::from(map.num_channels());
    let (feed, drain) = ring(device.rate, channels, stats);
    let tag = tag();
    let params = params(device.rate, map, wanted.map(|_| device.id.as_str()), &tag);
    let stream = ask("record", client.create_record_stream(params, sink(feed)))?;
    let moves = socket()
        .ok()
        .and_then(|socket| MoveWatcher::watch(socket, cookie(), tag).ok());
    Ok(Recording {
        stream,
        drain,
        rate: device.rate,
        channels,
        device: device.id.clone(),
        moves,
    })
}

/// Returns the id of the device that records the default output.
fn default_monitor(client: &Client) -> Result<String, CaptureError> {
    let server = ask("report its default output", client.server_info())?;
    let sink = server.default_sink_name.ok_or(CaptureError::NoDevice)?;
    let sink = ask(
        "describe its default output",
        client.sink_info_by_name(sink),
    )?;
    let monitor = sink.monitor_source_name.ok_or(CaptureError::NoDevice)?;
    Ok(monitor.to_string_lossy().into_owned())
}

impl Recording {
    /// Asks whether the server still knows the stream: it does not report the end of one.
    pub fn is_alive(&self) -> bool {
        within(self.stream.timing_info()).is_ok_and(|answer| answer.is_ok())
    }

    /// Returns the number of frames that the device has recorded so far: those that the server has
    /// received from it, and those that are still in the device. `None` if the server does not
    /// answer.
    pub fn n_recorded(&self) -> Option<u64> {
        let timing = within_time(MAX_TAIL, self.stream.timing_info())
            .ok()?
            .ok()?;
        let frame_size = (self.channels * size_of::<f32>()) as u64;
        let received = u64::try_from(timing.write_offset).ok()? / frame_size;
        Some(received + timing.source_usec * u64::from(self.rate) / 1_000_000)
    }

    /// Returns the device that the server moved the stream to since the last call.
    pub fn moved(&mut self) -> Option<&str> {
        self.device = self.moves.as_ref()?.latest()?;
        Some(&self.device)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // A server that does not answer has closed the stream or is about to disappear.
        let _ = within(self.stream.clone().delete());
    }
}

/// Returns a value of the property [`stream_moves::TAG`] that is unique to a stream.
fn tag() -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{count}\0", std::process::id()).into_bytes()
}

/// Returns the channels to record: those of the device, since the server's mono is silent if they
/// cancel. One channel has no position, so that a stereo device to which the server moves the
/// stream is mixed and not cut.
fn recorded(map: ChannelMap) -> ChannelMap {
    if map.num_channels() > 1 {
        map
    } else {
        ChannelMap::mono()
    }
}

/// The device's own rate and channels: our resampler is better than the server's.
fn params(rate: u32, map: ChannelMap, device: Option<&str>, tag: &[u8]) -> RecordStreamParams {
    let mut props = Props::new();
    props.set(Prop::MediaName, c"Dictation");
    props.set(Prop::ApplicationId, c"org.hearken.Hearken");
    props.set_bytes(stream_moves::TAG, tag);
    let frame_size = u32::from(map.num_channels()) * size_of::<f32>() as u32;
    let fragment_size = rate * FRAGMENT_MS / 1000 * frame_size;
    RecordStreamParams {
        sample_spec: SampleSpec {
            format: SampleFormat::Float32Le,
            channels: map.num_channels(),
            sample_rate: rate,
        },
        channel_map: map,
        source_name: device.and_then(|name| CString::new(name).ok()),
        buffer_attr: BufferAttr {
            max_length: u32::MAX,
            fragment_size,
            ..BufferAttr::default()
        },
        flags: StreamFlags {
            adjust_latency: true,
            ..StreamFlags::default()
        },
        props,
        ..RecordStreamParams::default()
    }
}

fn sink(mut feed: Feed) -> impl FnMut(&[u8]) + Send + 'static {
    move |bytes| {
        feed.push(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|sample| sane(f32::from_le_bytes(*sample))),
        );
    }
}

/// A single NaN would turn everything after it into NaN.
fn sane(sample: f32) -> f32 {
    if sample.is_finite() { sample } else { 0.0 }
}

fn describe(source: &SourceInfo, default: Option<&CStr>) -> Device {
    let text = |name: &CStr| name.to_string_lossy().into_owned();
    Device {
        id: text(&source.name),
        description: text(source.description.as_deref().unwrap_or(&source.name)),
        is_default: default == Some(&*source.name),
        is_monitor: source.monitor_of_sink_index.is_some(),
        rate: source.sample_spec.sample_rate.clamp(1_000, 768_000),
        channels: u16::from(source.sample_spec.channels),
    }
}
