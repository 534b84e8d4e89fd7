//! What setup may do after a yes.

use std::fmt::{self, Display};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// One change of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// Run a program with these arguments.
    Run(Vec<String>),
    /// Run this program, with these arguments.
    Own(Vec<String>),
    /// Append text to a file, then run a program, if there is one to run.
    Append {
        file: PathBuf,
        text: String,
        then: Vec<String>,
    },
}

impl Fix {
    /// A program and its arguments, separated by spaces.
    pub fn run(command: &str) -> Self {
        Self::Run(command.split_whitespace().map(str::to_owned).collect())
    }

    /// Makes the change. Programs write to the terminal.
    ///
    /// # Errors
    /// Returns why it failed.
    pub fn apply(&self) -> Result<(), String> {
        match self {
            Self::Run(command) => run(command),
            Self::Own(arguments) => {
                let program = std::env::current_exe().map_err(|error| error.to_string())?;
                let mut command = vec![program.to_string_lossy().into_owned()];
                command.extend(arguments.iter().cloned());
                run(&command)
            }
            Self::Append { file, text, then } => {
                let open = fs::OpenOptions::new().append(true).create(true).open(file);
                let written = open.and_then(|mut open| open.write_all(text.as_bytes()));
                written.map_err(|error| format!("{}: {error}", file.display()))?;
                run(then)
            }
        }
    }
}

fn run(command: &[String]) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let status = Command::new(program).args(arguments).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program}: {status}")),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

impl Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(command) => write!(f, "$ {}", command.join(" ")),
            Self::Own(arguments) => write!(f, "$ hearken {}", arguments.join(" ")),
            Self::Append { file, text, then } => {
                writeln!(f, "append to {}:", file.display())?;
                for line in text.lines().filter(|line| !line.is_empty()) {
                    writeln!(f, "    {line}")?;
                }
                let then = then.join(" ");
                write!(
                    f,
                    "{}",
                    if then.is_empty() {
                        String::new()
                    } else {
                        format!("  $ {then}")
                    }
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_says_what_it_does_before_it_does_it() {
        assert_eq!(Fix::run("ibus restart").to_string(), "$ ibus restart");
        assert_eq!(Fix::run("true").apply(), Ok(()));
        assert!(
            Fix::run("false")
                .apply()
                .is_err_and(|error| error.contains("false"))
        );
        assert!(Fix::run("hearken-no-such-program").apply().is_err());
    }

    #[test]
    fn lines_are_appended_to_what_is_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("config");
        fs::write(&file, "set $mod Mod4\n").expect("a file");
        let fix = Fix::Append {
            file: file.clone(),
            text: "\nbindsym d exec hearken start\n".to_owned(),
            then: Vec::new(),
        };
        assert!(fix.to_string().contains("    bindsym d"));
        fix.apply().expect("it is appended");
        let text = fs::read_to_string(&file).expect("a file");
        assert_eq!(text, "set $mod Mod4\n\nbindsym d exec hearken start\n");
    }
}
