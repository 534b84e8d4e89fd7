//! What dictation into windows needs of the desktop: methods, a hotkey, services, and the session's
//! variables where services see them.
//!
//! In: [`Facts`], as the system reports them. Out: checks, each with the command that fixes it.

mod facts;
mod methods;

use super::check::{Check, Status, ok};
use crate::config::Config;
use crate::settings::desktop::HotkeyVia;
pub use facts::{Display, Facts, Unit, UnitState, is_program};
pub use methods::checks as methods;

/// Runs the checks.
pub(super) fn checks(config: &Config) -> Vec<Check> {
    of(&Facts::gather(config), config)
}

/// Returns the checks of a desktop.
pub fn of(facts: &Facts, config: &Config) -> Vec<Check> {
    let mut checks = vec![session(facts)];
    if facts.display == Display::None {
        return checks;
    }
    checks.extend(environment(facts));
    checks.extend(methods(facts));
    checks.push(hotkey(facts, config));
    checks.push(agent(facts));
    checks.extend(signs(facts, config));
    checks
}

fn session(facts: &Facts) -> Check {
    let name = "desktop";
    let desktop = facts.desktop.as_str();
    match facts.display {
        Display::None => Check {
            status: Status::Absent,
            remedy: Some(
                "run this in a desktop session, with DISPLAY or WAYLAND_DISPLAY set".to_owned(),
            ),
            ..ok(name, "none: no text can be put into windows")
        },
        Display::X11 => ok(name, format!("{desktop} on X11")),
        Display::Wayland => ok(name, format!("{desktop} on Wayland")),
    }
}

/// Checks whether services of the user see the session's variables.
pub fn environment(facts: &Facts) -> Option<Check> {
    let name = "user services";
    let Some(environment) = &facts.manager else {
        return Some(Check {
            status: Status::Warn,
            remedy: Some(
                "let the desktop start `hearken daemon` and `hearken desktop` at login".to_owned(),
            ),
            ..ok(name, "there is no systemd for this user")
        });
    };
    let is_missing = |(name, value): &(&String, &String)| environment.get(*name) != Some(value);
    let missing: Vec<&str> = facts
        .variables
        .iter()
        .filter(is_missing)
        .map(|(name, _)| name.as_str())
        .collect();
    let is_there = missing.is_empty();
    Some(Check {
        status: if is_there { Status::Ok } else { Status::Warn },
        remedy: (!is_there)
            .then(|| format!("systemctl --user import-environment {}", missing.join(" "))),
        ..ok(
            name,
            if is_there {
                "they know the desktop".to_owned()
            } else {
                format!("they do not know this session's {}", missing.join(", "))
            },
        )
    })
}

/// Checks who reports the hotkey.
pub fn hotkey(facts: &Facts, config: &Config) -> Check {
    let name = "hotkey";
    let keys = &config.hotkey.keys;
    let print = facts.compositor().map_or_else(
        || "bind `hearken toggle` to a key in the desktop's settings".to_owned(),
        |compositor| format!("hearken hotkey --print {compositor}"),
    );
    if let Some(file) = &facts.bound_in {
        return ok(name, format!("bound in {}", file.display()));
    }
    let has_portal = facts.shortcuts_portal.is_some();
    match (config.hotkey.via, facts.display) {
        (HotkeyVia::Auto | HotkeyVia::Portal, _) if has_portal => {
            ok(name, format!("{keys}, by the desktop's portal"))
        }
        (HotkeyVia::Auto | HotkeyVia::X11, Display::X11) => {
            ok(name, format!("{keys}, by the X server"))
        }
        (HotkeyVia::Portal, _) => Check {
            status: Status::Warn,
            remedy: Some(format!("{print}; or set hotkey.via to \"auto\"")),
            ..ok(name, "the portal GlobalShortcuts is missing")
        },
        _ => Check {
            status: Status::Warn,
            remedy: Some(print),
            ..ok(
                name,
                "no program reports keys here but the compositor itself",
            )
        },
    }
}

