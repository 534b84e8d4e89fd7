//! Takes the channels of a recording apart, such as the two sides of a call.
//!
//! In: a [`FileSource`]. Out: a source of one channel for each, which other threads read.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{AudioError, AudioSource, AudioWarning, Block, FileSource, SAMPLE_RATE};

/// Channels that can be told apart: as many as a conference recorder has.
pub const MAX_CHANNELS: usize = 16;

/// Blocks of a channel that may wait for its reader.
const QUEUE: usize = 4;

/// Frames of silence that are delivered at once.
const SILENT_BLOCK: u64 = 16_384;

/// A recording whose channels have been counted.
pub struct CountedChannels {
    source: FileSource,
    count: usize,
    /// Frames of silence before `first`, at 16 kHz.
    silence: u64,
    /// Block by which they were counted, until it has been delivered.
    first: Option<Samples>,
    /// End of the recording, if it came before.
    end: Option<Option<AudioError>>,
    block: Vec<f32>,
    seconds: f64,
    /// Energy of the recording, and of what its channels do not have in common.
    energy: (f64, f64),
}

/// Samples of a block and their rate in Hz.
struct Samples {
    samples: Vec<f32>,
    rate: u32,
}

impl CountedChannels {
    /// Reads a recording until its number of channels is certain: the silence before sound that
    /// begins late has one channel, whatever follows.
    ///
    /// # Errors
    /// Returns an error if there are more channels than 16.
    pub fn new(source: FileSource) -> Result<Self, AudioError> {
        let mut counted = Self {
            source,
            count: 1,
            silence: 0,
            first: None,
            end: None,
            block: Vec::new(),
            seconds: 0.0,
            energy: (0.0, 0.0),
        };
        while counted.first.is_none() && counted.end.is_none() {
            match counted.source.next_block() {
                Ok(Some(block)) if is_leading_silence(block) => {
                    counted.silence += block.samples.len() as u64;
                }
                Ok(Some(block)) => {
                    counted.count = block.channels.max(1);
                    counted.first = Some(Samples {
                        samples: block.samples.to_vec(),
                        rate: block.rate,
                    });
                }
                Ok(None) => counted.end = Some(None),
                Err(error) => counted.end = Some(Some(error)),
            }
        }
        if counted.count > MAX_CHANNELS {
            return Err(AudioError::ManyChannels {
                name: counted.source.name().to_owned(),
                count: counted.count,
                most: MAX_CHANNELS,
            });
        }
        Ok(counted)
    }

    /// Number of channels.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether every channel has had the same sound so far, so that its words were heard more than
    /// once.
    pub fn are_alike(&self) -> bool {
        /// Share of the energy, -30 dB: lossy codecs make two of the same differ by so much.
        const DIFFERENCE: f64 = 1e-3;
        let (whole, apart) = self.energy;
        self.count > 1 && whole > 0.0 && apart < DIFFERENCE * whole
    }

    /// Returns a source for each channel, and what feeds them.
    pub fn split(self) -> (Splitter, Vec<Channel>) {
        let (feeds, channels) = (0..self.count)
            .map(|_| {
                let (feed, blocks) = bounded(QUEUE);
                let channel = Channel {
                    blocks,
                    block: None,
                };
                (Some(feed), channel)
            })
            .unzip();
        let splitter = Splitter {
            source: self,
            feeds,
        };
        (splitter, channels)
    }

    /// Puts the next samples into the block; returns their rate and number of channels.
    fn fill(&mut self) -> Result<Option<(u32, usize)>, AudioError> {
        if self.silence > 0 {
            let frames = self.silence.min(SILENT_BLOCK);
            self.silence -= frames;
            self.block.clear();
            self.block.resize(frames as usize * self.count, 0.0);
            return Ok(Some((SAMPLE_RATE, self.count)));
        }
        if let Some(Samples { samples, rate }) = self.first.take() {
            self.block = samples;
            return Ok(Some((rate, self.count)));
        }
        if let Some(end) = self.end.take() {
            return end.map_or(Ok(None), Err);
        }
        let Some(block) = self.source.next_block()? else {
            return Ok(None);
        };
        self.block.clear();
        self.block.extend_from_slice(block.samples);
        Ok(Some((block.rate, block.channels.max(1))))
    }

