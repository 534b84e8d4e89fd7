//! Who may use the server.
//!
//! In: the headers of a request. Out: leave to go on, or an error. Web pages could otherwise have
//! sound transcribed by any server on the machine, and read what it writes: they may ask for any
//! address (`Origin`), also under a name of their own (`Host`; DNS rebinding).

use std::fs::{self, File};
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::super::error::ServerError;
use super::super::listener::Listener;
use super::error::ApiError;
use crate::settings::server::ServerSettings;

/// Name of the systemd credential with the token.
const CREDENTIAL: &str = "hearken-token";
/// Longest token in bytes.
const MOST_TOKEN: u64 = 4096;

/// Rules of a listening socket.
#[derive(Debug)]
pub struct Access {
    /// Hash of the token, if clients need one. Comparing hashes tells nothing of the token by the time
    /// that it takes.
    token: Option<[u8; 32]>,
    /// Whether clients come over TCP.
    is_tcp: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Access {
    /// The rules for a socket. Programs of the same user need no token on a Unix socket.
    ///
    /// # Errors
    /// Returns an error if other machines can reach it and there is no token, or the token cannot be
    /// used.
    pub fn new(listener: &Listener, settings: &ServerSettings) -> Result<Self, ServerError> {
        let is_tcp = matches!(listener, Listener::Tcp(_));
        let token = match token_file(settings) {
            Some(path) if is_tcp => Some(token(&path)?),
            _ => None,
        };
        if token.is_none() && !listener.is_local() {
            let address = listener.address();
            return Err(ServerError::Open { address });
        }
        Ok(Self {
            token,
            is_tcp,
            hosts: settings.hosts.clone(),
            origins: settings.origins.clone(),
        })
    }

    /// Checks who asks. A client with the token may call the machine by any name.
    fn check(&self, headers: &HeaderMap, needs_token: bool) -> Result<(), ApiError> {
        if let Some(origin) = headers.get(header::ORIGIN)
            && !self.is_listed(origin)
        {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "this web page may not use the server; list it in server.origins",
            ));
        }
        let has_token = self
            .token
            .is_none_or(|token| bearer(headers) == Some(token));
        if needs_token && !has_token {
            return Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "the token is missing or wrong; send it as the API key",
            )
            .with_code("invalid_api_key"));
        }
        let is_trusted = self.token.is_some() && has_token;
        if self.is_tcp && !is_trusted && !self.is_known_host(headers) {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "the server is called by a name that it does not know; list it in server.hosts",
            ));
        }
        Ok(())
    }

    fn is_listed(&self, origin: &HeaderValue) -> bool {
        self.origins
            .iter()
            .any(|listed| listed.as_bytes() == origin.as_bytes())
    }

    fn is_known_host(&self, headers: &HeaderMap) -> bool {
        // Only HTTP/1.0 knows requests without it; browsers send it.
        let Some(host) = headers.get(header::HOST) else {
            return true;
        };
        let Ok(host) = host.to_str() else {
            return false;
        };
        let name = without_port(host);
        let address = name.trim_start_matches('[').trim_end_matches(']').parse();
        name.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
            || self
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Checks each request before it is answered, and lets listed web pages read the answer.
pub async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    // Browsers ask without the token whether they may ask; health reveals nothing.
    let is_preflight = origin.is_some() && request.method() == Method::OPTIONS;
    let needs_token = !is_preflight && request.uri().path() != "/health";
    let mut response = match access.check(request.headers(), needs_token) {
        Ok(()) if is_preflight => preflight(request.headers()),
        Ok(()) => next.run(request).await,
        Err(error) => return error.into_response(),
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

fn preflight(asked: &HeaderMap) -> Response {
    let methods = HeaderValue::from_static("GET, POST");
    let headers = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let allowed: [(HeaderName, HeaderValue); 2] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            headers.unwrap_or_else(|| HeaderValue::from_static("authorization, content-type")),
        ),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

/// Hash of the token that a client sends.
fn bearer(headers: &HeaderMap) -> Option<[u8; 32]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    let token = scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)?;
    Some(Sha256::digest(token.trim_ascii()).into())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The file of the configuration, else systemd's credential.
fn token_file(settings: &ServerSettings) -> Option<PathBuf> {
    if !settings.token_file.is_empty() {
        return Some(PathBuf::from(&settings.token_file));
    }
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(Path::new(&directory).join(CREDENTIAL)).filter(|path| path.exists())
}

fn token(path: &Path) -> Result<[u8; 32], ServerError> {
    let unusable = |reason: String| ServerError::Token {
        path: path.display().to_string(),
        reason,
    };
    let is_open = fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
    if is_open {
        return Err(unusable(
            "others may read it; run chmod 600 on it".to_owned(),
        ));
    }
    let mut token = String::new();
    File::open(path)
        .and_then(|file| file.take(MOST_TOKEN).read_to_string(&mut token))
        .map_err(|error| unusable(error.to_string()))?;
    match token.trim() {
        "" => Err(unusable("it is empty".to_owned())),
        token => Ok(Sha256::digest(token).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(token: Option<&str>) -> Access {
        Access {
            token: token.map(|token| Sha256::digest(token).into()),
            is_tcp: true,
            hosts: vec!["hearken.lan".to_owned()],
            origins: vec!["http://localhost:3000".to_owned()],
        }
    }

    fn status(access: &Access, headers: &[(&'static str, &'static str)]) -> u16 {
        let headers = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let checked = access.check(&headers.collect(), true);
        checked.map_or_else(|error| error.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn a_name_that_is_not_ours_is_refused() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:80",
            "hearken.lan:8674",
        ] {
            assert_eq!(status(&access(None), &[("host", host)]), 200, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8674",
            "localhost.evil.example",
            "192.168.0.2",
            "",
            "[::2]",
        ] {
            assert_eq!(status(&access(None), &[("host", host)]), 403, "{host}");
        }
    }

    #[test]
    fn web_pages_need_to_be_listed() {
        let host = ("host", "localhost");
        for (origin, expected) in [
            ("http://localhost:3000", 200),
            ("http://localhost", 403),
            ("https://evil.example", 403),
            ("null", 403),
        ] {
            assert_eq!(
                status(&access(None), &[host, ("origin", origin)]),
                expected,
                "{origin}"
            );
            let token = ("authorization", "Bearer secret");
            let with_token = status(&access(Some("secret")), &[host, token, ("origin", origin)]);
            assert_eq!(with_token, expected, "the token does not list it: {origin}");
        }
    }

    #[test]
    fn a_token_is_needed_if_there_is_one() {
        let access = access(Some("secret"));
        let host = ("host", "192.168.0.2");
        for (authorization, expected) in [
            ("Bearer secret", 200),
            ("bearer  secret ", 200),
            ("Bearer secre", 401),
            ("Bearer secret2", 401),
            ("Basic secret", 401),
            ("Bearer", 401),
            ("", 401),
        ] {
            let headers = [host, ("authorization", authorization)];
            assert_eq!(status(&access, &headers), expected, "{authorization}");
        }
        assert_eq!(status(&access, &[host]), 401);
    }
}
