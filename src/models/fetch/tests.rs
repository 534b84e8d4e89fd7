//! Fetches from a small HTTP server in this process, which can misbehave.

use crate::advice::Advice;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::models::import::synthetic;
use crate::models::tensors::hex;

/// How the server treats the next requests.
#[derive(Debug, Clone, Copy)]
enum Behaviour {
    /// Serves the file, or the requested range.
    Serve,
    /// Announces the whole file but sends only this number of bytes.
    Break(usize),
    /// Ignores ranges.
    IgnoreRange,
    NotFound,
}

/// A server of one file; it records the requested ranges.
struct Server {
    url: String,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    /// Serves `file`, with one behaviour per request; the last one applies to all further requests.
    fn new(file: Vec<u8>, behaviours: &[Behaviour]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tiny.pt", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&ranges);
        let mut behaviours = behaviours.to_vec();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let behaviour = if behaviours.len() > 1 {
                    behaviours.remove(0)
                } else {
                    behaviours[0]
                };
                seen.lock()
                    .unwrap()
                    .push(answer(stream.unwrap(), &file, behaviour));
            }
        });
        Self { url, ranges }
    }
}

/// Answers one request and returns where the requested range begins.
fn answer(mut stream: TcpStream, file: &[u8], behaviour: Behaviour) -> Option<usize> {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let head: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let range = head.iter().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("range: bytes=")
            .map(str::to_owned)
    });
    let start: Option<usize> = range.map(|range| range.trim_end_matches('-').parse().unwrap());
    let (status, from, length) = match (behaviour, start) {
        (Behaviour::NotFound, _) => ("404 Not Found", file.len(), 0),
        (Behaviour::Break(n), _) => ("200 OK", 0, n),
        (Behaviour::Serve, Some(start)) => ("206 Partial Content", start, file.len() - start),
        _ => ("200 OK", 0, file.len()),
    };
    let rest = file.len() - from;
    let range = format!(
        "Content-Range: bytes {from}-{}/{}\r\n",
        file.len().saturating_sub(1),
        file.len()
    );
    let range = if status.starts_with("206") {
        range
    } else {
        String::new()
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {rest}\r\n{range}Connection: close\r\n\r\n");
    // The other side may close the connection at any time.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&file[from..from + length]));
    start
}

/// A tiny checkpoint and a manifest entry whose sources are at `urls`.
fn checkpoint() -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let dims = synthetic::dims();
    let path = dir.path().join("tiny.pt");
    synthetic::write_pt(&path, &dims, &synthetic::model(&dims));
    fs::read(path).unwrap()
}

fn model(urls: &[&str], sha256: Option<String>) -> Model {
    let source = |url: &&str| Source::File {
        url: (*url).to_owned(),
        sha256: sha256.clone(),
    };
    Model {
        name: "tiny-test".to_owned(),
        alias: None,
        license: "MIT".to_owned(),
        languages: "English".to_owned(),
        size: None,
        dims: synthetic::dims(),
        alignment_heads: None,
        sources: urls.iter().map(source).collect(),
    }
}

fn sum(file: &[u8]) -> Option<String> {
    Some(hex(&Sha256::digest(file)))
}

fn run(model: &Model, store: &Store) -> Result<Fetched, ModelError> {
    fetch(model, store, false, &|_, _| Ok(Vec::new()), &mut |_, _| ())
}

