//! `hearken serve`: text for programs that speak another protocol than D-Bus, in the foreground.

use std::io;
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::info;

use super::error::Error;
use super::log;
use crate::cli::ServeArgs;
use crate::config::Config;
use crate::serve::{Http, Listener, ServerError, Service, passed};
use crate::session::SharedEngine;

/// Listening sockets by protocol.
#[derive(Default)]
pub struct Sockets {
    http: Vec<Listener>,
}

impl Sockets {
    /// Takes the sockets that systemd has passed. Must be called before other threads run.
    ///
    /// # Errors
    /// Returns an error if something else than listening sockets was passed.
    pub fn passed() -> io::Result<Self> {
        let mut sockets = Self::default();
        for (name, listener) in passed()? {
            match name.as_str() {
                "http" => sockets.http.push(listener),
                _ => info!("the passed socket {name} has a name that is not known"),
            }
        }
        Ok(sockets)
    }

    /// Whether there are none.
    fn are_none(&self) -> bool {
        self.http.is_empty()
    }

    /// Serves them.
    ///
    /// # Errors
    /// Returns an error if a socket may not be served, or the system refuses a thread.
    pub fn serve(self, service: &Arc<Service>) -> Result<Servers, ServerError> {
        let http = (!self.http.is_empty()).then(|| Http::start(self.http, service));
        Ok(Servers {
            _http: http.transpose()?,
        })
    }
}

/// Running servers, which end when they are dropped.
pub struct Servers {
    _http: Option<Http>,
}

/// Serves until a signal ends it.
///
/// # Errors
/// Returns an error if the configuration is invalid, or an address cannot be served.
pub fn run(args: &ServeArgs) -> Result<(), Error> {
    let mut sockets = Sockets::passed().map_err(ServerError::System)?;
    log::start();
    let config = config(args)?;
    for address in &args.http {
        sockets
            .http
            .push(Listener::bind(address).map_err(ServerError::Bind)?);
    }
    if sockets.are_none() {
        return Err(ServerError::NoAddress.into());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Error::Signals)?;
    let engine = SharedEngine::start(&config, |_| ());
    let service = Service::new(engine, move || config.clone());
    let servers = sockets.serve(&service)?;
    signals.forever().next();
    drop(servers);
    Ok(())
}

fn config(args: &ServeArgs) -> Result<Config, Error> {
    let path = args.config.clone().map_or_else(Config::path, Ok)?;
    let mut config = Config::read(&path)?;
    if let Some(model) = &args.model {
        config.model.name.clone_from(model);
    }
    if let Some(path) = &args.token_file {
        config.server.token_file = path.display().to_string();
    }
    Ok(config)
}
