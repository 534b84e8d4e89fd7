//! The user's engine, in a file, so that a process that was killed does not lose it.

use std::env;
use std::fs;
use std::path::PathBuf;

/// The file; none without a runtime directory.
pub struct Remembered(Option<PathBuf>);

impl Default for Remembered {
    fn default() -> Self {
        let directory = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self(directory.map(|directory| directory.join("hearken/engine")))
    }
}

impl Remembered {
    /// Returns the engine that was in use when a process ended unexpectedly.
    pub fn read(&self) -> Option<String> {
        let engine = fs::read_to_string(self.0.as_ref()?).ok()?;
        (!engine.is_empty()).then_some(engine)
    }

    /// Remembers the engine. Without a file, a crash would leave plain keys.
    pub fn write(&self, engine: &str) {
        if let Some(path) = &self.0 {
            if let Some(directory) = path.parent() {
                let _ = fs::create_dir_all(directory);
            }
            let _ = fs::write(path, engine);
        }
    }

    /// Removes the file.
    pub fn forget(&self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}
