//! Pre-capture: the latest seconds from the microphone, for transcription afterwards, if the user
//! has enabled it.
//!
//! The audio is only in memory, in a ring of the configured length, and is not processed until a
//! client asks. The microphone is open as long as pre-capture is on.

use crate::advice::Advice;
use crate::audio::capture::{CaptureEvent, Microphone, StopHandle};
use crate::audio::{Mono16k, clock};
use crate::settings::AudioSettings;
use crate::sync::LockExt;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tracing::{error, info, warn};

/// Number of blocks that may wait for a session.
const BACKLOG: usize = 100;

/// The ring, if pre-capture is on.
#[derive(Default)]
pub struct PreCapture(Mutex<Option<Open>>);

struct Open {
    config: AudioSettings,
    heard: Arc<Mutex<Kept>>,
    stop: StopHandle,
}

/// What sessions hear of the microphone that pre-capture keeps open.
pub(super) enum Heard {
    /// Samples, 16 kHz, mono.
    Sound(Vec<f32>),
    /// What has happened to the device.
    Device(CaptureEvent),
}

/// The latest sound and who listens to what follows.
struct Kept {
    ring: Ring,
    /// What has last happened to the device.
    device: Option<CaptureEvent>,
    listeners: Vec<Sender<Heard>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl PreCapture {
    /// Opens the microphone, closes it or switches to another, according to the configuration.
    pub fn configure(&self, config: &AudioSettings) {
        let mut open = self.0.lock_unpoisoned();
        let is_same = |open: &Open| {
            open.config.device == config.device && open.config.pre_capture == config.pre_capture
        };
        if open.as_ref().is_some_and(is_same) {
            return;
        }
        *open = (config.pre_capture > 0.0).then(|| Open::start(config.clone()));
    }

    /// Closes the microphone and discards the audio.
    pub fn close(&self) {
        *self.0.lock_unpoisoned() = None;
    }

    /// Returns the last `seconds`, or as much as there is (16 kHz, mono); `None` if pre-capture is
    /// off.
    pub fn last(&self, seconds: f64) -> Option<Vec<f32>> {
        let heard = self.0.lock_unpoisoned().as_ref()?.heard.clone();
        let samples = heard.lock_unpoisoned().ring.last(clock::samples(seconds));
        Some(samples)
    }

    /// Returns the last `seconds` from a device and all that follows without a gap; `None` if
    /// pre-capture is off or records another device. The channel ends with pre-capture.
    pub(super) fn listen(&self, device: Option<&str>, seconds: f64) -> Option<Receiver<Heard>> {
        let open = self.0.lock_unpoisoned();
        let open = open.as_ref()?;
        if open.config.device != device.unwrap_or_default() {
            return None;
        }
        let (sender, receiver) = bounded(BACKLOG);
        let mut heard = open.heard.lock_unpoisoned();
        let samples = heard.ring.last(clock::samples(seconds));
        let events = heard.device.clone().map(Heard::Device);
        // The channel has room for both.
        for first in events.into_iter().chain([Heard::Sound(samples)]) {
            sender.send(first).ok()?;
        }
        heard.listeners.push(sender);
        Some(receiver)
    }
}

impl Open {
    fn start(config: AudioSettings) -> Self {
        let stop = StopHandle::default();
        let heard = Arc::new(Mutex::new(Kept {
            ring: Ring::new(clock::samples(config.pre_capture)),
            device: None,
            listeners: Vec::new(),
        }));
        let device = Some(config.device.clone()).filter(|name| !name.is_empty());
        let tell = heard.clone();
        let microphone = Microphone::new(device, stop.clone(), Arc::default(), move |event| {
            report(&event);
            tell.lock_unpoisoned().follow(event);
        });
        let into = heard.clone();
        std::thread::spawn(move || {
            let mut stream = Mono16k::new(Box::new(microphone));
            loop {
                match stream.next_block() {
                    Ok(Some(block)) => into.lock_unpoisoned().hear(block),
                    Ok(None) => break,
                    Err(error) => {
                        error!("pre-capture has ended: {}", error.explain());
                        break;
                    }
                }
            }
            into.lock_unpoisoned().listeners.clear();
        });
        Self {
            config,
            heard,
            stop,
        }
    }
}

impl Kept {
    fn hear(&mut self, block: &[f32]) {
        self.ring.push(block);
        self.tell(|| Heard::Sound(block.to_vec()));
    }

