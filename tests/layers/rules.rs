//! The rules: the floor of each module, exceptions to it, and where certain text may stand. The
//! picture of them is in docs/architecture.md.
//!
//! In: the source. Out: a sentence for each broken rule.

use super::source::{File, Source};
use std::collections::BTreeSet;

/// Modules and their floors; a module may import what stands on a lower floor.
const FLOORS: [(&str, u8); 29] = [
    ("advice", 0),
    ("env", 0),
    ("suggest", 0),
    ("sync", 0),
    ("audio", 1),
    ("filter", 1),
    ("cpu", 1),
    ("tokenizer", 1),
    ("mel", 2),
    ("models", 2),
    ("whisper", 3),
    ("compute", 4),
    ("text", 4),
    ("npu", 5),
    ("output", 5),
    ("recognize", 5),
    ("settings", 5),
    ("engine", 6),
    ("input", 6),
    ("pipeline", 6),
    ("stream", 6),
    ("config", 7),
    ("session", 8),
    ("cli", 9),
    ("client", 9),
    ("dbus", 9),
    ("serve", 9),
    ("desktop", 10),
    ("commands", 11),
];

/// Parts of a module that another may import although it does not stand below: importer, imported,
/// parts.
const PARTS: [(&str, &str, &[&str]); 1] = [("client", "dbus", &["protocol", "options"])];

/// Modules that import nothing of Hearken: their tests run alone, on other processors.
const ALONE: [&str; 1] = ["cpu"];

/// Files that may hold unsafe code, each block with its SAFETY comment.
const UNSAFE: [&str; 7] = [
    "cpu/isa/avx2.rs",
    "cpu/isa/avx512.rs",
    "cpu/isa/neon.rs",
    "cpu/matrix.rs",
    "cpu/pool.rs",
    "models/tensors/mmap.rs",
    "npu/device.rs",
];

/// Text that only some files may hold: the text, the files, the rule.
const PLACES: [(&str, &[&str], &str); 15] = [
    (
        "process::exit",
        &["commands/"],
        "only commands may end the process",
    ),
    (
        "ExitCode",
        &["commands/", "main.rs"],
        "only commands know exit codes",
    ),
    (
        "zbus",
        &["client/", "commands/", "dbus/", "desktop/", "input/"],
        "only client, commands, dbus, desktop and input know the bus",
    ),
    (
        "x11rb",
        &[
            "desktop/hotkey/x11.rs",
            "desktop/presence/caption/x11.rs",
            "input/x11/",
        ],
        "only input/x11, the hotkey's grab and captions know the X server",
    ),
    (
        "wayland_client",
        &["desktop/presence/caption/layer.rs", "input/wayland/"],
        "only input/wayland and captions know the compositor",
    ),
    (
        "cosmic_text",
        &["desktop/presence/caption/draw.rs"],
        "only captions draw text",
    ),
    (
        "ureq",
        &["models/fetch/"],
        "only models/fetch uses the network",
    ),
    ("axum", &["serve/http/"], "only serve/http knows HTTP"),
    (
        "tokio",
        &["serve/"],
        "only serve has a runtime for connections",
    ),
    (
        "listenfd",
        &["serve/listener.rs"],
        "only serve/listener.rs takes sockets of systemd",
    ),
    (
        "clap",
        &[
            "cli/",
            "cli.rs",
            "commands/",
            "compute.rs",
            "output/format.rs",
            "settings.rs",
            "settings/",
            "text/numbers/",
            "tokenizer/",
        ],
        "only cli, commands and the enums of options know the command line",
    ),
    ("println!", &[], "print with output/console.rs"),
    ("eprintln!", &[], "print with output/console.rs"),
    (
        "stdout()",
        &["commands/", "output/console.rs"],
        "only commands and output/console.rs write to standard output",
    ),
    (
        "stderr()",
        &["commands/", "output/console.rs"],
        "only commands and output/console.rs write to standard error",
    ),
];

/// Modules that [`FLOORS`] does not name.
pub fn modules_without_floor(source: &Source) -> Vec<String> {
    let missing = source.files.iter().filter(|file| {
        let module = file.module.first().filter(|module| *module != "main");
        module.is_some_and(|module| floor(module).is_none())
    });
    let sentence = |file: &File| {
        format!(
            "src/{}: the module {} has no floor: give it one in tests/layers/rules.rs and \
             docs/architecture.md",
            file.path, file.module[0]
        )
    };
    missing.map(sentence).collect()
}

/// Imports of what stands on the same floor or above.
pub fn broken_floors(source: &Source) -> Vec<String> {
    let mut broken = BTreeSet::new();
    for file in &source.files {
        let Some(module) = file.module.first() else {
            continue;
        };
        for path in &file.imports {
            let Some(imported) = path.first().filter(|imported| *imported != module) else {
                continue;
            };
            if let Some(rule) = rule_against(module, imported, path.get(1)) {
                broken.insert(format!("src/{} imports {rule}", file.path));
            }
        }
    }
    broken.into_iter().collect()
}

fn rule_against(module: &str, imported: &str, part: Option<&String>) -> Option<String> {
    let part = part.map_or("", String::as_str);
    for (importer, whole, allowed) in PARTS {
        if (module, imported) == (importer, whole) {
            let names = allowed.join(" and ");
            let rule = format!("{whole}::{part}: {importer} may import of {whole} only {names}");
            return (!allowed.contains(&part)).then_some(rule);
        }
    }
    if ALONE.contains(&module) {
        return Some(format!("{imported}: {module} imports nothing of Hearken"));
    }
    let (own, other) = (floor(module)?, floor(imported)?);
    let relation = if own == other {
        "stands beside"
    } else {
        "stands below"
    };
    (other >= own).then(|| {
        format!("{imported}: {module} (floor {own}) {relation} {imported} (floor {other})")
    })
}

/// Unsafe code, crates and calls outside of their places.
pub fn misplaced_text(source: &Source) -> Vec<String> {
    let mut broken = BTreeSet::new();
    for file in &source.files {
        for (number, line) in file.lines.iter().take(file.n_product_lines).enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let mut note = |text: &str, rule: &str| {
                broken.insert(format!(
                    "src/{}, line {}, has '{text}': {rule}",
                    file.path,
                    number + 1
                ));
            };
            if has_word(code, "unsafe") && !is_in(&file.path, &UNSAFE) {
                note(
                    "unsafe",
                    "only the files listed in tests/layers/rules.rs may be unsafe",
                );
            }
            for (text, places, rule) in PLACES {
                if has_word(code, text) && !is_in(&file.path, places) {
                    note(text, rule);
                }
            }
        }
    }
    broken.into_iter().collect()
}

fn floor(module: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, floor)| *floor)
}

fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

/// Whether `code` holds `word` with no letter, digit or `_` on either side.
fn has_word(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}
