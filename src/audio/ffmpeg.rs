//! Reads what Hearken cannot read itself with the system's `ffmpeg`, if it is installed.
//!
//! The input is ffmpeg's standard input, so no name of a file is ever part of its command line, and
//! the format is the one that Hearken recognised, so that no playlist makes it open other files.
//! It writes wav to a pipe, which it fills no faster than it is read. It ends with the source that
//! reads from it: killed if that is dropped, by the broken pipe if the program dies.

mod probe;

use std::io::{self, Read, Seek, SeekFrom};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use symphonia::core::errors::Error as MediaError;

pub use probe::probe;

use super::demux::{Demuxer, EarlyEnd, Item, Wave};
use super::source::{Bytes, Pipe};
use super::stream::ByteStream;
use super::timeline::{MAX_HOLE, MAX_SILENCE};
use super::track::Track;

/// Name of the program.
const PROGRAM: &str = "ffmpeg";
/// Bytes of its messages that are kept.
const MAX_MESSAGES: usize = 4 << 10;

/// Why ffmpeg gave nothing.
#[derive(Debug)]
pub enum Failure {
    /// It is not installed.
    Missing,
    /// It cannot be started or read.
    Io(io::Error),
    /// What it says.
    Refused(String),
}

/// Sound that ffmpeg decodes.
pub struct Ffmpeg {
    sound: Box<dyn Demuxer>,
    process: Process,
    stop: Arc<AtomicBool>,
    end: Option<EarlyEnd>,
}

/// What ffmpeg is asked for.
pub struct Request<'a> {
    /// Name of its demuxer.
    pub demuxer: &'a str,
    /// Index among the tracks with sound; its own choice if `None`.
    pub track: Option<usize>,
    /// Timestamp of the recording's start, in seconds; that of its first sound if `None`.
    pub start: Option<f64>,
}

impl Ffmpeg {
    /// Starts ffmpeg. A pipe ends when `stop` is set.
    ///
    /// # Errors
    /// Returns an error if ffmpeg is missing or cannot read the bytes.
    pub fn open(
        bytes: &Bytes,
        request: &Request<'_>,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let mut command = Command::new(PROGRAM);
        let input = set_input(&mut command, bytes).map_err(Failure::Io)?;
        arguments(&mut command, request, input);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start(&mut command, bytes)?;
        let output = process.child.stdout.take();
        let output = output.ok_or_else(|| Failure::Io(io::Error::other("no output")))?;
        let output = ByteStream::other(Box::new(Pipe::new(output, stop.clone())), None);
        match Wave::open(output) {
            Ok(sound) => Ok(Self {
                sound,
                process,
                stop: stop.clone(),
                end: None,
            }),
            Err(_) => {
                let said = process.finish().1;
                let reason = said.lines().last().unwrap_or("it gave no sound");
                Err(Failure::Refused(reason.to_owned()))
            }
        }
    }
}

impl Demuxer for Ffmpeg {
    fn tracks(&self) -> &[Track] {
        self.sound.tracks()
    }

    fn next_item(&mut self) -> Result<Option<Item>, MediaError> {
        let item = self.sound.next_item()?;
        if item.is_none() && self.end.is_none() && !self.stop.load(Ordering::Relaxed) {
            let (succeeded, said) = self.process.finish();
            let said = said.lines().next().unwrap_or_default().to_owned();
            self.end = match (succeeded, said.is_empty()) {
                (false, _) => Some(EarlyEnd::Failed(said)),
                (true, false) => Some(EarlyEnd::Doubtful(said)),
                (true, true) => None,
            };
        }
        Ok(item)
    }

    fn early_end(&self) -> Option<EarlyEnd> {
        self.end.clone()
    }
}

/// Makes the bytes the command's standard input. Returns the name under which ffmpeg opens it: a
/// file can then seek.
fn set_input(command: &mut Command, bytes: &Bytes) -> io::Result<&'static str> {
    match bytes.file() {
        Some((file, 0)) => {
            command.stdin(file.try_clone()?);
            Ok("file:/proc/self/fd/0")
        }
        Some((file, start)) => {
            let mut file = file.try_clone()?;
            file.seek(SeekFrom::Start(start))?;
            command.stdin(file);
            Ok("pipe:0")
        }
        None => {
            command.stdin(Stdio::piped());
            Ok("pipe:0")
        }
    }
}

