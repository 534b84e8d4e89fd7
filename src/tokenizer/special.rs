//! Ids and names of Whisper's special tokens. They follow the text tokens in a fixed order, so the
//! size of the vocabulary determines them.

use super::{Language, TokenizerError};
use clap::ValueEnum;

/// Seconds between two timestamp tokens: a 30 s window over 1,500 encoder positions.
pub const TIMESTAMP_SECONDS: f64 = 0.02;

/// Timestamp tokens `<|0.00|>` … `<|30.00|>`.
const TIMESTAMPS: u32 = 1501;

/// Names of the special tokens between the languages and the timestamps.
const TASKS: [&str; 6] = [
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
];

/// Text to produce: the words spoken, or their English translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Task {
    /// Write what is said, in the language spoken
    #[default]
    Transcribe,
    /// Write what is said in English
    Translate,
}

impl Task {
    /// OpenAI's name of the task.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transcribe => "transcribe",
            Self::Translate => "translate",
        }
    }
}

/// Ids of the special tokens, under openai-whisper's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialTokens {
    /// `<|endoftext|>`; all ids below it are text.
    pub eot: u32,
    /// `<|startoftranscript|>`; the language tokens follow it.
    pub sot: u32,
    /// `<|translate|>`
    pub translate: u32,
    /// `<|transcribe|>`
    pub transcribe: u32,
    /// `<|startoflm|>`
    pub sot_lm: u32,
    /// `<|startofprev|>`, which introduces the text before the window.
    pub sot_prev: u32,
    /// `<|nospeech|>`
    pub no_speech: u32,
    /// `<|notimestamps|>`
    pub no_timestamps: u32,
    /// `<|0.00|>`; the later timestamps follow, [`TIMESTAMP_SECONDS`] apart.
    pub timestamp_begin: u32,
    /// Tokens in the vocabulary, special tokens included.
    pub n_vocab: u32,
    /// Whether language and task tokens have a meaning for the model.
    pub is_multilingual: bool,
}

impl SpecialTokens {
    /// The ids of a published vocabulary: 51,864 tokens English-only, 51,865 multilingual, 51,866
    /// with Cantonese.
    ///
    /// # Errors
    /// Returns an error if no published vocabulary has `n_vocab` tokens.
    pub fn for_n_vocab(n_vocab: usize) -> Result<Self, TokenizerError> {
        match n_vocab {
            51864 => Ok(Self::after_text(50256, 99, TIMESTAMPS, false)),
            51865 => Ok(Self::after_text(50257, 99, TIMESTAMPS, true)),
            51866 => Ok(Self::after_text(50257, 100, TIMESTAMPS, true)),
            _ => Err(TokenizerError::VocabularySize(n_vocab)),
        }
    }

    /// The ids after `text` text tokens (`get_encoding` in openai-whisper's `tokenizer.py`).
    pub(crate) fn after_text(
        text: u32,
        languages: u32,
        timestamps: u32,
        is_multilingual: bool,
    ) -> Self {
        let translate = text + 2 + languages;
        Self {
            eot: text,
            sot: text + 1,
            translate,
            transcribe: translate + 1,
            sot_lm: translate + 2,
            sot_prev: translate + 3,
            no_speech: translate + 4,
            no_timestamps: translate + 5,
            timestamp_begin: translate + 6,
            n_vocab: translate + 6 + timestamps,
            is_multilingual,
        }
    }

    /// Names of all special tokens in the order of their ids (`get_encoding` in openai-whisper's
    /// `tokenizer.py`).
    pub(super) fn names(&self) -> Vec<String> {
        let languages = Language::all().take((self.translate - self.sot - 1) as usize);
        let mut names = vec![
            "<|endoftext|>".to_owned(),
            "<|startoftranscript|>".to_owned(),
        ];
        names.extend(languages.map(|language| format!("<|{language}|>")));
        names.extend(TASKS.map(str::to_owned));
        names.extend(
            (0..self.n_vocab - self.timestamp_begin)
                .map(|i| format!("<|{}.{:02}|>", i / 50, i % 50 * 2)),
        );
        names
    }

    /// Special tokens that OpenAI's decoding never samples.
    pub(super) fn never_sampled(&self) -> [u32; 6] {
        [
            self.sot,
            self.translate,
            self.transcribe,
            self.sot_lm,
            self.sot_prev,
            self.no_speech,
        ]
    }