fn files(store: &Store) -> Vec<String> {
    let entries = fs::read_dir(store.dir()).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_model_is_fetched_once() {
    let dir = TempDir::new().unwrap();
    let file = checkpoint();
    let store = Store::at(dir.path());
    let server = Server::new(file.clone(), &[Behaviour::Serve]);
    let model = model(&[&server.url], sum(&file));
    assert_eq!(run(&model, &store).unwrap(), Fetched::Verified);
    assert_eq!(run(&model, &store).unwrap(), Fetched::AlreadyInstalled);
    assert_eq!(*server.ranges.lock().unwrap(), [None]);
    let installed = store.open("tiny-test").unwrap();
    assert_eq!(installed.metadata("source"), Some(server.url.as_str()));
    assert_eq!(installed.metadata("source_sha256"), sum(&file).as_deref());
    assert_eq!(files(&store), [".tiny-test.lock", "tiny-test.safetensors"]);
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let dir = TempDir::new().unwrap();
    let file = checkpoint();
    let server = Server::new(file.clone(), &[Behaviour::Break(100_000), Behaviour::Serve]);
    run(&model(&[&server.url], sum(&file)), &Store::at(dir.path())).unwrap();
    assert_eq!(*server.ranges.lock().unwrap(), [None, Some(100_000)]);
}

#[test]
fn an_earlier_runs_part_is_used() {
    let dir = TempDir::new().unwrap();
    let file = checkpoint();
    let store = Store::at(dir.path());
    let scratch = store.scratch("tiny-test").unwrap().join("0");
    for (behaviour, part) in [
        (Behaviour::Serve, &file[..7000]),
        (Behaviour::IgnoreRange, b"something else"),
    ] {
        fs::create_dir_all(&scratch).unwrap();
        fs::write(scratch.join("tiny.pt.part"), part).unwrap();
        let server = Server::new(file.clone(), &[behaviour]);
        run(&model(&[&server.url], sum(&file)), &store).unwrap();
        assert_eq!(*server.ranges.lock().unwrap(), [Some(part.len())]);
        store.remove("tiny-test").unwrap();
    }
}

#[test]
fn a_wrong_checksum_leads_to_the_next_source() {
    let dir = TempDir::new().unwrap();
    let file = checkpoint();
    let store = Store::at(dir.path());
    let mut wrong = file.clone();
    wrong[5000] ^= 1;
    let first = Server::new(wrong, &[Behaviour::Serve]);
    let second = Server::new(file.clone(), &[Behaviour::Serve]);
    assert_eq!(
        run(&model(&[&first.url, &second.url], sum(&file)), &store).unwrap(),
        Fetched::Verified
    );
    assert_eq!(
        store.open("tiny-test").unwrap().metadata("source"),
        Some(second.url.as_str())
    );
}

#[test]
fn an_error_names_every_source() {
    let dir = TempDir::new().unwrap();
    let file = checkpoint();
    let store = Store::at(dir.path());
    let mut wrong = file.clone();
    wrong[5000] ^= 1;
    let wrong = Server::new(wrong, &[Behaviour::Serve]);
    let missing = Server::new(Vec::new(), &[Behaviour::NotFound]);
    let short = Server::new(file.clone(), &[Behaviour::Break(0)]);
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let closed = format!("http://{closed}/tiny.pt");
    let urls = [wrong.url.as_str(), &missing.url, &short.url, &closed];
    let error = run(&model(&urls, sum(&file)), &store).unwrap_err();
    assert!(matches!(error, ModelError::Fetch { .. }));
    let text = error.explain();
    for expected in urls
        .into_iter()
        .chain(["sha256 is", "404 Not Found", "0 of", "refused"])
    {
        assert!(text.contains(expected), "{text:?} lacks {expected:?}");
    }
    assert_eq!(store.installed().unwrap(), Vec::<String>::new());
}

#[test]
fn without_a_checksum_the_structure_is_checked() {
    let dir = TempDir::new().unwrap();
    let file = checkpoint();
    let store = Store::at(dir.path());
    let garbage = Server::new(b"<html>not a model</html>".to_vec(), &[Behaviour::Serve]);
    let error = run(&model(&[&garbage.url], None), &store)
        .unwrap_err()
        .to_string();
    assert!(error.contains("not a model that Hearken knows"), "{error}");

    let server = Server::new(file.clone(), &[Behaviour::Serve]);
    let mut other = model(&[&server.url], None);
    other.dims.n_text_ctx += 1;
    let error = run(&other, &store).unwrap_err().to_string();
    assert!(error.contains("n_text_ctx"), "{error}");
    assert_eq!(
        run(&model(&[&server.url], None), &store).unwrap(),
        Fetched::StructureOnly
    );
}

#[test]
fn the_network_can_be_forbidden() {
    let dir = TempDir::new().unwrap();
    let server = Server::new(Vec::new(), &[Behaviour::NotFound]);
    let model = model(&[&server.url], None);
    let error = fetch(
        &model,
        &Store::at(dir.path()),
        true,
        &|_, _| Ok(Vec::new()),
        &mut |_, _| (),
    )
    .unwrap_err();
    assert!(matches!(error, ModelError::Offline { .. }));
    assert!(error.explain().contains("HEARKEN_OFFLINE"), "{error}");
    assert!(server.ranges.lock().unwrap().is_empty());
}

#[test]
fn a_directory_that_cannot_be_written_ends_the_attempt() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let server = Server::new(Vec::new(), &[Behaviour::NotFound]);
    let error = run(
        &model(&[&server.url], None),
        &Store::at(file.join("models")),
    )
    .unwrap_err();
    assert!(
        matches!(error, ModelError::NoSpace { .. } | ModelError::Write { .. }),
        "{error}"
    );
}

#[test]
fn two_fetches_at_once_both_succeed() {
    let dir = TempDir::new().unwrap();
    let file = checkpoint();
    let server = Server::new(file.clone(), &[Behaviour::Serve]);
    let model = model(&[&server.url], sum(&file));
    let results: Vec<Fetched> = thread::scope(|scope| {
        let fetch = || scope.spawn(|| run(&model, &Store::at(dir.path())).unwrap());
        let threads = [fetch(), fetch()];
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(
        results.contains(&Fetched::Verified) && results.contains(&Fetched::AlreadyInstalled),
        "{results:?}"
    );
    assert_eq!(server.ranges.lock().unwrap().len(), 1);
}
