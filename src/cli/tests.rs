//! What the command line takes and refuses.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;
use crate::output::Format;
use crate::settings::Named;
use crate::whisper::decoding::SuppressTokens;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("hearken").chain(line.split_whitespace()))
}

fn refused(line: &str) -> String {
    match parse(line) {
        Ok(cli) => panic!("{line} was taken: {cli:?}"),
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{line}");
            error.to_string()
        }
    }
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn defaults_are_openais_but_for_the_window() {
    let cli = parse("--file a.wav").expect("a file is enough");
    let WorkArgs {
        engine,
        decoding,
        format,
        text,
        ..
    } = cli.transcribe.work;
    assert_eq!(
        (
            engine.options().model.as_str(),
            engine.compute,
            engine.window
        ),
        ("base", Compute::Auto, None)
    );
    assert_eq!(engine.threads, None);
    assert_eq!(decoding.temperature, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    assert_eq!(
        (
            decoding.beam_size,
            decoding.best_of,
            decoding.length_penalty
        ),
        (1, 5, None)
    );
    assert_eq!(
        (
            decoding.compression_ratio_threshold,
            decoding.logprob_threshold
        ),
        (2.4, -1.0)
    );
    assert_eq!(
        (decoding.no_speech_threshold, decoding.patience),
        (0.6, 1.0)
    );
    assert_eq!(decoding.suppress_tokens, SuppressTokens::default());
    assert_eq!((format, text.task), (vec![Format::Txt], None));
}

#[test]
fn files_repeat_or_follow_one_another_as_a_shell_expands_them() {
    let files = |line| parse(line).expect("files").transcribe.file;
    assert_eq!(files("--file a.wav --file -"), files("--file a.wav -"));
    assert_eq!(files("--file a.wav b.wav c.wav --quiet").len(), 3);
}

#[test]
fn languages_are_codes_or_names() {
    let args = |line| parse(line).expect("languages").transcribe.work;
    let german = args("--file a.wav --language German").text.language;
    assert_eq!(german.map(|language| language.name()), Some("de"));
    let allowed = args("--file a.wav --languages en,de,French").text.languages;
    let codes: Vec<_> = allowed.iter().flatten().map(Named::name).collect();
    assert_eq!(codes, ["en", "de", "fr"]);
}

#[test]
fn a_switch_is_on_or_left_to_the_configuration() {
    let on = |line| {
        parse(line)
            .expect("valid")
            .transcribe
            .work
            .text
            .spoken_punctuation
    };
    assert_eq!(on("--file a.wav"), None);
    assert_eq!(on("--spoken-punctuation --file a.wav"), Some(true));
    assert_eq!(on("--file a.wav --spoken-punctuation"), Some(true));
}

#[test]
fn values_out_of_their_limits_are_refused_with_the_limits() {
    for window in ["99", "16", "3", "NaN", "-5", "ten"] {
        let message = refused(&format!("--file a.wav --window={window}"));
        assert!(
            message.contains("give a number from 5.12 to 15.36 seconds, or 30"),
            "{message}"
        );
    }
    assert!(refused("--file a.wav --beam-size 0").contains("from 1 to 32"));
    assert!(refused("--file a.wav --threads 0").contains("from 1 to 1024"));
    assert!(refused("--file a.wav --temperature 0,1.5").contains("from 0 to 1"));
    assert!(refused("--file a.wav --logprob-threshold 1").contains("0 or less"));
    assert!(refused("--file a.wav --patience 0").contains("from 0.01 to 100"));
    assert!(refused("--file a.wav --compression-ratio-threshold 0").contains("above 0"));
    assert!(refused("--file a.wav --suppress-tokens 1,x").contains("'x' is not a token id"));
    assert!(refused("bench encoder --iterations 0").contains("0"));
}

#[test]
fn a_name_that_is_nearly_right_gets_the_right_one() {
    assert!(refused("--file a.wav --format str").contains("srt"));
    assert!(refused("--file a.wav --compute in8").contains("int8"));
    assert!(refused("--file a.wav --beam-sise 5").contains("--beam-size"));
    assert!(refused("docter").contains("doctor"));
    assert!(refused("--file a.wav --language germn").contains("german"));
    assert!(refused("--file a.wav --languages en,xx").contains("xx"));
}

#[test]
fn negative_numbers_and_empty_lists_are_values() {
    let decoding = |line| parse(line).expect("valid").transcribe.work.decoding;
    assert_eq!(
        decoding("--file a.wav --logprob-threshold -0.5").logprob_threshold,
        -0.5
    );
    assert_eq!(
        decoding("--file a.wav --suppress-tokens -1,50").suppress_tokens,
        SuppressTokens {
            non_speech: true,
            tokens: vec![50]
        }
    );
    assert_eq!(
        decoding("--file a.wav --suppress-tokens=").suppress_tokens,
        SuppressTokens {
            non_speech: false,
            tokens: Vec::new()
        }
    );
}

#[test]
fn what_excludes_itself_is_refused() {
    assert!(
        refused("--file a.wav --language en --languages en,de").contains("cannot be used with")
    );
    assert!(refused("--model base").contains("--file"));
    assert!(refused("--file a.wav --skip-existing").contains("--output-dir"));
}

#[test]
fn subtitles_with_a_limit_of_words_have_one_line_unless_told_otherwise() {
    let lines = |line| {
        parse(line)
            .expect("valid")
            .transcribe
            .work
            .captions
            .options()
            .max_line_count
    };
    assert_eq!(lines("--file a.wav"), 2);
    assert_eq!(lines("--file a.wav --max-words-per-line 3"), 1);
    assert_eq!(
        lines("--file a.wav --max-words-per-line 3 --max-line-count 2"),
        2
    );
    assert!(refused("--file a.wav --max-line-width 0").contains("from 1 to 1000"));
}

#[test]
fn a_folder_is_watched_with_the_options_of_a_transcription() {
    let watch = parse("watch inbox --recursive --format srt --model tiny").expect("valid");
    let Some(Command::Watch(args)) = watch.command else {
        panic!("{watch:?}");
    };
    assert_eq!(args.work.format, [Format::Srt]);
    assert!(args.recursive && args.work.output_dir.is_none());
}

#[test]
fn a_subcommand_needs_no_file() {
    assert!(matches!(
        parse("doctor").expect("valid").command,
        Some(Command::Doctor)
    ));
    let bench =
        parse("bench encoder --random-weights --iterations 100 --window 30 --json").expect("valid");
    let Some(Command::Bench(BenchCommand::Encoder(args))) = bench.command else {
        panic!("{bench:?}");
    };
    assert_eq!(
        (
            args.iterations,
            args.engine.window,
            args.random_weights,
            args.json
        ),
        (100, Some(30.0), true, true)
    );
}

#[test]
fn no_arguments_show_the_help() {
    let error = parse("").expect_err("nothing to do");
    assert_eq!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
}
