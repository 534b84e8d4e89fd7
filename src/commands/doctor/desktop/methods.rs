//! The ways to put text into windows: which are there, and what mends those that are missing.

use super::facts::{Display, Facts};
use crate::commands::doctor::check::{Check, Status, ok};
use crate::settings::desktop::Method;

/// Returns a check for each method, the one that is used first marked by its place.
pub fn checks(facts: &Facts) -> Vec<Check> {
    let is_there = |facts: &Facts, method: Method| {
        let mut methods = facts.methods.iter();
        methods.any(|(other, found)| *other == method && found.is_ok())
    };
    // Text with a receipt and interim text comes from an input method only.
    let has_input_method = [Method::Ibus, Method::Fcitx, Method::Wayland]
        .into_iter()
        .any(|method| is_there(facts, method));
    let check = |(method, found): &(Method, Result<(), String>)| match found {
        Ok(()) => there(facts, *method),
        Err(reason) => {
            let remedy = remedy(facts, *method);
            let is_needed = remedy.is_some() && !has_input_method;
            Check {
                status: if is_needed {
                    Status::Warn
                } else {
                    Status::Absent
                },
                remedy: remedy.filter(|_| is_needed || fits(facts, *method)),
                ..ok(name(*method), reason.clone())
            }
        }
    };
    facts.methods.iter().map(check).collect()
}

fn name(method: Method) -> &'static str {
    match method {
        Method::Ibus => "type: ibus",
        Method::Fcitx => "type: fcitx",
        Method::Wayland => "type: wayland",
        Method::Paste => "type: paste",
        Method::Xtest => "type: xtest",
        Method::Clipboard => "type: clipboard",
    }
}

/// Checks a method that is there.
fn there(facts: &Facts, method: Method) -> Check {
    let name = name(method);
    match method {
        Method::Ibus if !facts.has_component => Check {
            status: Status::Warn,
            remedy: Some(
                "sudo make install PREFIX=/usr, or copy packaging/ibus/hearken.xml to \
                 /usr/share/ibus/component; then ibus restart"
                    .to_owned(),
            ),
            ..ok(
                name,
                "IBus does not know Hearken: text goes in as a guest, without interim text before \
                 IBus 1.5.35",
            )
        },
        Method::Wayland if facts.fcitx_runs && !facts.has_addon => Check {
            status: Status::Warn,
            remedy: Some(
                "install Hearken's addon for Fcitx 5 (docs/desktop.md), then fcitx5 -r".to_owned(),
            ),
            ..ok(
                name,
                "Fcitx 5 is the compositor's only input method: the next method is used",
            )
        },
        _ => ok(name, "there"),
    }
}

/// Whether a method that is missing would be the one of this desktop.
fn fits(facts: &Facts, method: Method) -> bool {
    match method {
        Method::Ibus => facts.display == Display::X11 || facts.is("GNOME"),
        Method::Fcitx => facts.fcitx_runs,
        Method::Wayland => false,
        Method::Paste | Method::Clipboard => !facts.is("GNOME"),
        Method::Xtest => facts.display == Display::X11,
    }
}

/// Returns what mends a method that is missing here; `None` if nothing does.
fn remedy(facts: &Facts, method: Method) -> Option<String> {
    let remedy = match method {
        Method::Ibus if facts.is("GNOME") && !facts.has_ibus => {
            "apt-get install ibus, then log in again: GNOME has no other way in"
        }
        Method::Ibus if facts.is("GNOME") => "log in again: GNOME starts IBus itself",
        Method::Ibus if facts.display == Display::X11 && !facts.has_ibus => {
            "apt-get install ibus ibus-gtk3 ibus-gtk4, run im-config -n ibus, then log in again"
        }
        Method::Ibus if facts.display == Display::X11 => {
            "ibus-daemon --daemonize --xim --replace; at each login: im-config -n ibus"
        }
        Method::Fcitx if facts.fcitx_runs => {
            "install Hearken's addon for Fcitx 5 (docs/desktop.md), then fcitx5 -r"
        }
        Method::Wayland if facts.is("KDE") => {
            "Plasma 6.7 and newer lets every input method in; before, paste is used"
        }
        Method::Xtest if facts.display == Display::X11 => {
            "start the X server with the extension XTEST"
        }
        Method::Paste | Method::Clipboard
            if facts.display == Display::Wayland && !facts.is("GNOME") =>
        {
            "update the compositor to one with ext-data-control or wlr-data-control"
        }
        _ => return None,
    };
    Some(remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(desktop: &str, display: Display, methods: &[(Method, bool)]) -> Facts {
        let found = |(method, is_there): &(Method, bool)| {
            let missing = || Err("it is not there".to_owned());
            (*method, if *is_there { Ok(()) } else { missing() })
        };
        Facts {
            desktop: desktop.to_owned(),
            display,
            methods: methods.iter().map(found).collect(),
            has_component: true,
            ..Facts::default()
        }
    }

    fn check(facts: &Facts, method: Method) -> (Status, String) {
        let mut checks = checks(facts).into_iter();
        let check = checks.find(|check| check.name == name(method));
        let check = check.expect("a check");
        (check.status, check.remedy.unwrap_or_default())
    }

    #[test]
    fn gnome_without_ibus_has_no_way_in() {
        let methods = [(Method::Ibus, false), (Method::Wayland, false)];
        let mut gnome = facts("ubuntu:GNOME", Display::Wayland, &methods);
        let (status, remedy) = check(&gnome, Method::Ibus);
        assert_eq!(status, Status::Warn);
        assert!(remedy.starts_with("apt-get install ibus, then"), "{remedy}");
        assert_eq!(
            check(&gnome, Method::Wayland),
            (Status::Absent, String::new())
        );
        gnome.has_ibus = true;
        assert!(check(&gnome, Method::Ibus).1.starts_with("log in again"));
    }

    #[test]
    fn a_component_that_ibus_does_not_know_is_reported() {
        let mut x11 = facts("XFCE", Display::X11, &[(Method::Ibus, true)]);
        assert_eq!(check(&x11, Method::Ibus).0, Status::Ok);
        x11.has_component = false;
        let (status, remedy) = check(&x11, Method::Ibus);
        assert_eq!(status, Status::Warn);
        assert!(remedy.contains("ibus restart"), "{remedy}");
    }

    #[test]
    fn what_is_not_needed_is_no_warning() {
        let methods = [
            (Method::Ibus, false),
            (Method::Wayland, true),
            (Method::Xtest, false),
        ];
        let sway = facts("sway", Display::Wayland, &methods);
        assert_eq!(check(&sway, Method::Ibus), (Status::Absent, String::new()));
        assert_eq!(check(&sway, Method::Xtest), (Status::Absent, String::new()));
        assert_eq!(check(&sway, Method::Wayland).0, Status::Ok);
    }

    #[test]
    fn fcitx_that_holds_the_seat_wants_its_addon() {
        let methods = [(Method::Fcitx, false), (Method::Wayland, true)];
        let mut sway = facts("sway", Display::Wayland, &methods);
        sway.fcitx_runs = true;
        assert_eq!(check(&sway, Method::Wayland).0, Status::Warn);
        assert!(check(&sway, Method::Fcitx).1.contains("addon"));
    }
}
