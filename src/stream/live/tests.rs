//! The engine over a recognizer that says what the test wants, on real speech for the voice
//! detector.

use super::*;
use crate::audio::{FileSource, Mono16k};
use crate::stream::fake::{FakeRecognizer, likely, sure_words};
use crate::text::join;
use crate::tokenizer::Language;
use proptest::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

type Calls = Arc<Mutex<Vec<(Pass, usize, String)>>>;

/// Notes a request.
fn note(calls: &Calls, request: &Request<'_>) {
    let prefix = request.prefix.to_owned();
    let mut calls = calls.lock().expect("one thread");
    calls.push((request.pass, request.samples.len(), prefix));
}

/// A recognizer that answers each request with the next of its texts, and notes it in `calls`.
fn scripted(texts: &[&str], calls: &Calls) -> Box<dyn Recognizer> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let calls = calls.clone();
    Box::new(FakeRecognizer::new(move |request| {
        let n = calls.lock().expect("one thread").len();
        note(&calls, request);
        let text = texts.get(n % texts.len().max(1)).cloned();
        likely(sure_words(&text.unwrap_or_default()))
    }))
}

/// Options with interim passes every half second.
fn live_options(max_samples: usize, end_pause: usize) -> LiveOptions {
    LiveOptions {
        segmenter: SegmenterOptions {
            max_samples,
            end_pause,
        },
        step_s: Some(0.5),
    }
}

/// Longest utterance by default, in samples.
const LONGEST: usize = 163_840;

fn speech() -> &'static [f32] {
    static SPEECH: OnceLock<Vec<f32>> = OnceLock::new();
    SPEECH.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/jfk.flac");
        let mut stream = Mono16k::new(Box::new(FileSource::open(&path).expect("the sample")));
        let mut samples = Vec::new();
        while let Some(block) = stream.next_block().expect("a good sample") {
            samples.extend_from_slice(block);
        }
        samples
    })
}

/// Runs the stream through the engine in blocks of 50 ms.
fn run(
    samples: &[f32],
    texts: &[&str],
    step_s: Option<f64>,
) -> (Vec<Event>, Vec<(Pass, usize, String)>) {
    let calls = Calls::default();
    let options = LiveOptions {
        step_s,
        ..live_options(LONGEST, 12_800)
    };
    let mut live = Live::new(scripted(texts, &calls), options);
    let mut events = Vec::new();
    let mut drain = |live: &mut Live| {
        while let Some(event) = live.next_event(&|| false).expect("scripted") {
            events.push(event);
        }
    };
    for block in samples.chunks(800) {
        live.push(block);
        drain(&mut live);
    }
    live.finish();
    drain(&mut live);
    let calls = calls.lock().expect("one thread").clone();
    (events, calls)
}

