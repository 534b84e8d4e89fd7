//! The user's engine, in a file, so that a process that was killed does not lose it.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::input::guard::Guard;

/// Our guard knows it, and a file for the case that the guard is killed, too.
pub struct Remembered {
    /// None without a runtime directory.
    file: Option<PathBuf>,
    guard: Guard,
}

impl Remembered {
    pub fn new(guard: Guard) -> Self {
        let directory = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self {
            file: directory.map(|directory| directory.join("hearken/engine")),
            guard,
        }
    }

    /// Returns the engine that was in use when a process ended unexpectedly.
    pub fn read(&self) -> Option<String> {
        let engine = fs::read_to_string(self.file.as_ref()?).ok()?;
        (!engine.is_empty()).then_some(engine)
    }

    /// Remembers the engine. Without a file, a crash would leave plain keys.
    pub fn write(&self, engine: &str) {
        self.guard
            .note(|taken| taken.engine = Some(engine.to_owned()));
        if let Some(path) = &self.file {
            if let Some(directory) = path.parent() {
                let _ = fs::create_dir_all(directory);
            }
            let _ = fs::write(path, engine);
        }
    }

    /// Removes the file.
    pub fn forget(&self) {
        self.guard.note(|taken| taken.engine = None);
        if let Some(path) = &self.file {
            let _ = fs::remove_file(path);
        }
    }
}
