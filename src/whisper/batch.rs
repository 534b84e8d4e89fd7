//! Several windows decoded together, so that the decoder's weights are read once for all of them.
//!
//! In: encoded windows, each with the [`Decoding`] that is to be served, at any time. Out: their
//! results as they are done. A window's result does not depend on the windows beside it.

use super::decoder::{DecodeError, Decoder, Row, Workspace};
use super::decoding::{Decoding, DecodingError, DecodingResult, Progress};
use super::encoder::AudioFeatures;
use super::inference::Request;
use super::kv_cache::WindowCache;

/// Windows in flight; each carries a tag of the caller's.
pub struct Batch<'a, T> {
    decoder: &'a Decoder,
    slots: Vec<Slot<'a, T>>,
    /// Of windows that are done.
    used: Vec<WindowCache>,
    work: Workspace,
}

/// A window in flight.
struct Slot<'a, T> {
    tag: T,
    cache: WindowCache,
    decoding: Decoding<'a>,
    request: Request,
    progress: Option<Result<Progress, DecodingError<DecodeError>>>,
}

/// A window that is done.
pub struct Decoded<T> {
    /// The caller's tag.
    pub tag: T,
    /// What it says.
    pub result: DecodingResult,
    /// Its audio as the decoder keeps it.
    pub window: WindowCache,
}

impl<'a, T: Send> Batch<'a, T> {
    /// No windows.
    pub fn new(decoder: &'a Decoder) -> Self {
        Self {
            decoder,
            slots: Vec::new(),
            used: Vec::new(),
            work: Workspace::default(),
        }
    }

    /// Windows in flight.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Gives back the memory of a window that is done, for the next ones.
    pub fn reuse(&mut self, window: WindowCache) {
        self.used.push(window);
    }

    /// Takes in a window and the first request of its decoding.
    ///
    /// # Errors
    /// Where the features are not this model's, or there is no memory.
    pub fn admit(
        &mut self,
        tag: T,
        features: &AudioFeatures,
        (decoding, request): (Decoding<'a>, Request),
    ) -> Result<(), DecodeError> {
        let cache = self
            .decoder
            .prepare_window(features, self.used.pop(), &mut self.work)?;
        self.slots.push(Slot {
            tag,
            cache,
            decoding,
            request,
            progress: None,
        });
        Ok(())
    }

    /// One pass of the decoder for all windows. Returns those that it has finished.
    ///
    /// # Errors
    /// Where the decoder fails or its logits are no probabilities.
    pub fn step(&mut self) -> Result<Vec<Decoded<T>>, DecodingError<DecodeError>> {
        let (mut rows, mut wanted) = (Vec::new(), Vec::new());
        for (window, slot) in self.slots.iter_mut().enumerate() {
            ask(
                window,
                &slot.request,
                &mut slot.cache,
                &mut rows,
                &mut wanted,
            );
        }
        let n_vocab = self.decoder.dims().n_vocab;
        let mut windows: Vec<_> = self.slots.iter_mut().map(|slot| &mut slot.cache).collect();
        let forward = self
            .decoder
            .forward(&mut windows, &rows, &wanted, &mut self.work);
        let mut logits = forward.map_err(DecodingError::Inference)?;
        let mut answers = Vec::with_capacity(self.slots.len());
        for slot in &mut self.slots {
            let (own, others) = logits.split_at_mut(slot.request.rows() * n_vocab);
            answers.push((slot, own));
            logits = others;
        }
        self.decoder
            .cpu()
            .pool
            .pieces(&mut answers, 1, |_, answer| {
                for (slot, logits) in answer {
                    slot.progress = Some(slot.decoding.advance(&slot.request, logits));
                }
            });
        self.collect()
    }

    /// Takes the next requests, and the windows that are done.
    fn collect(&mut self) -> Result<Vec<Decoded<T>>, DecodingError<DecodeError>> {
        let mut done = Vec::new();
        for mut slot in std::mem::take(&mut self.slots) {
            match slot.progress.take().transpose()? {
                Some(Progress::Done(result)) => {
                    done.push(Decoded {
                        tag: slot.tag,
                        result: *result,
                        window: slot.cache,
                    });
                    continue;
                }
                Some(Progress::Wants(request)) => slot.request = request,
                None => (),
            }
            self.slots.push(slot);
        }
        Ok(done)
    }
}

/// Prepares a window's sequences for its request, and adds the rows of the pass and those whose
/// logits are wanted.
fn ask(
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
