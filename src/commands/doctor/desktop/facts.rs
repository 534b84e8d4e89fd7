//! What a desktop is made of, as the system reports it.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use etcetera::BaseStrategy;
use zbus::Connection;
use zbus::fdo::DBusProxy;

use crate::advice::Advice;
use crate::config::Config;
use crate::input::router::Router;
use crate::settings::desktop::{CaptionShow, Method};

/// Who shows windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Display {
    #[default]
    None,
    X11,
    Wayland,
}

/// A service of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Daemon,
    Agent,
}

/// Variables without which a service reaches neither screen nor desktop.
const VARIABLES: [&str; 3] = ["WAYLAND_DISPLAY", "DISPLAY", "XDG_CURRENT_DESKTOP"];

/// Names of the units, in the order of [`Unit`].
const UNITS: [&str; 2] = ["hearken.service", "app-org.hearken.Hearken.service"];

/// Whether a service starts with the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnitState {
    #[default]
    Missing,
    Disabled,
    Enabled,
}

/// A desktop.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// `XDG_CURRENT_DESKTOP`.
    pub desktop: String,
    pub display: Display,
    /// The session's variables that services need.
    pub variables: BTreeMap<String, String>,
    /// Those of the user's systemd; `None` without it.
    pub manager: Option<BTreeMap<String, String>>,
    /// Methods, and why those that are missing are.
    pub methods: Vec<(Method, Result<(), String>)>,
    /// Programs of input methods that are installed.
    pub has_ibus: bool,
    pub has_fcitx: bool,
    /// Whether IBus's component file is installed.
    pub has_component: bool,
    /// Whether Fcitx runs, and whether Hearken's addon is in it.
    pub fcitx_runs: bool,
    pub has_addon: bool,
    /// Version of the portal that reports hotkeys.
    pub shortcuts_portal: Option<u32>,
    /// Configuration of the compositor that calls hearken.
    pub bound_in: Option<PathBuf>,
    pub units: [UnitState; 2],
    pub agent_runs: bool,
    pub has_notifications: bool,
    pub has_tray: bool,
    /// Whether captions can be shown, or why not; `None` if they are not wanted.
    pub captions: Option<Result<(), String>>,
}