fn finals(events: &[Event]) -> Vec<&Final> {
    events
        .iter()
        .filter_map(|event| {
            if let Event::Final(done) = event {
                Some(done)
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn nothing_is_asked_of_silence() {
    let (events, calls) = run(&vec![0.0; 160_000], &[" never"], Some(0.5));
    assert_eq!((events, calls), (vec![], vec![]));
}

#[test]
fn without_interim_passes_there_are_only_finals() {
    let (events, calls) = run(speech(), &[" some words"], None);
    assert_eq!(events.len(), finals(&events).len());
    assert!(!events.is_empty() && calls.iter().all(|(pass, _, _)| *pass == Pass::Final));
}

#[test]
fn without_interim_passes_finals_are_made_ahead_too() {
    let calls = Calls::default();
    let options = LiveOptions {
        step_s: None,
        ..live_options(LONGEST, 12_800)
    };
    let mut live = Live::new(scripted(&[" so"], &calls), options);
    let mut spoken = speech().get(..36_000).unwrap_or_default().to_vec();
    // The detector notices the end of speech a third of a second late.
    spoken.extend(vec![0.0; 16_000]);
    for block in spoken.chunks(800) {
        live.push(block);
        assert_eq!(
            live.next_event(&|| false).expect("scripted"),
            None,
            "there are no partials"
        );
    }
    assert_eq!(
        calls.lock().expect("one thread").len(),
        1,
        "it is made before the pause ends the utterance"
    );
    live.finish();
    assert!(matches!(
        live.next_event(&|| false),
        Ok(Some(Event::Final(_)))
    ));
    assert_eq!(
        calls.lock().expect("one thread").len(),
        1,
        "what was made ahead is the final"
    );
}

#[test]
fn an_empty_pass_is_repeated_sooner_and_a_pause_is_transcribed_as_it_begins() {
    let (_, calls) = run(speech(), &[""], Some(0.5));
    let lengths: Vec<usize> = calls.iter().take(3).map(|(_, len, _)| *len).collect();
    assert!(
        lengths[1] - lengths[0] < 4800,
        "less than 0.3 s apart: {lengths:?}"
    );
    let mut spoken = speech().get(..36_000).unwrap_or_default().to_vec();
    spoken.extend(vec![0.0; 16_000]);
    let (_, calls) = run(&spoken, &[" so"], Some(2.0));
    let passes: Vec<usize> = calls
        .iter()
        .filter(|call| call.0 == Pass::Interim)
        .map(|call| call.1)
        .collect();
    let settled = calls
        .iter()
        .find(|call| call.0 == Pass::Final)
        .expect("it is settled")
        .1;
    // At steps of 2 s there would be none; and the engine is free when the pause is settled.
    assert!((1..=2).contains(&passes.len()), "{calls:?}");
    assert!(passes.iter().all(|at| at + 4800 <= settled), "{calls:?}");
}

#[test]
fn nothing_is_committed_by_two_passes_with_an_empty_one_between() {
    let committed = |texts: &[&str]| {
        let (events, _) = run(speech(), texts, Some(0.5));
        events
            .iter()
            .any(|event| matches!(event, Event::Partial(partial) if !partial.committed.is_empty()))
    };
    assert!(committed(&[" one two three"]));
    assert!(!committed(&[" one two three", ""]));
}

#[test]
fn the_first_pass_comes_a_step_after_the_onset() {
    let (events, calls) = run(speech(), &[" one two"], Some(0.5));
    let Some(Event::Partial(first)) = events.first() else {
        panic!("{events:?}")
    };
    assert!(first.end_s - first.start_s < 1.1, "{first:?}");
    assert_eq!(
        (first.committed.as_str(), first.interim.as_str()),
        ("", "one two")
    );
    assert!(calls[0].1 > 16_000 && calls[0].1 < 18_000, "{:?}", calls[0]);
}

#[test]
fn a_wrong_word_that_is_committed_leads_no_pass_astray() {
    let calls = Calls::default();
    let noted = calls.clone();
    // A wrong first word until there is more audio.
    let recognizer = FakeRecognizer::new(move |request| {
        note(&noted, request);
        likely(sure_words(if request.samples.len() < 64_000 {
            " won two three"
        } else {
            " one two, three four"
        }))
    });
    let mut live = Live::new(Box::new(recognizer), live_options(LONGEST, 40_000));
    let (mut events, mut shown) = (Vec::new(), Vec::new());
    for block in speech()[..128_000].chunks(800) {
        live.push(block);
        events.extend(live.next_event(&|| false).expect("scripted"));
    }
    live.finish();
    events.extend(live.next_event(&|| false).expect("scripted"));
    for event in &events {
        if let Event::Partial(partial) = event {
            shown.push((partial.committed.as_str(), partial.interim.as_str()));
        }
    }
    shown.dedup();
    assert_eq!(
        shown,
        [
            ("", "won two three"),
            ("won two", " three"),
            ("won two three", " four")
        ]
    );
    assert_eq!(
        finals(&events)
            .iter()
            .map(|done| done.text.as_str())
            .collect::<Vec<_>>(),
        ["won two three four"]
    );
    assert!(
        calls
            .lock()
            .expect("one thread")
            .iter()
            .all(|(_, _, prefix)| prefix.is_empty())
    );
}

#[test]
fn of_unlikely_interim_texts_the_first_words_that_two_have_in_common_are_shown() {
    let shown = |texts: &[&str]| {
        let mut scripted = scripted(texts, &Calls::default());
        let recognizer = FakeRecognizer::new(move |request| Hypothesis {
            is_unlikely: request.pass == Pass::Interim,
            ..scripted.recognize(*request, &|| false).expect("scripted")
        });
        let mut live = Live::new(Box::new(recognizer), live_options(LONGEST, 32_000));
        let mut shown = Vec::new();
        for block in speech()[..32_000].chunks(800) {
            live.push(block);
            if let Some(Event::Partial(partial)) = live.next_event(&|| false).expect("scripted") {
                shown.push((partial.committed, partial.interim));
            }
        }
        shown
    };
    assert_eq!(shown(&[" so what", " some of it"]), []);
    assert_eq!(shown(&[" so", "", " so", ""]), [], "two in a row");
    let once = [(String::new(), "some re".to_owned())];
    assert_eq!(
        shown(&[" some re", " some re ports", " some re ports for"]),
        once,
        "and nothing is committed"
    );
}

#[test]
fn words_of_an_utterance_without_text_are_not_those_of_the_next() {
    let calls = Calls::default();
    let noted = calls.clone();
    // Words at first, and nobody in the end.
    let recognizer = FakeRecognizer::new(move |request| {
        note(&noted, request);
        let is_interim = request.pass == Pass::Interim;
        likely(sure_words(if is_interim { " one two three" } else { "" }))
    });
    let mut live = Live::new(Box::new(recognizer), live_options(64_000, 40_000));
    let mut events = Vec::new();
    for block in speech().chunks(800) {
        live.push(block);
        while let Some(event) = live.next_event(&|| false).expect("scripted") {
            events.push(event);
        }
    }
    let finals = finals(&events);
    assert!(
        finals.iter().any(|done| done.text == "one two"),
        "{finals:?}"
    );
    let starts: Vec<f64> = events
        .iter()
        .filter_map(|e| {
            if let Event::Partial(p) = e {
                Some(p.start_s)
            } else {
                None
            }
        })
        .collect();
    assert!(
        finals.iter().any(|done| starts.contains(&done.end_s)),
        "one is cut in mid-speech: {finals:?} {starts:?}"
    );
    let calls = calls.lock().expect("one thread");
    assert!(
        calls.iter().all(|(_, _, prefix)| prefix.is_empty()),
        "{calls:?}"
    );
}

/// Half a second of the stream is a word, the third of them " w3".
const HALF: usize = 8_000;

/// What was asked: the place of the first sample, with the context's; the numbers of the words
/// before; those heard.
struct Asked {
    first: usize,
    context: Option<usize>,
    before: Vec<usize>,
    heard: Vec<usize>,
}

/// A recognizer of the words of [`speech`] that lie wholly within the samples, wherever these begin.
fn numbering(asked: Arc<Mutex<Vec<Asked>>>) -> Box<dyn Recognizer> {
    let recognizer = FakeRecognizer::new(move |request| {
        let place = |samples: &[f32]| {
            let probe = &samples[..64];
            speech()
                .windows(64)
                .position(|window| window == probe)
                .expect("samples of the stream")
        };
        let numbers = |text: &str| {
            text.split_whitespace()
                .filter_map(|w| w[1..].parse().ok())
                .collect::<Vec<usize>>()
        };
        let context = request.context.map_or("", |context| &context.text);
        let (first, told) = (place(request.samples), numbers(request.prefix));
        let inside = first.div_ceil(HALF)..(first + request.samples.len()) / HALF;
        let heard: Vec<usize> = inside.filter(|number| !told.contains(number)).collect();
        let mut words = sure_words(
            &heard
                .iter()
                .map(|number| format!(" w{number}"))
                .collect::<String>(),
        );
        for (word, number) in words.iter_mut().zip(&heard) {
            let start_s = (*number * HALF - first) as f64 / 16_000.0;
            (word.start_s, word.end_s) = (start_s, start_s + 0.5);
        }
        let before = numbers(&format!("{context}{}", request.prefix));
        let context = request.context.map(|context| place(&context.samples));
        asked.lock().expect("one thread").push(Asked {
            first,
            context,
            before,
            heard,
        });
        likely(words)
    });
    Box::new(recognizer.with_language(Some(Language::ENGLISH)))
}

#[test]
fn at_a_cut_the_context_is_what_was_said_before_it() {
    let asked = Arc::default();
    let recognizer = numbering(Arc::clone(&asked));
    let mut live = Live::new(recognizer, live_options(64_000, 40_000));
    for block in speech().chunks(800) {
        live.push(block);
        while live.next_event(&|| false).expect("scripted").is_some() {}
    }
    let asked = asked.lock().expect("one thread");
    let after: Vec<&Asked> = asked
        .iter()
        .filter(|asked| asked.context.is_some())
        .collect();
    assert!(
        after.len() >= 4,
        "{} of {} have a context",
        after.len(),
        asked.len()
    );
    for Asked {
        first,
        context,
        before,
        heard,
    } in after
    {
        let said: Vec<usize> = before.iter().chain(heard).copied().collect();
        assert!(
            said.windows(2).all(|pair| pair[0] < pair[1]),
            "in order, none twice: {before:?} {heard:?}"
        );
        let begins = context.map_or(0, |place| place.abs_diff(said[0] * HALF));
        assert!(
            begins <= HALF,
            "{said:?} begin {begins} samples from the context's sound"
        );
        assert!(
            said.windows(2).all(|pair| pair[1] - pair[0] <= 3),
            "none is left out: {before:?} {heard:?} at {first}"
        );
    }
}

/// Speaks for `seconds` to a machine on which every text costs that much. Gives the seconds of
/// audio that had gathered each time that the engine was free again, and the step at the end.
fn speak_to_slow(cost: Duration, seconds: usize) -> (Vec<f64>, f64) {
    let clock = Arc::new(AtomicU64::new(0));
    let of_recognizer = clock.clone();
    let recognizer = FakeRecognizer::new(move |request| {
        of_recognizer.fetch_add(cost.as_micros() as u64, Ordering::Relaxed);
        likely(sure_words(&" word".repeat(request.samples.len() / 6400)))
    });
    let mut live = Live::new(Box::new(recognizer), live_options(LONGEST, 12_800));
    let of_live = clock.clone();
    live.clock = Box::new(move || Duration::from_micros(of_live.load(Ordering::Relaxed)));
    let mut backlogs = Vec::new();
    let mut blocks = speech().chunks(960).cycle();
    let mut heard = 0;
    while heard < seconds * 16_000 {
        let spoken = clock.load(Ordering::Relaxed) as usize * 16 / 1000;
        backlogs.push(spoken.saturating_sub(heard) as f64 / 16_000.0);
        // What has gathered is heard at once; where nothing has, the engine waits for the next
        // block.
        let until = spoken.max(heard + 1);
        while heard < until {
            let block = blocks.next().expect("an endless speaker");
            live.push(block);
            heard += block.len();
        }
        clock.fetch_max(heard as u64 * 1000 / 16, Ordering::Relaxed);
        while live
            .next_event(&|| false)
            .expect("it does not fail")
            .is_some()
        {}
    }
    (backlogs, live.step_s())
}

#[test]
fn the_final_is_made_before_the_end_is_known() {
    let spoken: Vec<f32> = speech().iter().copied().chain(vec![0.0; 32_000]).collect();
    let (events, calls) = run(&spoken, &[" so"], Some(0.5));
    let last = finals(&events)
        .last()
        .map(|done| done.end_s)
        .expect("a final");
    let of_last = calls
        .iter()
        .rev()
        .take_while(|(pass, _, _)| *pass == Pass::Final)
        .count();
    assert_eq!(
        of_last, 2,
        "made once alone, once after what was said before, and kept: {calls:?}"
    );
    assert!(last < 13.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn on_a_slow_machine_the_step_widens_and_the_backlog_does_not_grow(ms in 1u64..1500) {
        let cost = Duration::from_millis(ms);
        let (backlogs, step_s) = speak_to_slow(cost, 90);
        let mut pace = Pace::new(0.5);
        (0..100).for_each(|_| pace.spent(cost));
        prop_assert!((step_s - pace.step_s()).abs() < 0.2, "{} s instead of {}", step_s, pace.step_s());
        // A guess, and the final of an utterance that has ended meanwhile, made twice at most.
        let most_s = 3.0 * cost.as_secs_f64() + 0.1;
        let worst_s = backlogs.iter().copied().fold(0.0, f64::max);
        prop_assert!(worst_s <= most_s, "{} s have gathered at {} s a text", worst_s, cost.as_secs_f64());
        let (early, late) = backlogs.split_at(backlogs.len() / 2);
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
        prop_assert!(mean(late) <= mean(early) + 0.3 * cost.as_secs_f64(), "{} s after {}", mean(late), mean(early));
    }

    #[test]
    fn committed_text_only_grows_and_every_utterance_has_one_final(
        texts in prop::collection::vec("( (a|b|no|Yes|well,)){0,4}", 1..9),
        pause in 0usize..40_000,
        step in 0.3f64..1.5,
    ) {
        let mut spoken = speech().get(..100_000).unwrap_or_default().to_vec();
        spoken.extend(vec![0.0; pause]);
        spoken.extend_from_slice(speech());
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (events, _) = run(&spoken, &texts, Some(step));
        let (mut utterance, mut revision, mut committed) = (1, 0, String::new());
        for event in &events {
            let (number, next, text, words) = match event {
                Event::Partial(partial) => (partial.utterance, partial.revision, &partial.committed, &partial.words),
                Event::Final(done) => (done.utterance, done.revision, &done.text, &done.words),
            };
            let joined = join(words);
            prop_assert_eq!(joined.trim(), text.trim());
            prop_assert_eq!((number, next), (utterance, revision + 1));
            prop_assert!(text.starts_with(&committed), "{:?} after {:?}", text, committed);
            (revision, committed) = (next, text.clone());
            if matches!(event, Event::Final(_)) {
                (utterance, revision, committed) = (utterance + 1, 0, String::new());
            }
        }
        prop_assert_eq!(revision, 0, "the last utterance has no final: {:?}", events.last());
    }
}
