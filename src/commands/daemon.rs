//! `hearken daemon`: the engine, its sessions, and the service around them.

use super::error::Error;
use super::log;
use crate::config::Config;
use crate::dbus::{Hub, Message, engine_events, serve};
use crate::session::{PreCapture, SharedEngine};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::Path;
use std::sync::Arc;

/// Messages that may wait for the thread that serves the bus.
const OUTBOX: usize = 256;

/// Runs the daemon until it is told to end. `config` is the configuration file, if not the user's.
///
/// # Errors
/// Returns an error if the configuration is invalid or the session bus cannot be used.
pub fn run(config: Option<&Path>) -> Result<(), Error> {
    log::start();
    let path = config.map_or_else(Config::path, |path| Ok(path.to_owned()))?;
    let config = Config::read(&path)?;
    let (outbox, inbox) = futures::channel::mpsc::channel(OUTBOX);
    let engine = SharedEngine::start(&config, engine_events(&outbox));
    let pre_capture = PreCapture::default();
    pre_capture.configure(&config.audio);
    let hub = Hub::new(path, config, engine, pre_capture, outbox);
    heed_signals(hub.clone())?;
    feed_watchdog(hub.clone());
    Ok(serve(&hub, inbox)?)
}

/// SIGHUP reads the configuration again, SIGTERM and SIGINT end the daemon.
fn heed_signals(hub: Arc<Hub>) -> Result<(), Error> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(Error::Signals)?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            hub.post(if signal == SIGHUP {
                Message::Reload
            } else {
                Message::Quit
            });
        }
    });
    Ok(())
}

/// Has the thread that serves the bus give the service manager signs of life, where that wants
/// them.
fn feed_watchdog(hub: Arc<Hub>) {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return;
    };
    std::thread::spawn(move || {
        loop {
            hub.post(Message::Watchdog);
            std::thread::sleep(patience / 3);
        }
    });
}
