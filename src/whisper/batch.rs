//! Several windows decoded together, so that the decoder's weights are read once for all of them.
//!
//! In: encoded windows at any time, each with its [`Decoding`]. Out: their results as they
//! finish. The result of a window does not depend on the other windows of the batch.

use super::decoder::{DecodeError, Decoder, Row, Workspace};
use super::decoding::{Decoding, DecodingError, DecodingResult, Progress};
use super::encoder::AudioFeatures;
use super::inference::Request;
use super::kv_cache::WindowCache;

/// Windows in flight. Each carries a tag for the caller.
pub struct Batch<'a, T> {
    decoder: &'a Decoder,
    active: Vec<ActiveWindow<'a, T>>,
    /// Caches of finished windows, for reuse.
    used: Vec<WindowCache>,
    work: Workspace,
}

/// Window in flight.
struct ActiveWindow<'a, T> {
    tag: T,
    cache: WindowCache,
    decoding: Decoding<'a>,
    request: Request,
    progress: Option<Result<Progress, DecodingError<DecodeError>>>,
}

/// Finished window.
pub struct Decoded<T> {
    /// The caller's tag.
    pub tag: T,
    /// Transcript.
    pub result: DecodingResult,
    /// KV cache of the window.
    pub window: WindowCache,
}

impl<'a, T: Send> Batch<'a, T> {
    /// Creates a batch without windows.
    pub fn new(decoder: &'a Decoder) -> Self {
        Self {
            decoder,
            active: Vec::new(),
            used: Vec::new(),
            work: Workspace::default(),
        }
    }

    /// Number of windows in flight.
    pub fn len(&self) -> usize {
        self.active.len()
    }

    /// Whether no window is in flight.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Returns the memory of a finished window, for the next windows.
    pub fn reuse(&mut self, window: WindowCache) {
        self.used.push(window);
    }

    /// Adds a window and the first request of its decoding.
    ///
    /// # Errors
    /// Returns an error if the features are not of this model, or if there is not enough memory.
    pub fn admit(
        &mut self,
        tag: T,
        features: &AudioFeatures,
        (decoding, request): (Decoding<'a>, Request),
    ) -> Result<(), DecodeError> {
        let cache = self
            .decoder
            .prepare_window(features, self.used.pop(), &mut self.work)?;
        self.active.push(ActiveWindow {
            tag,
            cache,
            decoding,
            request,
            progress: None,
        });
        Ok(())
    }

    /// Runs one pass of the decoder for all windows. Returns the windows that it finished.
    ///
    /// # Errors
    /// Returns an error if the decoder fails or its logits are not finite.
    pub fn step(&mut self) -> Result<Vec<Decoded<T>>, DecodingError<DecodeError>> {
        let mut rows = Vec::new();
        let mut wanted = Vec::new();
        for (index, active) in self.active.iter_mut().enumerate() {
            append_rows(
                index,
                &active.request,
                &mut active.cache,
                &mut rows,
                &mut wanted,
            );
        }
        let n_vocab = self.decoder.dims().n_vocab;
        let mut windows: Vec<_> = self
            .active
            .iter_mut()
            .map(|active| &mut active.cache)
            .collect();
        let forward = self
            .decoder
            .forward(&mut windows, &rows, &wanted, &mut self.work);
        let mut logits = forward.map_err(DecodingError::Inference)?;
        let mut answers = Vec::with_capacity(self.active.len());
        for active in &mut self.active {
            let (own, others) = logits.split_at_mut(active.request.rows() * n_vocab);
            answers.push((active, own));
            logits = others;
        }
        self.decoder
            .cpu()
            .pool
            .pieces(&mut answers, 1, |_, answer| {
                for (active, logits) in answer {
                    active.progress = Some(active.decoding.advance(&active.request, logits));
                }
            });
        self.take_finished()
    }

    /// Takes the next request of each window. Returns the finished windows.
    fn take_finished(&mut self) -> Result<Vec<Decoded<T>>, DecodingError<DecodeError>> {
        let mut done = Vec::new();
        for mut active in std::mem::take(&mut self.active) {
            match active.progress.take().transpose()? {
                Some(Progress::Done(result)) => {
                    done.push(Decoded {
                        tag: active.tag,
                        result: *result,
                        window: active.cache,
                    });
                    continue;
                }
                Some(Progress::Wants(request)) => active.request = request,
                None => (),
            }
            self.active.push(active);
        }
        Ok(done)
    }
}

/// Prepares a window's sequences for its request, and adds the rows of the pass and those whose
/// logits are wanted.
fn append_rows(
    window: usize,
    request: &Request,
    cache: &mut WindowCache,
    rows: &mut Vec<Row>,
    wanted: &mut Vec<usize>,
) {
    let first = rows.len();
    match request {
        Request::Prefill {
            tokens,
            wanted: places,
        } => {
            cache.tokens.begin();
            rows.extend(tokens.iter().map(|&token| Row {
                window,
                sequence: 0,
                token,
            }));
            wanted.extend(places.iter().map(|place| first + place));
        }
        Request::Step {
            sources,
            keep,
            tokens,
        } => {
            if let Some(sources) = sources {
                cache.tokens.rearrange(sources);
            }
            if let Some(len) = keep {
                cache.tokens.truncate(*len);
            }
            rows.extend(tokens.iter().enumerate().map(|(sequence, &token)| Row {
                window,
                sequence,
                token,
            }));
            wanted.extend(first..rows.len());
        }
    }
}
