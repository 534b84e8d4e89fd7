//! Lines for a compositor's configuration that run hearken when a key is pressed and released.

use crate::settings::desktop::{Compositor, HotkeyMode};

/// A key and its modifiers, in the names of the shortcuts specification: CTRL, ALT, SHIFT, LOGO.
#[derive(Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    modifiers: Vec<Modifier>,
    key: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Modifier {
    Control,
    Alt,
    Shift,
    Logo,
}

impl<'a> Keys<'a> {
    /// Reads "CTRL+ALT+d". Returns the unknown modifier if there is one.
    ///
    /// # Errors
    /// Returns an error that names what is unknown.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let (modifiers, key) = text.rsplit_once('+').unwrap_or(("", text));
        let names = modifiers.split('+').filter(|name| !name.is_empty());
        let modifiers = names.map(|name| match name.to_uppercase().as_str() {
            "CTRL" | "CONTROL" => Ok(Modifier::Control),
            "ALT" => Ok(Modifier::Alt),
            "SHIFT" => Ok(Modifier::Shift),
            "LOGO" | "SUPER" | "META" => Ok(Modifier::Logo),
            _ => Err(format!(
                "unknown modifier '{name}' in '{text}'; write CTRL, ALT, SHIFT or LOGO"
            )),
        });
        let modifiers = modifiers.collect::<Result<_, _>>()?;
        if key.is_empty() {
            return Err(format!("'{text}' has no key; write it as in CTRL+ALT+d"));
        }
        Ok(Self { modifiers, key })
    }

    /// Key of the X server.
    pub fn key(&self) -> &str {
        self.key
    }

    /// Mask of the modifiers in the X protocol: Control, Mod1, Shift, Mod4.
    pub fn mask(&self) -> u16 {
        let bits = self.modifiers.iter().map(|modifier| match modifier {
            Modifier::Shift => 1,
            Modifier::Control => 1 << 2,
            Modifier::Alt => 1 << 3,
            Modifier::Logo => 1 << 6,
        });
        bits.fold(0, |mask, bit| mask | bit)
    }

    /// The modifiers by the names that `names` gives to Control, Alt, Shift and Logo.
    fn joined(&self, names: [&str; 4], separator: &str) -> String {
        let name = |modifier: &Modifier| names[*modifier as usize].to_owned();
        let all: Vec<String> = self.modifiers.iter().map(name).collect();
        all.join(separator)
    }

    /// Modifiers and key with a plus sign between them.
    fn plus(&self, names: [&str; 4], key: &str) -> String {
        let modifiers = self.joined(names, "+");
        let plus = if modifiers.is_empty() { "" } else { "+" };
        format!("{modifiers}{plus}{key}")
    }
}

