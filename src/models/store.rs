//! The directory of installed models: names in, paths and open files out.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::error::ModelError;
use super::file::ModelFile;
use super::import;
use super::manifest::Manifest;

/// File name extension of model files.
const EXTENSION: &str = "safetensors";

/// The directory of installed models. It need not exist.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// Keeps other processes from writing the same model until it is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file releases the lock in any case.
        let _ = self.0.unlock();
    }
}

impl Store {
    /// The user's store: `$HEARKEN_MODELS_DIR`, or else `hearken/models` in `$XDG_DATA_HOME`.
    ///
    /// # Errors
    /// Returns an error if there is neither a variable nor a home directory.
    pub fn locate() -> Result<Self, ModelError> {
        if let Some(dir) = std::env::var_os(crate::env::MODELS_DIR).filter(|dir| !dir.is_empty()) {
            return Ok(Self::at(dir));
        }
        let base = etcetera::choose_base_strategy().map_err(|_| ModelError::NoDirectory)?;
        Ok(Self::at(base.data_dir().join("hearken").join("models")))
    }

    /// The store in `dir`.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Path of the model `name`, installed or not.
    ///
    /// # Errors
    /// Returns an error if the name is not a valid file name.
    pub fn path(&self, name: &str) -> Result<PathBuf, ModelError> {
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        let all = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if begins && all {
            Ok(self.dir.join(format!("{name}.{EXTENSION}")))
        } else {
            Err(ModelError::BadName {
                name: name.to_owned(),
            })
        }
    }

    /// Names of the installed models, sorted.
    ///
    /// # Errors
    /// Returns an error if the directory exists but cannot be read.
    pub fn installed(&self) -> Result<Vec<String>, ModelError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(ModelError::read(&self.dir)(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry.map_err(ModelError::read(&self.dir))?.path();
            if let (Some(name), true) = (
                path.file_stem(),
                path.extension().is_some_and(|e| e == EXTENSION),
            ) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Path of the installed model `name`, which may be an alias.
    ///
    /// # Errors
    /// Returns an error if it is not installed or unknown.
    pub fn find(&self, name: &str) -> Result<PathBuf, ModelError> {
        let path = self.path(name)?;
        if path.is_file() {
            return Ok(path);
        }
        let manifest = Manifest::builtin();
        let name = manifest.require(name, &self.installed()?)?.name.clone();
        let path = self.path(&name)?;
        if path.is_file() {
            Ok(path)
        } else {
            Err(ModelError::NotInstalled { name, path })
        }
    }

    /// Opens the installed model `name`, which may be an alias.
    ///
    /// # Errors
    /// Returns an error if it is not installed or damaged.
    pub fn open(&self, name: &str) -> Result<ModelFile, ModelError> {
        ModelFile::open(&self.find(name)?)
    }

    /// Removes the installed model `name`, its weights packed for an NPU, and the remains of an
    /// interrupted download or import.
    ///
    /// # Errors
    /// Returns an error if it is not installed or cannot be removed.
    pub fn remove(&self, name: &str) -> Result<PathBuf, ModelError> {
        let path = self.find(name)?;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let lock = self.lock(&name)?;
        fs::remove_file(&path).map_err(ModelError::write(&path, 0))?;
        // Most of these do not exist, so errors are expected.
        let _ = fs::remove_dir_all(self.scratch(&name)?);
        let packed = NPU_FORMATS.map(|format| npu_weights(&path, format));
        let packing = packed.clone().map(|packed| part_of(&packed));
        for left in import::part_names(&path)
            .into_iter()
            .chain(packed)
            .chain(packing)
        {
            let _ = fs::remove_file(left);
        }
        drop(lock);
        Ok(path)
    }

    /// Creates the directory and waits until no other process writes the model `name`.
    ///
    /// # Errors
    /// Returns an error if the directory or the lock file cannot be written.
    pub fn lock(&self, name: &str) -> Result<Lock, ModelError> {
        self.path(name)?;
        fs::create_dir_all(&self.dir).map_err(ModelError::write(&self.dir, 0))?;
        let path = self.dir.join(format!(".{name}.lock"));
        let file = File::create(&path).map_err(ModelError::write(&path, 0))?;
        file.lock().map_err(ModelError::write(&path, 0))?;
        Ok(Lock(file))
    }

    /// [`Store::lock`] for the model file at `model`.
    pub(crate) fn lock_of(model: &Path) -> Result<Lock, ModelError> {
        let name = model.file_stem().unwrap_or_default().to_string_lossy();
        Self::at(model.parent().unwrap_or(Path::new(""))).lock(&name)
    }

    /// Directory for the downloads of the model `name`, which exists until the model is complete.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf, ModelError> {
        self.path(name)?;
        Ok(self.dir.join(format!(".{name}.part")))
    }
}

/// Number formats of NPU weights, as they appear in file names.
const NPU_FORMATS: [&str; 2] = ["bf16", "int8"];

/// Path of the weights of the model file at `model`, packed for an NPU in `format`, `bf16` or `int8`:
/// beside it.
pub fn npu_weights(model: &Path, format: &str) -> PathBuf {
    model.with_extension(format!("npu-{format}"))
}

/// Path of a file until it is complete: `path` with `.part` appended.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Advice;

    #[test]
    fn names_cannot_leave_the_directory() {
        let store = Store::at("/models");
        assert_eq!(
            store.path("base.en").unwrap(),
            Path::new("/models/base.en.safetensors")
        );
        for name in ["", "../x", "a/b", ".hidden", "a b", "-x"] {
            assert!(
                matches!(store.path(name), Err(ModelError::BadName { .. })),
                "{name:?}"
            );
        }
    }

    #[test]
    fn only_model_files_count_as_installed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        assert_eq!(store.installed().unwrap(), Vec::<String>::new());
        for file in [
            "mine.safetensors",
            "base.en.safetensors",
            "base.safetensors.part",
            ".base.lock",
        ] {
            fs::write(dir.path().join(file), b"").unwrap();
        }
        assert_eq!(store.installed().unwrap(), ["base.en", "mine"]);
        assert!(store.find("mine").is_ok());
        let error = store.find("base").unwrap_err().explain();
        assert!(error.contains("hearken models fetch base"), "{error}");
        assert!(matches!(store.find("min"), Err(ModelError::Unknown { .. })));
        let packed =
            NPU_FORMATS.map(|format| npu_weights(&dir.path().join("mine.safetensors"), format));
        let packed = packed
            .into_iter()
            .flat_map(|path| [part_of(&path), path])
            .collect::<Vec<_>>();
        packed.iter().for_each(|path| fs::write(path, b"").unwrap());
        assert_eq!(store.installed().unwrap(), ["base.en", "mine"]);
        store.remove("mine").unwrap();
        assert!(packed.iter().all(|path| !path.exists()));
        assert_eq!(store.installed().unwrap(), ["base.en"]);
    }

    #[test]
    fn a_lock_is_exclusive() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("new"));
        let lock = store.lock("base").unwrap();
        let again = File::open(dir.path().join("new/.base.lock")).unwrap();
        assert!(again.try_lock().is_err());
        drop(lock);
        again.try_lock().unwrap();
    }
}
