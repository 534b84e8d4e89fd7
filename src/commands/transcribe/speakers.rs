//! `--channels`: who speaks on which channel, and in which order.

use std::collections::VecDeque;

use crate::audio::AudioError;
use crate::output::{Segment, Speaker};

/// Returns the speakers of a recording's channels, under the names given, if any.
///
/// # Errors
/// Returns an error if there are not as many names as channels.
pub(super) fn speakers(
    recording: &str,
    count: usize,
    given: &[String],
) -> Result<Vec<Speaker>, AudioError> {
    if !given.is_empty() && given.len() != count {
        return Err(AudioError::ChannelCount {
            name: recording.to_owned(),
            count,
            wanted: given.len(),
        });
    }
    let name = |i: usize| match (given.get(i), count, i) {
        (Some(name), ..) => name.clone(),
        (None, 2, 0) => "Left".to_owned(),
        (None, 2, _) => "Right".to_owned(),
        (None, ..) => format!("Channel {}", i + 1),
    };
    let speaker = |i| Speaker {
        channel: i + 1,
        name: name(i),
    };
    Ok((0..count).map(speaker).collect())
}

/// Segments of several speakers, which leave in the order in which they were spoken.
pub(super) struct Turns {
    queues: Vec<Queue>,
}

#[derive(Default)]
struct Queue {
    segments: VecDeque<Segment>,
    has_ended: bool,
}

impl Turns {
    /// Without a segment yet.
    pub fn new(n_speakers: usize) -> Self {
        Self {
            queues: (0..n_speakers).map(|_| Queue::default()).collect(),
        }
    }

    /// Adds a segment of a speaker, after the speaker's others.
    pub fn push(&mut self, speaker: usize, segment: Segment) {
        if let Some(queue) = self.queues.get_mut(speaker) {
            queue.segments.push_back(segment);
        }
    }

    /// Says that a speaker has no more segments.
    pub fn end(&mut self, speaker: usize) {
        if let Some(queue) = self.queues.get_mut(speaker) {
            queue.has_ended = true;
        }
    }

    /// Returns the next segment, once it is certain that nobody began earlier.
    pub fn next(&mut self) -> Option<Segment> {
        let is_open = |queue: &Queue| queue.segments.is_empty() && !queue.has_ended;
        if self.queues.iter().any(is_open) {
            return None;
        }
        let start = |queue: &Queue| queue.segments.front().map(|segment| segment.start_s);
        let (first, _) = self
            .queues
            .iter()
            .enumerate()
            .filter_map(|(i, queue)| Some((i, start(queue)?)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        self.queues.get_mut(first)?.segments.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start_s: f64) -> Segment {
        Segment {
            id: 0,
            speaker: None,
            start_s,
            end_s: start_s + 1.0,
            text: String::new(),
            tokens: Vec::new(),
            temperature: 0.0,
            avg_logprob: 0.0,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: None,
        }
    }

    #[test]
    fn channels_have_the_names_given_or_their_place() {
        let names = |count, given: &[&str]| {
            let given: Vec<String> = given.iter().map(|name| (*name).to_owned()).collect();
            let speakers = speakers("a.wav", count, &given).ok()?;
            Some(
                speakers
                    .into_iter()
                    .map(|s| (s.channel, s.name))
                    .collect::<Vec<_>>(),
            )
        };
        let two = |a: &str, b: &str| Some(vec![(1, a.to_owned()), (2, b.to_owned())]);
        assert_eq!(names(2, &[]), two("Left", "Right"));
        assert_eq!(names(2, &["Ann", "Bob"]), two("Ann", "Bob"));
        assert_eq!(names(3, &[]).expect("names")[2], (3, "Channel 3".into()));
        assert_eq!(names(2, &["Ann"]), None);
        assert_eq!(names(2, &["Ann", "Bob", "Cem"]), None);
    }

    #[test]
    fn segments_leave_in_the_order_of_their_starts() {
        let mut turns = Turns::new(2);
        let mut left = Vec::new();
        let mut take = |turns: &mut Turns| {
            while let Some(segment) = turns.next() {
                left.push(segment.start_s);
            }
        };
        turns.push(0, segment(1.0));
        turns.push(0, segment(5.0));
        take(&mut turns);
        turns.push(1, segment(2.0));
        take(&mut turns);
        turns.push(1, segment(6.0));
        turns.end(0);
        take(&mut turns);
        turns.end(1);
        take(&mut turns);
        assert_eq!(left, [1.0, 2.0, 5.0, 6.0]);
    }
}
