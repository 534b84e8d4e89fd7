//! `hearken bench live`: recordings as if they were spoken into the microphone, on a clock that counts audio and the
//! time that the work really takes: what a listener would see, in less time than listening takes.

use crate::audio::{FileSource, Mono16k, SAMPLE_RATE};
use crate::cli::BenchLiveArgs;
use crate::config::Config;
use crate::daemon::SessionSettings;
use crate::error::{Error, exit};
use crate::output::{complain, print};
use crate::stream::{Event, Live, LocalAgreement, RecognizeError, WhisperRecognizer};
use crate::transcribe;
use crate::whisper::Whisper;
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
    partials: usize,
    /// From the onset of each utterance to its first text, in seconds.
    first_partial_s: Vec<f64>,
    /// From the decision that an utterance has ended to its final text, in seconds.
    final_s: Vec<f64>,
    /// From the end of speech to its final text, the pause that decides it included, in seconds.
    speech_to_final_s: Vec<f64>,
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
    }
    complain(&format!(
        "{:.0} s of audio, {:.3} s of work for each, {} partials",
        sum.audio_s,
        sum.busy_s / sum.audio_s,
        sum.partials
    ));
    for (what, mut times) in [
        ("onset to first partial", sum.first_partial_s),
        ("end of utterance to final", sum.final_s),
        ("end of speech to final", sum.speech_to_final_s),
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
    let mut live = Live::new(Box::new(recognizer), Box::new(LocalAgreement::default()), settings.live);
    let mut now_s = 0.0;
    for (i, block) in samples.chunks(BLOCK).enumerate() {
        let spoken_s = ((i + 1) * BLOCK) as f64 / f64::from(SAMPLE_RATE);
        live.push(block);
        // While the engine works, the speaker goes on: work is done only once the clock has caught up.
        if now_s <= spoken_s {
            now_s = drain(&mut live, spoken_s, &mut report)?;
        }
    }
    live.finish();
    drain(&mut live, now_s, &mut report)?;
    report.busy_s = live.busy().as_secs_f64();
    Ok(report)
}

/// Does what is due, beginning at `now_s`; gives the time afterwards.
fn drain(live: &mut Live, mut now_s: f64, report: &mut Report) -> Result<f64, Error> {
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
                    report.first_partial_s.push(now_s - partial.start_s - PADDING_S);
                }
            }
            Some(Event::Final(done)) => {
                report.final_s.push(done.latency.as_secs_f64());
                report.speech_to_final_s.push(now_s - done.end_s + PADDING_S);
                report.text += if report.text.is_empty() { "" } else { " " };
                report.text += &done.text;
            }
        }
    }
}
