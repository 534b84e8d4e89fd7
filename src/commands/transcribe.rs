//! `hearken --file`: transcribes recordings, one after the other, to standard output or files.

use super::tracks;
use crate::advice::Advice;
use crate::audio::{FileSource, InputOptions};
use crate::cli::{DecodingArgs, TrackChoice, TranscribeArgs};
use crate::commands::error::{Error, exit, exit_code_of_all};
use crate::compute::Device;
use crate::config::{Config, ConfigError};
use crate::engine::{Engine, EngineOptions};
use crate::npu::BackendState;
use crate::output::{
    Destination, Footer, Header, Progress, Segment, Word, closing_line, eprint_line,
    remove_unfinished,
};
use crate::pipeline::{self, Settings, StreamSummary, WindowTranscript};
use crate::settings::{Overrides, TextSettings};
use crate::text::{Rules, written};
use crate::tokenizer::{Language, SpecialTokens, Task};
use crate::whisper::TimedWord;
use crate::whisper::decoding::{DecodingOptions, FallbackOptions, Hotwords, OptionsError};
use crate::whisper::{LONGEST_WINDOW, Whisper};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Transcribes all files of the command line. An input that fails does not stop the others. Returns
/// the exit code.
///
/// # Errors
/// Returns an error if nothing can be transcribed: the model, the configuration or the output
/// directory cannot be used.
pub fn run(args: &TranscribeArgs) -> Result<u8, Error> {
    if args.track == Some(TrackChoice::List) {
        return tracks::list(&args.file);
    }
    let destination = Destination::new(&args.file, &args.format, args.output_dir.as_deref())?;
    let config = overridden(configuration(args.config.as_deref())?, args);
    let rules = config.rules()?;
    let engine = EngineOptions {
        model: config.model.name.clone(),
        ..args.engine.options()
    };
    note_surplus_threads(args);
    let stop = stop_on_signals()?;
    let whisper = load(&engine)?.whisper;
    let settings = settings(args, &engine, &config.text, &whisper)?;
    let mut codes = Vec::new();
    for path in &args.file {
        let job = Job {
            args,
            model: &engine.model,
            whisper: &whisper,
            settings: &settings,
            rules: &rules,
            destination: &destination,
            stop: &stop,
            path,
        };
        let outcome = job.run();
        if stop.load(Ordering::Relaxed) {
            // An interrupted input is not an error of its own.
            return Ok(exit::INTERRUPTED);
        }
        codes.push(match outcome {
            Ok(code) => code,
            Err(error) if error.exit_code() == exit::SUCCESS => return Ok(exit::SUCCESS),
            Err(error) => {
                eprint_line(&format!("hearken: {}", error.explain()));
                error.exit_code()
            }
        });
    }
    Ok(exit_code_of_all(&codes))
}

/// Loads the engine; notes about its device go to standard error.
///
/// # Errors
/// Returns an error if the model is missing or damaged, the device does not have the number format,
/// or what the NPU needs is missing.
pub fn load(options: &EngineOptions) -> Result<Engine, Error> {
    let report = |state: &BackendState| eprint_line(&format!("hearken: {state}"));
    let engine = Engine::load(options, report)?;
    if let Some(npu) = &engine.npu {
        let state = npu.state();
        if state.device == Device::NpuEmulator {
            report(&state);
        }
    }
    Ok(engine)
}

