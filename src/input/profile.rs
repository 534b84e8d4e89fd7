//! How text is written into a field of a certain purpose, in a certain program.
//!
//! In: the section `[type]`, the profiles `[[profile]]`, a target. Out: the style of this field.

use super::sink::Target;
use crate::settings::TypeSettings;
use crate::settings::desktop::Purpose;
use crate::settings::profile::Profile;

impl TypeSettings {
    /// Returns whether a field gets text at all.
    pub fn allows(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Secret => false,
            Purpose::Private => self.private_fields,
            Purpose::Text | Purpose::Terminal => true,
        }
    }

    /// Returns the text as the field gets it: without control characters, and in a terminal without
    /// line ends unless it gets them. A return would run what stands in the line.
    pub fn cleaned(&self, purpose: Purpose, text: &str) -> String {
        let keeps_lines = purpose != Purpose::Terminal || self.terminal_newlines;
        let mut cleaned = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\n' if keeps_lines => cleaned.push('\n'),
                '\t' if purpose != Purpose::Terminal => cleaned.push('\t'),
                // Several line ends in a row are one space.
                '\n' | '\t' if cleaned.ends_with(' ') => {}
                '\n' | '\t' => cleaned.push(' '),
                c if c.is_control() => {}
                c => cleaned.push(c),
            }
        }
        cleaned
    }
}

/// Returns the style for a target: the profiles that fit it, later ones before earlier ones.
pub fn style_for(base: &TypeSettings, profiles: &[Profile], target: &Target) -> TypeSettings {
    let mut style = base.clone();
    for profile in profiles.iter().filter(|profile| fits(profile, target)) {
        style.merge(profile.changes.clone());
    }
    style
}

fn fits(profile: &Profile, target: &Target) -> bool {
    let program = target.program.as_deref().unwrap_or_default().to_lowercase();
    program.contains(&profile.program.to_lowercase())
        && profile
            .purpose
            .is_none_or(|purpose| purpose == target.purpose)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::TypeOverrides;
    use crate::settings::desktop::Live;

    #[test]
    fn passwords_get_nothing_and_private_fields_only_if_allowed() {
        let mut style = TypeSettings::default();
        let allowed = |style: &TypeSettings| {
            [
                Purpose::Text,
                Purpose::Terminal,
                Purpose::Private,
                Purpose::Secret,
            ]
            .map(|purpose| style.allows(purpose))
        };
        assert_eq!(allowed(&style), [true, true, false, false]);
        style.private_fields = true;
        assert_eq!(allowed(&style), [true, true, true, false]);
    }

    #[test]
    fn terminals_get_no_returns_and_nobody_gets_control_characters() {
        let mut style = TypeSettings::default();
        let text = "ls\n\nrm\t-r\u{1b}[A\r\u{7}";
        assert_eq!(style.cleaned(Purpose::Terminal, text), "ls rm -r[A");
        assert_eq!(style.cleaned(Purpose::Text, text), "ls\n\nrm\t-r[A");
        style.terminal_newlines = true;
        assert_eq!(style.cleaned(Purpose::Terminal, "a\nb"), "a\nb");
    }

    #[test]
    fn the_last_profile_that_fits_wins() {
        let profile = |program: &str, purpose, live| Profile {
            program: program.to_owned(),
            purpose,
            changes: TypeOverrides {
                live: Some(live),
                ..TypeOverrides::default()
            },
        };
        let profiles = [
            profile("", Some(Purpose::Terminal), Live::Final),
            profile("slack", None, Live::Preedit),
        ];
        let live = |program: Option<&str>, purpose| {
            let target = Target {
                program: program.map(str::to_owned),
                purpose,
                ..Target::default()
            };
            style_for(&TypeSettings::default(), &profiles, &target).live
        };
        assert_eq!(live(None, Purpose::Text), Live::Words);
        assert_eq!(live(Some("foot"), Purpose::Terminal), Live::Final);
        assert_eq!(
            live(Some("gtk3-im:Slack"), Purpose::Terminal),
            Live::Preedit
        );
        assert_eq!(live(Some("gedit"), Purpose::Text), Live::Words);
    }
}
