//! IBus's serialised objects: `(sa{sv}...)` with the name of the type in front.

use std::collections::HashMap;

use zbus::{Structure, Variant};

/// Attribute types and values of IBus (ibusattribute.h): a single line below, and since 1.5.33 a
/// hint that the whole is interim text.
const UNDERLINE: [u32; 2] = [1, 1];
const HINT_WHOLE: [u32; 2] = [4, 1];

fn attachments() -> HashMap<String, Variant<'static>> {
    HashMap::new()
}

/// Returns an `IBusText`, marked as interim text or not.
pub fn text(text: &str, is_interim: bool) -> Variant<'static> {
    let n_chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let attribute = |[kind, value]: [u32; 2]| {
        let fields = ("IBusAttribute", attachments(), kind, value, 0u32, n_chars);
        Variant::new(Structure::from(fields))
    };
    let attributes: Vec<_> = if is_interim && n_chars > 0 {
        vec![attribute(UNDERLINE), attribute(HINT_WHOLE)]
    } else {
        Vec::new()
    };
    let list = Structure::from(("IBusAttrList", attachments(), attributes));
    let fields = (
        "IBusText",
        attachments(),
        text.to_owned(),
        Variant::new(list),
    );
    Variant::new(Structure::from(fields))
}

/// Returns the text of an `IBusText`.
pub fn text_of(text: &Variant<'_>) -> Option<String> {
    field(text, "IBusText")
}

/// Returns the name of an `IBusEngineDesc`.
pub fn name_of_engine(engine: &Variant<'_>) -> Option<String> {
    field(engine, "IBusEngineDesc").filter(|name| !name.is_empty())
}

/// Returns an `IBusExtensionEvent` that switches the emoji picker off.
pub fn disabled_extension() -> Variant<'static> {
    let fields = (
        "IBusExtensionEvent",
        attachments(),
        1u32,
        "emoji",
        false,
        false,
        "",
    );
    Variant::new(Structure::from(fields))
}

/// Returns an object path, within any number of variants.
pub fn path_of(value: &Variant<'_>) -> Option<String> {
    match value {
        Variant::ObjectPath(path) => Some(path.to_string()),
        Variant::Variant(inner) => path_of(inner),
        _ => None,
    }
}

/// Whether an `IBusExtensionEvent` switches something on.
pub fn is_enabled(event: &Variant<'_>) -> bool {
    match event {
        Variant::Variant(inner) => is_enabled(inner),
        Variant::Structure(structure) => {
            let enabled = structure.fields().get(4);
            enabled
                .and_then(|field| bool::try_from(field).ok())
                .unwrap_or(false)
        }
        _ => false,
    }
}

/// Returns the first own field of an object, which is text.
fn field(object: &Variant<'_>, kind: &str) -> Option<String> {
    let structure = match object {
        Variant::Variant(inner) => return field(inner, kind),
        Variant::Structure(structure) => structure,
        _ => return None,
    };
    let string = |i: usize| {
        structure
            .fields()
            .get(i)
            .and_then(|field| <&str>::try_from(field).ok())
    };
    let is_kind = string(0) == Some(kind);
    is_kind.then(|| string(2)).flatten().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_back() {
        let sent = text("Grüße 漢字", true);
        assert_eq!(text_of(&sent).as_deref(), Some("Grüße 漢字"));
        assert_eq!(text_of(&Variant::new(sent)).as_deref(), Some("Grüße 漢字"));
        assert_eq!(name_of_engine(&text("x", false)), None);
    }

    #[test]
    fn texts_have_the_signature_of_ibus() {
        let signature = text("x", true).value_signature().to_string();
        assert_eq!(signature, "(sa{sv}sv)");
        assert!(!is_enabled(&disabled_extension()));
    }
}
