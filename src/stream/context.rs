//! What was said just before an utterance: sound and text that it is heard after.
//!
//! In: utterances that have ended, with their words. Out: the [`Context`] of the next one: the
//! latest seconds of sound before it, from the start of a word on, and the text of that sound. The
//! decoder, given that text as a prefix, writes the utterance as it would write it in one window
//! with what was said before: digits as digits, a sentence that goes on in lower case, names as
//! they were heard.

use super::recognizer::{Context, Hypothesis, Pass, RecognizeError, Recognizer, Request};
use crate::audio::{SAMPLE_RATE, Utterance};
use crate::text::{Word, join};
use crate::tokenizer::Language;
use std::collections::VecDeque;

/// Longest sound of a context, in samples: 6 s. With 3 s there are more wrong words
/// (docs/streaming.md).
const LONGEST: usize = 6 * SAMPLE_RATE as usize;
/// Shortest part of an utterance that is a context, in samples: 1 s.
const SHORTEST: usize = SAMPLE_RATE as usize;
/// Silence between two utterances after which what was said before is no context any more, in
/// samples: 2 s, as much as a recording's windows bridge, beyond the half second that belongs to
/// either utterance.
const SILENCE: u64 = 2 * SAMPLE_RATE as u64;
/// The utterance's length is rounded up to this many samples, 2.56 s, where its context has to make
/// room for it: guesses in a row are then heard after the same sound.
const STEP: usize = 40_960;

/// A recognizer that hears utterances after what was said before them.
pub(super) struct ContextualRecognizer {
    recognizer: Box<dyn Recognizer>,
    past: Past,
    /// First sample of the latest utterance in whose sound alone there were words.
    speaks: Option<u64>,
}

impl ContextualRecognizer {
    /// Nothing was said yet.
    pub fn new(recognizer: Box<dyn Recognizer>) -> Self {
        let past = Past {
            window: recognizer.max_samples(),
            pieces: VecDeque::new(),
        };
        Self {
            recognizer,
            past,
            speaks: None,
        }
    }

    /// Transcribes an utterance that begins at sample `start` of the stream; the request has no
    /// context.
    ///
    /// Its sound alone decides whether somebody speaks, and in which language: after other speech
    /// the decoder finds words in noise, too. Where it finds none in the end, those of the sound
    /// alone hold.
    ///
    /// # Errors
    /// Those of the recognizer.
    pub fn recognize(
        &mut self,
        start: u64,
        request: Request<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError> {
        let mut language = self.recognizer.language().or(request.language);
        let mut alone = None;
        let is_final = request.pass == Pass::Final;
        if self.speaks != Some(start) || (is_final && language.is_none()) {
            let heard = self.recognizer.recognize(request, cancelled)?;
            let has_words = !heard.words.is_empty() && !heard.is_unlikely;
            if has_words {
                self.speaks = Some(start);
            }
            if !has_words || !is_final {
                return Ok(heard);
            }
            language = Some(heard.language);
            alone = Some(heard);
        }
        let context =
            language.and_then(|language| self.past.before(start, request.samples.len(), language));
        if context.is_some() {
            let predicted = alone
                .as_ref()
                .map_or_else(|| request.predicted.to_owned(), |alone| join(&alone.words));
            let request = Request {
                context: context.as_ref(),
                predicted: &predicted,
                language,
                ..request
            };
            let heard = self.recognizer.recognize(request, cancelled)?;
            if !heard.words.is_empty() || !is_final {
                return Ok(heard);
            }
        }
        alone.map_or_else(|| self.recognizer.recognize(request, cancelled), Ok)
    }

    /// Takes an utterance that has ended; `words` are all that is said in it, in seconds of the
    /// stream.
    pub fn keep(&mut self, utterance: Utterance, words: Vec<Word>, language: Language) {
        self.past.keep(Piece {
            utterance,
            words,
            language,
        });
    }
}

/// The latest utterances.
struct Past {
    /// Samples of the longest window.
    window: usize,
    pieces: VecDeque<Piece>,
}

struct Piece {
    utterance: Utterance,
    words: Vec<Word>,
    language: Language,
}

impl Past {
    fn keep(&mut self, piece: Piece) {
        self.pieces.push_back(piece);
        while self
            .pieces
            .iter()
            .skip(1)
            .map(|piece| piece.utterance.samples.len())
            .sum::<usize>()
            >= LONGEST
        {
            self.pieces.pop_front();
        }
    }

