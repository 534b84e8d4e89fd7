//! Context of an utterance: the audio and text just before it.
//!
//! In: utterances that have ended, with their words. Out: the [`Context`] of the next one: the last
//! seconds of audio before it, starting at a word, and their text. The decoder gets that text as a
//! prefix and so writes the utterance as it would in one window with the speech before: digits as
//! digits, continued sentences in lower case, names in the same spelling.

use super::recognizer::{Context, Hypothesis, Pass, RecognizeError, Recognizer, Request};
use crate::audio::{SAMPLE_RATE, Utterance, clock};
use crate::text::{Word, join};
use crate::tokenizer::Language;
use std::collections::VecDeque;

/// Maximum length of the audio of a context, in samples: 6 s. With 3 s there are more wrong words
/// (docs/streaming.md).
const MAX_SAMPLES: usize = 6 * SAMPLE_RATE as usize;
/// Minimum length of a part of an utterance that is used as context, in samples: 1 s.
const MIN_SAMPLES: usize = SAMPLE_RATE as usize;
/// Longest silence between two utterances across which context is used, in samples: 2 s, as long as
/// the pauses within a recording's windows. The half second of silence that belongs to each
/// utterance does not count.
const MAX_SILENCE: u64 = 2 * SAMPLE_RATE as u64;
/// Multiple to which the utterance's length is rounded up before the context gets the rest of the
/// window, in samples: 2.56 s. Consecutive passes thus have the same context.
const ROUNDING: usize = 40_960;

/// Recognizer that decodes each utterance after the context that it keeps.
pub(super) struct ContextualRecognizer {
    recognizer: Box<dyn Recognizer>,
    past: Past,
    /// First sample of the latest utterance whose own audio has words.
    has_words: Option<u64>,
}

impl ContextualRecognizer {
    /// Creates a recognizer without context yet.
    pub fn new(recognizer: Box<dyn Recognizer>) -> Self {
        let past = Past {
            window: recognizer.max_samples(),
            pieces: VecDeque::new(),
        };
        Self {
            recognizer,
            past,
            has_words: None,
        }
    }