    /// The languages that have a token, in the order of the tokens; none for an English-only model.
    pub fn languages(&self) -> impl Iterator<Item = Language> {
        let count = if self.is_multilingual {
            self.translate - self.sot - 1
        } else {
            0
        };
        Language::all().take(count as usize)
    }

    /// The token of `language`, if the model has one.
    pub fn language_token(&self, language: Language) -> Option<u32> {
        let token = self.sot + 1 + u32::try_from(language.index()).ok()?;
        (self.is_multilingual && token < self.translate).then_some(token)
    }

    /// The language that `token` stands for.
    pub fn language(&self, token: u32) -> Option<Language> {
        let index = token.checked_sub(self.sot + 1)?;
        (self.is_multilingual && token < self.translate)
            .then(|| Language::from_index(index as usize))
            .flatten()
    }

    /// The time of a timestamp token in seconds from the start of the window; `None` for any other
    /// token.
    pub fn timestamp(&self, token: u32) -> Option<f64> {
        let steps = token.checked_sub(self.timestamp_begin)?;
        (token < self.n_vocab).then(|| f64::from(steps) * TIMESTAMP_SECONDS)
    }

    /// The tokens that a transcript begins with: start, language and task (multilingual models
    /// only), and `<|notimestamps|>` if requested. A language without a token is omitted.
    pub fn sot_sequence(
        &self,
        language: Language,
        task: Task,
        without_timestamps: bool,
    ) -> Vec<u32> {
        let mut sequence = vec![self.sot];
        if self.is_multilingual {
            sequence.extend(self.language_token(language));
            sequence.push(match task {
                Task::Transcribe => self.transcribe,
                Task::Translate => self.translate,
            });
        }
        if without_timestamps {
            sequence.push(self.no_timestamps);
        }
        sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_published_vocabularies() -> Result<(), TokenizerError> {
        let base = SpecialTokens::for_n_vocab(51865)?;
        assert_eq!(
            (base.eot, base.sot, base.translate, base.transcribe),
            (50257, 50258, 50358, 50359)
        );
        assert_eq!(
            (base.no_speech, base.no_timestamps, base.timestamp_begin),
            (50362, 50363, 50364)
        );
        assert_eq!(base.n_vocab, 51865);
        let english = SpecialTokens::for_n_vocab(51864)?;
        assert_eq!(
            (english.eot, english.no_timestamps, english.timestamp_begin),
            (50256, 50362, 50363)
        );
        assert_eq!(english.n_vocab, 51864);
        let v3 = SpecialTokens::for_n_vocab(51866)?;
        assert_eq!(
            (v3.translate, v3.timestamp_begin, v3.n_vocab),
            (50359, 50365, 51866)
        );
        assert!(SpecialTokens::for_n_vocab(50000).is_err());
        Ok(())
    }

    #[test]
    fn the_start_names_language_and_task_only_where_the_model_knows_them()
    -> Result<(), Box<dyn std::error::Error>> {
        let german = "de".parse()?;
        let base = SpecialTokens::for_n_vocab(51865)?;
        assert_eq!(
            base.sot_sequence(german, Task::Transcribe, true),
            [50258, 50261, 50359, 50363]
        );
        assert_eq!(
            base.sot_sequence(Language::ENGLISH, Task::Translate, false),
            [50258, 50259, 50358]
        );
        let english = SpecialTokens::for_n_vocab(51864)?;
        assert_eq!(
            english.sot_sequence(german, Task::Translate, true),
            [50257, 50362]
        );
        assert_eq!(english.languages().count(), 0);
        Ok(())
    }

    #[test]
    fn language_tokens_and_languages_correspond() -> Result<(), Box<dyn std::error::Error>> {
        let base = SpecialTokens::for_n_vocab(51865)?;
        assert_eq!(base.languages().count(), 99);
        for language in base.languages() {
            assert_eq!(
                base.language_token(language)
                    .and_then(|token| base.language(token)),
                Some(language)
            );
        }
        assert_eq!(base.language_token("yue".parse()?), None);
        assert_eq!(base.language(base.translate), None);
        assert_eq!(base.language(base.sot), None);
        Ok(())
    }

    #[test]
    fn timestamps_count_in_fiftieths_of_a_second() -> Result<(), TokenizerError> {
        let base = SpecialTokens::for_n_vocab(51865)?;
        assert_eq!(base.timestamp(50364), Some(0.0));
        assert_eq!(base.timestamp(50914), Some(11.0));
        assert_eq!(base.timestamp(51864), Some(30.0));
        assert_eq!(base.timestamp(51865), None);
        assert_eq!(base.timestamp(50363), None);
        Ok(())
    }
}