    fn measure(&mut self) {
        let (mut whole, mut apart) = (0.0, 0.0);
        for frame in self.block.chunks_exact(self.count) {
            let mean = frame.iter().sum::<f32>() / frame.len() as f32;
            for x in frame {
                whole += f64::from(x * x);
                apart += f64::from((x - mean) * (x - mean));
            }
        }
        self.energy.0 += whole;
        self.energy.1 += apart;
    }
}

impl AudioSource for CountedChannels {
    fn duration(&self) -> Option<f64> {
        self.source.duration()
    }

    fn next_block(&mut self) -> Result<Option<Block<'_>>, AudioError> {
        let Some((rate, channels)) = self.fill()? else {
            return Ok(None);
        };
        // What has one channel from the start is one voice to the end, whatever is joined to it.
        if self.count > 1 && channels != self.count {
            if self.block.iter().any(|x| *x != 0.0) {
                return Err(AudioError::ChannelsChange {
                    name: self.source.name().to_owned(),
                    seconds: self.seconds,
                    from: self.count,
                    to: channels,
                });
            }
            let frames = self.block.len() / channels;
            self.block.resize(frames * self.count, 0.0);
        }
        let channels = if self.count > 1 { self.count } else { channels };
        self.seconds += (self.block.len() / channels) as f64 / f64::from(rate);
        if self.count > 1 {
            self.measure();
        }
        Ok(Some(Block {
            samples: &self.block,
            rate,
            channels,
        }))
    }

    fn warnings(&self) -> Vec<AudioWarning> {
        self.source.warnings()
    }
}

fn is_leading_silence(block: Block<'_>) -> bool {
    block.channels == 1 && block.rate == SAMPLE_RATE && block.samples.iter().all(|x| *x == 0.0)
}

/// Reads a recording and hands each channel to its source.
pub struct Splitter {
    source: CountedChannels,
    /// `None` once nobody reads the channel.
    feeds: Vec<Option<Sender<Samples>>>,
}

impl Splitter {
    /// Reads to the end, until `stop` is set, or until nobody reads any channel. Returns the
    /// recording, which knows its warnings, and the damage that ended it early, if any.
    pub fn run(mut self, stop: &AtomicBool) -> (CountedChannels, Option<AudioError>) {
        while !stop.load(Ordering::Relaxed) && self.feeds.iter().any(Option::is_some) {
            let block = match self.source.next_block() {
                Ok(Some(block)) => block,
                Ok(None) => break,
                Err(damage) => return (self.source, Some(damage)),
            };
            for (i, feed) in self.feeds.iter_mut().enumerate() {
                let samples = block.samples.iter().skip(i).step_by(block.channels);
                let part = Samples {
                    samples: samples.copied().collect(),
                    rate: block.rate,
                };
                if feed.as_ref().is_some_and(|feed| feed.send(part).is_err()) {
                    *feed = None;
                }
            }
        }
        (self.source, None)
    }
}

/// One channel of a recording.
pub struct Channel {
    blocks: Receiver<Samples>,
    block: Option<Samples>,
}

impl AudioSource for Channel {
    fn duration(&self) -> Option<f64> {
        None
    }

