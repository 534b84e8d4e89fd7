//! `hearken --help`: the options, then examples, environment and exit codes, generated from the
//! tables that the program itself uses.

use std::fmt::Write;

use clap::CommandFactory;

use super::error::EXIT_CODES;
use crate::cli::{Cli, EXAMPLES};
use crate::env::VARIABLES;

/// Width of the text below a variable, in columns.
const WIDTH: usize = 72;

/// Returns the command line with its complete help.
pub fn command() -> clap::Command {
    Cli::command().after_long_help(format!(
        "{EXAMPLES}\n\n{}\n\n{}",
        environment(),
        exit_codes()
    ))
}

fn environment() -> String {
    let mut text = "Environment:".to_owned();
    for (name, meaning) in VARIABLES {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {name}");
        let mut line = String::new();
        for word in meaning.split_whitespace() {
            if line.len() + 1 + word.len() > WIDTH {
                let _ = write!(text, "\n     {line}");
                line.clear();
            }
            line.push(' ');
            line.push_str(word);
        }
        let _ = write!(text, "\n     {line}");
    }
    text
}

fn exit_codes() -> String {
    let mut text = "Exit codes:".to_owned();
    for (code, _, meaning) in EXIT_CODES {
        let _ = write!(text, "\n  {code:>3}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_variable_and_exit_code() {
        let help = command().render_long_help().to_string();
        assert!(help.contains("Examples:"));
        for (name, _) in VARIABLES {
            assert!(help.contains(&format!("\n  {name}\n      ")), "{name}");
        }
        for (code, _, text) in EXIT_CODES {
            assert!(help.contains(&format!("\n  {code:>3}  {text}")), "{code}");
        }
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
    }
}
