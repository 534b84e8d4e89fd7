//! `hearken bench live`: transcribes recordings as if they were spoken into the microphone. Its
//! clock counts audio and the real time of the work, so it reports what a listener would see but
//! takes less time. With `--minutes`, the recordings are repeated as one long stream, to see
//! whether memory and speed stay constant.

use crate::audio::{FileSource, Mono16k, SAMPLE_RATE, clock};
use crate::cli::BenchLiveArgs;
use crate::commands::error::{Error, exit};
use crate::commands::transcribe;
use crate::config::Config;
use crate::output::{eprint_line, print};
use crate::session::SessionSettings;
use crate::stream::{Event, Live, RecognizeError, WhisperRecognizer};
use crate::text::Word;
use crate::whisper::decoding::DecodingOptions;
use crate::whisper::{LONGEST_WINDOW, Whisper};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Samples per block, as from a microphone: 60 ms.
const BLOCK: usize = 960;
/// Samples of silence after each recording, as a speaker would leave: 1.5 s.
const SILENCE: usize = 24_000;
/// Silence that the segmenter keeps before and after speech, in seconds.
const PADDING_S: f64 = 0.5;

/// Measurements on a recording.
#[derive(Debug, Default, Serialize)]
struct Report {
    file: String,
    text: String,
    /// Text of each utterance.
    finals: Vec<String>,
    audio_s: f64,
    busy_s: f64,
    /// CPU time of all threads, in seconds.
    cpu_s: f64,
    partials: usize,
    /// Times from the onset of each utterance to its first text, in seconds.
    first_partial_s: Vec<f64>,
    /// Times from the detection of the end of an utterance to its final text, in seconds.
    final_s: Vec<f64>,
    /// Times from the end of speech to its final text, including the pause that ends the utterance,
    /// in seconds.
    speech_to_final_s: Vec<f64>,
    /// Times from the end of each word that a partial commits to that partial, in seconds.
    committed_s: Vec<f64>,
    /// Times from the end of each word until a partial or final commits it, in seconds.
    settled_s: Vec<f64>,
    /// Time at which the end of the latest utterance was detected, in seconds.
    #[serde(skip)]
    ended_s: f64,
}

impl Report {
    /// Records that the words of an utterance are committed as of `now_s`. The first `known` of
    /// them are recorded already. Returns the delays of the new ones.
    fn settle(&mut self, words: &[Word], known: &mut usize, now_s: f64) -> Vec<f64> {
        let lags: Vec<f64> = words
            .iter()
            .skip(*known)
            .map(|word| now_s - word.end_s)
            .collect();
        *known = words.len();
        self.settled_s.extend(&lags);
        lags
    }
}

/// Runs the benchmark: prints a line of JSON per recording to standard output and the sum to
/// standard error.
///
/// # Errors
/// Returns an error if the model or a recording cannot be used, or the report cannot be written.
pub fn live(args: &BenchLiveArgs) -> Result<u8, Error> {
    let whisper = Arc::new(transcribe::load(&args.engine.options())?.whisper);
    let mut config = Config::default();
    config.live.step = args.step;
    config.endpoint.pause = args.pause;
    config.check()?;
    let settings = SessionSettings::new(&config)?;
    if let Some(minutes) = args.minutes {
        return endless(&whisper, &settings, args, minutes);
    }
    let mut sum = Report::default();
    for file in &args.file {
        let report = run(&whisper, &settings, file, args)?;
        print(&format!(
            "{}\n",
            serde_json::to_string(&report).unwrap_or_default()
        ))?;
        sum.audio_s += report.audio_s;
        sum.busy_s += report.busy_s;
        sum.cpu_s += report.cpu_s;
        sum.partials += report.partials;
        sum.first_partial_s.extend(report.first_partial_s);
        sum.final_s.extend(report.final_s);
        sum.speech_to_final_s.extend(report.speech_to_final_s);
        sum.committed_s.extend(report.committed_s);
        sum.settled_s.extend(report.settled_s);
    }
    eprint_line(&format!(
        "{:.0} s of audio, {:.3} s of work per second, {} partials, {:.1} % of one core while speaking, {:.0} MB at most",
        sum.audio_s,
        sum.busy_s / sum.audio_s,
        sum.partials,
        100.0 * sum.cpu_s / sum.audio_s,
        memory_mb("VmHWM")
    ));
    for (what, mut times) in [
        ("onset to first partial", sum.first_partial_s),
        ("end of utterance to final", sum.final_s),
        ("end of speech to final", sum.speech_to_final_s),
        (
            "end of a word to its commitment by a partial",
            sum.committed_s,
        ),
        (
            "end of a word to its commitment, finals included",
            sum.settled_s,
        ),
    ] {
        times.sort_by(f64::total_cmp);
        let rank = |share: f64| {
            times
                .get((share * times.len() as f64).ceil() as usize - 1)
                .copied()
                .unwrap_or(0.0)
        };
        if !times.is_empty() {
            eprint_line(&format!(
                "{what}: p50 {:.3} s, p95 {:.3} s of {}",
                rank(0.5),
                rank(0.95),
                times.len()
            ));
        }
    }
    Ok(exit::SUCCESS)
}

