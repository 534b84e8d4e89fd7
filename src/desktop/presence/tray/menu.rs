//! The icon's menu, as `com.canonical.dbusmenu` carries it.

use std::collections::HashMap;

use futures::channel::mpsc;
use zbus::object_server::SignalEmitter;
use zbus::{Structure, Variant, fdo, interface};

use super::item::title_of;
use crate::desktop::bus::{Command, State};

/// Id of the root, whose children are the entries.
pub const ROOT: i32 = 0;

type Properties = HashMap<&'static str, Variant<'static>>;
/// Id, properties, children.
type Layout = (i32, Properties, Vec<Variant<'static>>);

/// The entries, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// What the agent is doing; cannot be chosen.
    State = 1,
    Toggle = 2,
    Cancel = 3,
    FirstLine = 4,
    Undo = 5,
    Again = 6,
    SecondLine = 7,
    Quit = 8,
}

const ENTRIES: [Entry; 8] = [
    Entry::State,
    Entry::Toggle,
    Entry::Cancel,
    Entry::FirstLine,
    Entry::Undo,
    Entry::Again,
    Entry::SecondLine,
    Entry::Quit,
];

/// The object.
pub struct Menu {
    commands: mpsc::Sender<Command>,
    state: State,
    trouble: String,
    /// Grows with every change.
    revision: u32,
}

impl Menu {
    pub fn new(commands: mpsc::Sender<Command>) -> Self {
        Self {
            commands,
            state: State::Unknown,
            trouble: String::new(),
            revision: 1,
        }
    }

    /// Takes a state. Returns the new revision.
    pub fn set(&mut self, state: State, trouble: &str) -> u32 {
        self.state = state;
        trouble.clone_into(&mut self.trouble);
        self.revision += 1;
        self.revision
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Listening | State::NoSound)
    }

    fn properties(&self, entry: Entry) -> Properties {
        let named = |label: &str, is_enabled: bool| {
            HashMap::from([
                ("label", Variant::from(label.to_owned())),
                ("enabled", Variant::from(is_enabled)),
            ])
        };
        let has_daemon = self.state != State::Unknown;
        match entry {
            Entry::State if self.trouble.is_empty() => named(title_of(self.state), false),
            // A single underscore would mark a key.
            Entry::State => named(&self.trouble.replace('_', "__"), false),
            Entry::Toggle if self.is_open() => named("Stop dictation", true),
            Entry::Toggle => named("Start dictation", has_daemon),
            Entry::Cancel => named("Drop what is being said", self.is_open()),
            Entry::Undo => named("Delete the last utterance", has_daemon),
            Entry::Again => named("Put the last text in again", has_daemon),
            Entry::Quit => named("Quit", true),
            Entry::FirstLine | Entry::SecondLine => {
                HashMap::from([("type", Variant::from("separator"))])
            }
        }
    }

    fn layout_of(&self, id: i32, depth: i32) -> Option<Layout> {
        if id != ROOT {
            return Some((id, self.properties(entry(id)?), Vec::new()));
        }
        let child = |entry: &Entry| {
            let fields = (
                *entry as i32,
                self.properties(*entry),
                Vec::<Variant<'static>>::new(),
            );
            Variant::new(Structure::from(fields))
        };
        let children = if depth == 0 {
            Vec::new()
        } else {
            ENTRIES.iter().map(child).collect()
        };
        let properties = HashMap::from([("children-display", Variant::from("submenu"))]);
        Some((ROOT, properties, children))
    }

    fn choose(&mut self, id: i32, event: &str) -> fdo::Result<()> {
        let entry = entry(id).ok_or_else(|| unknown(id))?;
        if event != "clicked" {
            return Ok(());
        }
        let command = match entry {
            Entry::Toggle => Command::Toggle,
            Entry::Cancel => Command::Cancel,
            Entry::Undo => Command::Undo,
            Entry::Again => Command::AgainOrTell,
            Entry::Quit => Command::Quit,
            Entry::State | Entry::FirstLine | Entry::SecondLine => return Ok(()),
        };
        // An agent that has as much to do as fits is not to be asked for more.
        let _ = self.commands.try_send(command);
        Ok(())
    }
}

fn entry(id: i32) -> Option<Entry> {
    ENTRIES.into_iter().find(|entry| *entry as i32 == id)
}

fn unknown(id: i32) -> fdo::Error {
    fdo::Error::InvalidArgs(format!("the menu has no entry {id}"))
}

#[interface(name = "com.canonical.dbusmenu")]
impl Menu {
    #[zbus(property)]
    fn version(&self) -> u32 {
        3
    }

