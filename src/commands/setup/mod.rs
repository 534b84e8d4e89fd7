//! `hearken setup`: from an installed program to a dictated sentence, step by step.
//!
//! In: the checks of `hearken doctor`, and the user's answers. Out: what was found, what was mended
//! after a yes, and a sentence that was dictated into this terminal.

mod fix;
mod microphone;
mod steps;
mod trial;

use std::io::{self, BufRead, IsTerminal};

use super::doctor::{self, Check, Status};
use super::error::{Error, exit};
use crate::cli::SetupArgs;
use crate::config::Config;
use crate::output::print;
use fix::Fix;
use steps::{STEPS, Step};

/// How the fixes are agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consent {
    /// Somebody answers.
    Ask,
    /// All of them, by `--yes`.
    Given,
    /// Nobody can answer: what to do is printed.
    Print,
}

/// Checks, mends and tries dictation. Returns the exit code.
///
/// # Errors
/// Returns an error if the configuration is invalid or standard output cannot be written.
pub fn setup(args: &SetupArgs) -> Result<u8, Error> {
    let config = Config::read(&Config::path()?)?;
    let is_terminal = io::stdin().is_terminal();
    let consent = match (args.yes, is_terminal) {
        (true, _) => Consent::Given,
        (false, true) => Consent::Ask,
        (false, false) => Consent::Print,
    };
    let mut n_open = 0;
    for (i, step) in STEPS.iter().enumerate() {
        print(&format!("\n{}/{} {}\n", i + 1, STEPS.len(), step.title))?;
        if !take(step, &config, consent)? {
            n_open += 1;
        }
    }
    print("\n")?;
    if n_open > 0 {
        let steps = if n_open == 1 { "step is" } else { "steps are" };
        print(&format!(
            "{n_open} {steps} open. Do what is written behind ->, then run hearken setup again.\n"
        ))?;
    }
    // A sentence needs somebody who says it.
    if is_terminal && io::stdout().is_terminal() && !args.no_trial && doctor::daemon_runs() {
        trial::dictate_a_sentence(&config)?;
    }
    if n_open > 0 {
        return Ok(exit::INCOMPLETE);
    }
    print(&format!(
        "All is set up. Dictate with {}, or with: hearken type\n",
        config.hotkey.keys
    ))?;
    Ok(exit::SUCCESS)
}

/// Checks a step and mends what may be mended. Returns whether all is well.
fn take(step: &Step, config: &Config, consent: Consent) -> Result<bool, Error> {
    let mut found = (step.examine)(config);
    show(&found)?;
    let fixes: Vec<Fix> = found
        .iter()
        .flat_map(|finding| &finding.fix)
        .cloned()
        .collect();
    let mut has_tried = false;
    for fix in fixes {
        if agrees(&fix, consent)? {
            // One that fails may have done its first half.
            has_tried = true;
            if let Err(reason) = fix.apply() {
                print(&format!("  it failed: {reason}\n"))?;
            }
        }
    }
    if has_tried {
        found = (step.examine)(config);
        show(&found)?;
    }
    Ok(found.iter().all(|finding| is_well(&finding.check)))
}

fn is_well(check: &Check) -> bool {
    matches!(check.status, Status::Ok | Status::Absent)
}

fn show(found: &[steps::Finding]) -> Result<(), Error> {
    for finding in found {
        print(&finding.check.to_string())?;
    }
    Ok(())
}

/// Asks whether a fix may be made.
fn agrees(fix: &Fix, consent: Consent) -> Result<bool, Error> {
    match consent {
        Consent::Print => {
            print(&format!("  To mend it: {fix}\n"))?;
            Ok(false)
        }
        Consent::Given => {
            print(&format!("  {fix}\n"))?;
            Ok(true)
        }
        Consent::Ask => {
            print(&format!("  {fix}\n  Do it now? [y/N] "))?;
            let mut answer = String::new();
            // Without an answer, nothing is done.
            let _ = io::stdin().lock().read_line(&mut answer);
            Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
        }
    }
}
