//! What a run needs before its first recording: configuration, model, decoding options.

use super::super::error::{Error, exit};
use crate::cli::{DecodingArgs, WorkArgs};
use crate::compute::Device;
use crate::config::{Config, ConfigError};
use crate::engine::{Engine, EngineOptions};
use crate::filter::Filter;
use crate::npu::BackendState;
use crate::output::{FormatOptions, eprint_line, remove_unfinished};
use crate::pipeline::Settings;
use crate::settings::{Overrides, TextSettings};
use crate::text::Rules;
use crate::tokenizer::{Language, SpecialTokens, Task};
use crate::whisper::decoding::{DecodingOptions, FallbackOptions, Hotwords, OptionsError};
use crate::whisper::{LONGEST_WINDOW, Whisper};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Everything that the recordings of a run share.
pub struct Setup {
    /// Name of the model.
    pub model: String,
    pub whisper: Whisper,
    pub settings: Settings,
    pub rules: Rules,
    /// The user's own command, if there is one.
    pub filter: Option<Filter>,
    /// Set by SIGINT and SIGTERM.
    pub stop: Arc<AtomicBool>,
    pub quiet: bool,
}

/// Configuration, with the values of the command line in place of its own.
pub struct Configured {
    config: Config,
    rules: Rules,
}

impl Configured {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// Returns an error if it or a value of the command line is invalid.
    pub fn read(args: &WorkArgs) -> Result<Self, Error> {
        let config = overridden(configuration(args.config.as_deref())?, args);
        config.text.check().map_err(ConfigError::from)?;
        let rules = config.rules()?;
        Ok(Self { config, rules })
    }

    /// Loads the model.
    ///
    /// # Errors
    /// Returns an error if the model cannot be used, or does not support the options.
    pub fn load(self, args: &WorkArgs) -> Result<Setup, Error> {
        let Self { config, rules } = self;
        let engine = EngineOptions {
            model: config.model.name.clone(),
            ..args.engine.options()
        };
        note_surplus_threads(args);
        let stop = stop_on_signals()?;
        let whisper = load(&engine)?.whisper;
        let settings = settings(args, &engine, &config.text, &whisper)?;
        Ok(Setup {
            model: engine.model,
            whisper,
            settings,
            rules,
            filter: Filter::new(&config.text.filter, config.text.filter_timeout),
            stop,
            quiet: args.quiet,
        })
    }
}

/// Returns the options of the formats.
pub fn format_options(args: &WorkArgs) -> FormatOptions {
    FormatOptions {
        captions: args.captions.options(),
        word_timestamps: args.decoding.word_timestamps,
    }
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
    args: &WorkArgs,
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
    let word_timestamps =
        args.decoding.word_timestamps || args.format.iter().any(|format| format.is_captions());
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
fn overridden(mut config: Config, args: &WorkArgs) -> Config {
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
fn note_surplus_threads(args: &WorkArgs) {
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
            overridden(config.clone(), &cli.transcribe.work)
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
