//! Where a stream of blocks stands in time, and the silence that keeps it there.

use symphonia::core::packet::Packet;

/// Gaps above this length, in seconds, are invalid timestamps.
pub const MAX_HOLE: f64 = 3600.0;
/// Silence that is inserted into a recording at most, in seconds: six hours. More comes of invalid
/// timestamps.
pub const MAX_SILENCE: f64 = 21_600.0;

/// Frames in a block of inserted silence.
const SILENCE_BLOCK: u64 = 4096;

/// Position and format of the stream.
#[derive(Default)]
pub struct Timeline {
    /// Sample rate in Hz; 0 before the first samples.
    pub rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Seconds delivered before the rate last changed.
    base: f64,
    /// Frames delivered since then.
    frames: u64,
    /// Timestamp of the recording's start, in seconds; `None` until it is known.
    pub origin: Option<f64>,
    /// Frames of silence still to be inserted.
    silence: u64,
    /// Seconds of sound still to be left out.
    surplus: f64,
    /// Packet to decode after the silence.
    pub held: Option<Packet>,
}

impl Timeline {
    /// Seconds delivered.
    pub fn seconds(&self) -> f64 {
        self.base + self.frames as f64 / f64::from(self.rate.max(1))
    }

    /// Counts a block of interleaved samples as delivered.
    pub fn advance(&mut self, samples: usize) {
        self.frames += (samples / self.channels.max(1)) as u64;
    }

    /// Sets the format from here on.
    pub fn set_format(&mut self, rate: u32, channels: usize) {
        if rate != self.rate {
            (self.base, self.frames) = (self.seconds(), 0);
            let seconds = self.silence as f64 / f64::from(self.rate.max(1));
            self.silence = (seconds * f64::from(rate)).round() as u64;
        }
        (self.rate, self.channels) = (rate, channels.max(1));
    }

    /// Inserts silence before what comes next.
    pub fn owe_silence(&mut self, seconds: f64) {
        self.silence += (seconds * f64::from(self.rate)).round() as u64;
    }

    /// Leaves out this much of what comes next.
    pub fn leave_out(&mut self, seconds: f64) {
        self.surplus = seconds;
    }

    /// Removes from a block what is to be left out.
    pub fn trim(&mut self, block: &mut Vec<f32>) {
        if self.surplus > 0.0 {
            let wanted = (self.surplus * f64::from(self.rate)).round() as usize;
            let frames = wanted.min(block.len() / self.channels.max(1));
            block.drain(..frames * self.channels);
            let left = wanted - frames;
            self.surplus = left as f64 / f64::from(self.rate.max(1));
        }
    }

    /// Fills `block` with silence to be inserted; returns false if there is none.
    pub fn take_silence(&mut self, block: &mut Vec<f32>) -> bool {
        let frames = self.silence.min(SILENCE_BLOCK);
        self.silence -= frames;
        self.frames += frames;
        block.clear();
        block.resize(frames as usize * self.channels, 0.0);
        frames > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_through_changes_of_rate_and_silence() {
        let mut timeline = Timeline::default();
        timeline.set_format(8_000, 2);
        timeline.advance(16_000);
        timeline.owe_silence(0.5);
        timeline.set_format(16_000, 1);
        let mut block = Vec::new();
        while timeline.take_silence(&mut block) {}
        assert_eq!(timeline.seconds(), 1.5);
    }

    #[test]
    fn what_is_left_out_may_span_blocks() {
        let mut timeline = Timeline::default();
        timeline.set_format(1_000, 2);
        timeline.leave_out(0.015);
        let mut lengths = Vec::new();
        for _ in 0..3 {
            let mut block = vec![0.0; 20];
            timeline.trim(&mut block);
            lengths.push(block.len());
        }
        assert_eq!(lengths, [0, 10, 20]);
    }
}