    /// The context of an utterance of `len` samples that begins at sample `start` and is in
    /// `language`, if it has one.
    fn before(&self, start: u64, len: usize, language: Language) -> Option<Context> {
        let mut room = LONGEST.min(self.window.saturating_sub(len.next_multiple_of(STEP)));
        let (mut parts, mut next) = (Vec::new(), start);
        for piece in self.pieces.iter().rev() {
            let Utterance { samples, start } = &piece.utterance;
            let silence = next.saturating_sub(start + samples.len() as u64);
            if silence > SILENCE || piece.language != language || piece.words.is_empty() {
                break;
            }
            let (word, at) = if samples.len() <= room {
                (0, 0)
            } else {
                piece.end_of(room)
            };
            parts.push((
                samples.get(at..).unwrap_or_default(),
                piece.words.get(word..).unwrap_or_default(),
            ));
            if at > 0 {
                break;
            }
            room -= samples.len();
            next = *start;
        }
        let mut context = Context::default();
        for (samples, words) in parts.into_iter().rev() {
            context.samples.extend_from_slice(samples);
            context.text += &join(words);
        }
        (!context.samples.is_empty()).then_some(context)
    }
}

impl Piece {
    /// Where its last `room` samples begin or later, at a word: the word's index, and the sample's.
    /// The first word of a sentence or clause where there is one; the end of all where none is
    /// left.
    fn end_of(&self, room: usize) -> (usize, usize) {
        let Utterance { samples, start } = &self.utterance;
        let least = samples.len().saturating_sub(room);
        let starts = self
            .words
            .iter()
            .zip(self.words.iter().skip(1))
            .enumerate()
            .map(|(i, (before, word))| {
                let between = before.end_s.midpoint(word.start_s) * f64::from(SAMPLE_RATE);
                let opens = before.text.trim_end().ends_with(['.', '?', '!', ',']);
                (
                    i + 1,
                    (between as u64).saturating_sub(*start) as usize,
                    opens,
                )
            });
        let fit: Vec<_> = starts
            .filter(|(_, at, _)| (least..samples.len()).contains(at))
            .collect();
        let first = fit.iter().find(|(_, _, opens)| *opens).or(fit.first());
        let is_long_enough = room >= SHORTEST;
        first
            .filter(|_| is_long_enough)
            .map_or((self.words.len(), samples.len()), |&(word, at, _)| {
                (word, at)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::fake::{FakeRecognizer, likely};
    use crate::text::split;
    use std::sync::{Arc, Mutex};

    const SECOND: usize = SAMPLE_RATE as usize;

    fn past() -> Past {
        Past {
            window: 15 * SECOND,
            pieces: VecDeque::new(),
        }
    }

    /// An utterance of 1 s a word, whose samples are their places in the stream.
    fn piece(start_s: usize, text: &str) -> Piece {
        let mut words = split(text, Language::ENGLISH);
        for (i, word) in words.iter_mut().enumerate() {
            (word.start_s, word.end_s) = ((start_s + i) as f64, (start_s + i + 1) as f64);
        }
        let places = start_s * SECOND..(start_s + words.len()) * SECOND;
        let utterance = Utterance {
            samples: places.map(|i| i as f32).collect(),
            start: (start_s * SECOND) as u64,
        };
        Piece {
            utterance,
            words,
            language: Language::ENGLISH,
        }
    }

    /// Seconds in which the context's sound begins and ends, and its text.
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
    fn utterances_are_heard_after_those_shortly_before_them() {
        let told = |from, to, text: &str| Some((from, to, text.to_owned()));
        assert_eq!(before(&[], 0, 1), None);
        assert_eq!(before(&[(0, " one two")], 3, 1), told(0.0, 2.0, " one two"));
        assert_eq!(
            before(&[(0, " one two"), (3, " three")], 4, 1),
            told(0.0, 4.0, " one two three")
        );
        assert_eq!(
            before(&[(0, " one two")], 5, 1),
            None,
            "after 3 s of silence"
        );
        assert_eq!(
            before(&[(0, " one"), (5, " two")], 7, 1),
            told(5.0, 6.0, " two"),
            "and further back"
        );
    }

    #[test]
    fn sound_without_words_parts_utterances() {
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

    type Calls = Arc<Mutex<Vec<(Pass, Option<String>)>>>;

    /// A recognizer of one text in sound alone, and of another after a context; notes what it was
    /// asked.
    fn fake(
        alone: &'static str,
        after: &'static str,
        language: Option<Language>,
        calls: Calls,
    ) -> Box<dyn Recognizer> {
        let recognizer = FakeRecognizer::new(move |request| {
            let context = request.context.map(|context| context.text.clone());
            let text = if context.is_some() { after } else { alone };
            calls
                .lock()
                .expect("one thread")
                .push((request.pass, context));
            likely(split(text, Language::ENGLISH))
        });
        Box::new(recognizer.with_language(language))
    }

    /// The texts of an utterance after " one two", by the pass each is worth, and what the
    /// recognizer was asked.
    fn hear(
        alone: &'static str,
        after: &'static str,
        efforts: &[Pass],
    ) -> (Vec<String>, Vec<(Pass, Option<String>)>) {
        hear_in(Some(Language::ENGLISH), alone, after, efforts)
    }

    fn hear_in(
        language: Option<Language>,
        alone: &'static str,
        after: &'static str,
        efforts: &[Pass],
    ) -> (Vec<String>, Vec<(Pass, Option<String>)>) {
        let calls = Calls::default();
        let mut listener = ContextualRecognizer::new(fake(alone, after, language, calls.clone()));
        let Piece {
            utterance,
            words,
            language,
        } = piece(0, " one two");
        listener.keep(utterance, words, language);
        let texts = efforts.iter().map(|&pass| {
            let samples = &[0.0; SECOND];
            let request = Request {
                context: None,
                samples,
                prefix: "",
                predicted: "",
                language: None,
                pass,
            };
            join(
                &listener
                    .recognize(2 * SECOND as u64, request, &|| false)
                    .expect("a text")
                    .words,
            )
        });
        let texts = texts.collect();
        let calls = calls.lock().expect("one thread").clone();
        (texts, calls)
    }

    #[test]
    fn a_context_counts_once_the_sound_alone_has_words() {
        use Pass::{Final, Interim};
        let after = Some(" one two".to_owned());
        let (texts, calls) = hear(" three", " 3", &[Interim, Interim, Final]);
        assert_eq!(texts, [" three", " 3", " 3"]);
        assert_eq!(
            calls,
            [
                (Interim, None),
                (Interim, after.clone()),
                (Final, after.clone())
            ]
        );
        let (texts, calls) = hear(" three", " 3", &[Final]);
        assert_eq!(
            (texts, calls),
            (vec![" 3".to_owned()], vec![(Final, None), (Final, after)]),
            "without interim passes"
        );
        let (texts, calls) = hear("", " invented", &[Interim, Final]);
        assert_eq!(
            (texts, calls),
            (vec![String::new(); 2], vec![(Interim, None), (Final, None)])
        );
        assert_eq!(
            hear(" three", "", &[Interim, Interim, Final]).0,
            [" three", "", " three"],
            "no word is lost"
        );
    }

    #[test]
    fn a_language_that_is_not_given_is_that_of_the_sound_alone() {
        use Pass::{Final, Interim};
        let after = Some(" one two".to_owned());
        let (texts, calls) = hear_in(None, " three", " 3", &[Interim, Interim, Final]);
        assert_eq!(texts, [" three", " three", " 3"]);
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
