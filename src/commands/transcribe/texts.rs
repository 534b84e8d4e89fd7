//! The way of a recording's text from the model to its transcripts.

use super::super::error::Error;
use super::super::filtering::Filtering;
use super::Setup;
use crate::output::{Output, Progress, Segment, Speaker, Word};
use crate::pipeline::WindowTranscript;
use crate::text::{trimmed, written};
use crate::tokenizer::Language;
use crate::whisper::TimedWord;

/// Applies the user's rules and filter, and writes segments as they come.
pub(super) struct Texts<'a> {
    setup: &'a Setup,
    progress: &'a Progress,
    output: Output,
    filter: Filtering<'a>,
    /// Language of the last window with words.
    pub language: Option<Language>,
    /// Number of segments written.
    pub n_segments: usize,
}

impl<'a> Texts<'a> {
    pub fn new(setup: &'a Setup, progress: &'a Progress, output: Output) -> Self {
        Self {
            setup,
            progress,
            output,
            filter: Filtering::new(setup.filter.as_ref()),
            language: None,
            n_segments: 0,
        }
    }

    /// Converts a window to segments of a transcript.
    pub fn segments(
        &mut self,
        mut window: WindowTranscript,
        speaker: Option<&Speaker>,
    ) -> Vec<Segment> {
        let task = self.setup.settings.decoding.task;
        let language = written(task, window.language);
        self.setup.rules.segments(&mut window.segments, language);
        for segment in &mut window.segments {
            self.progress
                .suspend(|| self.filter.segment(&mut segment.text));
        }
        window
            .segments
            .retain(|segment| !trimmed(&segment.text).is_empty());
        if !window.segments.is_empty() {
            self.language = Some(window.language);
        }
        let with_words = self.setup.settings.word_timestamps;
        let to_segment = |segment: crate::whisper::Segment| Segment {
            id: 0,
            speaker: speaker.cloned(),
            start_s: segment.start,
            end_s: segment.end,
            text: segment.text,
            tokens: segment.tokens,
            temperature: window.temperature,
            avg_logprob: window.avg_logprob,
            compression_ratio: window.compression_ratio,
            no_speech_prob: window.no_speech_prob,
            words: with_words.then(|| segment.words.iter().map(to_word).collect()),
        };
        window.segments.into_iter().map(to_segment).collect()
    }

    /// Writes a segment, which gets its number.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn write(&mut self, mut segment: Segment) -> Result<(), Error> {
        segment.id = self.n_segments;
        self.n_segments += 1;
        let Self {
            progress, output, ..
        } = self;
        Ok(progress.suspend(|| output.segment(&segment))?)
    }

    /// Returns what has been written.
    pub fn into_output(self) -> Output {
        self.output
    }
}

fn to_word(word: &TimedWord) -> Word {
    Word {
        word: word.text.clone(),
        start_s: word.start,
        end_s: word.end,
        probability: word.probability,
    }
}