fn arguments(command: &mut Command, request: &Request<'_>, input: &str) {
    command.args(["-nostdin", "-hide_banner", "-v", "error"]);
    command.args(["-protocol_whitelist", "file,pipe"]);
    if request.start.is_some() {
        command.arg("-copyts");
    }
    command.args(["-f", request.demuxer, "-i", input]);
    if let Some(track) = request.track {
        command.args(["-map", &format!("0:a:{track}")]);
    }
    command.args(["-vn", "-sn", "-dn"]);
    // Sound that begins later, and gaps, become silence.
    let start = request.start.unwrap_or(0.0);
    let timestamps = match request.demuxer {
        // Those of avi are invalid for some codecs, and it has no gaps.
        "avi" => format!("STARTPTS-{start}/TB+NB_CONSUMED_SAMPLES/SR/TB"),
        _ => believable_timestamps(start),
    };
    command.arg("-af");
    command.arg(format!(
        "asetpts='{timestamps}',aresample=async=1:first_pts=0"
    ));
    command.args(["-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]);
}

/// Returns ffmpeg's formula for timestamps from `start` on, in seconds, without jumps that are invalid:
/// beyond an hour, or more silence than [`MAX_SILENCE`] in all. Register 0 has what jumps have added.
fn believable_timestamps(start: f64) -> String {
    let now = format!("(PTS-{start}/TB-ld(0))");
    let jump = format!("if(isnan(PREV_INPTS),{now},PTS-PREV_INPTS)");
    let silence = format!("{now}*TB-NB_CONSUMED_SAMPLES/SR");
    let is_invalid = format!("gt({jump},{MAX_HOLE}/TB)+gt({silence},{MAX_SILENCE})");
    format!("st(0,ld(0)+if({is_invalid},{jump},0));{now}")
}

/// A running ffmpeg.
struct Process {
    child: Child,
    messages: Option<JoinHandle<String>>,
}

impl Process {
    fn start(command: &mut Command, bytes: &Bytes) -> Result<Self, Failure> {
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::Missing,
            _ => Failure::Io(error),
        })?;
        let messages = child
            .stderr
            .take()
            .map(|stderr| std::thread::spawn(move || read_messages(stderr)));
        let process = Self { child, messages };
        process.feed(bytes)
    }

    /// Copies a pipe to ffmpeg's standard input, on a thread that ends with either.
    fn feed(mut self, bytes: &Bytes) -> Result<Self, Failure> {
        if let Some(mut input) = self.child.stdin.take() {
            let mut stream = bytes.stream().map_err(Failure::Io)?;
            bytes.settle();
            std::thread::spawn(move || io::copy(&mut stream, &mut input));
        }
        Ok(self)
    }

    /// Waits for the end. Returns whether it succeeded, and its messages.
    fn finish(&mut self) -> (bool, String) {
        let succeeded = self.child.wait().is_ok_and(|status| status.success());
        let messages = self.messages.take().and_then(|thread| thread.join().ok());
        (succeeded, messages.unwrap_or_default())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads messages to their end and keeps the first ones, without names of its parts and control
/// characters.
fn read_messages(mut stderr: impl Read) -> String {
    let mut kept = Vec::new();
    let mut block = [0; 1024];
    while let Ok(n @ 1..) = stderr.read(&mut block) {
        let room = MAX_MESSAGES.saturating_sub(kept.len());
        kept.extend_from_slice(block.get(..n.min(room)).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&kept);
    let clean = |line: &str| {
        let line = line.rsplit_once(" @ 0x").map_or(line, |(_, rest)| {
            rest.split_once("] ").map_or(rest, |(_, rest)| rest)
        });
        let is_plain = |c: &char| !c.is_control();
        line.replace("file:/proc/self/fd/0: ", "")
            .replace("pipe:0: ", "")
            .chars()
            .filter(is_plain)
            .collect::<String>()
    };
    let lines: Vec<String> = text
        .lines()
        .map(clean)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_file_is_an_argument() {
        let mut command = Command::new(PROGRAM);
        let request = Request {
            demuxer: "mpegts",
            track: Some(1),
            start: Some(1.5),
        };
        arguments(&mut command, &request, "pipe:0");
        let given: Vec<String> = command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect();
        let line = given.join(" ");
        assert!(line.contains("-copyts -f mpegts -i pipe:0 -map 0:a:1"));
    }

    #[test]
    fn messages_are_kept_short_and_plain() {
        let said = "[mpegts @ 0x55d0c8] Could not find codec\n\x1b[31mfile:/proc/self/fd/0: bad\n";
        assert_eq!(
            read_messages(said.as_bytes()),
            "Could not find codec\n[31mbad"
        );
        let long = "x".repeat(100_000);
        assert_eq!(read_messages(long.as_bytes()).len(), MAX_MESSAGES);
    }
}