/// Checks the agent, `hearken desktop`.
pub fn agent(facts: &Facts) -> Check {
    let name = "agent";
    let unit = "app-org.hearken.Hearken";
    if facts.agent_runs {
        return match facts.unit(Unit::Agent) {
            UnitState::Disabled => Check {
                status: Status::Warn,
                remedy: Some(format!("systemctl --user enable {unit}")),
                ..ok(
                    name,
                    "hearken desktop is running, but does not start at login",
                )
            },
            _ => ok(name, "hearken desktop is running"),
        };
    }
    let (detail, remedy) = match facts.unit(Unit::Agent) {
        UnitState::Enabled => (
            "its service is enabled, but not running",
            format!("systemctl --user restart {unit}; journalctl --user -u {unit}"),
        ),
        UnitState::Disabled => (
            "its service is not enabled",
            format!("systemctl --user enable --now {unit}"),
        ),
        UnitState::Missing => (
            "hearken desktop is not running, and its service is not installed",
            "sudo make install, or run hearken desktop".to_owned(),
        ),
    };
    Check {
        status: Status::Warn,
        remedy: Some(remedy),
        ..ok(name, detail)
    }
}

/// Checks what shows what the agent does.
fn signs(facts: &Facts, config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |name, is_wanted: bool, is_there: bool, detail: &str, remedy: &str| {
        if is_wanted {
            checks.push(Check {
                status: if is_there { Status::Ok } else { Status::Absent },
                remedy: (!is_there).then(|| remedy.to_owned()),
                ..ok(name, if is_there { "there" } else { detail })
            });
        }
    };
    check(
        "notifications",
        config.desktop.notifications,
        facts.has_notifications,
        "no notification server: kept text is not announced",
        "apt-get install mako-notifier (Wayland) or dunst, and start it with the session",
    );
    check(
        "tray",
        config.desktop.tray,
        facts.has_tray,
        "no tray shows the icon",
        "GNOME: install the extension AppIndicator; sway: add a bar with a tray, such as Waybar",
    );
    if let Some(captions) = &facts.captions {
        let is_there = captions.is_ok();
        checks.push(Check {
            status: if is_there { Status::Ok } else { Status::Absent },
            remedy: (!is_there).then(|| "set captions.show to \"never\"".to_owned()),
            ..ok(
                "captions",
                captions.as_ref().map_or_else(String::as_str, |()| "there"),
            )
        });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// sway with everything in order.
    fn sway() -> Facts {
        let variables = [
            ("WAYLAND_DISPLAY", "wayland-1"),
            ("XDG_CURRENT_DESKTOP", "sway"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Facts {
            desktop: "sway".to_owned(),
            display: Display::Wayland,
            manager: Some(variables.clone().into()),
            variables: variables.into(),
            agent_runs: true,
            units: [UnitState::Enabled; 2],
            ..Facts::default()
        }
    }

    #[test]
    fn without_a_desktop_nothing_else_is_checked() {
        let checks = of(&Facts::default(), &Config::default());
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].status, Status::Absent);
    }

    #[test]
    fn services_that_do_not_know_the_session_get_its_variables() {
        let mut facts = sway();
        assert_eq!(environment(&facts).expect("a check").status, Status::Ok);
        facts.manager = Some([("DISPLAY".to_owned(), ":0".to_owned())].into());
        let remedy = environment(&facts).and_then(|check| check.remedy);
        let expected = "systemctl --user import-environment WAYLAND_DISPLAY XDG_CURRENT_DESKTOP";
        assert_eq!(remedy.as_deref(), Some(expected));
        facts.manager = None;
        assert_eq!(environment(&facts).expect("a check").status, Status::Warn);
    }

    #[test]
    fn the_hotkey_has_somebody_who_reports_it() {
        let config = Config::default();
        let mut facts = sway();
        let check = hotkey(&facts, &config);
        assert_eq!(check.remedy.as_deref(), Some("hearken hotkey --print sway"));
        facts.bound_in = Some(PathBuf::from("/home/me/.config/sway/config"));
        assert_eq!(hotkey(&facts, &config).status, Status::Ok);
        facts.bound_in = None;
        facts.shortcuts_portal = Some(1);
        assert!(hotkey(&facts, &config).detail.contains("portal"));
        facts.shortcuts_portal = None;
        facts.display = Display::X11;
        assert!(hotkey(&facts, &config).detail.contains("X server"));
    }

    #[test]
    fn the_agent_has_a_command_for_each_way_to_be_missing() {
        let mut facts = sway();
        assert_eq!(agent(&facts).status, Status::Ok);
        facts.agent_runs = false;
        let remedy = |facts: &Facts| agent(facts).remedy.expect("a remedy");
        assert!(remedy(&facts).contains("restart"));
        facts.units = [UnitState::Disabled; 2];
        assert!(remedy(&facts).contains("enable --now app-org.hearken.Hearken"));
        facts.units = [UnitState::Missing; 2];
        assert!(remedy(&facts).contains("make install"));
    }
}
