//! Spoken names of punctuation marks, and how the marks are spaced.
//!
//! The names are those of dictation in each language. The marks are those that Whisper writes, in
//! French with the space before some of them. "Bracket" is [ ], "parenthesis" ( ).

/// Punctuation mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// Text of the mark.
    pub text: &'static str,
    /// Place of the mark.
    pub place: Place,
    /// Whether a sentence begins after it.
    pub ends_sentence: bool,
}

/// Place of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Directly after a word.
    After,
    /// Directly before a word.
    Before,
    /// Between two lines.
    Break,
}

const fn after(text: &'static str) -> Mark {
    Mark {
        text,
        place: Place::After,
        ends_sentence: false,
    }
}

const fn before(text: &'static str) -> Mark {
    Mark {
        text,
        place: Place::Before,
        ends_sentence: false,
    }
}

const fn end(text: &'static str) -> Mark {
    Mark {
        text,
        place: Place::After,
        ends_sentence: true,
    }
}

const fn line(text: &'static str) -> Mark {
    Mark {
        text,
        place: Place::Break,
        ends_sentence: true,
    }
}

const LINE: Mark = line("\n");
const PARAGRAPH: Mark = line("\n\n");

/// Spoken names, and the marks that they stand for.
type Spoken = (&'static [&'static str], &'static [Mark]);

/// Codes of the languages whose punctuation can be spoken.
pub(super) const LANGUAGES: [&str; 4] = ["en", "de", "fr", "es"];

/// Returns the spoken punctuation of a language.
pub(super) fn spoken_in(code: &str) -> &'static [Spoken] {
    match code {
        "en" => ENGLISH,
        "de" => GERMAN,
        "fr" => FRENCH,
        "es" => SPANISH,
        _ => &[],
    }
}

const ENGLISH: &[Spoken] = &[
    (&["comma"], &[after(",")]),
    (&["full stop", "fullstop", "period"], &[end(".")]),
    (&["question mark"], &[end("?")]),
    (&["exclamation mark", "exclamation point"], &[end("!")]),
    (&["colon"], &[after(":")]),
    (&["semicolon", "semi-colon", "semi colon"], &[after(";")]),
    (&["open bracket"], &[before("[")]),
    (&["close bracket"], &[after("]")]),
    (&["open parenthesis", "open parentheses"], &[before("(")]),
    (&["close parenthesis", "close parentheses"], &[after(")")]),
    (&["open quote", "open quotes"], &[before("\"")]),
    (&["close quote", "close quotes"], &[after("\"")]),
    (&["new line", "newline"], &[LINE]),
    (&["new paragraph"], &[PARAGRAPH]),
];

const GERMAN: &[Spoken] = &[
    (&["Komma"], &[after(",")]),
    (&["Punkt"], &[end(".")]),
    (&["Fragezeichen"], &[end("?")]),
    (&["Ausrufezeichen"], &[end("!")]),
    (&["Doppelpunkt"], &[after(":")]),
    (&["Semikolon", "Strichpunkt"], &[after(";")]),
    (&["Klammer auf"], &[before("(")]),
    (&["Klammer zu"], &[after(")")]),
    (&["Anführungszeichen auf"], &[before("\"")]),
    (&["Anführungszeichen zu"], &[after("\"")]),
    (&["neue Zeile"], &[LINE]),
    (&["neuer Absatz"], &[PARAGRAPH]),
];

const FRENCH: &[Spoken] = &[
    (&["virgule"], &[after(",")]),
    (&["point"], &[end(".")]),
    (&["point d'interrogation"], &[end(" ?")]),
    (&["point d'exclamation"], &[end(" !")]),
    (&["deux points", "deux-points"], &[after(" :")]),
    (&["point virgule", "point-virgule"], &[after(" ;")]),
    (
        &["ouvrir la parenthèse", "ouvrez la parenthèse"],
        &[before("(")],
    ),
    (
        &["fermer la parenthèse", "fermez la parenthèse"],
        &[after(")")],
    ),
    (
        &["ouvrir les guillemets", "ouvrez les guillemets"],
        &[before("« ")],
    ),
    (
        &["fermer les guillemets", "fermez les guillemets"],
        &[after(" »")],
    ),
    (&["à la ligne", "nouvelle ligne"], &[LINE]),
    (&["nouveau paragraphe"], &[PARAGRAPH]),
];

const SPANISH: &[Spoken] = &[
    (&["coma"], &[after(",")]),
    (&["punto", "punto y seguido", "punto final"], &[end(".")]),
    (&["punto y aparte"], &[end("."), PARAGRAPH]),
    (
        &["signo de interrogación", "cerrar interrogación"],
        &[end("?")],
    ),
    (&["signo de exclamación", "cerrar exclamación"], &[end("!")]),
    (&["abrir interrogación"], &[before("¿")]),
    (&["abrir exclamación"], &[before("¡")]),
    (&["dos puntos"], &[after(":")]),
    (&["punto y coma"], &[after(";")]),
    (&["abrir paréntesis"], &[before("(")]),
    (&["cerrar paréntesis"], &[after(")")]),
    (&["abrir comillas"], &[before("\"")]),
    (&["cerrar comillas"], &[after("\"")]),
    (&["nueva línea"], &[LINE]),
    (&["nuevo párrafo"], &[PARAGRAPH]),
];