    #[zbus(property)]
    fn text_direction(&self) -> &'static str {
        "ltr"
    }

    #[zbus(property)]
    fn status(&self) -> &'static str {
        "normal"
    }

    #[zbus(property)]
    fn icon_theme_path(&self) -> Vec<String> {
        Vec::new()
    }

    /// Revision and entries. All properties are sent, whichever are asked for.
    fn get_layout(
        &self,
        parent: i32,
        depth: i32,
        _properties: Vec<String>,
    ) -> fdo::Result<(u32, Layout)> {
        let layout = self
            .layout_of(parent, depth)
            .ok_or_else(|| unknown(parent))?;
        Ok((self.revision, layout))
    }

    fn get_group_properties(
        &self,
        ids: Vec<i32>,
        _properties: Vec<String>,
    ) -> Vec<(i32, Properties)> {
        let all = ENTRIES.map(|entry| entry as i32).to_vec();
        let ids = if ids.is_empty() { all } else { ids };
        let found = |id: i32| Some((id, self.layout_of(id, 0)?.1));
        ids.into_iter().filter_map(found).collect()
    }

    fn get_property(&self, id: i32, name: &str) -> fdo::Result<Variant<'static>> {
        let layout = self.layout_of(id, 0).ok_or_else(|| unknown(id))?;
        let value = layout.1.get(name).and_then(|value| value.try_clone().ok());
        value.ok_or_else(|| fdo::Error::InvalidArgs(format!("the entry has no {name}")))
    }

    fn event(
        &mut self,
        id: i32,
        event: &str,
        _data: Variant<'_>,
        _timestamp: u32,
    ) -> fdo::Result<()> {
        self.choose(id, event)
    }

    fn event_group(&mut self, events: Vec<(i32, String, Variant<'_>, u32)>) -> Vec<i32> {
        let failed = events.into_iter().filter_map(|(id, event, _, _)| {
            let chosen = self.choose(id, &event);
            chosen.is_err().then_some(id)
        });
        failed.collect()
    }

    /// Whether the entries are to be asked for again before they are shown.
    fn about_to_show(&self, _id: i32) -> bool {
        false
    }

    fn about_to_show_group(&self, _ids: Vec<i32>) -> (Vec<i32>, Vec<i32>) {
        (Vec::new(), Vec::new())
    }

    #[zbus(signal)]
    pub async fn layout_updated(
        emitter: &SignalEmitter<'_>,
        revision: u32,
        parent: i32,
    ) -> zbus::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(state: State) -> Vec<(String, bool)> {
        let (commands, _) = mpsc::channel(1);
        let mut menu = Menu::new(commands);
        menu.set(state, "");
        let label = |entry: &Entry| {
            let properties = menu.properties(*entry);
            let label = <&str>::try_from(properties.get("label")?).ok()?.to_owned();
            let is_enabled = bool::try_from(properties.get("enabled")?).ok()?;
            Some((label, is_enabled))
        };
        ENTRIES.iter().filter_map(label).collect()
    }

    #[test]
    fn the_menu_says_what_can_be_done() {
        let listening = labels(State::Listening);
        assert_eq!(listening[0], ("Listening".to_owned(), false));
        assert_eq!(listening[1], ("Stop dictation".to_owned(), true));
        assert_eq!(labels(State::Idle)[1], ("Start dictation".to_owned(), true));
        let unknown = labels(State::Unknown);
        assert_eq!(unknown[1], ("Start dictation".to_owned(), false));
        assert_eq!(unknown.last(), Some(&("Quit".to_owned(), true)));
    }

    #[test]
    fn the_layout_has_the_signature_of_dbusmenu() {
        let (commands, _) = mpsc::channel(1);
        let layout = Menu::new(commands).layout_of(ROOT, -1).expect("a root");
        let children = &layout.2;
        assert_eq!(children.len(), ENTRIES.len());
        assert_eq!(children[0].value_signature().to_string(), "(ia{sv}av)");
    }

    #[test]
    fn a_click_is_a_command() {
        let (commands, mut received) = mpsc::channel(4);
        let mut menu = Menu::new(commands);
        menu.choose(Entry::Undo as i32, "clicked")
            .expect("an entry");
        menu.choose(Entry::Quit as i32, "hovered")
            .expect("an entry");
        assert!(menu.choose(99, "clicked").is_err());
        assert!(matches!(received.try_recv(), Ok(Command::Undo)));
        assert!(received.try_recv().is_err());
    }
}
