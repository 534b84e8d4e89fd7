//! `hearken daemon`: runs the engine and its sessions as a service.

use super::error::Error;
use super::log;
#[cfg(feature = "serve")]
use super::serve::{Servers, Sockets};
use crate::config::Config;
use crate::dbus::{Hub, Message, engine_events, serve};
use crate::session::{PreCapture, SharedEngine};
#[cfg(feature = "serve")]
use crate::{
    advice::Advice,
    serve::{ServerError, Service},
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "serve")]
use tracing::warn;

/// Number of messages that may wait for the thread that serves the bus.
const OUTBOX: usize = 256;

/// Runs the daemon until a signal ends it. `config` is the configuration file, if not the user's.
///
/// # Errors
/// Returns an error if the configuration is invalid or the session bus cannot be used.
pub fn run(config: Option<&Path>) -> Result<(), Error> {
    #[cfg(feature = "serve")]
    let sockets = Sockets::passed();
    log::start();
    let path = config.map_or_else(Config::path, |path| Ok(path.to_owned()))?;
    let config = Config::read(&path)?;
    let (outbox, inbox) = futures::channel::mpsc::channel(OUTBOX);
    let engine = SharedEngine::start(&config, engine_events(&outbox));
    let pre_capture = PreCapture::default();
    pre_capture.configure(&config.audio);
    let hub = Hub::new(path, config, engine, pre_capture, outbox);
    handle_signals(hub.clone())?;
    feed_watchdog(hub.clone());
    #[cfg(feature = "serve")]
    let _servers = serve_sockets(sockets, &hub);
    Ok(serve(&hub, inbox)?)
}

/// Serves the sockets that systemd has passed. The bus is served even if they cannot be.
#[cfg(feature = "serve")]
fn serve_sockets(sockets: std::io::Result<Sockets>, hub: &Arc<Hub>) -> Option<Servers> {
    let config = hub.clone();
    let service = Service::new(hub.engine().clone(), move || config.config());
    let served = sockets.map_err(ServerError::System);
    match served.and_then(|sockets| sockets.serve(&service)) {
        Ok(servers) => Some(servers),
        Err(error) => {
            warn!("{}", error.explain());
            None
        }
    }
}

/// Handles signals: SIGHUP reloads the configuration, SIGTERM and SIGINT end the daemon.
fn handle_signals(hub: Arc<Hub>) -> Result<(), Error> {
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

/// Makes the thread that serves the bus send keep-alives to the service manager, if it expects
/// them.
fn feed_watchdog(hub: Arc<Hub>) {
    let Some(timeout) = sd_notify::watchdog_enabled() else {
        return;
    };
    std::thread::spawn(move || {
        loop {
            hub.post(Message::Watchdog);
            std::thread::sleep(timeout / 3);
        }
    });
}
