//! The daemon's log: to the journal under systemd, otherwise to standard error. It never contains
//! transcribed words.

use std::io::{IsTerminal, stderr};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// Starts logging: this program at level info, libraries at level warning.
pub fn start() {
    let filter = Targets::new()
        .with_default(Level::WARN)
        .with_target("hearken", Level::INFO);
    let registry = Registry::default().with(filter);
    // systemd sets the variable if standard error is the journal (systemd.exec(5)).
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let started = match journal {
        Some(journal) => registry.with(journal).try_init(),
        None => registry
            .with(
                fmt::layer()
                    .with_writer(stderr)
                    .with_ansi(stderr().is_terminal())
                    .with_target(false),
            )
            .try_init(),
    };
    // Fails only if logging has been started before; then there is nothing to do.
    drop(started);
}
