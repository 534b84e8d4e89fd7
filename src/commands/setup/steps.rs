//! The steps of setup: what each examines, and what may be done about it.

use super::fix::Fix;
use super::microphone;
use crate::commands::doctor::desktop::{self, Display, Facts, Unit, UnitState};
use crate::commands::doctor::{self, Check, Status};
use crate::config::Config;
use crate::desktop::hotkey::print::{self, Keys};
use crate::settings::desktop::Compositor;
use etcetera::BaseStrategy;

/// A step.
pub struct Step {
    /// What it is about.
    pub title: &'static str,
    pub examine: fn(&Config) -> Vec<Finding>,
}

/// A check and what may be done about it.
pub struct Finding {
    pub check: Check,
    pub fix: Option<Fix>,
}

/// All steps, in the order in which they need each other.
pub const STEPS: [Step; 6] = [
    Step {
        title: "The microphone hears something",
        examine: |config| {
            let (check, fix) = microphone::listen(config);
            vec![Finding { check, fix }]
        },
    },
    Step {
        title: "The model is on this machine; audio and text stay here",
        examine: model,
    },
    Step {
        title: "The daemon listens while a program asks it to",
        examine: daemon,
    },
    Step {
        title: "Text can be put into windows",
        examine: methods,
    },
    Step {
        title: "A key starts and stops dictation",
        examine: hotkey,
    },
    Step {
        title: "The agent writes what the daemon hears, from login on",
        examine: agent,
    },
];

fn model(config: &Config) -> Vec<Finding> {
    let check = doctor::model(config);
    let fetch = ["models", "fetch", config.model.name.as_str()].map(str::to_owned);
    let is_missing = check.status == Status::Missing;
    vec![Finding {
        check,
        fix: is_missing.then(|| Fix::Own(fetch.to_vec())),
    }]
}

fn daemon(config: &Config) -> Vec<Finding> {
    let facts = Facts::gather(config);
    let environment = desktop::environment(&facts).filter(|_| facts.display != Display::None);
    let check = doctor::daemon();
    let fix = match facts.unit(Unit::Daemon) {
        _ if facts.manager.is_none() || check.status == Status::Ok => None,
        UnitState::Missing => None,
        UnitState::Disabled => Some(Fix::run("systemctl --user enable --now hearken")),
        UnitState::Enabled => Some(Fix::run("systemctl --user restart hearken")),
    };
    let mut found = vec![Finding { check, fix }];
    found.extend(environment.map(of_remedy));
    found
}

fn methods(config: &Config) -> Vec<Finding> {
    let facts = Facts::gather(config);
    if facts.display == Display::None {
        return desktop::of(&facts, config)
            .into_iter()
            .map(without_fix)
            .collect();
    }
    desktop::methods(&facts)
        .into_iter()
        .map(of_remedy)
        .collect()
}

fn hotkey(config: &Config) -> Vec<Finding> {
    let facts = Facts::gather(config);
    if facts.display == Display::None {
        return Vec::new();
    }
    let check = desktop::hotkey(&facts, config);
    let fix = (check.status != Status::Ok)
        .then(|| bind(&facts, config))
        .flatten();
    vec![Finding { check, fix }]
}

/// Appends the lines to a configuration in which they may stand at the end.
fn bind(facts: &Facts, config: &Config) -> Option<Fix> {
    let (compositor, file, then) = match facts.compositor()? {
        "sway" => (Compositor::Sway, "sway/config", "swaymsg reload"),
        "i3" => (Compositor::I3, "i3/config", "i3-msg reload"),
        "hyprland" => (Compositor::Hyprland, "hypr/hyprland.conf", "hyprctl reload"),
        _ => return None,
    };
    let file = etcetera::choose_base_strategy()
        .ok()?
        .config_dir()
        .join(file);
    let keys = Keys::parse(&config.hotkey.keys).ok()?;
    // Without a file of the user, the compositor reads the system's, which a new file would hide.
    file.is_file().then(|| Fix::Append {
        file,
        text: format!("\n{}", print::lines(compositor, &keys, config.hotkey.mode)),
        then: then.split(' ').map(str::to_owned).collect(),
    })
}

fn agent(config: &Config) -> Vec<Finding> {
    let facts = Facts::gather(config);
    if facts.display == Display::None {
        return Vec::new();
    }
    vec![of_remedy(desktop::agent(&facts))]
}

/// A finding whose remedy is a command without root's rights that can be run as it is.
fn of_remedy(check: Check) -> Finding {
    let command = check
        .remedy
        .as_deref()
        .filter(|_| check.status == Status::Warn);
    let is_command = |command: &&str| {
        ["systemctl --user ", "ibus-daemon "]
            .iter()
            .any(|start| command.starts_with(start))
    };
    // What stands behind a semicolon is for people.
    let command = command
        .filter(is_command)
        .and_then(|all| all.split(';').next());
    let fix = command.map(Fix::run);
    Finding { check, fix }
}

fn without_fix(check: Check) -> Finding {
    Finding { check, fix: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: Status, remedy: &str) -> Check {
        Check {
            name: "a check",
            status,
            detail: String::new(),
            remedy: Some(remedy.to_owned()),
        }
    }

    #[test]
    fn only_commands_of_the_user_are_run() {
        let fix = |remedy: &str| of_remedy(check(Status::Warn, remedy)).fix;
        let enable = "systemctl --user restart x; journalctl --user -u x";
        assert_eq!(fix(enable), Some(Fix::run("systemctl --user restart x")));
        assert_eq!(fix("apt-get install ibus"), None);
        assert_eq!(fix("sudo make install"), None);
        assert_eq!(fix("log in again"), None);
        let absent = check(Status::Absent, "systemctl --user start x");
        assert_eq!(of_remedy(absent).fix, None);
    }

    #[test]
    fn lines_go_into_a_configuration_that_is_there() {
        let facts = Facts {
            desktop: "labwc".to_owned(),
            ..Facts::default()
        };
        assert_eq!(
            bind(&facts, &Config::default()),
            None,
            "XML has no place at its end"
        );
    }
}
