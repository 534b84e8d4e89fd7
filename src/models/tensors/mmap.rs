//! Files as bytes: maps a file into memory, read-only. The only `unsafe` code of `models`.

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::{Defect, ModelError};

/// A file's bytes, mapped.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: Mmap,
    path: PathBuf,
}

impl Mapping {
    /// Maps the regular file at `path`.
    ///
    /// # Errors
    /// Returns an error if it cannot be opened, is not a regular file, or is empty.
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(ModelError::read(path))?;
        let metadata = file.metadata().map_err(ModelError::read(path))?;
        if !metadata.is_file() {
            return Err(Defect::new("it is not a regular file").of(path));
        }
        if metadata.len() == 0 {
            return Err(Defect::new("it is empty (0 bytes)").of(path));
        }
        // SAFETY: the map is read-only and private to this process. Model files are replaced by
        // rename, never rewritten in place, so the mapped bytes do not change; a user who truncates
        // one gets a bus error.
        let map = unsafe { Mmap::map(&file) }.map_err(ModelError::read(path))?;
        Ok(Self {
            map,
            path: path.to_owned(),
        })
    }

    /// Releases the memory of `bytes` of the map; they are read from disk again when touched.
    pub(crate) fn release(&self, bytes: std::ops::Range<usize>) {
        #[cfg(target_os = "linux")]
        // SAFETY: the map is read-only: concurrent and later reads find the same bytes, from the
        // file. If the system refuses, the pages stay resident.
        let _ = unsafe {
            self.map.unchecked_advise_range(
                memmap2::UncheckedAdvice::DontNeed,
                bytes.start,
                bytes.len(),
            )
        };
    }

    /// Path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
