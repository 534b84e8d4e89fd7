//! One recording of a run, from its path to its transcripts.

use super::super::error::{Error, exit};
use super::Setup;
use super::speakers::{Turns, speakers};
use super::texts::Texts;
use crate::audio::{AudioSource, AudioWarning, CountedChannels, FileSource, InputOptions};
use crate::output::{
    Destination, Footer, Header, Input, Progress, Speaker, closing_line, eprint_line,
};
use crate::pipeline::{self, ChannelEvent, PipelineError, StreamSummary};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Transcription of one recording.
pub struct Job<'a> {
    pub setup: &'a Setup,
    pub destination: &'a Destination,
    pub input: &'a Input,
    /// Number of the track from 1; `None` is the one that players choose.
    pub track: Option<usize>,
    /// Names of the channels, empty for names of their places; `None` transcribes the mix.
    pub channels: Option<&'a [String]>,
    /// Beginning of the line of progress.
    pub label: &'a str,
}

/// A recording that is open.
enum Recording {
    /// Its channels are mixed.
    Mixed(Box<dyn AudioSource>),
    /// Each of its channels is transcribed.
    Apart(Box<CountedChannels>),
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
        let options = InputOptions { track: self.track };
        let source = FileSource::open_until(&self.input.path, options, setup.stop.clone())?;
        for note in source.notes() {
            self.note(&format!("hearken: {note}"));
        }
        let length = source.duration();
        let progress = Progress::new(length, setup.quiet, self.label);
        let (recording, speakers) = self.tell_apart(source)?;
        let header = self.header(!speakers.is_empty());
        let output = self.destination.open(self.input, &header)?;
        let mut texts = Texts::new(setup, &progress, output);
        let summary = match recording {
            Recording::Mixed(source) => self.transcribe(source, &progress, &mut texts),
            Recording::Apart(channels) => {
                self.transcribe_apart(*channels, &speakers, &progress, &mut texts)
            }
        };
        progress.finish();
        let summary = match summary {
            Err(error) if error.is_stop() => return Ok(Done::INTERRUPTED),
            other => other?,
        };
        if setup.stop.load(Ordering::Relaxed) {
            return Ok(Done::INTERRUPTED);
        }
        let n_segments = texts.n_segments;
        // If nothing could be read from a damaged input, no file is left: it would look like a
        // recording without speech.
        let summary = match summary {
            StreamSummary {
                damage: Some(damage),
                ..
            } if n_segments == 0 => return Err(damage.into()),
            summary => summary,
        };
        let language = texts.language.map(|language| language.code().to_owned());
        texts.into_output().finish(&Footer {
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
                code: if summary.warnings.iter().any(AudioWarning::is_loss) {
                    exit::INPUT
                } else {
                    exit::SUCCESS
                },
                audio_s: summary.duration_s,
            }),
        }
    }

    /// Counts the channels if they are to be told apart, and says who speaks on which.
    fn tell_apart(&self, source: FileSource) -> Result<(Recording, Vec<Speaker>), Error> {
        let Some(names) = self.channels else {
            return Ok((Recording::Mixed(Box::new(source)), Vec::new()));
        };
        let name = self.input.path.display().to_string();
        let channels = CountedChannels::new(source)?;
        if channels.count() == 1 {
            self.note(&format!(
                "hearken: {name}: has one channel, so who speaks cannot be told apart"
            ));
            return Ok((Recording::Mixed(Box::new(channels)), Vec::new()));
        }
        let speakers = speakers(&name, channels.count(), names)?;
        Ok((Recording::Apart(Box::new(channels)), speakers))
    }

    fn transcribe(
        &self,
        source: Box<dyn AudioSource>,
        progress: &Progress,
        texts: &mut Texts<'_>,
    ) -> Result<StreamSummary, PipelineError<Error>> {
        let setup = self.setup;
        pipeline::transcribe(
            &setup.whisper,
            source,
            &setup.settings,
            &setup.stop,
            |window| {
                progress.advance_to(window.end_s);
                let segments = texts.segments(window, None);
                segments
                    .into_iter()
                    .try_for_each(|segment| texts.write(segment))
            },
        )
    }

    fn transcribe_apart(
        &self,
        channels: CountedChannels,
        speakers: &[Speaker],
        progress: &Progress,
        texts: &mut Texts<'_>,
    ) -> Result<StreamSummary, PipelineError<Error>> {
        let setup = self.setup;
        let mut turns = Turns::new(speakers.len());
        let mut position_s = 0.0_f64;
        let summary = pipeline::transcribe_channels(
            &setup.whisper,
            channels,
            &setup.settings,
            &setup.stop,
            |i, event| {
                match event {
                    ChannelEvent::Window(window) => {
                        position_s = position_s.max(window.end_s);
                        progress.advance_to(position_s);
                        for segment in texts.segments(*window, speakers.get(i)) {
                            turns.push(i, segment);
                        }
                    }
                    ChannelEvent::End => turns.end(i),
                }
                while let Some(segment) = turns.next() {
                    texts.write(segment)?;
                }
                Ok(())
            },
        )?;
        if summary.are_alike {
            self.note(&format!(
                "hearken: {}: its channels have the same sound, so its words come more than once; \
                 leave out --channels",
                self.input.path.display()
            ));
        }
        Ok(summary.stream)
    }

    fn header(&self, has_speakers: bool) -> Header {
        Header {
            file: self.input.path.display().to_string(),
            model: self.setup.model.clone(),
            task: self.setup.settings.decoding.task.name().to_owned(),
            has_speakers,
        }
    }

    fn note(&self, line: &str) {
        if !self.setup.quiet {
            eprint_line(line);
        }
    }
}
