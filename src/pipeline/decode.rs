//! Third stage: from encoder states to text.
//!
//! In: encoded windows. Out: their transcripts, in the same order, although several windows are in
//! flight at once.

use super::compute_lock::ComputeLock;
use super::running::{Context, Running, context, restart};
use super::window::{Encoded, Incoming, Settings, WindowTranscript};
use crate::audio::{Utterance, clock};
use crate::recognize::{
    SecondPass, WindowAudio, WindowEncoder, WindowError, WindowText, WindowTexts, place, segments,
};
use crate::whisper::decoding::{Decoding, DecodingError, DecodingOptions, PromptHistory};
use crate::whisper::{Batch, Decoded, SAMPLES_PER_POSITION, Whisper};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

/// Maximum number of windows in flight. More gain little, since products of that many rows are
/// limited by arithmetic and not by reading the weights, and each window has a KV cache of up to 10
/// MB (base).
pub const IN_FLIGHT: usize = 8;

/// The same with beams, each of which is a row of a pass and has its own keys and values.
const IN_FLIGHT_WITH_BEAMS: usize = 6;

/// Maximum number of windows whose transcript waits for that of an earlier one.
const WAITING: usize = 32;

/// Decodes windows until there are no more, or until `stop` is set.
///
/// # Errors
/// Returns an error if the decoder fails, if the encoder fails in a second pass, or if `stop` is
/// set.
pub fn decode(
    whisper: &Whisper,
    settings: &Settings,
    stop: &AtomicBool,
    lock: &ComputeLock,
    incoming: &Receiver<Incoming>,
    next: &Sender<WindowTranscript>,
) -> Result<(), WindowError> {
    let mut stage = Stage::new(whisper, settings, stop);
    loop {
        let more = stage.admit(lock, incoming)?;
        if stop.load(Ordering::Relaxed) {
            return Err(DecodingError::Cancelled.into());
        }
        if !stage.batch.is_empty() {
            let guard = lock.decoder();
            for done in stage.batch.step()? {
                stage.finish(done)?;
            }
            drop(guard);
        }
        while let Some(transcript) = stage.transcript() {
            if next.send(transcript).is_err() {
                return Ok(());
            }
        }
        if !more && stage.batch.is_empty() && !stage.running.is_pending() {
            return Ok(());
        }
    }
}

struct Stage<'a> {
    whisper: &'a Whisper,
    settings: &'a Settings,
    stop: &'a AtomicBool,
    /// Options of the next window.
    options: DecodingOptions,
    history: PromptHistory,
    /// Windows in flight, by their number in the stream.
    batch: Batch<'a, usize>,
    texts: WindowTexts<'a>,
    encoder: WindowEncoder,
    /// Sound that is decoded again with what follows it.
    running: Running,
    /// Windows that are not published yet, in order.
    windows: VecDeque<Pending>,
    /// Number of windows published.
    published: usize,
    /// End of the last window in which somebody spoke, in seconds of the stream.
    spoken_until_s: f64,
}

/// Window that is not published yet.
struct Pending {
    /// Start in seconds of the stream.
    start_s: f64,
    /// End in seconds of the stream. The samples are dropped before the window is published.
    end_s: f64,
    utterance: Utterance,
    /// Its audio, after that of its context.
    audio: WindowAudio,
    context: Option<Context>,
    /// Its text, once it is decoded.
    text: Option<WindowText>,
}

impl<'a> Stage<'a> {
    fn new(whisper: &'a Whisper, settings: &'a Settings, stop: &'a AtomicBool) -> Self {
        Self {
            whisper,
            settings,
            stop,
            options: DecodingOptions {
                // Alignment finds times; timestamp tokens cost words (docs/accuracy.md).
                without_timestamps: true,
                ..settings.decoding.clone()
            },
            history: PromptHistory::new(
                settings.initial_prompt.clone(),
                settings.condition_on_previous_text,
                whisper.file().dims().n_text_ctx,
            ),
            batch: Batch::new(whisper.decoder()),
            texts: WindowTexts::new(whisper, settings.decoding.task, settings.word_timestamps),
            encoder: WindowEncoder::new(whisper),
            running: Running::new(settings.n_ctx * SAMPLES_PER_POSITION),
            windows: VecDeque::new(),
            published: 0,
            spoken_until_s: 0.0,
        }
    }

    /// Whether the options of the next window do not depend on the text of the windows before it.
    fn is_independent(&self) -> bool {
        let has_prompt =
            self.settings.condition_on_previous_text || !self.history.prompt().is_empty();
        let is_known = self.options.language.is_some() || self.options.expected_language.is_some();
        is_known && !has_prompt
    }

    /// Takes the windows that are ready, up to the maximum in flight. Waits for one if none is in
    /// flight. Returns whether more may come.
    fn admit(
        &mut self,
        lock: &ComputeLock,
        incoming: &Receiver<Incoming>,
    ) -> Result<bool, WindowError> {
        loop {
            let most = match self.options.beam_size {
                _ if !self.is_independent() => 1,
                None => IN_FLIGHT,
                Some(_) => IN_FLIGHT_WITH_BEAMS,
            };
            let is_full = self.batch.len() >= most || self.windows.len() >= WAITING;
            if is_full || self.awaits_text() {
                return Ok(true);
            }
            if self.running.is_ready() {
                self.take_running(lock, None)?;
                continue;
            }
            let window = if self.batch.is_empty() {
                incoming.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                incoming.try_recv()
            };
            match window {
                Ok(Incoming::Encoded(window)) => self.take(lock, window, None)?,
                Ok(Incoming::Waits(utterance)) => self.take_running(lock, Some(utterance))?,
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) if self.running.is_pending() => {
                    self.running.end();
                    self.take_running(lock, None)?;
                }
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
        }
    }

