//! One recording of a run, from its path to its transcripts.

use super::super::error::{Error, exit};
use super::super::filtering::Filtering;
use super::Setup;
use crate::audio::{FileSource, InputOptions};
use crate::output::{
    Destination, Footer, Header, Input, Progress, Segment, Word, closing_line, eprint_line,
};
use crate::pipeline::{self, StreamSummary, WindowTranscript};
use crate::text::{trimmed, written};
use crate::whisper::TimedWord;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Transcription of one recording.
pub struct Job<'a> {
    pub setup: &'a Setup,
    pub destination: &'a Destination,
    pub input: &'a Input,
    /// Number of the track from 1; `None` is the one that players choose.
    pub track: Option<usize>,
    /// Beginning of the line of progress.
    pub label: &'a str,
}

/// Recording that has been transcribed.
pub struct Done {
    /// Exit code for this recording alone.
    pub code: u8,
    /// Length of the recording in seconds.
    pub audio_s: f64,
}

impl Done {
    const INTERRUPTED: Self = Self {
        code: exit::INTERRUPTED,
        audio_s: 0.0,
    };
}

impl Job<'_> {
    /// Transcribes the recording.
    ///
    /// # Errors
    /// Returns an error if the recording cannot be read or the transcript cannot be written.
    pub fn run(&self) -> Result<Done, Error> {
        let begun = Instant::now();
        let setup = self.setup;
        let options = InputOptions {
            track: self.track,
            ..InputOptions::default()
        };
        let source = FileSource::open_until(&self.input.path, options, setup.stop.clone())?;
        for note in source.notes() {
            self.note(&format!("hearken: {note}"));
        }
        let progress = Progress::new(
            crate::audio::AudioSource::duration(&source),
            setup.quiet,
            self.label,
        );
        let mut output = self.destination.open(self.input, &self.header())?;
        let mut filter = Filtering::new(setup.filter.as_ref());
        let mut spoken = None;
        let mut n_segments = 0;
        let summary = pipeline::transcribe(
            &setup.whisper,
            Box::new(source),
            &setup.settings,
            &setup.stop,
            |mut window| {
                let task = setup.settings.decoding.task;
                let language = written(task, window.language);
                setup.rules.segments(&mut window.segments, language);
                for segment in &mut window.segments {
                    progress.suspend(|| filter.segment(&mut segment.text));
                }
                window
                    .segments
                    .retain(|segment| !trimmed(&segment.text).is_empty());
                progress.advance_to(window.end_s);
                for segment in self.to_segments(&window, n_segments) {
                    spoken = Some(window.language);
                    n_segments += 1;
                    progress.suspend(|| output.segment(&segment))?;
                }
                Ok::<_, Error>(())
            },
        );
        progress.finish();
        let summary = match summary {
            Err(error) if error.is_stop() => return Ok(Done::INTERRUPTED),
            other => other?,
        };
        if setup.stop.load(Ordering::Relaxed) {
            return Ok(Done::INTERRUPTED);
        }
        // If nothing could be read from a damaged input, no file is left: it would look like a
        // recording without speech.
        let summary = match summary {
            StreamSummary {
                damage: Some(damage),
                ..
            } if n_segments == 0 => return Err(damage.into()),
            summary => summary,
        };
        let language = spoken.map(|language| language.code().to_owned());
        output.finish(&Footer {
            language,
            duration_s: summary.duration_s,
        })?;
        for warning in &summary.warnings {
            eprint_line(&format!("hearken: {warning}"));
        }
        if n_segments == 0 && summary.damage.is_none() {
            self.note(&format!(
                "hearken: {}: no speech; the transcript is empty",
                self.input.path.display()
            ));
        }
        self.note(&closing_line(summary.duration_s, begun.elapsed()));
        match summary.damage {
            Some(damage) => Err(damage.into()),
            None => Ok(Done {
                code: if summary.warnings.is_empty() {
                    exit::SUCCESS
                } else {
                    exit::INPUT
                },
                audio_s: summary.duration_s,
            }),
        }
    }

    fn header(&self) -> Header {
        Header {
            file: self.input.path.display().to_string(),
            model: self.setup.model.clone(),
            task: self.setup.settings.decoding.task.name().to_owned(),
        }
    }

    fn note(&self, line: &str) {
        if !self.setup.quiet {
            eprint_line(line);
        }
    }

    /// Converts the segments of a window to those of the output.
    fn to_segments<'p>(
        &self,
        window: &'p WindowTranscript,
        first_id: usize,
    ) -> impl Iterator<Item = Segment> + use<'p> {
        let with_words = self.setup.settings.word_timestamps;
        let to_word = |word: &TimedWord| Word {
            word: word.text.clone(),
            start_s: word.start,
            end_s: word.end,
            probability: word.probability,
        };
        window
            .segments
            .iter()
            .enumerate()
            .map(move |(i, segment)| Segment {
                id: first_id + i,
                start_s: segment.start,
                end_s: segment.end,
                text: segment.text.clone(),
                tokens: segment.tokens.clone(),
                temperature: window.temperature,
                avg_logprob: window.avg_logprob,
                compression_ratio: window.compression_ratio,
                no_speech_prob: window.no_speech_prob,
                words: with_words.then(|| segment.words.iter().map(to_word).collect()),
            })
    }
}