fn settings(
    args: &TranscribeArgs,
    engine: &EngineOptions,
    text: &TextSettings,
    whisper: &Whisper,
) -> Result<Settings, Error> {
    let DecodingArgs {
        beam_size,
        best_of,
        patience,
        ..
    } = args.decoding;
    let initial_prompt = match &args.decoding.initial_prompt {
        Some(text) => whisper.tokenizer().encode_prompt(text)?,
        None => Vec::new(),
    };
    let hotwords = Hotwords::shared(whisper.tokenizer(), &text.hotwords)?;
    let decoding = DecodingOptions {
        task: text.task,
        language: text.language.0,
        allowed_languages: text.languages.clone(),
        best_of: Some(best_of),
        beam_size: (beam_size > 1).then_some(beam_size),
        patience: (beam_size > 1).then_some(patience),
        length_penalty: args.decoding.length_penalty,
        suppress_tokens: args.decoding.suppress_tokens.clone(),
        hotwords,
        ..DecodingOptions::default()
    };
    check_model_supports(&decoding, whisper.tokenizer().special())?;
    let fallback = FallbackOptions {
        temperatures: args.decoding.temperature.clone(),
        compression_ratio_threshold: Some(args.decoding.compression_ratio_threshold),
        logprob_threshold: Some(args.decoding.logprob_threshold),
        no_speech_threshold: Some(args.decoding.no_speech_threshold),
        ..FallbackOptions::default()
    };
    let condition_on_previous_text = args.decoding.condition_on_previous_text;
    let n_ctx = engine.longest_window(LONGEST_WINDOW, whisper.file().dims());
    let word_timestamps = args.decoding.word_timestamps;
    Ok(Settings {
        n_ctx,
        decoding,
        fallback,
        initial_prompt,
        condition_on_previous_text,
        word_timestamps,
    })
}

/// Reads the configuration file that the command line names, or else the user's, which may be
/// missing.
fn configuration(named: Option<&Path>) -> Result<Config, ConfigError> {
    match named {
        Some(path) => {
            std::fs::metadata(path).map_err(|source| ConfigError::Read {
                path: path.to_owned(),
                source,
            })?;
            Config::read(path)
        }
        None => Config::path().map_or_else(|_| Ok(Config::default()), |path| Config::read(&path)),
    }
}

/// Returns the configuration with the values of the command line in place of its own.
fn overridden(mut config: Config, args: &TranscribeArgs) -> Config {
    config.merge(Overrides {
        text: args.text.clone(),
        ..Overrides::default()
    });
    if let Some(model) = &args.engine.model {
        config.model.name.clone_from(model);
    }
    config
}

/// Warns if there are more threads than cores.
fn note_surplus_threads(args: &TranscribeArgs) {
    let cores = std::thread::available_parallelism().map_or(usize::MAX, usize::from);
    if let Some(threads) = args
        .engine
        .threads
        .filter(|threads| *threads > cores && !args.quiet)
    {
        eprint_line(&format!(
            "hearken: {threads} threads are more than this machine runs at once ({cores})"
        ));
    }
}

/// Checks task, languages and tokens against the model, before any recording is opened.
fn check_model_supports(
    options: &DecodingOptions,
    special: &SpecialTokens,
) -> Result<(), OptionsError> {
    let is_english_only = !special.is_multilingual;
    if is_english_only && options.task == Task::Translate {
        return Err(OptionsError::Translate);
    }
    let serves = |language: &Language| {
        if is_english_only {
            *language == Language::ENGLISH
        } else {
            special.language_token(*language).is_some()
        }
    };
    // One of the languages to choose from is enough.
    let unserved = |languages: &[Language]| {
        languages
            .first()
            .copied()
            .filter(|_| !languages.iter().any(serves))
    };
    let unknown = options
        .suppress_tokens
        .tokens
        .iter()
        .find(|token| **token >= special.n_vocab);
    if let Some(&token) = unknown {
        return Err(OptionsError::UnknownToken {
            token,
            n_vocab: special.n_vocab,
        });
    }
    match unserved(options.language.as_slice()).or_else(|| unserved(&options.allowed_languages)) {
        Some(language) => Err(OptionsError::Language(language)),
        None => Ok(()),
    }
}

/// Returns a flag that SIGINT and SIGTERM set. A second signal ends the program at once, without
/// leaving a partial file.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Error::Signals)?;
    let flag = stop.clone();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if flag.swap(true, Ordering::Relaxed) {
                remove_unfinished();
                std::process::exit(i32::from(exit::INTERRUPTED));
            }
        }
    });
    Ok(stop)
}

