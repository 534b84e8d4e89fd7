//! The decoder's stage: encoder states to text, several windows in flight, passages in the order of the windows.

use super::turns::Turns;
use super::{Encoded, Passage, Settings};
use crate::audio::SAMPLE_RATE;
use crate::whisper::decoding::{
    Decoding, DecodingError, DecodingOptions, DecodingResult, PromptHistory, segments_from_tokens,
};
use crate::whisper::{Batch, DecodeError, SAMPLES_PER_POSITION, Whisper};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

/// Windows in flight: more of them gain little, since products of so many rows wait for arithmetic rather than for
/// the weights, and each keeps 7 MB (base) of keys and values.
const IN_FLIGHT: usize = 8;

/// Windows whose text waits for that of an earlier one.
const WAITING: usize = 32;

/// Decodes windows until there are no more, or until `stop` is set.
///
/// # Errors
/// Where the decoder fails, or [`DecodingError::Cancelled`].
pub fn decode(
    whisper: &Whisper,
    settings: &Settings,
    stop: &AtomicBool,
    turns: &Turns,
    encoded: &Receiver<Encoded>,
    next: &Sender<Passage>,
) -> Result<(), DecodingError<DecodeError>> {
    let mut stage = Stage::new(whisper, settings);
    loop {
        let more = stage.admit(turns, encoded)?;
        if stop.load(Ordering::Relaxed) {
            return Err(DecodingError::Cancelled);
        }
        if !stage.batch.is_empty() {
            let turn = turns.decoder();
            let done = stage.batch.step()?;
            drop(turn);
            for (number, result) in done {
                stage.finish(number, result);
            }
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
    options: DecodingOptions,
    history: PromptHistory,
    /// Windows by their number.
    batch: Batch<'a, usize>,
    /// Windows whose text was not published, in order, with their times in seconds.
    windows: VecDeque<(f64, f64, Option<DecodingResult>)>,
    published: usize,
}

impl<'a> Stage<'a> {
    fn new(whisper: &'a Whisper, settings: &'a Settings) -> Self {
        let Settings { initial_prompt, condition_on_previous_text, .. } = settings;
        let n_text_ctx = whisper.file().dims().n_text_ctx;
        Self {
            whisper,
            settings,
            options: settings.decoding.clone(),
            history: PromptHistory::new(initial_prompt.clone(), *condition_on_previous_text, n_text_ctx),
            batch: Batch::new(whisper.decoder()),
            windows: VecDeque::new(),
            published: 0,
        }
    }

    /// Whether the next window's options do not depend on the text of the windows before it.
    fn independent(&self) -> bool {
        let prompted = self.settings.condition_on_previous_text || !self.history.prompt().is_empty();
        self.options.language.is_some() && !prompted
    }

    /// Takes in the windows that are there and fit; waits for one where none is in flight. Returns whether more may
    /// come.
    fn admit(&mut self, turns: &Turns, encoded: &Receiver<Encoded>) -> Result<bool, DecodingError<DecodeError>> {
        loop {
            let most = if self.independent() { IN_FLIGHT } else { 1 };
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

    fn take(&mut self, turns: &Turns, window: Encoded) -> Result<(), DecodingError<DecodeError>> {
        let Encoded { start_s, end_s, sound_s, features } = window;
        let window_s = features.n_ctx as f64 * SAMPLES_PER_POSITION as f64 / f64::from(SAMPLE_RATE);
        self.options.max_timestamp = Some(window_s as f32);
        self.options.audio_s = Some((end_s - start_s) as f32);
        self.options.sound_s = Some(sound_s);
        self.options.prompt = self.history.prompt().to_vec();
        let (level, n_text_ctx) = (self.whisper.cpu().level, self.whisper.file().dims().n_text_ctx);
        let fallback = &self.settings.fallback;
        let decoding = Decoding::new(level, self.whisper.tokenizer(), n_text_ctx, &self.options, fallback)?;
        let number = self.published + self.windows.len();
        let _turn = turns.decoder();
        self.batch.admit(number, &features, decoding).map_err(DecodingError::Inference)?;
        self.windows.push_back((start_s, end_s, None));
        Ok(())
    }

    /// Notes a window's result.
    fn finish(&mut self, number: usize, result: DecodingResult) {
        if let Some((_, _, slot)) = self.windows.get_mut(number - self.published) {
            *slot = Some(result);
        }
    }

    /// What the first window that was not published says, once it is known.
    fn passage(&mut self) -> Option<Passage> {
        let (start_s, end_s, result) = self.windows.front_mut()?;
        let (start_s, end_s, result) = (*start_s, *end_s, result.take()?);
        self.windows.pop_front();
        self.published += 1;
        let mut segments = Vec::new();
        if !self.settings.fallback.is_silence(&result) {
            self.options.language = Some(result.language);
            let utterance_s = end_s - start_s;
            segments = segments_from_tokens(&result.tokens, utterance_s, self.whisper.tokenizer()).into_segments();
            self.history.record(&segments, result.temperature);
            for segment in &mut segments {
                // The tail may draw a time out of the window's audio.
                segment.start = start_s + segment.start.min(utterance_s);
                segment.end = start_s + segment.end.min(utterance_s);
            }
        }
        Some(Passage {
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