/// Returns the lines and, in a comment, where they belong.
pub fn lines(compositor: Compositor, keys: &Keys<'_>, mode: HotkeyMode) -> String {
    // Where presses alone are reported, a press toggles.
    let toggles = mode == HotkeyMode::Toggle;
    match compositor {
        Compositor::Sway => {
            let keys = keys.plus(["Ctrl", "Mod1", "Shift", "Mod4"], keys.key);
            bindsym(
                "~/.config/sway/config",
                &format!("--no-repeat {keys}"),
                "exec",
                toggles,
            )
        }
        Compositor::I3 => {
            let keys = keys.plus(["Ctrl", "Mod1", "Shift", "Mod4"], keys.key);
            bindsym(
                "~/.config/i3/config",
                &keys,
                "exec --no-startup-id",
                toggles,
            )
        }
        Compositor::Hyprland => {
            let keys = format!(
                "{}, {}",
                keys.joined(["CTRL", "ALT", "SHIFT", "SUPER"], " "),
                keys.key
            );
            let file = "# ~/.config/hypr/hyprland.conf";
            if toggles {
                format!("{file}\nbind = {keys}, exec, hearken toggle\n")
            } else {
                format!(
                    "{file}\nbind = {keys}, exec, hearken start\nbindr = {keys}, exec, hearken stop\n"
                )
            }
        }
        Compositor::Niri => {
            let key = keys.key.to_uppercase();
            let key = if keys.key.len() == 1 { &key } else { keys.key };
            let keys = keys.plus(["Ctrl", "Alt", "Shift", "Super"], key);
            format!(
                "// ~/.config/niri/config.kdl; niri reports no releases, so the key toggles\n\
                 binds {{\n    {keys} repeat=false {{ spawn \"hearken\" \"toggle\"; }}\n}}\n"
            )
        }
        Compositor::River => {
            let modifiers = keys.joined(["Control", "Alt", "Shift", "Super"], "+");
            let modifiers = if modifiers.is_empty() {
                "None"
            } else {
                &modifiers
            };
            let line = |option: &str, word: &str| {
                format!(
                    "riverctl map {option}normal {modifiers} {} spawn 'hearken {word}'\n",
                    keys.key
                )
            };
            let lines = if toggles {
                line("", "toggle")
            } else {
                line("", "start") + &line("-release ", "stop")
            };
            format!("# ~/.config/river/init\n{lines}")
        }
        Compositor::Labwc => {
            let modifiers = keys.joined(["C", "A", "S", "W"], "-");
            let dash = if modifiers.is_empty() { "" } else { "-" };
            let line = |option: &str, word: &str| {
                format!(
                    "<keybind key=\"{modifiers}{dash}{}\"{option}><action name=\"Execute\" \
                     command=\"hearken {word}\"/></keybind>\n",
                    keys.key
                )
            };
            let lines = if toggles {
                line("", "toggle")
            } else {
                line("", "start") + &line(" onRelease=\"yes\"", "stop")
            };
            format!("<!-- ~/.config/labwc/rc.xml, within <keyboard> -->\n{lines}")
        }
    }
}

fn bindsym(file: &str, keys: &str, exec: &str, toggles: bool) -> String {
    if toggles {
        return format!("# {file}\nbindsym {keys} {exec} hearken toggle\n");
    }
    format!(
        "# {file}\nbindsym {keys} {exec} hearken start\nbindsym --release {keys} {exec} hearken stop\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(compositor: Compositor, mode: HotkeyMode) -> String {
        let keys = Keys::parse("CTRL+ALT+d").expect("keys");
        lines(compositor, &keys, mode)
    }

    #[test]
    fn each_compositor_gets_its_own_lines() {
        let sway = "# ~/.config/sway/config\n\
            bindsym --no-repeat Ctrl+Mod1+d exec hearken start\n\
            bindsym --release --no-repeat Ctrl+Mod1+d exec hearken stop\n";
        assert_eq!(printed(Compositor::Sway, HotkeyMode::Both), sway);
        let toggle =
            "# ~/.config/sway/config\nbindsym --no-repeat Ctrl+Mod1+d exec hearken toggle\n";
        assert_eq!(printed(Compositor::Sway, HotkeyMode::Toggle), toggle);
        for (compositor, part) in [
            (
                Compositor::Hyprland,
                "bindr = CTRL ALT, d, exec, hearken stop",
            ),
            (Compositor::Niri, "Ctrl+Alt+D repeat=false"),
            (
                Compositor::River,
                "map -release normal Control+Alt d spawn 'hearken stop'",
            ),
            (Compositor::Labwc, "key=\"C-A-d\" onRelease=\"yes\""),
            (
                Compositor::I3,
                "bindsym --release Ctrl+Mod1+d exec --no-startup-id hearken stop",
            ),
        ] {
            let lines = printed(compositor, HotkeyMode::Hold);
            assert!(lines.contains(part), "{lines}");
        }
    }

    #[test]
    fn keys_are_read_or_explained() {
        let keys = Keys::parse("F9").expect("a key");
        assert_eq!((keys.key(), keys.mask()), ("F9", 0));
        assert_eq!(Keys::parse("LOGO+SHIFT+space").expect("keys").mask(), 65);
        assert!(Keys::parse("HYPER+d").is_err_and(|error| error.contains("HYPER")));
        assert!(Keys::parse("CTRL+").is_err_and(|error| error.contains("no key")));
    }
}