    /// Whether the next window begins where the text of one in flight ends.
    fn awaits_text(&self) -> bool {
        let last = self.windows.back();
        last.is_some_and(|last| last.utterance.continues && last.text.is_none())
    }

    /// Begins to decode what is left of running speech and the utterance that follows it.
    fn take_running(
        &mut self,
        lock: &ComputeLock,
        incoming: Option<Utterance>,
    ) -> Result<(), WindowError> {
        let Some((utterance, context)) = self.running.next(incoming) else {
            return Ok(());
        };
        let before = context.as_ref().map_or(&[][..], |context| &context.samples);
        let samples = [before, &utterance.samples].concat();
        let audio = WindowAudio::new(self.whisper, samples, self.settings.n_ctx);
        let guard = lock.encoder();
        let features = self.encoder.encode(&audio)?;
        drop(guard);
        let encoded = Encoded {
            utterance,
            audio,
            features,
        };
        self.take(lock, encoded, context)
    }

    /// Begins to decode a window, whose audio begins with that of `context`.
    fn take(
        &mut self,
        lock: &ComputeLock,
        window: Encoded,
        context: Option<Context>,
    ) -> Result<(), WindowError> {
        let Encoded {
            utterance,
            audio,
            features,
        } = window;
        let start_s = clock::seconds(utterance.start);
        let end_s = clock::seconds(utterance.end());
        self.history.pause(start_s - self.spoken_until_s);
        self.options.prompt = self.history.prompt().to_vec();
        let options = DecodingOptions {
            prefix: context
                .as_ref()
                .map_or_else(Vec::new, |context| context.tokens.clone()),
            ..audio.describe(&self.options)
        };
        let decoding = Decoding::new(
            self.whisper.cpu().isa,
            self.whisper.tokenizer(),
            self.whisper.file().dims().n_text_ctx,
            &options,
            &self.settings.fallback,
        )?;
        let number = self.published + self.windows.len();
        let _guard = lock.decoder();
        self.batch.admit(number, &features, decoding)?;
        self.windows.push_back(Pending {
            start_s,
            end_s,
            utterance,
            audio,
            context,
            text: None,
        });
        Ok(())
    }

    /// Keeps the text of a decoded window, after a second pass if needed.
    fn finish(&mut self, done: Decoded<usize>) -> Result<(), WindowError> {
        let Decoded {
            tag: number,
            result,
            window: mut cache,
        } = done;
        let Some(window) = self.windows.get_mut(number - self.published) else {
            return Ok(());
        };
        let first = match window.context.take() {
            None => self.texts.text(result, &window.audio, &mut cache)?,
            Some(context) => {
                let before = &context.tokens;
                let mut text =
                    (self.texts).text_after(before, result, &window.audio, &mut cache)?;
                text.hasten(clock::seconds(context.samples.len() as u64));
                // All that follows is about the utterance alone.
                let samples = window.utterance.samples.clone();
                window.audio = WindowAudio::new(self.whisper, samples, self.settings.n_ctx);
                text
            }
        };
        let stopped = || self.stop.load(Ordering::Relaxed);
        let second_pass = SecondPass {
            whisper: self.whisper,
            texts: &self.texts,
            fallback: &self.settings.fallback,
            n_ctx: self.settings.n_ctx,
            cancelled: &stopped,
        };
        let continues = window.utterance.continues;
        let probabilities = first.result.language_probs.clone();
        let mut text = second_pass.believed(first, &window.audio, continues, &self.options)?;
        self.batch.reuse(cache);
        // A second pass in the language of the first detects none itself.
        text.result.language_probs = text.result.language_probs.or(probabilities);
        let utterance = std::mem::take(&mut window.utterance);
        let seconds = window.audio.seconds();
        // Noise may go on without a pause, too.
        let goes_on = utterance.continues
            && (!text.words.is_empty() || window.audio.voice().seconds(0.0..seconds) > 0.0);
        if goes_on
            && let Some((n_words, at_s)) =
                restart(&text.words, seconds, window.audio.ends_in_pause())
        {
            text.truncate(n_words, self.whisper.tokenizer());
            let tokens = &text.result.tokens;
            let context = context(&text.words, tokens, &window.audio.samples, at_s);
            let rest = utterance.after(clock::samples(at_s));
            window.end_s = clock::seconds(rest.start);
            self.running.put_back(rest, context);
        }
        window.audio.samples = Vec::new();
        window.text = Some(text);
        Ok(())
    }

    /// Returns the transcript of the next window to publish, once it is decoded.
    fn transcript(&mut self) -> Option<WindowTranscript> {
        let window = self.windows.front_mut()?;
        let WindowText { result, words } = window.text.take()?;
        let start_s = window.start_s;
        let end_s = window.end_s;
        self.windows.pop_front();
        self.published += 1;
        let mut segments = segments(words, &result.tokens);
        if !segments.is_empty() {
            // The first sure language is expected of all windows, whatever the order in which they
            // are decoded; one that surely has another is written in that.
            self.options.expected_language = self
                .options
                .expected_language
                .or(result.is_language_sure().then_some(result.language));
            self.history.record(&segments, &result);
            self.spoken_until_s = end_s;
        }
        place(&mut segments, start_s, end_s - start_s);
        if !self.settings.word_timestamps {
            segments
                .iter_mut()
                .for_each(|segment| segment.words.clear());
        }
        Some(WindowTranscript {
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