/// Transcription of one recording.
struct Job<'a> {
    args: &'a TranscribeArgs,
    model: &'a str,
    whisper: &'a Whisper,
    settings: &'a Settings,
    rules: &'a Rules,
    destination: &'a Destination,
    stop: &'a Arc<AtomicBool>,
    path: &'a Path,
}

impl Job<'_> {
    fn run(&self) -> Result<u8, Error> {
        let begun = Instant::now();
        let options = InputOptions {
            track: match self.args.track {
                Some(TrackChoice::Number(n)) => Some(n),
                _ => None,
            },
            ..InputOptions::default()
        };
        let source = FileSource::open_until(self.path, options, self.stop.clone())?;
        for note in source.notes() {
            self.note(&format!("hearken: {note}"));
        }
        let progress = Progress::new(
            crate::audio::AudioSource::duration(&source),
            self.args.quiet,
        );
        let mut output = self.destination.open(self.path, &self.header())?;
        let mut language = None;
        let mut n_segments = 0;
        let summary = pipeline::transcribe(
            self.whisper,
            Box::new(source),
            self.settings,
            self.stop,
            |mut window| {
                self.rules.segments(
                    &mut window.segments,
                    written(self.settings.decoding.task, window.language),
                );
                progress.advance_to(window.end_s);
                for segment in self.to_segments(&window, n_segments) {
                    language = Some(window.language);
                    n_segments += 1;
                    progress.suspend(|| output.segment(&segment))?;
                }
                Ok::<_, Error>(())
            },
        );
        progress.finish();
        let summary = match summary {
            Err(error) if error.is_stop() => return Ok(exit::INTERRUPTED),
            other => other?,
        };
        if self.stop.load(Ordering::Relaxed) {
            return Ok(exit::INTERRUPTED);
        }
        // If nothing could be read from a damaged input, no file is left: it would look like a
        // recording without speech.
        let summary = match summary {
            StreamSummary {
                damage: Some(damage),
                ..
            } if n_segments == 0 => return Err(damage.into()),
            summary => summary,
        };
        let language = language.map(|language| language.code().to_owned());
        output.finish(&Footer {
            language,
            duration_s: summary.duration_s,
        })?;
        for warning in &summary.warnings {
            eprint_line(&format!("hearken: {warning}"));
        }
        if n_segments == 0 && summary.damage.is_none() {
            self.note(&format!(
                "hearken: {}: no speech; the transcript is empty",
                self.path.display()
            ));
        }
        self.note(&closing_line(summary.duration_s, begun.elapsed()));
        match summary.damage {
            Some(damage) => Err(damage.into()),
            None if summary.warnings.is_empty() => Ok(exit::SUCCESS),
            None => Ok(exit::INPUT),
        }
    }

    fn header(&self) -> Header {
        Header {
            file: self.path.display().to_string(),
            model: self.model.to_owned(),
            task: self.settings.decoding.task.name().to_owned(),
        }
    }

    fn note(&self, line: &str) {
        if !self.args.quiet {
            eprint_line(line);
        }
    }

    /// Converts the segments of a window to those of the output.
    fn to_segments<'p>(
        &self,
        window: &'p WindowTranscript,
        first_id: usize,
    ) -> impl Iterator<Item = Segment> + use<'p> {
        let with_words = self.settings.word_timestamps;
        let to_word = |word: &TimedWord| Word {
            word: word.text.clone(),
            start_s: word.start,
            end_s: word.end,
            probability: word.probability,
        };
        window
            .segments
            .iter()
            .enumerate()
            .map(move |(i, segment)| Segment {
                id: first_id + i,
                start_s: segment.start,
                end_s: segment.end,
                text: segment.text.clone(),
                tokens: segment.tokens.clone(),
                temperature: window.temperature,
                avg_logprob: window.avg_logprob,
                compression_ratio: window.compression_ratio,
                no_speech_prob: window.no_speech_prob,
                words: with_words.then(|| segment.words.iter().map(to_word).collect()),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::settings::Named;
    use clap::Parser;

    #[test]
    fn the_configuration_applies_unless_the_command_line_overrides_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        let text = "[model]\nname = \"small\"\n[text]\nlanguage = \"de\"\ntask = \"translate\"\n\
            hotwords = [\"Hearken\"]\nspoken_punctuation = true\n";
        std::fs::write(&path, text).expect("a file");
        let config = configuration(Some(&path)).expect("valid");
        let given = |line: &str| {
            let cli = Cli::try_parse_from(line.split(' ')).expect("valid");
            overridden(config.clone(), &cli.transcribe)
        };
        let silent = given("hearken --file a.wav");
        assert_eq!(silent, config);
        assert_eq!(silent.model.name, "small");
        assert_eq!(silent.text.language.name(), "de");
        assert_eq!(silent.text.task, Task::Translate);
        assert_eq!(silent.text.hotwords, ["Hearken"]);
        assert!(silent.text.spoken_punctuation);
        let given = given(
            "hearken --file a.wav --model tiny --languages en,fr --task transcribe --hotwords Ann",
        );
        assert_eq!(given.model.name, "tiny");
        assert_eq!(given.text.language.name(), "");
        assert_eq!(given.text.languages.len(), 2);
        assert_eq!(given.text.task, Task::Transcribe);
        assert_eq!(given.text.hotwords, ["Ann"]);
        assert!(given.text.spoken_punctuation);

        // A typo is an error in every section, even in those that this command does not use.
        std::fs::write(&path, "[live]\nstpe = 1\n").expect("a file");
        assert!(configuration(Some(&path)).is_err());
        assert!(configuration(Some(Path::new("/nonexistent"))).is_err());
    }

    #[test]
    fn options_that_the_model_does_not_support_are_refused() {
        let check = |n_vocab, task, language: Option<&str>, allowed: &[&str]| {
            let parse = |name: &str| name.parse::<Language>().expect("a language");
            let options = DecodingOptions {
                task,
                language: language.map(parse),
                allowed_languages: allowed.iter().copied().map(parse).collect(),
                ..DecodingOptions::default()
            };
            let special = SpecialTokens::for_n_vocab(n_vocab).expect("a vocabulary");
            check_model_supports(&options, &special)
                .map_err(Error::from)
                .map_err(|e| e.exit_code())
        };
        let english = 51864;
        let multilingual = 51865;
        for language in [None, Some("en")] {
            assert_eq!(check(english, Task::Transcribe, language, &[]), Ok(()));
            assert_eq!(
                check(english, Task::Translate, language, &[]),
                Err(exit::USAGE)
            );
        }
        assert_eq!(
            check(english, Task::Transcribe, Some("de"), &[]),
            Err(exit::USAGE)
        );
        assert_eq!(
            check(english, Task::Transcribe, None, &["de", "fr"]),
            Err(exit::USAGE)
        );
        assert_eq!(
            check(english, Task::Transcribe, None, &["de", "en"]),
            Ok(())
        );
        assert_eq!(
            check(multilingual, Task::Translate, Some("de"), &[]),
            Ok(())
        );
        assert_eq!(
            check(multilingual, Task::Transcribe, Some("yue"), &[]),
            Err(exit::USAGE)
        );
        assert_eq!(
            check(multilingual, Task::Transcribe, None, &["yue", "zh"]),
            Ok(())
        );
    }

    #[test]
    fn tokens_that_the_model_does_not_have_are_refused() {
        let special = SpecialTokens::for_n_vocab(51865).expect("a vocabulary");
        let check = |list: &str| {
            let suppress_tokens = list.parse().expect("a list");
            let options = DecodingOptions {
                suppress_tokens,
                ..DecodingOptions::default()
            };
            check_model_supports(&options, &special).map_err(|e| e.to_string())
        };
        assert_eq!(check("-1,51864"), Ok(()));
        let refusal =
            "the model has no token 51865, its last is 51864: leave it out of suppress_tokens";
        assert_eq!(check("7,51865"), Err(refusal.to_owned()));
    }
}
