//! The microphone. In: a device. Out: an [`AudioSource`] that lasts until it is stopped.
//!
//! Sound comes from PulseAudio or PipeWire, or from ALSA if neither is there. If the device or the
//! sound server disappears, the source waits and opens it again, with growing pauses; a device that
//! falls silent altogether, for example because it is suspended, is waited for. A callback reports
//! these changes. The device is open exactly as long as the [`Microphone`] exists.

mod alsa;
mod device;
mod error;
pub mod playback;
mod pulse;
mod ring;
mod server;
mod stop;
mod stream_moves;
mod timeout;

pub use device::{DEFAULT_MONITOR, Device};
pub use error::CaptureError;
pub use ring::CaptureStats;
pub use stop::StopHandle;

use super::{AudioError, AudioSource, AudioWarning, Block};
use crate::advice::Advice;
use ring::Drain;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timeout::MAX_TAIL;

/// Interval at which a reader without sound checks for a stop.
const POLL: Duration = Duration::from_millis(100);
/// Time without samples after which the stream is checked.
const STALL: Duration = Duration::from_secs(1);
/// Pauses before a lost device is tried again: the first, and the longest; each is twice the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Returns the input devices, microphones before monitors of outputs.
///
/// # Errors
/// Returns an error if the sound server does not list them, or if there is no sound server and ALSA
/// has no device.
pub fn devices() -> Result<Vec<Device>, CaptureError> {
    match pulse::devices() {
        Err(CaptureError::NoServer { reason }) => match alsa::devices() {
            devices if devices.is_empty() => Err(CaptureError::NoServerNorDevice { reason }),
            devices => Ok(devices),
        },
        result => result,
    }
}

/// Change of the device's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureEvent {
    /// The device is open; its id.
    Opened(String),
    /// The sound server has moved the recording to another device; its id.
    Moved(String),
    /// The device delivers no sound, for this reason, and will be opened again or waited for.
    Lost(String),
}

/// A device being recorded.
pub struct Microphone {
    wanted: Option<String>,
    stop: StopHandle,
    stats: Arc<CaptureStats>,
    tell: Box<dyn FnMut(CaptureEvent) + Send>,
    recording: Option<Recording>,
    /// Whether it was open through a sound server. If so, only the server is waited for, since it
    /// will hold the devices again when it returns.
    has_server: bool,
    block: Vec<f32>,
    retry: Duration,
    /// Whether the open device has been reported to deliver no sound.
    is_stalled: bool,
    /// Number of frames read from the open device.
    n_read: u64,
    /// Number of frames to be read of it, once the user has stopped.
    n_wanted: Option<u64>,
}

impl Microphone {
    /// Creates a microphone that opens on the first read: the device that `wanted` names, or the
    /// default one.
    pub fn new(
        wanted: Option<String>,
        stop: StopHandle,
        stats: Arc<CaptureStats>,
        tell: impl FnMut(CaptureEvent) + Send + 'static,
    ) -> Self {
        Self {
            wanted,
            stop,
            stats,
            tell: Box::new(tell),
            recording: None,
            has_server: false,
            block: Vec::new(),
            retry: RETRY.0,
            is_stalled: false,
            n_read: 0,
            n_wanted: None,
        }
    }

    /// Waits for the next samples and puts them into `block`; returns false at the end.
    fn listen(&mut self) -> bool {
        self.stop.wake_this_thread();
        let mut heard_at = Instant::now();
        loop {
            if self.is_over() {
                self.recording = None;
                return false;
            }
            let Some(recording) = &mut self.recording else {
                self.open();
                heard_at = Instant::now();
                continue;
            };
            if let Some(device) = recording.moved() {
                (self.tell)(CaptureEvent::Moved(device.to_owned()));
            }
            recording.drain().read(&mut self.block);
            if !self.block.is_empty() {
                self.n_read += (self.block.len() / recording.format().1) as u64;
                self.retry = RETRY.0;
                if std::mem::take(&mut self.is_stalled) {
                    (self.tell)(CaptureEvent::Opened(recording.device().to_owned()));
                }
                return true;
            }
            if recording.drain().is_abandoned()
                || (heard_at.elapsed() > STALL && !recording.is_alive())
            {
                self.recording = None;
                self.is_stalled = false;
                (self.tell)(CaptureEvent::Lost(
                    "the device or the sound server has disappeared".to_owned(),
                ));
                continue;
            }
            if heard_at.elapsed() > STALL {
                heard_at = Instant::now();
                if !std::mem::replace(&mut self.is_stalled, true) {
                    let reason =
                        format!("{} gives no sound; it may be suspended", recording.device());
                    (self.tell)(CaptureEvent::Lost(reason));
                }
            }
            std::thread::park_timeout(POLL);
        }
    }