    fn follow(&mut self, event: CaptureEvent) {
        self.tell(|| Heard::Device(event.clone()));
        self.device = Some(event);
    }

    /// Tells those who listen. One that falls behind opens the microphone itself, which counts what
    /// is lost.
    fn tell(&mut self, what: impl Fn() -> Heard) {
        self.listeners
            .retain(|listener| listener.try_send(what()).is_ok());
    }
}

fn report(event: &CaptureEvent) {
    match event {
        CaptureEvent::Opened(device) => info!(device, "pre-capture: the microphone is open"),
        CaptureEvent::Moved(device) => {
            info!(device, "pre-capture: the sound server has moved the stream")
        }
        CaptureEvent::Lost(reason) => warn!(reason, "pre-capture: no sound"),
    }
}

/// The latest samples.
struct Ring {
    samples: VecDeque<f32>,
    len: usize,
}

impl Ring {
    fn new(len: usize) -> Self {
        Self {
            samples: VecDeque::with_capacity(len),
            len,
        }
    }

    fn push(&mut self, block: &[f32]) {
        let block = block
            .get(block.len().saturating_sub(self.len)..)
            .unwrap_or_default();
        let excess = (self.samples.len() + block.len()).saturating_sub(self.len);
        self.samples.drain(..excess);
        self.samples.extend(block);
    }

    fn last(&self, n: usize) -> Vec<f32> {
        self.samples
            .range(self.samples.len().saturating_sub(n)..)
            .copied()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_off_unless_turned_on() {
        let pre_capture = PreCapture::default();
        pre_capture.configure(&AudioSettings::default());
        assert_eq!(pre_capture.last(1.0), None);
    }

    #[test]
    fn a_listener_gets_the_latest_sound_and_what_follows_until_it_falls_behind() {
        let mut kept = Kept {
            ring: Ring::new(4),
            device: None,
            listeners: Vec::new(),
        };
        kept.follow(CaptureEvent::Opened("mic".to_owned()));
        kept.hear(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        let pre_capture = PreCapture(Mutex::new(Some(Open {
            config: AudioSettings {
                device: "mic".to_owned(),
                ..AudioSettings::default()
            },
            heard: Arc::new(Mutex::new(kept)),
            stop: StopHandle::default(),
        })));
        let three = 3.0 / 16_000.0;
        assert!(pre_capture.listen(None, three).is_none(), "another device");
        let heard = pre_capture.listen(Some("mic"), three).expect("it is on");
        let shared = |of: &PreCapture| of.0.lock_unpoisoned().as_ref().expect("on").heard.clone();
        shared(&pre_capture).lock_unpoisoned().hear(&[6.0]);
        assert!(matches!(
            heard.recv(),
            Ok(Heard::Device(CaptureEvent::Opened(_)))
        ));
        let sound = || match heard.recv() {
            Ok(Heard::Sound(samples)) => samples,
            _ => panic!("no sound"),
        };
        assert_eq!((sound(), sound()), (vec![3.0, 4.0, 5.0], vec![6.0]));
        for _ in 0..=BACKLOG {
            shared(&pre_capture).lock_unpoisoned().hear(&[7.0]);
        }
        assert_eq!(heard.iter().count(), BACKLOG, "then the channel has ended");
    }

    proptest! {
        #[test]
        fn the_ring_holds_the_latest_samples_and_no_more(
            len in 1usize..50,
            blocks in prop::collection::vec(0usize..80, 0..12),
            n in 0usize..100,
        ) {
            let mut ring = Ring::new(len);
            let mut all = Vec::new();
            let capacity = ring.samples.capacity();
            for size in blocks {
                let block: Vec<f32> = (0..size).map(|i| (all.len() + i) as f32).collect();
                ring.push(&block);
                all.extend(block);
            }
            prop_assert_eq!(&ring.last(n), &all[all.len() - n.min(len).min(all.len())..]);
            prop_assert_eq!(ring.samples.capacity(), capacity, "it never grows");
        }
    }
}
