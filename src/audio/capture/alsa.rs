//! Records from ALSA devices, for systems without a sound server.

use super::device::Device;
use super::error::CaptureError;
use super::ring::{CaptureStats, Drain, Feed, ring};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    Error, ErrorKind, FromSample, Host, SampleFormat, SizedSample, Stream, SupportedStreamConfig,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Maximum time for a device to open.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// A recording stream.
pub(super) struct Recording {
    _stream: Stream,
    pub drain: Drain,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Id of the device.
    pub device: String,
    broken: Arc<AtomicBool>,
}

impl Recording {
    /// Returns true while the stream works.
    pub fn is_alive(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }
}

/// Returns ALSA's input devices: the default one and those of sound cards. Its other entries are
/// converters, bridges to sound servers, and silence.
pub(super) fn devices() -> Vec<Device> {
    keep_quiet();
    let host = cpal::default_host();
    let default = host
        .default_input_device()
        .and_then(|device| device.id().ok());
    let describe = |device: cpal::Device| {
        let id = device.id().ok()?;
        let config = device.default_input_config().ok()?;
        Some(Device {
            description: device
                .description()
                .map_or_else(|_| id.to_string(), |d| d.name().to_owned()),
            is_default: default.as_ref() == Some(&id),
            is_monitor: false,
            rate: config.sample_rate(),
            channels: config.channels(),
            id: id.to_string(),
        })
    };
    let is_input =
        |device: &cpal::Device| device.id().is_ok_and(|id| is_microphone(&id.to_string()));
    let listed = host
        .input_devices()
        .map(|devices| devices.filter(is_input).filter_map(describe).collect());
    listed.unwrap_or_default()
}

/// Returns true if the id is that of the default device or of a sound card.
fn is_microphone(id: &str) -> bool {
    id == "alsa:default" || id.contains(":CARD=")
}

/// Keeps ALSA from writing to standard error on this thread; whatever matters is also returned as
/// an error.
fn keep_quiet() {
    // Messages go to a buffer, which the next call replaces. Without it, ALSA prints them and still
    // works.
    let _ = ::alsa::Output::local_error_handler();
}

/// Starts recording from the device that `wanted` names, or from the default one.
pub(super) fn open(
    wanted: Option<&str>,
    stats: Arc<CaptureStats>,
) -> Result<Recording, CaptureError> {
    keep_quiet();
    let host = cpal::default_host();
    let device = match wanted {
        None => host.default_input_device(),
        // A busy device is not listed, so its id is tried first.
        Some(name) => match by_id(&host, name) {
            None => by_id(&host, &super::device::find(&devices(), name)?.id),
            named => named,
        },
    };
    let device = device.ok_or(CaptureError::NoDevice)?;
    let name = device.id().map_or_else(
        |_| "the default input device".to_owned(),
        |id| id.to_string(),
    );
    let failed = |e: Error| match e.kind() {
        // The default device has a name even if no device exists, or only a sound server.
        ErrorKind::DeviceNotAvailable | ErrorKind::BackendError
            if wanted.is_none() && devices().is_empty() =>
        {
            CaptureError::NoDevice
        }
        _ => CaptureError::Alsa {
            device: name.clone(),
            reason: e.to_string().trim_end_matches('.').to_owned(),
        },
    };
    let config = device.default_input_config().map_err(failed)?;
    let rate = config.sample_rate();
    let channels = usize::from(config.channels()).max(1);
    let (feed, drain) = ring(rate, channels, stats.clone());
    let broken = Arc::new(AtomicBool::new(false));
    let stream = start(&device, &config, feed, watch(stats, broken.clone())).map_err(failed)?;
    stream.play().map_err(failed)?;
    Ok(Recording {
        _stream: stream,
        drain,
        rate,
        channels,
        device: name,
        broken,
    })
}

fn by_id(host: &Host, id: &str) -> Option<cpal::Device> {
    host.device_by_id(&id.parse().ok()?)
}

/// Records errors that occur while recording.
fn watch(stats: Arc<CaptureStats>, broken: Arc<AtomicBool>) -> impl FnMut(Error) + Send + 'static {
    move |error| match error.kind() {
        ErrorKind::Xrun => stats.count_overrun(),
        ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => {}
        _ => broken.store(true, Ordering::Relaxed),
    }
}

fn start(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    feed: Feed,
    watch: impl FnMut(Error) + Send + 'static,
) -> Result<Stream, Error> {
    match config.sample_format() {
        SampleFormat::I8 => typed::<i8>(device, config, feed, watch),
        SampleFormat::I16 => typed::<i16>(device, config, feed, watch),
        SampleFormat::I24 => typed::<cpal::I24>(device, config, feed, watch),
        SampleFormat::I32 => typed::<i32>(device, config, feed, watch),
        SampleFormat::I64 => typed::<i64>(device, config, feed, watch),
        SampleFormat::U8 => typed::<u8>(device, config, feed, watch),
        SampleFormat::U16 => typed::<u16>(device, config, feed, watch),
        SampleFormat::U24 => typed::<cpal::U24>(device, config, feed, watch),
        SampleFormat::U32 => typed::<u32>(device, config, feed, watch),
        SampleFormat::U64 => typed::<u64>(device, config, feed, watch),
        SampleFormat::F64 => typed::<f64>(device, config, feed, watch),
        _ => typed::<f32>(device, config, feed, watch),
    }
}

fn typed<T>(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    mut feed: Feed,
    watch: impl FnMut(Error) + Send + 'static,
) -> Result<Stream, Error>
where
    T: SizedSample + Send + 'static,
    f32: FromSample<T>,
{
    let callback = move |samples: &[T], _: &cpal::InputCallbackInfo| {
        feed.push(samples.iter().map(|x| f32::from_sample_(*x)));
    };
    device.build_input_stream(config.config(), callback, watch, Some(REPLY_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::is_microphone;

    #[test]
    fn converters_servers_and_silence_are_no_microphones() {
        for id in [
            "alsa:default",
            "alsa:hw:CARD=0,DEV=0",
            "alsa:plughw:CARD=1,DEV=0",
            "alsa:sysdefault:CARD=PCH",
        ] {
            assert!(is_microphone(id), "{id}");
        }
        for id in [
            "alsa:null",
            "alsa:jack",
            "alsa:pulse",
            "alsa:oss",
            "alsa:speexrate",
            "alsa:upmix",
        ] {
            assert!(!is_microphone(id), "{id}");
        }
    }
}