    /// Returns true if the user has stopped and all that the device had recorded by then has been
    /// read: people press the key on their last syllable.
    fn is_over(&mut self) -> bool {
        let Some(stopped_at) = self.stop.stopped_at() else {
            return false;
        };
        let Some(recording) = self
            .recording
            .as_ref()
            .filter(|_| !self.stop.is_cancelled())
        else {
            return true;
        };
        // A device that does not tell gives all it has with the next block.
        let n_wanted = *self
            .n_wanted
            .get_or_insert_with(|| recording.n_recorded().unwrap_or(self.n_read + 1));
        self.n_read >= n_wanted || stopped_at.elapsed() > MAX_TAIL
    }

    /// Opens the device, or waits a while if that fails.
    fn open(&mut self) {
        let wanted = self.wanted.as_deref();
        let opened = match pulse::open(wanted, self.stats.clone()) {
            Ok(recording) => Ok(Recording::Pulse(recording)),
            Err(CaptureError::NoServer { reason }) if !self.has_server => {
                alsa::open(wanted, self.stats.clone())
                    .map(Recording::Alsa)
                    .map_err(|error| without_server(reason, error))
            }
            Err(other) => Err(other),
        };
        match opened {
            Ok(recording) => {
                (self.tell)(CaptureEvent::Opened(recording.device().to_owned()));
                self.has_server |= matches!(recording, Recording::Pulse(_));
                self.recording = Some(recording);
                self.n_read = 0;
                self.n_wanted = None;
            }
            Err(error) => {
                (self.tell)(CaptureEvent::Lost(error.explain()));
                let until = Instant::now() + self.retry;
                self.retry = (self.retry * 2).min(RETRY.1);
                while Instant::now() < until && !self.stop.is_stopped() {
                    std::thread::sleep(POLL.min(self.retry));
                }
            }
        }
    }
}

/// Returns the error if ALSA cannot replace a sound server that is unreachable for `reason`.
fn without_server(reason: String, alsa: CaptureError) -> CaptureError {
    match alsa {
        CaptureError::NoDevice => CaptureError::NoServerNorDevice { reason },
        other => other,
    }
}

impl AudioSource for Microphone {
    fn duration(&self) -> Option<f64> {
        None
    }

    fn next_block(&mut self) -> Result<Option<Block<'_>>, AudioError> {
        self.block.clear();
        if !self.listen() {
            return Ok(None);
        }
        let format = self.recording.as_ref().map(Recording::format);
        let (rate, channels) = format.unwrap_or((super::SAMPLE_RATE, 1));
        Ok(Some(Block {
            samples: &self.block,
            rate,
            channels,
        }))
    }

    fn warnings(&self) -> Vec<AudioWarning> {
        Vec::new()
    }
}

enum Recording {
    Pulse(pulse::Recording),
    Alsa(alsa::Recording),
}

impl Recording {
    fn drain(&mut self) -> &mut Drain {
        match self {
            Self::Pulse(recording) => &mut recording.drain,
            Self::Alsa(recording) => &mut recording.drain,
        }
    }

    /// Checks a recording that delivers no sound; returns false if it is lost.
    fn is_alive(&self) -> bool {
        match self {
            Self::Pulse(recording) => recording.is_alive(),
            // A sound server that has started since holds the device.
            Self::Alsa(recording) => recording.is_alive() && !server::is_there(),
        }
    }

    /// Returns the device that the recording was moved to since the last call.
    fn moved(&mut self) -> Option<&str> {
        match self {
            Self::Pulse(recording) => recording.moved(),
            // ALSA streams never move.
            Self::Alsa(_) => None,
        }
    }

    /// Returns the number of frames recorded so far, those included that are still on their way.
    fn n_recorded(&self) -> Option<u64> {
        match self {
            Self::Pulse(recording) => recording.n_recorded(),
            Self::Alsa(_) => None,
        }
    }

    /// Returns the sample rate in Hz and the number of channels.
    fn format(&self) -> (u32, usize) {
        match self {
            Self::Pulse(recording) => (recording.rate, recording.channels),
            Self::Alsa(recording) => (recording.rate, recording.channels),
        }
    }

    fn device(&self) -> &str {
        match self {
            Self::Pulse(recording) => &recording.device,
            Self::Alsa(recording) => &recording.device,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_sound_server_alsa_says_what_is_wrong_with_its_device() {
        let explain = |error| without_server("Connection refused".to_owned(), error).explain();
        let busy = explain(CaptureError::Alsa {
            device: "alsa:hw:CARD=0,DEV=0".to_owned(),
            reason: "it is busy".to_owned(),
        });
        assert!(
            busy.starts_with(
                "alsa:hw:CARD=0,DEV=0 cannot be opened: it is busy; close the program that uses it"
            ),
            "{busy}"
        );
        let none = explain(CaptureError::NoDevice);
        assert!(
            none.contains("(Connection refused), and ALSA has none; start PipeWire"),
            "{none}"
        );
    }
}