    /// Transcribes an utterance that begins at sample `start` of the stream. The request has no
    /// context yet. The words of the result are in seconds of the stream.
    ///
    /// # Errors
    /// Returns the errors of the recognizer.
    pub fn recognize(
        &mut self,
        start: u64,
        request: Request<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError> {
        let hypothesis = self.hypothesis(start, request, cancelled)?;
        Ok(hypothesis.later(clock::seconds(start)))
    }

    /// Decodes the utterance without context until that has words, then with context. The
    /// utterance's own audio decides whether somebody speaks, and in which language, because after
    /// other speech the decoder finds words in noise, too. If a final pass with context finds no
    /// words, the words without context remain.
    fn hypothesis(
        &mut self,
        start: u64,
        request: Request<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError> {
        let is_final = request.pass == Pass::Final;
        let mut language = self.recognizer.language().or(request.language);
        let mut alone = None;
        let n_samples = request.samples.len();
        if self.has_words != Some(start) || (is_final && language.is_none()) {
            let mut hypothesis = self.recognizer.recognize(request, cancelled)?;
            if hypothesis.words.is_empty() && is_final && !request.text_before.is_empty() {
                // After some texts, the decoder takes the transcript for complete.
                let request = Request {
                    text_before: "",
                    ..request
                };
                hypothesis = self.recognizer.recognize(request, cancelled)?;
            }
            let has_words = !hypothesis.words.is_empty() && !hypothesis.is_unlikely;
            if has_words {
                self.has_words = Some(start);
            }
            if !has_words || !is_final {
                // The final pass would decode it after its context.
                let found = language.or(Some(hypothesis.language));
                let context = found.and_then(|found| self.past.before(start, n_samples, found));
                hypothesis.stands &= is_final || context.is_none();
                return Ok(hypothesis);
            }
            language = Some(hypothesis.language);
            alone = Some(hypothesis);
        }
        let context = language.and_then(|language| self.past.before(start, n_samples, language));
        if context.is_some() {
            let predicted = alone.as_ref().map(|alone| join(&alone.words));
            let request = Request {
                context: context.as_ref(),
                text_before: "",
                predicted: predicted.as_deref().unwrap_or(request.predicted),
                language,
                ..request
            };
            let hypothesis = self.recognizer.recognize(request, cancelled)?;
            if !hypothesis.words.is_empty() || !is_final {
                return Ok(hypothesis);
            }
        }
        match alone {
            Some(alone) => Ok(alone),
            None => self.recognizer.recognize(request, cancelled),
        }
    }

    /// Keeps an utterance that has ended as context of the next ones. `words` are all words said in
    /// it, in seconds of the stream.
    pub fn keep(&mut self, utterance: Utterance, words: Vec<Word>, language: Language) {
        self.past.keep(Piece {
            utterance,
            words,
            language,
        });
    }
}

/// The latest utterances, as many as a context needs.
struct Past {
    /// Number of samples of the longest window.
    window: usize,
    pieces: VecDeque<Piece>,
}

/// Utterance with its words.
struct Piece {
    utterance: Utterance,
    words: Vec<Word>,
    language: Language,
}

impl Past {
    fn keep(&mut self, piece: Piece) {
        self.pieces.push_back(piece);
        while self.n_samples_without_first() >= MAX_SAMPLES {
            self.pieces.pop_front();
        }
    }

    fn n_samples_without_first(&self) -> usize {
        let others = self.pieces.iter().skip(1);
        others.map(|piece| piece.utterance.samples.len()).sum()
    }

    /// Returns the context of an utterance of `len` samples in `language` that begins at sample
    /// `start`, if it has one.
    fn before(&self, start: u64, len: usize, language: Language) -> Option<Context> {
        let rest_of_window = self.window.saturating_sub(len.next_multiple_of(ROUNDING));
        let mut room = MAX_SAMPLES.min(rest_of_window);
        let mut next = start;
        let mut parts = Vec::new();
        for piece in self.pieces.iter().rev() {
            let Utterance { samples, start, .. } = &piece.utterance;
            let silence = next.saturating_sub(start + samples.len() as u64);
            if silence > MAX_SILENCE || piece.language != language || piece.words.is_empty() {
                break;
            }
            let from = if samples.len() <= room {
                WordStart { word: 0, sample: 0 }
            } else {
                piece.last_words(room)
            };
            parts.push((piece, from));
            if from.sample > 0 {
                break;
            }
            room -= samples.len();
            next = *start;
        }
        let mut context = Context::default();
        for (piece, from) in parts.into_iter().rev() {
            let samples = piece.utterance.samples.get(from.sample..);
            let words = piece.words.get(from.word..);
            context
                .samples
                .extend_from_slice(samples.unwrap_or_default());
            context.text += &join(words.unwrap_or_default());
        }
        (!context.samples.is_empty()).then_some(context)
    }
}

/// Place within an utterance at which a word begins.
#[derive(Clone, Copy)]
struct WordStart {
    /// Index of the word.
    word: usize,
    /// Index of the sample.
    sample: usize,
}

impl Piece {
    /// Returns the first word that begins within the last `room` samples, preferably at the start
    /// of a sentence or clause; the end of the utterance if there is none or `room` is too short.
    fn last_words(&self, room: usize) -> WordStart {
        let n_samples = self.utterance.samples.len();
        let least = n_samples.saturating_sub(room);
        let mut first = None;
        let mut first_of_clause = None;
        for (i, pair) in self.words.windows(2).enumerate() {
            let [before, word] = pair else { continue };
            let sample = self.sample_at(before.end_s.midpoint(word.start_s));
            if !(least..n_samples).contains(&sample) {
                continue;
            }
            let start = WordStart {
                word: i + 1,
                sample,
            };
            first = first.or(Some(start));
            if before.text.trim_end().ends_with(['.', '?', '!', ',']) {
                first_of_clause = first_of_clause.or(Some(start));
            }
        }
        first_of_clause
            .or(first)
            .filter(|_| room >= MIN_SAMPLES)
            .unwrap_or(WordStart {
                word: self.words.len(),
                sample: n_samples,
            })
    }

    /// Converts seconds of the stream to an index into the samples.
    fn sample_at(&self, time_s: f64) -> usize {
        let sample = clock::samples(time_s) as u64;
        sample.saturating_sub(self.utterance.start) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::fake::{FakeRecognizer, hypothesis};
    use crate::text::split;
    use std::sync::{Arc, Mutex};

    const SECOND: usize = SAMPLE_RATE as usize;

    fn past() -> Past {
        Past {
            window: 15 * SECOND,
            pieces: VecDeque::new(),
        }
    }

    /// Returns an utterance of 1 s per word. Each sample is its own index in the stream.
    fn piece(start_s: usize, text: &str) -> Piece {
        let mut words = split(text, Language::ENGLISH);
        for (i, word) in words.iter_mut().enumerate() {
            (word.start_s, word.end_s) = ((start_s + i) as f64, (start_s + i + 1) as f64);
        }
        let places = start_s * SECOND..(start_s + words.len()) * SECOND;
        let utterance = Utterance {
            samples: places.map(|i| i as f32).collect(),
            start: (start_s * SECOND) as u64,
            ..Utterance::default()
        };
        Piece {
            utterance,
            words,
            language: Language::ENGLISH,
        }
    }

    /// Returns start and end of the context's audio in seconds, and its text.
    fn before(said: &[(usize, &str)], start_s: usize, len_s: usize) -> Option<(f32, f32, String)> {
        let mut past = past();
        said.iter()
            .for_each(|(start_s, text)| past.keep(piece(*start_s, text)));
        let context = past.before((start_s * SECOND) as u64, len_s * SECOND, Language::ENGLISH)?;
        let (first, last) = (context.samples.first()?, context.samples.last()?);
        assert!(context.samples.is_sorted());
        Some((
            first / SECOND as f32,
            (last + 1.0) / SECOND as f32,
            context.text,
        ))
    }

    #[test]
    fn utterances_shortly_before_are_context() {
        let context = |from, to, text: &str| Some((from, to, text.to_owned()));
        assert_eq!(before(&[], 0, 1), None);
        assert_eq!(
            before(&[(0, " one two")], 3, 1),
            context(0.0, 2.0, " one two")
        );
        assert_eq!(
            before(&[(0, " one two"), (3, " three")], 4, 1),
            context(0.0, 4.0, " one two three")
        );
        assert_eq!(
            before(&[(0, " one two")], 5, 1),
            None,
            "after 3 s of silence"
        );
        assert_eq!(
            before(&[(0, " one"), (5, " two")], 7, 1),
            context(5.0, 6.0, " two"),
            "and further back"
        );
    }

    #[test]
    fn sound_without_words_separates_utterances() {
        let mut past = past();
        past.keep(piece(0, " one two"));
        past.keep(Piece {
            words: Vec::new(),
            ..piece(2, " (wind)")
        });
        assert_eq!(
            past.before(3 * SECOND as u64, SECOND, Language::ENGLISH),
            None
        );
        past.keep(piece(3, " three"));
        let context = past.before(4 * SECOND as u64, SECOND, Language::ENGLISH);
        assert_eq!(
            context.map(|context| context.text),
            Some(" three".to_owned())
        );
    }

    #[test]
    fn a_long_utterance_gives_its_last_words() {
        let long = (0, " a b c d, e f g h");
        assert_eq!(
            before(&[long], 8, 1),
            Some((4.0, 8.0, " e f g h".to_owned())),
            "at a clause"
        );
        assert_eq!(
            before(&[(0, " a b c d e f g h")], 8, 1),
            Some((2.0, 8.0, " c d e f g h".to_owned()))
        );
        assert_eq!(
            before(&[(0, " a b c d e f g h"), (8, " i j")], 10, 1).map(|c| c.2),
            Some(" e f g h i j".to_owned())
        );
        // Of a window of 15 s an utterance of 10 s leaves 4.76 s, and one of 14 s less than a
        // second.
        assert_eq!(
            before(&[(0, " a b c d e f g h")], 8, 10),
            Some((4.0, 8.0, " e f g h".to_owned()))
        );
        assert_eq!(before(&[(0, " a b c d e f g h")], 8, 14), None);
    }

    #[test]
    fn another_language_is_no_context() -> Result<(), Box<dyn std::error::Error>> {
        let mut past = past();
        past.keep(piece(0, " one two"));
        assert_eq!(past.before(2 * SECOND as u64, SECOND, "de".parse()?), None);
        Ok(())
    }

    /// Pass and text of the context of each request.
    type Calls = Vec<(Pass, Option<String>)>;

    /// Returns the texts of an utterance after " one two" in consecutive passes, and the requests
    /// to the recognizer. That finds `alone` without context and `after` with it.
    fn texts(
        language: Option<Language>,
        alone: &'static str,
        after: &'static str,
        passes: &[Pass],
    ) -> (Vec<String>, Calls) {
        let calls = Arc::new(Mutex::new(Calls::default()));
        let log = calls.clone();
        let fake = FakeRecognizer::in_language(language, move |request| {
            let context = request.context.map(|context| context.text.clone());
            let text = if context.is_some() { after } else { alone };
            log.lock()
                .expect("one thread")
                .push((request.pass, context));
            hypothesis(text)
        });
        let mut recognizer = ContextualRecognizer::new(Box::new(fake));
        let Piece {
            utterance,
            words,
            language,
        } = piece(0, " one two");
        recognizer.keep(utterance, words, language);
        let mut texts = Vec::new();
        for &pass in passes {
            let request = Request {
                context: None,
                text_before: "",
                samples: &[0.0; SECOND],
                prefix: "",
                predicted: "",
                language: None,
                pass,
            };
            let found = recognizer.recognize(2 * SECOND as u64, request, &|| false);
            texts.push(join(&found.expect("a text").words));
        }
        let calls = calls.lock().expect("one thread").clone();
        (texts, calls)
    }

    const ENGLISH: Option<Language> = Some(Language::ENGLISH);

    #[test]
    fn context_is_used_once_the_utterance_alone_has_words() {
        use Pass::{Final, Interim};
        let after = Some(" one two".to_owned());
        let (found, calls) = texts(ENGLISH, " three", " 3", &[Interim, Interim, Final]);
        assert_eq!(found, [" three", " 3", " 3"]);
        assert_eq!(
            calls,
            [
                (Interim, None),
                (Interim, after.clone()),
                (Final, after.clone())
            ]
        );
        let (found, calls) = texts(ENGLISH, " three", " 3", &[Final]);
        assert_eq!(
            (found, calls),
            (vec![" 3".to_owned()], vec![(Final, None), (Final, after)]),
            "without interim passes"
        );
        let (found, calls) = texts(ENGLISH, "", " invented", &[Interim, Final]);
        assert_eq!(
            (found, calls),
            (vec![String::new(); 2], vec![(Interim, None), (Final, None)])
        );
        assert_eq!(
            texts(ENGLISH, " three", "", &[Interim, Interim, Final]).0,
            [" three", "", " three"],
            "no word is lost"
        );
    }

    #[test]
    fn a_language_that_is_not_given_is_detected_without_context() {
        use Pass::{Final, Interim};
        let after = Some(" one two".to_owned());
        let (found, calls) = texts(None, " three", " 3", &[Interim, Interim, Final]);
        assert_eq!(found, [" three", " three", " 3"]);
        assert_eq!(
            calls,
            [
                (Interim, None),
                (Interim, None),
                (Final, None),
                (Final, after)
            ]
        );
    }

    #[test]
    fn no_more_is_kept_than_is_needed() {
        let mut past = past();
        for i in 0..100 {
            past.keep(piece(2 * i, " one two"));
            assert!(past.pieces.len() <= 4);
        }
    }
}
