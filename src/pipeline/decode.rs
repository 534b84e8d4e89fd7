//! The decoder's stage: encoder states to text, several windows in flight, passages in the order of the windows.

use super::turns::Turns;
use super::{Encoded, Passage, Settings};
use crate::audio::SAMPLE_RATE;
use crate::whisper::alignment::{Aligner, Pauses, Said, give_words};
use crate::whisper::decoding::{
    Decoding, DecodingError, DecodingOptions, DecodingResult, PromptHistory, Segment, segments_from_tokens,
};
use crate::whisper::{Batch, DecodeError, Decoded, SAMPLES_PER_POSITION, Whisper};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

/// Windows in flight: more of them gain little, since products of so many rows wait for arithmetic rather than for
/// the weights, and each keeps 7 MB (base) of keys and values.
pub const IN_FLIGHT: usize = 8;

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
            for done in stage.batch.step()? {
                stage.finish(done).map_err(DecodingError::Inference)?;
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
    options: DecodingOptions,
    history: PromptHistory,
    /// Windows by their number.
    batch: Batch<'a, usize>,
    aligner: Aligner<'a>,
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
    pauses: Pauses,
    /// What it says, once that is known; segments in seconds from the start of the window.
    said: Option<(DecodingResult, Vec<Segment>)>,
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
            aligner: whisper.aligner(),
            windows: VecDeque::new(),
            published: 0,
            spoken_until_s: 0.0,
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
        let Encoded { start_s, end_s, sound_s, pauses, features } = window;
        let window_s = features.n_ctx as f64 * SAMPLES_PER_POSITION as f64 / f64::from(SAMPLE_RATE);
        self.options.max_timestamp = Some(window_s as f32);
        self.options.audio_s = Some((end_s - start_s) as f32);
        self.options.sound_s = Some(sound_s);
        self.history.pause(start_s - self.spoken_until_s);
        self.options.prompt = self.history.prompt().to_vec();
        let (level, n_text_ctx) = (self.whisper.cpu().level, self.whisper.file().dims().n_text_ctx);
        let fallback = &self.settings.fallback;
        let decoding = Decoding::new(level, self.whisper.tokenizer(), n_text_ctx, &self.options, fallback)?;
        let number = self.published + self.windows.len();
        let _turn = turns.decoder();
        self.batch.admit(number, &features, decoding).map_err(DecodingError::Inference)?;
        self.windows.push_back(Pending { start_s, end_s, pauses, said: None });
        Ok(())
    }

    /// Notes what a window says.
    fn finish(&mut self, done: Decoded<usize>) -> Result<(), DecodeError> {
        let Decoded { tag: number, result, window: mut audio } = done;
        let Some(window) = self.windows.get_mut(number - self.published) else {
            return Ok(());
        };
        let mut segments = Vec::new();
        if !self.settings.fallback.is_silence(&result) {
            let (tokenizer, utterance_s) = (self.whisper.tokenizer(), window.end_s - window.start_s);
            segments = segments_from_tokens(&result.tokens, utterance_s, tokenizer).into_segments();
            if self.settings.word_timestamps {
                let said = Said {
                    before: &[],
                    tokens: &segments.iter().flat_map(|segment| segment.tokens.clone()).collect::<Vec<_>>(),
                    language: result.language,
                    task: self.options.task,
                    seconds: utterance_s,
                    pauses: &window.pauses,
                };
                give_words(&mut segments, self.aligner.align(&mut audio, &said)?, tokenizer.special().eot);
            }
        }
        window.said = Some((result, segments));
        self.batch.reuse(audio);
        Ok(())
    }

    /// What the first window that was not published says, once it is known.
    fn passage(&mut self) -> Option<Passage> {
        let window = self.windows.front_mut()?;
        let (start_s, end_s, (result, mut segments)) = (window.start_s, window.end_s, window.said.take()?);
        self.windows.pop_front();
        self.published += 1;
        if !self.settings.fallback.is_silence(&result) {
            self.options.language = Some(result.language);
            self.history.record(&segments, &result);
            self.spoken_until_s = end_s;
        }
        for segment in &mut segments {
            // The tail may draw a time out of the window's audio.
            let on_stream = |seconds: &mut f64| *seconds = start_s + seconds.min(end_s - start_s);
            on_stream(&mut segment.start);
            on_stream(&mut segment.end);
            for word in &mut segment.words {
                on_stream(&mut word.start);
                on_stream(&mut word.end);
            }
        }
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
