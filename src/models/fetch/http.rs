//! Downloads over HTTP: an address in, a complete and verified file out. An interrupted download is
//! resumed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};

use crate::models::error::ModelError;
use crate::models::tensors::hex;
use crate::models::{Done, Progress};

use super::failure::{Failure, check_sha256};
use crate::models::store::part_of;

/// Timeout for resolving and connecting to a server that may not exist.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for the next bytes of a server.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// Number of connections in a row that may break without a single byte before the source fails.
const FRUITLESS_TRIES: u32 = 2;
/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// Downloads `url` into the directory `dir` under the last component of the address, and returns its
/// path. The file gets this name once it is complete and its checksum, if given, matches. `size` is
/// the expected size in bytes.
pub(super) fn fetch_file(
    url: &str,
    dir: &Path,
    sha256: Option<&str>,
    size: Option<u64>,
    progress: &mut Progress<'_>,
) -> Result<PathBuf, Failure> {
    let name = url
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or("download");
    let path = dir.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let part = part_of(&path);
    if sha256.is_none() && part.exists() {
        // Without a checksum, a change of the file on the server would go unnoticed.
        fs::remove_file(&part).map_err(ModelError::write(&part, 0))?;
    }
    let mut download = Download {
        url,
        part: &part,
        size,
        etag: None,
    };
    // A part of full size was interrupted before it was checked.
    if sha256.is_none() || Some(download.have()) != size {
        download.run(&mut |done, total| {
            progress(&format!("downloading {name}"), Done::Bytes(done, total))
        })?;
    }
    if let Some(expected) = sha256 {
        let actual = sha256_of(&part, &mut |done, total| {
            progress(&format!("checking {name}"), Done::Bytes(done, Some(total)));
        })?;
        check_sha256(&part, &actual, expected)?;
    }
    fs::rename(&part, &path).map_err(ModelError::write(&path, 0))?;
    Ok(path)
}

/// A download in progress.
struct Download<'a> {
    url: &'a str,
    part: &'a Path,
    size: Option<u64>,
    /// Version of the file that the server sent first.
    etag: Option<String>,
}

impl Download<'_> {
    /// Requests the file, or its missing rest, until it is complete.
    fn run(&mut self, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<(), Failure> {
        let config = Agent::config_builder()
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(SILENCE_TIMEOUT))
            .timeout_per_read(Some(SILENCE_TIMEOUT))
            .user_agent(concat!("hearken/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .build();
        let agent = Agent::from(config);
        let mut fruitless = 0;
        loop {
            let before = self.have();
            let broke = match self.request(&agent, before, progress)? {
                Outcome::Complete => return Ok(()),
                Outcome::Broke(reason) => reason,
            };
            fruitless = if self.have() > before {
                0
            } else {
                fruitless + 1
            };
            if fruitless >= FRUITLESS_TRIES {
                return Err(Failure::Source(broke));
            }
        }
    }

    /// Number of bytes downloaded so far.
    fn have(&self) -> u64 {
        fs::metadata(self.part).map_or(0, |metadata| metadata.len())
    }

    fn request(
        &mut self,
        agent: &Agent,
        have: u64,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Outcome, Failure> {
        let mut request = agent.get(self.url).header(ACCEPT_ENCODING, "identity");
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(etag) = &self.etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        let response = match request.call() {
            Ok(response) => response,
            // A name or address that cannot be reached will not appear a second later.
            Err(e @ (ureq::Error::Io(_) | ureq::Error::Protocol(_))) if have > 0 => {
                return Ok(Outcome::Broke(e.to_string()));
            }
            Err(e) => return Err(Failure::Source(e.to_string())),
        };
        let start = match response.status().as_u16() {
            200 => 0,
            206 if range_start(&response) == Some(have) => have,
            // The part is not the beginning of the server's file: start again.
            206 | 416 if have > 0 => {
                fs::remove_file(self.part).map_err(ModelError::write(self.part, 0))?;
                return Ok(Outcome::Broke(
                    "the server's file does not continue the part that was downloaded".to_owned(),
                ));
            }
            _ => {
                return Err(Failure::Source(format!(
                    "the server answers {}",
                    response.status()
                )));
            }
        };
        // Weak ones (W/...) do not promise the same bytes.
        let etag = response.headers().get(ETAG).and_then(|v| v.to_str().ok());
        self.etag = etag
            .filter(|etag| !etag.starts_with("W/"))
            .map(str::to_owned);
        self.receive(response, start, progress)
    }

    fn receive(
        &self,
        response: Response<Body>,
        start: u64,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Outcome, Failure> {
        let total = response.body().content_length().map(|n| n + start);
        let needed = total.or(self.size).unwrap_or(0);
        let failed = || ModelError::write(self.part, needed);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.part)
            .map_err(failed())?;
        file.set_len(start).map_err(failed())?;
        let mut body = response
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader();
        let mut chunk = vec![0; CHUNK];
        let mut have = start;
        let broke = loop {
            match body.read(&mut chunk) {
                Ok(0) => break "the connection closed early".to_owned(),
                Ok(n) => {
                    file.write_all(chunk.get(..n).unwrap_or_default())
                        .map_err(failed())?;
                    have += n as u64;
                    progress(have, total.or(self.size));
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break e.to_string(),
            }
        };
        file.sync_all().map_err(failed())?;
        match total.or(self.size) {
            Some(total) if have < total => Ok(Outcome::Broke(format!(
                "{have} of {total} bytes were received: {broke}"
            ))),
            _ => Ok(Outcome::Complete),
        }
    }
}

/// How a request ended.
enum Outcome {
    Complete,
    Broke(String),
}

/// Offset at which a partial response begins.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

/// Checksum of the file at `path`, hexadecimal. `progress` receives the bytes done and the total.
fn sha256_of(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<String, Failure> {
    let file = File::open(path).map_err(ModelError::read(path))?;
    let total = file.metadata().map_or(0, |metadata| metadata.len());
    let mut reader = BufReader::new(file);
    let mut sum = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let n = reader.read(&mut chunk).map_err(ModelError::read(path))?;
        if n == 0 {
            return Ok(hex(&sum.finalize()));
        }
        sum.update(chunk.get(..n).unwrap_or_default());
        done += n as u64;
        progress(done, total);
    }
}
