//! Tests of the settings.

use super::*;

fn german() -> SpokenLanguage {
    SpokenLanguage::parse("de").expect("known")
}

#[test]
fn given_values_override_configured_ones() {
    let mut text = TextSettings {
        hotwords: vec!["Hearken".to_owned()],
        ..TextSettings::default()
    };
    text.merge(TextOverrides {
        language: Some(german()),
        spoken_punctuation: Some(true),
        ..TextOverrides::default()
    });
    assert_eq!(text.language, german());
    assert!(text.spoken_punctuation);
    assert_eq!(text.hotwords, ["Hearken"]);
}

#[test]
fn a_language_and_languages_to_choose_from_exclude_each_other() {
    let configured = TextSettings {
        language: german(),
        languages: vec![Language::ENGLISH],
        ..TextSettings::default()
    };
    let merged = |overrides: TextOverrides| {
        let mut text = configured.clone();
        text.merge(overrides.settled());
        (text.language.name(), text.languages.len())
    };
    let silent = TextOverrides::default();
    assert_eq!(merged(silent.clone()), ("de", 1));
    let language = Some(german());
    assert_eq!(
        merged(TextOverrides {
            language,
            ..silent.clone()
        }),
        ("de", 0)
    );
    let languages = Some(vec![Language::ENGLISH, Language::ENGLISH]);
    assert_eq!(
        merged(TextOverrides {
            languages,
            ..silent.clone()
        }),
        ("", 2)
    );
    let language = Some(SpokenLanguage(None));
    assert_eq!(merged(TextOverrides { language, ..silent }), ("", 1));
}
