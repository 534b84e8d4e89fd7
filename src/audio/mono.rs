//! Converts any [`AudioSource`] to one continuous stream of 16 kHz mono samples, in any format.

use super::{AudioError, AudioSource, AudioWarning, Resampler};

/// Source with a resampler.
pub struct Mono16k {
    source: Box<dyn AudioSource>,
    /// Resampler for the format of the source's latest block.
    resampler: Option<Resampler>,
    out: Vec<f32>,
    /// How the source ended, until it has been reported.
    ended: Option<Result<(), AudioError>>,
}

impl Mono16k {
    /// Wraps `source`.
    pub fn new(source: Box<dyn AudioSource>) -> Self {
        Self {
            source,
            resampler: None,
            out: Vec::new(),
            ended: None,
        }
    }

    /// Length in seconds, as [`AudioSource::duration`].
    pub fn duration(&self) -> Option<f64> {
        self.source.duration()
    }

    /// Problems so far, as [`AudioSource::warnings`].
    pub fn warnings(&self) -> Vec<AudioWarning> {
        self.source.warnings()
    }

    /// Returns the next samples (16 kHz, mono), at least one; `None` at the end, and after an
    /// error.
    ///
    /// # Errors
    /// As [`AudioSource::next_block`]. Everything before the damage has been delivered by then.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>, AudioError> {
        self.out.clear();
        while self.ended.is_none() && self.out.is_empty() {
            match self.pull() {
                Ok(true) => {}
                Ok(false) => self.ended = Some(self.flush()),
                Err(error) => self.ended = Some(self.flush().and(Err(error))),
            }
        }
        if self.out.is_empty() {
            return self.ended.replace(Ok(())).unwrap_or(Ok(())).map(|()| None);
        }
        Ok(Some(&self.out))
    }

    /// Converts one more block of the source; returns false if there is none.
    fn pull(&mut self) -> Result<bool, AudioError> {
        let Some(block) = self.source.next_block()? else {
            return Ok(false);
        };
        let resampler = match &mut self.resampler {
            Some(resampler) if resampler.fits(block) => resampler,
            other => {
                if let Some(mut previous) = other.take() {
                    previous.finish(&mut self.out)?;
                }
                other.insert(Resampler::new(block.rate, block.channels)?)
            }
        };
        resampler.push(block.samples, &mut self.out)?;
        Ok(true)
    }

    /// Flushes the resampler.
    fn flush(&mut self) -> Result<(), AudioError> {
        match self.resampler.take() {
            Some(mut resampler) => Ok(resampler.finish(&mut self.out)?),
            None => Ok(()),
        }
    }
}