    fn next_block(&mut self) -> Result<Option<Block<'_>>, AudioError> {
        self.block = self.blocks.recv().ok();
        Ok(self.block.as_ref().map(|Samples { samples, rate }| Block {
            samples,
            rate: *rate,
            channels: 1,
        }))
    }

    /// The recording as a whole has them.
    fn warnings(&self) -> Vec<AudioWarning> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wav file of 16-bit samples at 16 kHz.
    fn wav(channels: u16, samples: &[i16]) -> &'static [u8] {
        let bytes = samples.len() as u32 * 2;
        let mut wav = Vec::new();
        wav.extend(b"RIFF");
        wav.extend((36 + bytes).to_le_bytes());
        wav.extend(b"WAVEfmt \x10\0\0\0\x01\0");
        wav.extend(channels.to_le_bytes());
        wav.extend(16_000u32.to_le_bytes());
        wav.extend((32_000 * u32::from(channels)).to_le_bytes());
        wav.extend((2 * channels).to_le_bytes());
        wav.extend(b"\x10\0data");
        wav.extend(bytes.to_le_bytes());
        samples.iter().for_each(|x| wav.extend(x.to_le_bytes()));
        wav.leak()
    }

    fn counted(channels: u16, samples: &[i16]) -> Result<CountedChannels, AudioError> {
        let source = FileSource::embedded("a.wav", wav(channels, samples));
        CountedChannels::new(source.expect("a recording"))
    }

    /// Reads the channels, each on a thread, as 16-bit samples.
    fn split(counted: CountedChannels) -> (CountedChannels, Vec<Vec<i16>>) {
        let (splitter, channels) = counted.split();
        std::thread::scope(|scope| {
            let read = |mut channel: Channel| {
                let mut samples = Vec::new();
                while let Ok(Some(block)) = channel.next_block() {
                    assert_eq!((block.rate, block.channels), (16_000, 1));
                    samples.extend(block.samples.iter().map(|x| (x * 32_768.0) as i16));
                }
                samples
            };
            let readers: Vec<_> = channels
                .into_iter()
                .map(|channel| scope.spawn(move || read(channel)))
                .collect();
            let (counted, damage) = splitter.run(&AtomicBool::new(false));
            assert!(damage.is_none());
            let samples = readers.into_iter().map(|r| r.join().expect("no panic"));
            (counted, samples.collect())
        })
    }

    #[test]
    fn each_channel_has_its_own_samples_and_the_silence_before_them() {
        let n = 30_000;
        let frames: Vec<i16> = (0..n).flat_map(|i| [0, i % 999, -(i % 77)]).collect();
        let counted = counted(3, &frames).expect("three channels");
        assert_eq!(counted.count(), 3);
        let (counted, channels) = split(counted);
        assert!(!counted.are_alike());
        let expected: Vec<Vec<i16>> = vec![
            vec![0; n as usize],
            (0..n).map(|i| i % 999).collect(),
            (0..n).map(|i| -(i % 77)).collect(),
        ];
        assert!(channels == expected);
    }

    #[test]
    fn one_channel_stays_as_it_is() {
        let samples: Vec<i16> = (0..30_000).map(|i| (i / 20_000) * 100).collect();
        let mut counted = counted(1, &samples).expect("a channel");
        assert_eq!(counted.count(), 1);
        let mut read = Vec::new();
        while let Some(block) = counted.next_block().expect("a block") {
            read.extend(block.samples.iter().map(|x| (x * 32_768.0) as i16));
        }
        assert!(read == samples);
    }

    #[test]
    fn channels_with_the_same_sound_are_noticed() {
        let same: Vec<i16> = (0..20_000).flat_map(|i| [i % 500 * 20; 2]).collect();
        assert!(
            split(counted(2, &same).expect("two channels"))
                .0
                .are_alike()
        );
        let apart: Vec<i16> = (0..20_000).flat_map(|i| [i % 500 * 20, 0]).collect();
        assert!(
            !split(counted(2, &apart).expect("two channels"))
                .0
                .are_alike()
        );
    }

    #[test]
    fn too_many_channels_are_refused() {
        assert!(matches!(
            counted(64, &[1; 64]),
            Err(AudioError::ManyChannels { count: 64, .. })
        ));
    }

    #[test]
    fn a_reader_that_stops_leaves_the_others_alone() {
        let frames = vec![100; 400_000];
        let (splitter, mut channels) = counted(2, &frames).expect("two channels").split();
        drop(channels.remove(0));
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut n = 0;
                while let Ok(Some(block)) = channels[0].next_block() {
                    n += block.samples.len();
                }
                n
            });
            splitter.run(&AtomicBool::new(false));
            assert_eq!(reader.join().expect("no panic"), 200_000);
        });
    }
}
