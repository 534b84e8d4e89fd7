//! The body of a request, within its limits.
//!
//! In: bytes as they come from the network. Out: the same, until they are too many or too slow; files
//! in memory that have no name.

use std::error::Error as StdError;
use std::fs::File;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures::{Stream, StreamExt, stream};
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::time::{Instant, timeout};

use super::error::ApiError;

/// Longest time without a byte.
const IDLE: Duration = Duration::from_secs(30);
/// Time after which a body has to have come at [`SLOWEST`].
const GRACE: Duration = Duration::from_secs(30);
/// Fewest bytes a second, which is less than any codec of speech has.
const SLOWEST: f64 = 512.0;

/// Reason that a body is not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It is too large.
    #[error("the request is larger than {} MB; send less, or raise server.max_upload", limit / 1_000_000)]
    TooLarge {
        /// Limit in bytes.
        limit: u64,
    },
    /// It comes too slowly.
    #[error("the request came too slowly")]
    Slow,
    /// The client has stopped sending.
    #[error("the request has ended early")]
    Broken,
}

impl UploadError {
    /// Finds the reason among the causes of an error.
    pub fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(upload) = error.downcast_ref() {
                return Some(upload);
            }
            next = error.source();
        }
        None
    }
}

impl From<&UploadError> for ApiError {
    fn from(error: &UploadError) -> Self {
        let status = match error {
            UploadError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            UploadError::Slow => StatusCode::REQUEST_TIMEOUT,
            UploadError::Broken => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

/// Reads a body of at most `limit` bytes, as long as it does not come too slowly.
pub fn limited(body: Body, limit: u64) -> impl Stream<Item = Result<Bytes, UploadError>> + Send {
    let begun = Instant::now();
    let state = (body.into_data_stream(), 0);
    stream::try_unfold(state, move |(mut chunks, length)| async move {
        let next = timeout(IDLE, chunks.next()).await;
        let Some(chunk) = next.map_err(|_| UploadError::Slow)? else {
            return Ok(None);
        };
        let chunk = chunk.map_err(|_| UploadError::Broken)?;
        let length = length + chunk.len() as u64;
        if length > limit {
            return Err(UploadError::TooLarge { limit });
        }
        let late = begun.elapsed().saturating_sub(GRACE).as_secs_f64();
        if (length as f64) < late * SLOWEST {
            return Err(UploadError::Slow);
        }
        Ok(Some((chunk, (chunks, length))))
    })
}

/// Creates a file in memory, which nothing else can open and which never reaches a disk.
///
/// # Errors
/// Returns an error if the system has no room for it.
pub fn memory_file() -> io::Result<File> {
    Ok(memfd_create("recording", MemfdFlags::CLOEXEC)?.into())
}