impl Facts {
    /// Asks the system.
    pub fn gather(config: &Config) -> Self {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let has = |name: &str| variable(name).is_some();
        let display = match (has("WAYLAND_DISPLAY"), has("DISPLAY")) {
            (true, _) => Display::Wayland,
            (false, true) => Display::X11,
            (false, false) => Display::None,
        };
        let mut facts = Self {
            desktop: variable("XDG_CURRENT_DESKTOP").unwrap_or_else(|| "a desktop".to_owned()),
            display,
            variables: VARIABLES
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), variable(name)?)))
                .collect(),
            manager: output("systemctl", &["--user", "show-environment"])
                .map(|text| environment(&text)),
            units: UNITS.map(unit_state),
            ..Self::default()
        };
        facts.bound_in = facts.bound_in();
        if display != Display::None {
            facts.ask_for_methods(config);
            facts.captions = captions(config);
        }
        // Without a bus, nothing is there.
        let _ = zbus::block_on(facts.ask_bus());
        facts
    }

    /// Whether a service starts with the session.
    pub fn unit(&self, unit: Unit) -> UnitState {
        self.units[unit as usize]
    }

    /// Name of the compositor for `hearken hotkey --print`, if it needs that.
    pub fn compositor(&self) -> Option<&'static str> {
        let desktop = self.desktop.to_lowercase();
        ["sway", "hyprland", "niri", "river", "labwc", "i3"]
            .into_iter()
            .find(|name| desktop.split(':').any(|part| part == *name))
    }

    /// Whether this is GNOME or KDE.
    pub fn is(&self, desktop: &str) -> bool {
        self.desktop
            .split(':')
            .any(|part| part.eq_ignore_ascii_case(desktop))
    }

    fn ask_for_methods(&mut self, config: &Config) {
        self.has_ibus = is_program("ibus-daemon");
        self.has_fcitx = is_program("fcitx5");
        self.has_component = component_directories()
            .iter()
            .any(|directory| directory.join("hearken.xml").is_file());
        for method in &config.typing.methods {
            let router = Router::open(&[*method], &(Arc::new(|| {}) as _));
            let missing = router.missing().next().map(Advice::explain);
            self.methods.push((*method, missing.map_or(Ok(()), Err)));
        }
    }

    async fn ask_bus(&mut self) -> zbus::Result<()> {
        let connection = Connection::session().await?;
        let bus = DBusProxy::new(&connection).await?;
        let owned = bus.list_names().await?;
        let activatable = bus.list_activatable_names().await?;
        let is_owned = |name: &str| owned.iter().any(|owned| owned.as_str() == name);
        let is_there =
            |name: &str| is_owned(name) || activatable.iter().any(|known| known.as_str() == name);
        self.fcitx_runs = is_owned("org.fcitx.Fcitx5");
        self.has_addon = is_owned("org.hearken.Fcitx1");
        self.agent_runs = is_owned("org.hearken.Desktop1");
        self.has_notifications = is_there("org.freedesktop.Notifications");
        self.has_tray = is_owned("org.kde.StatusNotifierWatcher");
        if is_there("org.freedesktop.portal.Desktop") {
            self.shortcuts_portal = portal_version(&connection).await.ok();
        }
        Ok(())
    }

    /// Looks for lines that call hearken.
    fn bound_in(&self) -> Option<PathBuf> {
        let file = match self.compositor()? {
            "sway" => "sway/config",
            "hyprland" => "hypr/hyprland.conf",
            "niri" => "niri/config.kdl",
            "river" => "river/init",
            "labwc" => "labwc/rc.xml",
            _ => "i3/config",
        };
        let path = etcetera::choose_base_strategy()
            .ok()?
            .config_dir()
            .join(file);
        let text = std::fs::read_to_string(&path).ok()?;
        text.contains("hearken").then_some(path)
    }
}

async fn portal_version(connection: &Connection) -> zbus::Result<u32> {
    let arguments = ("org.freedesktop.portal.GlobalShortcuts", "version");
    let answer = connection
        .call_method(
            Some("org.freedesktop.portal.Desktop"),
            "/org/freedesktop/portal/desktop",
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &arguments,
        )
        .await?;
    let value: zbus::OwnedVariant = answer.body().deserialize()?;
    u32::try_from(value)
}

#[cfg(feature = "captions")]
fn captions(config: &Config) -> Option<Result<(), String>> {
    use crate::desktop::presence::caption::Caption;
    let is_wanted = config.captions.show != CaptionShow::Never;
    is_wanted.then(|| {
        let opened = Caption::open(&config.captions);
        opened.map(drop).map_err(|error| error.to_string())
    })
}

#[cfg(not(feature = "captions"))]
fn captions(config: &Config) -> Option<Result<(), String>> {
    let is_wanted = config.captions.show != CaptionShow::Never;
    is_wanted.then(|| Err("this program was built without captions".to_owned()))
}

/// Returns the directories in which IBus looks for components.
fn component_directories() -> Vec<PathBuf> {
    let given = env::var_os("IBUS_COMPONENT_PATH");
    let mut directories: Vec<PathBuf> = given
        .iter()
        .flat_map(|paths| env::split_paths(paths))
        .collect();
    directories.extend(
        [
            "/usr/share/ibus/component",
            "/usr/local/share/ibus/component",
        ]
        .map(PathBuf::from),
    );
    directories
}

fn unit_state(unit: &str) -> UnitState {
    // The word is printed whatever the exit code says.
    let word = Command::new("systemctl")
        .args(["--user", "is-enabled", unit])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let word = word.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match word.as_deref() {
        Ok("enabled" | "enabled-runtime" | "static" | "linked") => UnitState::Enabled,
        Ok("disabled" | "indirect" | "masked") => UnitState::Disabled,
        _ => UnitState::Missing,
    }
}

/// Returns the standard output of a program that succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

fn environment(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Whether a program is on the path.
pub fn is_program(name: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|directory| directory.join(name).is_file())
}
