//! HTTP: OpenAI's API for sound, and whisper.cpp's.
//!
//! In: connections. Out: answers. One thread with tokio's runtime serves all connections; recordings
//! are transcribed on threads of their own.

mod access;
mod answer;
mod asked;
mod error;
mod form;
mod models;
mod transcribe;
mod upload;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::{info, warn};

use super::error::ServerError;
use super::listener::Listener;
use super::service::Service;
use crate::session::EngineState;
use access::Access;
use error::ApiError;

/// Most connections at the same time; further ones wait until one has ended.
const MOST_CONNECTIONS: usize = 64;
/// Longest time until the headers of a request have come, also of the next one on a connection.
const HEADERS: Duration = Duration::from_secs(30);
/// Most bytes of the headers of a request.
const MOST_HEADERS: usize = 16 << 10;
/// Most bytes of a connection that wait to be read.
const BUFFER: usize = 64 << 10;
/// Pause after the system has refused a connection, mostly because too many files are open.
const RETRY: Duration = Duration::from_millis(100);

/// A running server, which ends when it is dropped.
pub struct Http {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Http {
    /// Serves connections to these sockets.
    ///
    /// # Errors
    /// Returns an error if a socket may be reached by others without a token, or the system refuses
    /// a thread or a socket.
    pub fn start(listeners: Vec<Listener>, service: &Arc<Service>) -> Result<Self, ServerError> {
        let settings = (service.config)().server;
        let mut sockets = Vec::new();
        for listener in listeners {
            let access = Access::new(&listener, &settings)?;
            sockets.push((listener, router(service.clone(), access)));
        }
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        // The sockets are registered before the thread starts, so that an error is told.
        let guard = runtime.enter();
        for (listener, router) in sockets {
            let address = listener.address();
            let connections = connections.clone();
            match listener {
                Listener::Tcp(socket) => {
                    socket.set_nonblocking(true)?;
                    let socket = TcpListener::from_std(socket)?;
                    info!("HTTP at http://{address}");
                    runtime.spawn(accept(connections, router, async move || {
                        Ok(socket.accept().await?.0)
                    }));
                }
                Listener::Unix(socket, file) => {
                    socket.set_nonblocking(true)?;
                    let socket = UnixListener::from_std(socket)?;
                    info!("HTTP at {address}");
                    runtime.spawn(accept(connections, router, async move || {
                        let _kept = &file;
                        own(socket.accept().await?.0)
                    }));
                }
            }
        }
        drop(guard);
        let thread = std::thread::Builder::new().name("http".to_owned());
        let thread = thread.spawn(move || {
            // Dropping the sender ends it, too.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by then.
            let _ = thread.join();
        }
    }
}

/// Lets programs of the same user through.
fn own(stream: tokio::net::UnixStream) -> io::Result<tokio::net::UnixStream> {
    let peer = stream.peer_cred()?.uid();
    let is_own = peer == rustix::process::geteuid().as_raw() || peer == 0;
    is_own
        .then_some(stream)
        .ok_or_else(|| io::ErrorKind::PermissionDenied.into())
}

fn router(service: Arc<Service>, access: Access) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{name}", get(models::find))
        .route("/v1/audio/transcriptions", post(transcribe::transcriptions))
        .route("/v1/audio/translations", post(transcribe::translations))
        .route("/inference", post(transcribe::inference))
        .fallback(async || ApiError::new(StatusCode::NOT_FOUND, "there is no such path"))
        .method_not_allowed_fallback(async || {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "the path does not know this method",
            )
        })
        // `upload` limits bodies, by the configuration.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(
            Arc::new(access),
            access::guard,
        ))
        .with_state(service)
}

/// `GET /health`, as whisper.cpp's server answers.
async fn health(State(service): State<Arc<Service>>) -> (StatusCode, Json<Value>) {
    match service.engine.state() {
        EngineState::Ready => (StatusCode::OK, Json(json!({ "status": "ok" }))),
        EngineState::Loading => unready("loading model"),
        EngineState::Missing(reason) | EngineState::Failed(reason) => unready(&reason),
    }
}

fn unready(status: &str) -> (StatusCode, Json<Value>) {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({ "status": status })),
    )
}

/// Accepts connections for ever.
async fn accept<S>(
    connections: Arc<Semaphore>,
    router: Router,
    next: impl AsyncFn() -> io::Result<S>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The semaphore is never closed.
    while let Ok(permit) = connections.clone().acquire_owned().await {
        match next().await {
            Ok(stream) => {
                tokio::spawn(serve(stream, router.clone(), permit));
            }
            Err(error) => {
                warn!("a connection was refused: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn serve<S>(stream: S, router: Router, _permit: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_header_size(MOST_HEADERS)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    // What goes wrong on a connection is the client's affair, who sees it.
    drop(connection.await);
}
