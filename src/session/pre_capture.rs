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
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tracing::{error, info, warn};

/// The ring, if pre-capture is on.
#[derive(Default)]
pub struct PreCapture(Mutex<Option<Open>>);

struct Open {
    config: AudioSettings,
    ring: Arc<Mutex<Ring>>,
    stop: StopHandle,
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
        if open.as_ref().is_some_and(|open| open.config == *config) {
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
        let ring = self.0.lock_unpoisoned().as_ref()?.ring.clone();
        let samples = ring.lock_unpoisoned().last(clock::samples(seconds));
        Some(samples)
    }
}

impl Open {
    fn start(config: AudioSettings) -> Self {
        let stop = StopHandle::default();
        let ring = Arc::new(Mutex::new(Ring::new(clock::samples(config.pre_capture))));
        let device = Some(config.device.clone()).filter(|name| !name.is_empty());
        let microphone = Microphone::new(device, stop.clone(), Arc::default(), report);
        let into = ring.clone();
        std::thread::spawn(move || {
            let mut stream = Mono16k::new(Box::new(microphone));
            loop {
                match stream.next_block() {
                    Ok(Some(block)) => into.lock_unpoisoned().push(block),
                    Ok(None) => break,
                    Err(error) => {
                        error!("pre-capture has ended: {}", error.explain());
                        break;
                    }
                }
            }
        });
        Self { config, ring, stop }
    }
}

fn report(event: CaptureEvent) {
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
