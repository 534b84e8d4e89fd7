//! Reads binary files field by field. Errors name the expected field and its offset.

use crate::models::error::Defect;

/// A position in a file's bytes.
#[derive(Debug, Clone)]
pub(crate) struct Bytes<'a> {
    data: &'a [u8],
    offset: usize,
}

impl<'a> Bytes<'a> {
    /// The start of `data`.
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, offset: 0 }
    }

    /// Offset of the next field in bytes.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Whether all bytes have been read.
    pub(crate) fn at_end(&self) -> bool {
        self.offset == self.data.len()
    }

    /// Reads `n` bytes; `what` describes them in errors.
    ///
    /// # Errors
    /// Returns an error if fewer are left.
    pub(crate) fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8], Defect> {
        let rest = self.data.get(self.offset..).unwrap_or_default();
        let taken = rest.get(..n).ok_or_else(|| {
            Defect::new(format!(
                "{what} at offset {} takes {n} bytes, but {} are left (truncated)",
                self.offset,
                rest.len()
            ))
        })?;
        self.offset += n;
        Ok(taken)
    }

    /// Reads `N` bytes; `what` describes them in errors.
    ///
    /// # Errors
    /// Returns an error if fewer are left.
    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Defect> {
        let taken = self.take(N, what)?;
        // `take` returned exactly N bytes.
        Ok(taken.first_chunk().copied().unwrap_or([0; N]))
    }

    /// Reads a little-endian u32.
    ///
    /// # Errors
    /// Returns an error if the file ends before it.
    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, Defect> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Reads a little-endian u32 as a length or count.
    ///
    /// # Errors
    /// Returns an error if the file ends before it.
    pub(crate) fn length(&mut self, what: &str) -> Result<usize, Defect> {
        self.u32(what).map(|n| n as usize)
    }
}
