//! Fillers: words that only fill a pause, such as "um". Words that may mean something are not among
//! them, such as German "er", Portuguese "um", or "mhm", which is an answer.

/// Marks that Whisper writes around a filler.
pub(super) const MARKS: &str = ",.;:!?…–—-、，。；：！？";
/// Marks between parts of a sentence. If the filler between two of them goes, one remains.
pub(super) const PAUSES: &str = ",;:–—-、，；：";
/// Marks that end a sentence. One after a filler remains.
pub(super) const ENDS: &str = ".!?…。！？";

/// Codes of the languages that have fillers.
pub(super) const LANGUAGES: [&str; 17] = [
    "en", "de", "fr", "es", "it", "pt", "nl", "ru", "pl", "cs", "sv", "da", "no", "fi", "ja", "zh",
    "ko",
];

/// Returns the fillers of a language.
pub(super) fn of(code: &str) -> &'static [&'static str] {
    match code {
        "en" => &[
            "um", "umm", "ummm", "uh", "uhh", "uhhh", "uhm", "uhmm", "er", "err", "erm", "hm",
            "hmm", "hmmm",
        ],
        "de" => &[
            "äh", "ähh", "äähh", "ääh", "ähm", "ähmm", "äähm", "öh", "öhm", "ehm", "hm", "hmm",
            "hmmm",
        ],
        "fr" => &["euh", "euhh", "euhm", "heu", "heuu", "hm", "hmm", "hmmm"],
        "es" => &[
            "em", "emm", "ehm", "eeh", "eehm", "mmm", "hm", "hmm", "hmmm",
        ],
        "it" => &["ehm", "ehmm", "uhm", "mmm", "hm", "hmm", "hmmm"],
        "pt" => &[
            "ahn", "ãhn", "hum", "humm", "uhm", "ehm", "hm", "hmm", "hmmm",
        ],
        "nl" => &[
            "uh", "uhh", "uhm", "eh", "ehm", "euh", "euhm", "hm", "hmm", "hmmm",
        ],
        "ru" => &[
            "ээ", "эээ", "э-э", "э-э-э", "эм", "эмм", "ммм", "м-м", "м-м-м", "хм", "хмм",
        ],
        "pl" => &[
            "yy", "yyy", "yyyy", "eee", "eeee", "ehm", "mmm", "hm", "hmm", "hmmm",
        ],
        "cs" => &[
            "ehm", "ehmm", "éé", "ééé", "eee", "mmm", "hm", "hmm", "hmmm",
        ],
        "sv" => &["öh", "öhm", "eh", "ehm", "hm", "hmm", "hmmm"],
        "da" => &["øh", "øhm", "æh", "æhm", "ehm", "hm", "hmm", "hmmm"],
        "no" => &["øh", "øhm", "eh", "ehm", "hm", "hmm", "hmmm"],
        "fi" => &["öö", "ööö", "öh", "öhm", "ööh", "mmm", "hm", "hmm", "hmmm"],
        "ja" => &[
            "えーと",
            "えーっと",
            "えっと",
            "えっとー",
            "えーとー",
            "ええと",
            "えー、",
            "あのー",
            "あのう",
            "うーんと",
            "んーと",
            "エート",
            "エーット",
            "エット",
        ],
        "zh" => &["呃", "呃呃"],
        "ko" => &["음", "으음", "흠"],
        _ => &[],
    }
}
