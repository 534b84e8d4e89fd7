//! The decoder's stage: encoder states to text, several windows in flight, passages in the order of
//! the windows.

use super::doubt::{Again, Text};
use super::text::{Segments, place};
use super::turns::Turns;
use super::{Encoded, Passage, Settings, StageError};
use crate::audio::SAMPLE_RATE;
use crate::whisper::alignment::Pauses;
use crate::whisper::decoding::{
    Decoding, DecodingError, DecodingOptions, DecodingResult, PromptHistory,
};
use crate::whisper::{Batch, Decoded, SAMPLES_PER_POSITION, Whisper};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

/// Windows in flight: more of them gain little, since products of so many rows wait for arithmetic
/// rather than for the weights, and each keeps up to 10 MB (base) of keys and values.
pub const IN_FLIGHT: usize = 8;

/// The same with beams, which are rows of a pass too and have keys and values of their own.
const IN_FLIGHT_WITH_BEAMS: usize = 6;

/// Windows whose text waits for that of an earlier one.
const WAITING: usize = 32;

/// Decodes windows until there are no more, or until `stop` is set.
///
/// # Errors
/// Where the decoder fails, or the encoder in a second attempt, or [`DecodingError::Cancelled`].
pub fn decode(
    whisper: &Whisper,
    settings: &Settings,
    stop: &AtomicBool,
    turns: &Turns,
    encoded: &Receiver<Encoded>,
    next: &Sender<Passage>,
) -> Result<(), StageError> {
    let mut stage = Stage::new(whisper, settings, stop);
    loop {
        let more = stage.admit(turns, encoded)?;
        if stop.load(Ordering::Relaxed) {
            return Err(DecodingError::Cancelled.into());
        }
        if !stage.batch.is_empty() {
            let turn = turns.decoder();
            for done in stage.batch.step()? {
                stage.finish(done)?;
            }
            drop(turn);
        }
        while let Some(passage) = stage.passage() {
            if next.send(passage).is_err() {
                return Ok(());
            }
        }
        if !more && stage.batch.is_empty() {
            return Ok(());
        }
    }
}

struct Stage<'a> {
    whisper: &'a Whisper,
    settings: &'a Settings,
    stop: &'a AtomicBool,
    options: DecodingOptions,
    history: PromptHistory,
    /// Windows by their number.
    batch: Batch<'a, usize>,
    segments: Segments<'a>,
    /// Windows whose text was not published, in order.
    windows: VecDeque<Pending>,
    published: usize,
    /// End of the last window in which somebody spoke, in seconds of the stream.
    spoken_until_s: f64,
}

/// A window whose text was not published.
struct Pending {
    /// Where it begins and ends, in seconds of the stream.
    start_s: f64,
    end_s: f64,
    sound_s: f32,
    pauses: Pauses,
    /// Its audio, 16 kHz, mono, until it is decoded.
    samples: Vec<f32>,
    /// What it says, once that is known.
    said: Option<Text>,
}

impl<'a> Stage<'a> {
    fn new(whisper: &'a Whisper, settings: &'a Settings, stop: &'a AtomicBool) -> Self {
        let Settings {
            initial_prompt,
            condition_on_previous_text,
            ..
        } = settings;
        let n_text_ctx = whisper.file().dims().n_text_ctx;
        Self {
            whisper,
            settings,
            stop,
            options: settings.decoding.clone(),
            history: PromptHistory::new(
                initial_prompt.clone(),
                *condition_on_previous_text,
                n_text_ctx,
            ),
            batch: Batch::new(whisper.decoder()),
            segments: Segments::new(whisper, settings),
            windows: VecDeque::new(),
            published: 0,
            spoken_until_s: 0.0,
        }
    }

    /// Whether the next window's options do not depend on the text of the windows before it.
    fn independent(&self) -> bool {
        let prompted =
            self.settings.condition_on_previous_text || !self.history.prompt().is_empty();
        self.options.language.is_some() && !prompted
    }

