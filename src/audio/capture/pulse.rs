//! Records through PulseAudio's protocol, which PipeWire speaks too.
//!
//! This uses the `pulseaudio` crate directly, not cpal's host on top of it: cpal does not delete
//! its recording stream on drop, so the microphone would stay open.
//!
//! The process keeps one connection, which costs nothing while nothing is recorded. However often a
//! server that hangs is tried again, only one thread waits for it.

use super::device::{Device, find};
use super::error::CaptureError;
use super::ring::{CaptureStats, Drain, Feed, ring};
use super::stream_moves::{self, MoveWatcher};
use super::timeout::{AtMostOne, MAX_TAIL, within, within_time};
use crate::sync::LockExt;
use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    ChannelMap, Prop, Props, RecordStreamParams, SampleFormat, SampleSpec, SourceInfo,
};
use pulseaudio::{Client, ClientError, RecordStream};
use std::ffi::{CStr, CString};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Sound that the server collects before it sends it, in milliseconds. It adds to the lag of every
/// word; smaller values wake up the process more often.
const FRAGMENT_MS: u32 = 60;

/// Length of PulseAudio's cookie (`PA_NATIVE_COOKIE_LENGTH`). A server accepts any cookie of this
/// length from its own user.
const COOKIE_LEN: usize = 256;

static CONNECTION: Mutex<Option<Connection>> = Mutex::new(None);
static DIALLING: AtMostOne<Result<Connection, CaptureError>> = AtMostOne::new();

/// Connection to the server.
struct Connection {
    client: Client,
    socket: UnixStream,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Ends the library's thread, which would otherwise wait for a hung server forever.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

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

/// Returns true if a server answers.
pub(super) fn is_there() -> bool {
    connect().is_ok()
}

fn connect() -> Result<Client, CaptureError> {
    let mut connection = CONNECTION.lock_unpoisoned();
    if let Some(Connection { client, .. }) = &*connection
        && matches!(within(client.server_info()), Ok(Ok(_)))
    {
        return Ok(client.clone());
    }
    *connection = None;
    let new = DIALLING.run(dial)??;
    Ok(connection.insert(new).client.clone())
}

fn dial() -> Result<Connection, CaptureError> {
    let socket = socket()?;
    // If something answers, there is a sound server, even if it refuses: do not fall back to ALSA.
    let client = socket.try_clone().map_err(ClientError::from);
    let client = client.and_then(|socket| Client::new_unix(c"Hearken", socket, Some(cookie())));
    let client = client.map_err(|e| CaptureError::Refused {
        what: "accept a connection",
        reason: cause(&e),
    })?;
    Ok(Connection { client, socket })
}

/// Connects to the server on this machine, at the address where PulseAudio's own clients look.
fn socket() -> Result<UnixStream, CaptureError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let beside = || Some(PathBuf::from(variable("PULSE_RUNTIME_PATH")?).join("native"));
    let ordinary = || Some(PathBuf::from(variable("XDG_RUNTIME_DIR")?).join("pulse/native"));
    let paths = match variable("PULSE_SERVER") {
        Some(servers) => named_sockets(&servers, &machine_id())?,
        None => beside().or_else(ordinary).into_iter().collect(),
    };
    let unknown = Err(io::Error::new(
        ErrorKind::NotFound,
        "XDG_RUNTIME_DIR is not set",
    ));
    let connected = paths.iter().fold(unknown, |tried, path| {
        tried.or_else(|_| UnixStream::connect(path))
    });
    connected.map_err(|e| CaptureError::NoServer {
        reason: e.to_string(),
    })
}

/// Returns the sockets in a value of `PULSE_SERVER`: a space-separated list of paths, each with an
/// optional `unix:` prefix and, before that, the optional id of its machine in braces
/// (pulse-client.conf(5), PulseAudio's "Server String Format").
fn named_sockets(servers: &str, machine_id: &str) -> Result<Vec<PathBuf>, CaptureError> {
    let here = format!("{{{machine_id}}}");
    let path = |server: &str| {
        let server = server.strip_prefix(&here).unwrap_or(server);
        let path = server
            .strip_prefix("unix:")
            .or(server.starts_with('/').then_some(server));
        path.map(PathBuf::from)
    };
    let paths: Vec<PathBuf> = servers.split_whitespace().filter_map(path).collect();
    if paths.is_empty() {
        Err(CaptureError::ForeignServer {
            servers: servers.to_owned(),
        })
    } else {
        Ok(paths)
    }
}

/// Id of this machine (machine-id(5)); empty if it has none.
fn machine_id() -> String {
    let mut ids = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    ids.next().unwrap_or_default().trim().to_owned()
}

/// Returns the cookie by which the server recognises its user. A server usually recognises local
/// users without it, but may check before the kernel reports the peer's credentials.
fn cookie() -> Vec<u8> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let named = variable("PULSE_COOKIE").map(PathBuf::from);
    // The crate only looks in ~/.config.
    let configured =
        variable("XDG_CONFIG_HOME").map(|directory| PathBuf::from(directory).join("pulse/cookie"));
    let paths = named
        .into_iter()
        .chain(configured)
        .chain(pulseaudio::cookie_path_from_env());
    let mut cookies = paths
        .filter_map(|path| std::fs::read(path).ok())
        .filter(|cookie| cookie.len() == COOKIE_LEN);
    cookies.next().unwrap_or_else(|| vec![0; COOKIE_LEN])
}

/// Waits for an answer from the server.
fn ask<T>(
    what: &'static str,
    answer: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, CaptureError> {
    within(answer)?.map_err(|e| CaptureError::Refused {
        what,
        reason: cause(&e),
    })
}

/// Returns a value of the property [`stream_moves::TAG`] that is unique to a stream.
fn tag() -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{count}\0", std::process::id()).into_bytes()
}

/// Returns the cause, which the crate's own messages omit.
fn cause(error: &ClientError) -> String {
    match error {
        ClientError::Io(cause) => cause.to_string(),
        ClientError::Protocol(cause) => cause.to_string(),
        other => other.to_string(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Advice;

    #[test]
    fn servers_are_named_as_pulseaudio_names_them() {
        let named = |servers: &str| named_sockets(servers, "c0ffee");
        for server in [
            "unix:/run/a",
            "/run/a",
            "{c0ffee}unix:/run/a",
            "{c0ffee}/run/a",
            "{dead}unix:/run/b /run/a",
        ] {
            assert_eq!(
                named(server).expect(server),
                [PathBuf::from("/run/a")],
                "{server}"
            );
        }
        let several = named(" tcp:desk:4713 unix:/run/a  /run/b ").expect("two sockets");
        assert_eq!(several, [PathBuf::from("/run/a"), PathBuf::from("/run/b")]);
        for server in ["tcp:desk:4713", "desk", "{dead}unix:/run/a"] {
            let error = named(server)
                .expect_err("no socket of this machine")
                .explain();
            assert!(
                error.contains(server) && error.contains("set it to unix:PATH, or unset it"),
                "{error}"
            );
        }
    }
}
