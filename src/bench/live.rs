//! `hearken bench live`: recordings as if they were spoken into the microphone, on a clock that counts audio and the
//! time that the work really takes: what a listener would see, in less time than listening takes.

use crate::audio::{FileSource, Mono16k, SAMPLE_RATE};
use crate::cli::BenchLiveArgs;
use crate::config::Config;
use crate::daemon::SessionSettings;
use crate::error::{Error, exit};
use crate::output::{complain, print};
use crate::stream::{Event, Live, RecognizeError, WhisperRecognizer, Word};
use crate::transcribe;
use crate::whisper::Whisper;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Samples that come at once, as from a microphone: 60 ms.
const BLOCK: usize = 960;
/// Encoder positions of the longest window: 10.24 s.
const N_CTX: usize = 512;
/// Silence after each recording, as a speaker leaves it, in samples: 1.5 s.
const SILENCE: usize = 24_000;
/// Silence that the segmenter keeps before and after speech, in seconds.
const PADDING_S: f64 = 0.5;

/// What came of a recording.
#[derive(Debug, Default, Serialize)]
struct Report {
    file: String,
    text: String,
    audio_s: f64,
    busy_s: f64,
    /// Time of all processors.
    cpu_s: f64,
    partials: usize,
    /// From the beginning of the first word of each utterance to its first text, in seconds.
    first_partial_s: Vec<f64>,
    /// From the decision that an utterance has ended to its final text, in seconds.
    final_s: Vec<f64>,
    /// From the end of speech to its final text, the pause that decides it included, in seconds.
    speech_to_final_s: Vec<f64>,
    /// From the end of each word that a partial committed to that, in seconds.
    committed_s: Vec<f64>,
    /// From the end of each word to its being settled, by a partial or the final, in seconds.
    settled_s: Vec<f64>,
}

impl Report {
    /// Takes note of the first words of an utterance that are settled from `now_s` on; `known` are noted already.
    fn settle(&mut self, words: &[Word], known: &mut usize, now_s: f64) -> Vec<f64> {
        let lags: Vec<f64> = words.iter().skip(*known).map(|word| now_s - word.end_s).collect();
        *known = words.len();
        self.settled_s.extend(&lags);
        lags
    }
}

/// Runs the benchmark: a line of JSON for each recording on standard output, the sum on standard error.
///
/// # Errors
/// Where the model or a recording cannot be used, or the report cannot be written.
pub fn live(args: &BenchLiveArgs) -> Result<u8, Error> {
    let whisper = Arc::new(transcribe::load(&args.engine)?);
    let mut config = Config::default();
    config.live.step = args.step;
    let settings = SessionSettings::new(&config)?;
    let mut sum = Report::default();
    for file in &args.file {
        let report = run(&whisper, &settings, file, args)?;
        print(&format!("{}\n", serde_json::to_string(&report).unwrap_or_default()))?;
        sum.audio_s += report.audio_s;
        sum.busy_s += report.busy_s;
        sum.partials += report.partials;
        sum.first_partial_s.extend(report.first_partial_s);
        sum.final_s.extend(report.final_s);
        sum.speech_to_final_s.extend(report.speech_to_final_s);
        sum.committed_s.extend(report.committed_s);
        sum.settled_s.extend(report.settled_s);
        sum.cpu_s += report.cpu_s;
    }
    complain(&format!(
        "{:.0} s of audio, for each {:.3} s of work and {:.3} s of processor time, {} partials",
        sum.audio_s,
        sum.busy_s / sum.audio_s,
        sum.cpu_s / sum.audio_s,
        sum.partials
    ));
    for (what, mut times) in [
        ("onset to first partial", sum.first_partial_s),
        ("end of utterance to final", sum.final_s),
        ("end of speech to final", sum.speech_to_final_s),
        ("end of a word to its being committed", sum.committed_s),
        ("the same, with the words that the final settles", sum.settled_s),
    ] {
        times.sort_by(f64::total_cmp);
        let rank = |share: f64| times.get((share * times.len() as f64).ceil() as usize - 1).copied().unwrap_or(0.0);
        if !times.is_empty() {
            complain(&format!("{what}: p50 {:.3} s, p95 {:.3} s of {}", rank(0.5), rank(0.95), times.len()));
        }
    }
    Ok(exit::SUCCESS)
}

fn run(whisper: &Arc<Whisper>, settings: &SessionSettings, file: &Path, args: &BenchLiveArgs) -> Result<Report, Error> {
    let mut stream = Mono16k::new(Box::new(FileSource::open(file)?));
    let mut samples = Vec::new();
    while let Some(block) = stream.next_block()? {
        samples.extend_from_slice(block);
    }
    let mut report = Report {
        file: file.display().to_string(),
        audio_s: samples.len() as f64 / f64::from(SAMPLE_RATE),
        ..Report::default()
    };
    samples.resize(samples.len() + SILENCE, 0.0);
    let decoding = crate::whisper::decoding::DecodingOptions { language: args.language, ..settings.decoding.clone() };
    let recognizer = WhisperRecognizer::new(whisper.clone(), N_CTX, decoding);
    let mut live = Live::new(Box::new(recognizer), args.policy.start(), settings.live);
    let begun_s = processor_s();
    let (mut now_s, mut progress) = (0.0, Progress::default());
    for (i, block) in samples.chunks(BLOCK).enumerate() {
        let spoken_s = ((i + 1) * BLOCK) as f64 / f64::from(SAMPLE_RATE);
        live.push(block);
        // While the engine works, the speaker goes on: work is done only once the clock has caught up.
        if now_s <= spoken_s {
            now_s = drain(&mut live, spoken_s, &mut progress, &mut report)?;
        }
    }
    live.finish();
    drain(&mut live, now_s, &mut progress, &mut report)?;
    report.busy_s = live.busy().as_secs_f64();
    report.cpu_s = processor_s() - begun_s;
    Ok(report)
}

/// Processor time that the program has taken so far, in seconds.
fn processor_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// What is known of the utterance that goes on.
#[derive(Default)]
struct Progress {
    /// Words that are settled.
    known: usize,
    /// When its first text came, in seconds.
    first_s: Option<f64>,
}

/// Does what is due, beginning at `now_s`; gives the time afterwards.
fn drain(live: &mut Live, mut now_s: f64, progress: &mut Progress, report: &mut Report) -> Result<f64, Error> {
    let failed = |e: RecognizeError| Error::Pipeline(Box::new(e));
    loop {
        let begun = Instant::now();
        let event = live.next_event(&|| false).map_err(failed)?;
        now_s += begun.elapsed().as_secs_f64();
        match event {
            None => return Ok(now_s),
            Some(Event::Partial(partial)) => {
                report.partials += 1;
                if partial.revision == 1 {
                    progress.first_s = Some(now_s);
                }
                let lags = report.settle(&partial.words, &mut progress.known, now_s);
                report.committed_s.extend(lags);
            }
            Some(Event::Final(done)) => {
                report.settle(&done.words, &mut progress.known, now_s);
                let Progress { first_s, .. } = std::mem::take(progress);
                // The times of the final are the best known.
                let onset_s = done.words.first().map(|word| word.start_s);
                report.first_partial_s.extend(first_s.zip(onset_s).map(|(shown, onset)| shown - onset));
                report.final_s.push(done.latency.as_secs_f64());
                report.speech_to_final_s.push(now_s - done.end_s + PADDING_S);
                report.text += if report.text.is_empty() { "" } else { " " };
                report.text += &done.text;
            }
        }
    }
}
