//! Listening sockets: bound to an address of the command line, or passed by systemd.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

use crate::advice::Advice;
use crate::settings::address::Address;

/// A socket that accepts connections.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket. The path is that of a socket that we have made, which is removed at the end.
    Unix(UnixListener, Option<SocketFile>),
}

/// File of a Unix socket, removed when it is dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If somebody else has removed it, it is gone all the same.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Reason that an address cannot be listened at.
#[derive(Debug, thiserror::Error)]
#[error("{address}: cannot listen there: {source}")]
pub struct BindError {
    /// The address.
    pub address: String,
    /// Error of the system.
    pub source: io::Error,
}

impl Advice for BindError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self.source.kind() {
            io::ErrorKind::AddrInUse => "stop the program that uses it, or choose another".into(),
            io::ErrorKind::PermissionDenied => "choose a port above 1023".into(),
            _ => "check the address".into(),
        })
    }
}

impl Listener {
    /// Listens at an address. A Unix socket is for its owner alone.
    ///
    /// # Errors
    /// Returns an error if the address is in use or is none of this machine.
    pub fn bind(address: &Address) -> Result<Self, BindError> {
        let listener = match address {
            Address::Tcp(address) => TcpListener::bind(address).map(Self::Tcp),
            Address::Unix(path) => bind_unix(path),
        };
        listener.map_err(|source| BindError {
            address: address.to_string(),
            source,
        })
    }

    /// Whether only programs on this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(listener) => listener.local_addr().is_ok_and(|at| is_loopback(at.ip())),
            Self::Unix(..) => true,
        }
    }

    /// Its address, for people.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |at| at.to_string()),
            Self::Unix(listener, _) => {
                let address = listener.local_addr().ok();
                let path = address.and_then(|at| Some(at.as_pathname()?.display().to_string()));
                path.unwrap_or_else(|| "a Unix socket".to_owned())
            }
        }
    }
}

/// Whether an address is one of the loopback interface.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    let left_over = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if left_over {
        if UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    let file = SocketFile(path.to_owned());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(Listener::Unix(listener, Some(file)))
}

/// Returns the sockets that systemd has passed, each with its name (`FileDescriptorName=`). They can
/// be had once, before other threads run.
///
/// # Errors
/// Returns an error if what was passed is no listening socket.
pub fn passed() -> io::Result<Vec<(String, Listener)>> {
    let names: Vec<String> = sd_notify::listen_fds_with_names()?
        .map(|(_, name)| name)
        .collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut descriptors = ListenFd::from_env();
    let mut passed = Vec::new();
    for (place, name) in names.into_iter().enumerate() {
        // What kind of socket it is shows only once it has been taken.
        let listener = match descriptors.take_unix_listener(place) {
            Ok(listener) => listener.map(|listener| Listener::Unix(listener, None)),
            Err(_) => descriptors.take_tcp_listener(place)?.map(Listener::Tcp),
        };
        passed.extend(listener.map(|listener| (name, listener)));
    }
    Ok(passed)
}
