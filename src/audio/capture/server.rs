//! The connection to PulseAudio, or to PipeWire in its place.
//!
//! The process keeps one, which costs nothing while nothing is recorded or played. However often a
//! server that hangs is tried again, only one thread waits for it.

use super::error::CaptureError;
use super::timeout::{AtMostOne, within};
use crate::sync::LockExt;
use pulseaudio::{Client, ClientError};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Mutex;

/// Length of PulseAudio's cookie (`PA_NATIVE_COOKIE_LENGTH`). A server accepts any cookie of this
/// length from its own user.
const COOKIE_LEN: usize = 256;

static CONNECTION: Mutex<Option<Connection>> = Mutex::new(None);
static DIALLING: AtMostOne<Result<Connection, CaptureError>> = AtMostOne::new();

/// Connection to the server.
struct Connection {
    client: Client,
    socket: UnixStream,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Ends the library's thread, which would otherwise wait for a hung server forever.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Returns true if a server answers.
pub(super) fn is_there() -> bool {
    connect().is_ok()
}

/// Returns a client of the server.
pub(super) fn connect() -> Result<Client, CaptureError> {
    let mut connection = CONNECTION.lock_unpoisoned();
    if let Some(Connection { client, .. }) = &*connection
        && matches!(within(client.server_info()), Ok(Ok(_)))
    {
        return Ok(client.clone());
    }
    *connection = None;
    let new = DIALLING.run(dial)??;
    Ok(connection.insert(new).client.clone())
}

fn dial() -> Result<Connection, CaptureError> {
    let socket = socket()?;
    // If something answers, there is a sound server, even if it refuses: do not fall back to ALSA.
    let client = socket.try_clone().map_err(ClientError::from);
    let client = client.and_then(|socket| Client::new_unix(c"Hearken", socket, Some(cookie())));
    let client = client.map_err(|e| CaptureError::Refused {
        what: "accept a connection",
        reason: cause(&e),
    })?;
    Ok(Connection { client, socket })
}

/// Connects to the server on this machine, at the address where PulseAudio's own clients look.
pub(super) fn socket() -> Result<UnixStream, CaptureError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let beside = || Some(PathBuf::from(variable("PULSE_RUNTIME_PATH")?).join("native"));
    let ordinary = || Some(PathBuf::from(variable("XDG_RUNTIME_DIR")?).join("pulse/native"));
    let paths = match variable("PULSE_SERVER") {
        Some(servers) => named_sockets(&servers, &machine_id())?,
        None => beside().or_else(ordinary).into_iter().collect(),
    };
    let unknown = Err(io::Error::new(
        ErrorKind::NotFound,
        "XDG_RUNTIME_DIR is not set",
    ));
    let connected = paths.iter().fold(unknown, |tried, path| {
        tried.or_else(|_| UnixStream::connect(path))
    });
    connected.map_err(|e| CaptureError::NoServer {
        reason: e.to_string(),
    })
}

/// Returns the sockets in a value of `PULSE_SERVER`: a space-separated list of paths, each with an
/// optional `unix:` prefix and, before that, the optional id of its machine in braces
/// (pulse-client.conf(5), PulseAudio's "Server String Format").
fn named_sockets(servers: &str, machine_id: &str) -> Result<Vec<PathBuf>, CaptureError> {
    let here = format!("{{{machine_id}}}");
    let path = |server: &str| {
        let server = server.strip_prefix(&here).unwrap_or(server);
        let path = server
            .strip_prefix("unix:")
            .or(server.starts_with('/').then_some(server));
        path.map(PathBuf::from)
    };
    let paths: Vec<PathBuf> = servers.split_whitespace().filter_map(path).collect();
    if paths.is_empty() {
        Err(CaptureError::ForeignServer {
            servers: servers.to_owned(),
        })
    } else {
        Ok(paths)
    }
}

/// Id of this machine (machine-id(5)); empty if it has none.
fn machine_id() -> String {
    let mut ids = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    ids.next().unwrap_or_default().trim().to_owned()
}

/// Returns the cookie by which the server recognises its user. A server usually recognises local
/// users without it, but may check before the kernel reports the peer's credentials.
pub(super) fn cookie() -> Vec<u8> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let named = variable("PULSE_COOKIE").map(PathBuf::from);
    // The crate only looks in ~/.config.
    let configured =
        variable("XDG_CONFIG_HOME").map(|directory| PathBuf::from(directory).join("pulse/cookie"));
    let paths = named
        .into_iter()
        .chain(configured)
        .chain(pulseaudio::cookie_path_from_env());
    let mut cookies = paths
        .filter_map(|path| std::fs::read(path).ok())
        .filter(|cookie| cookie.len() == COOKIE_LEN);
    cookies.next().unwrap_or_else(|| vec![0; COOKIE_LEN])
}

/// Waits for an answer from the server.
pub(super) fn ask<T>(
    what: &'static str,
    answer: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, CaptureError> {
    within(answer)?.map_err(|e| CaptureError::Refused {
        what,
        reason: cause(&e),
    })
}

/// Returns the cause, which the crate's own messages omit.
fn cause(error: &ClientError) -> String {
    match error {
        ClientError::Io(cause) => cause.to_string(),
        ClientError::Protocol(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Advice;

    #[test]
    fn servers_are_named_as_pulseaudio_names_them() {
        let named = |servers: &str| named_sockets(servers, "c0ffee");
        for server in [
            "unix:/run/a",
            "/run/a",
            "{c0ffee}unix:/run/a",
            "{c0ffee}/run/a",
            "{dead}unix:/run/b /run/a",
        ] {
            assert_eq!(
                named(server).expect(server),
                [PathBuf::from("/run/a")],
                "{server}"
            );
        }
        let several = named(" tcp:desk:4713 unix:/run/a  /run/b ").expect("two sockets");
        assert_eq!(several, [PathBuf::from("/run/a"), PathBuf::from("/run/b")]);
        for server in ["tcp:desk:4713", "desk", "{dead}unix:/run/a"] {
            let error = named(server)
                .expect_err("no socket of this machine")
                .explain();
            assert!(
                error.contains(server) && error.contains("set it to unix:PATH, or unset it"),
                "{error}"
            );
        }
    }
}