    /// Takes in the windows that are there and fit; waits for one where none is in flight. Returns
    /// whether more may come.
    fn admit(&mut self, turns: &Turns, encoded: &Receiver<Encoded>) -> Result<bool, StageError> {
        loop {
            let most = match self.options.beam_size {
                _ if !self.independent() => 1,
                None => IN_FLIGHT,
                Some(_) => IN_FLIGHT_WITH_BEAMS,
            };
            if self.batch.len() >= most || self.windows.len() >= WAITING {
                return Ok(true);
            }
            let window = if self.batch.is_empty() {
                encoded.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                encoded.try_recv()
            };
            match window {
                Ok(window) => self.take(turns, window)?,
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
        }
    }

    fn take(&mut self, turns: &Turns, window: Encoded) -> Result<(), StageError> {
        let Encoded {
            start_s,
            end_s,
            sound_s,
            pauses,
            samples,
            features,
        } = window;
        let window_s = features.n_ctx as f64 * SAMPLES_PER_POSITION as f64 / f64::from(SAMPLE_RATE);
        self.options.max_timestamp = Some(window_s as f32);
        self.options.audio_s = Some((end_s - start_s) as f32);
        self.options.sound_s = Some(sound_s);
        self.history.pause(start_s - self.spoken_until_s);
        self.options.prompt = self.history.prompt().to_vec();
        let (isa, n_text_ctx) = (
            self.whisper.cpu().isa,
            self.whisper.file().dims().n_text_ctx,
        );
        let fallback = &self.settings.fallback;
        let decoding = Decoding::new(
            isa,
            self.whisper.tokenizer(),
            n_text_ctx,
            &self.options,
            fallback,
        )?;
        let number = self.published + self.windows.len();
        let _turn = turns.decoder();
        self.batch
            .admit(number, &features, decoding)
            .map_err(DecodingError::Inference)?;
        self.windows.push_back(Pending {
            start_s,
            end_s,
            sound_s,
            pauses,
            samples,
            said: None,
        });
        Ok(())
    }

    /// Notes what a window says.
    fn finish(&mut self, done: Decoded<usize>) -> Result<(), StageError> {
        let Decoded {
            tag: number,
            result,
            window: mut audio,
        } = done;
        let Some(window) = self.windows.get_mut(number - self.published) else {
            return Ok(());
        };
        let samples = std::mem::take(&mut window.samples);
        let Self {
            whisper,
            settings,
            ref segments,
            stop,
            ..
        } = *self;
        let said = segments.of(
            &result,
            window.end_s - window.start_s,
            &window.pauses,
            &mut audio,
        );
        let said = said.map_err(DecodingError::Inference)?;
        let again = Again {
            whisper,
            settings,
            segments,
            stop,
        };
        let better = again.decode(
            &samples,
            window.sound_s,
            &self.options,
            (&result, &said),
            &mut audio,
        )?;
        self.batch.reuse(audio);
        window.said = Some(match better {
            // Decoded in the language that was detected before.
            Some((better, segments)) if better.language_probs.is_none() => (
                DecodingResult {
                    language_probs: result.language_probs,
                    ..better
                },
                segments,
            ),
            Some(better) => better,
            None => (result, said),
        });
        Ok(())
    }

    /// What the first window that was not published says, once it is known.
    fn passage(&mut self) -> Option<Passage> {
        let window = self.windows.front_mut()?;
        let (start_s, end_s, (result, mut segments)) =
            (window.start_s, window.end_s, window.said.take()?);
        self.windows.pop_front();
        self.published += 1;
        if !self.settings.fallback.is_silence(&result) {
            // A doubtful language says little of what follows: it is detected anew.
            self.options.language = self
                .options
                .language
                .or(result.is_language_sure().then_some(result.language));
            self.history.record(&segments, &result);
            self.spoken_until_s = end_s;
        }
        place(&mut segments, start_s, end_s - start_s);
        Some(Passage {
            start_s,
            end_s,
            language: result.language,
            segments,
            temperature: result.temperature,
            avg_logprob: result.avg_logprob,
            compression_ratio: result.compression_ratio,
            no_speech_prob: result.no_speech_prob,
        })
    }
}