/// Feeds the recordings repeatedly to one engine and reports its memory at every tenth of the time.
fn endless(
    whisper: &Arc<Whisper>,
    settings: &SessionSettings,
    args: &BenchLiveArgs,
    minutes: u32,
) -> Result<u8, Error> {
    let mut recordings = Vec::new();
    for file in &args.file {
        recordings.push(samples(file)?);
    }
    let total = u64::from(minutes) * 60 * u64::from(SAMPLE_RATE);
    let mut live = engine(whisper, settings, args);
    let mut heard = 0;
    let mut tenths = 0;
    let mut now_s = 0.0f64;
    let mut known = 0;
    for block in recordings
        .iter()
        .cycle()
        .flat_map(|recording| recording.chunks(BLOCK))
    {
        live.push(block);
        heard += block.len() as u64;
        let spoken_s = clock::seconds(heard);
        if now_s <= spoken_s {
            // Texts and times are dropped: a report of all of them would grow with the stream.
            now_s = drain(&mut live, spoken_s, &mut known, &mut Report::default())?;
        }
        if heard * 10 / total > tenths {
            tenths = heard * 10 / total;
            let minutes = spoken_s / 60.0;
            let rss = memory_mb("VmRSS");
            let behind_s = (now_s - spoken_s).max(0.0);
            print(&format!(
                "{{\"minutes\":{minutes:.1},\"rss_mb\":{rss:.1},\"behind_s\":{behind_s:.2}}}\n"
            ))?;
        }
        if heard >= total {
            break;
        }
    }
    Ok(exit::SUCCESS)
}

/// Returns a value of `/proc/self/status` (proc(5)), in MB.
fn memory_mb(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) * 1024.0 / 1e6
}

/// Returns the CPU time of all threads of the process, in seconds.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Returns a recording and the silence after it (16 kHz, mono).
fn samples(file: &Path) -> Result<Vec<f32>, Error> {
    let mut stream = Mono16k::new(Box::new(FileSource::open(file)?));
    let mut samples = Vec::new();
    while let Some(block) = stream.next_block()? {
        samples.extend_from_slice(block);
    }
    samples.resize(samples.len() + SILENCE, 0.0);
    Ok(samples)
}

fn engine(whisper: &Arc<Whisper>, settings: &SessionSettings, args: &BenchLiveArgs) -> Live {
    let decoding = DecodingOptions {
        language: args.language,
        ..settings.decoding.clone()
    };
    let recognizer = WhisperRecognizer::new(whisper.clone(), LONGEST_WINDOW, decoding);
    Live::new(
        Box::new(recognizer),
        settings.live.for_model(whisper.file().dims()),
    )
}

fn run(
    whisper: &Arc<Whisper>,
    settings: &SessionSettings,
    file: &Path,
    args: &BenchLiveArgs,
) -> Result<Report, Error> {
    let samples = samples(file)?;
    let mut report = Report {
        file: file.display().to_string(),
        audio_s: clock::seconds((samples.len() - SILENCE) as u64),
        ..Report::default()
    };
    let begun_s = cpu_s();
    let mut live = engine(whisper, settings, args);
    let mut now_s = 0.0;
    let mut known = 0;
    for (i, block) in samples.chunks(BLOCK).enumerate() {
        let spoken_s = clock::seconds(((i + 1) * BLOCK) as u64);
        live.push(block);
        // The speaker continues while the engine works, so work waits until the clock has caught
        // up.
        if now_s <= spoken_s {
            now_s = drain(&mut live, spoken_s, &mut known, &mut report)?;
        }
    }
    live.finish();
    drain(&mut live, now_s, &mut known, &mut report)?;
    report.busy_s = live.busy().as_secs_f64();
    report.cpu_s = cpu_s() - begun_s;
    Ok(report)
}

/// Does the work that is due, beginning at `now_s`, and returns the time afterwards. The first
/// `known` words of the current utterance are committed.
fn drain(
    live: &mut Live,
    mut now_s: f64,
    known: &mut usize,
    report: &mut Report,
) -> Result<f64, Error> {
    let failed = |e: RecognizeError| Error::Pipeline(Box::new(e));
    loop {
        let begun = Instant::now();
        let event = live.next_event(&|_| false).map_err(failed)?;
        now_s += begun.elapsed().as_secs_f64();
        match event {
            None => return Ok(now_s),
            Some(Event::Partial(partial)) => {
                report.partials += 1;
                // Audio after a cut has already been transcribed as a part of the utterance before.
                let onset_s = partial.start_s + PADDING_S;
                if partial.revision == 1 && onset_s >= report.ended_s {
                    report.first_partial_s.push(now_s - onset_s);
                }
                let lags = report.settle(&partial.words, known, now_s);
                report.committed_s.extend(lags);
            }
            Some(Event::Final(done)) => {
                report.settle(&done.words, known, now_s);
                *known = 0;
                report.ended_s = now_s - done.latency.as_secs_f64();
                report.final_s.push(done.latency.as_secs_f64());
                report
                    .speech_to_final_s
                    .push(now_s - done.end_s + PADDING_S);
                report.text += if report.text.is_empty() { "" } else { " " };
                report.text += &done.text;
                report.finals.push(done.text);
            }
        }
    }
}
