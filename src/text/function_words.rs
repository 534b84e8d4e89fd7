//! Articles, pronouns, prepositions and conjunctions: words that belong to the next one. No comma
//! stands after them, and no line ends with them.

/// Languages that have a table.
const LANGUAGES: [&str; 4] = ["en", "de", "fr", "es"];

/// Whether a word in lower case, without marks, is a function word of any language that has a table.
pub fn is_function_word(word: &str) -> bool {
    LANGUAGES.iter().any(|code| of(code).contains(&word))
}

/// Returns the function words of a language.
pub(super) fn of(code: &str) -> &'static [&'static str] {
    match code {
        "en" => &[
            "a", "an", "the", "i", "we", "he", "she", "they", "you", "my", "our", "his", "her",
            "their", "your", "its", "and", "or", "but", "of", "to", "in", "on", "at", "for",
            "with", "from", "by", "as", "is", "are", "was", "were", "am", "be", "if", "that's",
            "it's", "i'm", "because",
        ],
        "de" => &[
            "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer",
            "ich", "wir", "er", "sie", "es", "du", "ihr", "mein", "meine", "und", "oder", "in",
            "im", "auf", "an", "am", "mit", "von", "vom", "zu", "zum", "zur", "für", "bei", "ist",
            "sind", "war", "dass", "weil", "wenn",
        ],
        "fr" => &[
            "le", "la", "les", "un", "une", "des", "du", "de", "je", "tu", "il", "elle", "on",
            "nous", "vous", "ils", "elles", "mon", "ma", "mes", "et", "ou", "à", "au", "aux", "en",
            "dans", "sur", "avec", "pour", "par", "est", "sont", "que", "qui",
        ],
        "es" => &[
            "el", "la", "los", "las", "un", "una", "unos", "unas", "yo", "mi", "mis", "tu", "su",
            "y", "o", "de", "del", "a", "al", "en", "con", "para", "por", "es", "son", "que",
        ],
        _ => &[],
    }
}
