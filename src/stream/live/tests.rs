//! The engine over a fake recognizer, on real speech for the voice detector.

use super::*;
use crate::audio::{SAMPLE_RATE, clock};
use crate::stream::fake::{FakeRecognizer, hypothesis, sure_words};
use crate::stream::recognizer::{Hypothesis, Request};
use crate::text::join;
use crate::tokenizer::Language;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Samples of a block: 50 ms.
const BLOCK: usize = 800;

/// Pass, number of samples and prefix of each request.
type Calls = Vec<(Pass, usize, String)>;

fn speech() -> &'static [f32] {
    static SPEECH: OnceLock<Vec<f32>> = OnceLock::new();
    SPEECH.get_or_init(crate::audio::sample)
}

/// Returns the first 2.25 s of the speech and a second of silence. The voice detector notices the
/// end of speech a third of a second late.
fn speech_and_silence() -> Vec<f32> {
    let mut spoken = speech()[..36_000].to_vec();
    spoken.extend(vec![0.0; 16_000]);
    spoken
}

/// Returns options with a pause of `end_pause` samples between utterances of at most `max_samples`.
fn options(max_samples: usize, end_pause: usize, step_s: Option<f64>) -> LiveOptions {
    LiveOptions {
        segmenter: SegmenterOptions {
            max_samples,
            end_pause,
        },
        ends_by_sentence: false,
        step_s,
    }
}

/// Returns options with a pause of 0.8 s between utterances.
fn dictation(step_s: Option<f64>) -> LiveOptions {
    options(SegmenterOptions::default().max_samples, 12_800, step_s)
}

/// Collects the events that are due.
fn drain(live: &mut Live, events: &mut Vec<Event>) {
    while let Some(event) = live.next_event(&|_| false).expect("the fake does not fail") {
        events.push(event);
    }
}

/// Runs a stream through an engine whose recognizer answers with `answer`. Returns the events and
/// the requests.
fn run_with(
    samples: &[f32],
    options: LiveOptions,
    mut answer: impl FnMut(&Request<'_>, usize) -> Hypothesis + Send + 'static,
) -> (Vec<Event>, Calls) {
    let calls = Arc::new(Mutex::new(Calls::default()));
    let log = calls.clone();
    let recognizer = FakeRecognizer::new(move |request| {
        let mut log = log.lock().expect("one thread");
        let hypothesis = answer(&request, log.len());
        log.push((
            request.pass,
            request.samples.len(),
            request.prefix.to_owned(),
        ));
        hypothesis
    });
    let mut live = Live::new(Box::new(recognizer), options);
    let mut events = Vec::new();
    for block in samples.chunks(BLOCK) {
        live.push(block);
        drain(&mut live, &mut events);
    }
    live.finish();
    drain(&mut live, &mut events);
    let calls = calls.lock().expect("one thread").clone();
    (events, calls)
}

/// Runs a stream through an engine whose recognizer answers with one text after the other.
fn run(samples: &[f32], texts: &[&str], step_s: Option<f64>) -> (Vec<Event>, Calls) {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    run_with(samples, dictation(step_s), move |_, n| {
        hypothesis(&texts[n % texts.len()])
    })
}

fn finals(events: &[Event]) -> Vec<&Final> {
    let mut finals = Vec::new();
    for event in events {
        if let Event::Final(last) = event {
            finals.push(last);
        }
    }
    finals
}

fn partials(events: &[Event]) -> Vec<&Partial> {
    let mut partials = Vec::new();
    for event in events {
        if let Event::Partial(partial) = event {
            partials.push(partial);
        }
    }
    partials
}

#[test]
fn nothing_is_asked_of_silence() {
    let (events, calls) = run(&vec![0.0; 160_000], &[" never"], Some(0.5));
    assert_eq!((events, calls), (vec![], vec![]));
}

#[test]
fn a_finished_sentence_has_its_final_before_the_longest_pause_is_over() {
    let final_after_s = |text: &'static str| {
        let options = LiveOptions {
            ends_by_sentence: true,
            ..options(SegmenterOptions::default().max_samples, 24_000, Some(0.5))
        };
        let recognizer = FakeRecognizer::new(move |_| hypothesis(text));
        let mut live = Live::new(Box::new(recognizer), options);
        let mut spoken = speech()[..36_000].to_vec();
        spoken.extend(vec![0.0; 40_000]);
        for (i, block) in spoken.chunks(BLOCK).enumerate() {
            live.push(block);
            let mut events = Vec::new();
            drain(&mut live, &mut events);
            if let Some(last) = finals(&events).first() {
                assert_eq!(last.text, text.trim());
                return clock::seconds(((i + 1) * BLOCK) as u64) - last.end_s;
            }
        }
        panic!("no final for {text:?}");
    };
    // The utterance includes half a second of the silence.
    let finished = final_after_s(" So it is.");
    assert!(finished < 0.1, "{finished}");
    let unfinished = final_after_s(" So it");
    assert!((0.95..1.1).contains(&unfinished), "{unfinished}");
}

#[test]
fn a_pass_that_was_given_up_is_still_due() {
    let recognizer = FakeRecognizer::new(|_| hypothesis(" one two"));
    let mut live = Live::new(Box::new(recognizer), dictation(Some(0.5)));
    live.push(&speech()[..36_000]);
    let stops = |pass| pass == Pass::Interim;
    assert!(live.next_event(&stops).is_err());
    live.finish();
    let event = live
        .next_event(&stops)
        .expect("a final pass is not given up");
    assert!(matches!(event, Some(Event::Final(last)) if last.text == "one two"));
}

#[test]
fn without_interim_passes_there_are_only_finals() {
    let (events, calls) = run(speech(), &[" some words"], None);
    assert_eq!(events.len(), finals(&events).len());
    assert!(!events.is_empty() && calls.iter().all(|(pass, _, _)| *pass == Pass::Final));
}

#[test]
fn without_interim_passes_finals_are_made_ahead_too() {
    let n_calls = Arc::new(AtomicU64::new(0));
    let counter = n_calls.clone();
    let recognizer = FakeRecognizer::new(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        hypothesis(" so")
    });
    let mut live = Live::new(Box::new(recognizer), dictation(None));
    let mut events = Vec::new();
    for block in speech_and_silence().chunks(BLOCK) {
        live.push(block);
        drain(&mut live, &mut events);
    }
    assert_eq!(events, [], "there are no partials");
    let n = || n_calls.load(Ordering::Relaxed);
    assert_eq!(n(), 1, "it is made before the pause ends the utterance");
    live.finish();
    drain(&mut live, &mut events);
    assert_eq!((finals(&events).len(), events.len()), (1, 1));
    assert_eq!(n(), 1, "what was made ahead is the final");
}

#[test]
fn an_empty_hypothesis_is_repeated_sooner_and_a_pause_decoded_as_it_begins() {
    let (_, calls) = run(speech(), &[""], Some(0.5));
    let lengths: Vec<usize> = calls.iter().take(3).map(|(_, len, _)| *len).collect();
    assert!(
        lengths[1] - lengths[0] < 4800,
        "less than 0.3 s apart: {lengths:?}"
    );
    let (_, calls) = run(&speech_and_silence(), &[" so"], Some(2.0));
    let lengths_of = |pass: Pass| -> Vec<usize> {
        let of_pass = calls.iter().filter(|call| call.0 == pass);
        of_pass.map(|call| call.1).collect()
    };
    let interim = lengths_of(Pass::Interim);
    let settled = lengths_of(Pass::Final)[0];
    // At steps of 2 s there would be none; and the engine is free when the pause is settled.
    assert!((1..=2).contains(&interim.len()), "{calls:?}");
    assert!(interim.iter().all(|len| len + 4800 <= settled), "{calls:?}");
}

#[test]
fn the_first_partial_comes_a_step_after_the_onset() {
    let (events, calls) = run(speech(), &[" one two"], Some(0.5));
    let partials = partials(&events);
    let first = partials[0];
    assert!(first.end_s - first.start_s < 1.1, "{first:?}");
    assert_eq!(
        (first.committed.as_str(), first.interim.as_str()),
        ("", "one two")
    );
    assert!(calls[0].1 > 16_000 && calls[0].1 < 18_000, "{:?}", calls[0]);
}

#[test]
fn a_wrong_word_that_is_committed_leads_no_hypothesis_astray() {
    let max_samples = SegmenterOptions::default().max_samples;
    let options = options(max_samples, 40_000, Some(0.5));
    let (events, calls) = run_with(&speech()[..128_000], options, |request, _| {
        hypothesis(if request.samples.len() < 64_000 {
            " won two three"
        } else {
            " one two, three four"
        })
    });
    let mut shown: Vec<(&str, &str)> = partials(&events)
        .iter()
        .map(|partial| (partial.committed.as_str(), partial.interim.as_str()))
        .collect();
    shown.dedup();
    let expected = [
        ("", "won two three"),
        ("won two", " three"),
        ("won two three", " four"),
    ];
    assert_eq!(shown, expected);
    let texts: Vec<&str> = finals(&events)
        .iter()
        .map(|last| last.text.as_str())
        .collect();
    assert_eq!(texts, ["won two three four"]);
    assert!(calls.iter().all(|(_, _, prefix)| prefix.is_empty()));
}

#[test]
fn words_of_an_utterance_without_text_are_not_those_of_the_next() {
    // Words at first, and nobody in the end.
    let (events, calls) = run_with(
        speech(),
        options(64_000, 40_000, Some(0.5)),
        |request, _| {
            hypothesis(if request.pass == Pass::Interim {
                " one two three"
            } else {
                ""
            })
        },
    );
    let finals = finals(&events);
    assert!(
        finals.iter().any(|last| last.text == "one two"),
        "{finals:?}"
    );
    let starts: Vec<f64> = partials(&events).iter().map(|p| p.start_s).collect();
    assert!(
        finals.iter().any(|last| starts.contains(&last.end_s)),
        "one is cut in mid-speech: {finals:?} {starts:?}"
    );
    assert!(
        calls.iter().all(|(_, _, prefix)| prefix.is_empty()),
        "{calls:?}"
    );
}

/// Number of samples of a word of the numbered speech: half a second each, the third is " w3".
const HALF: usize = 8_000;

/// Request to the recognizer of numbered speech, and its answer.
struct Asked {
    /// Index of the first sample of the utterance in the stream.
    first: usize,
    /// The same of its context.
    context: Option<usize>,
    /// Numbers of the words of context and prefix.
    before: Vec<usize>,
    /// Numbers of the words in the answer.
    found: Vec<usize>,
}

/// Returns the index of some samples of [`speech`].
fn index_of(samples: &[f32]) -> usize {
    let probe = &samples[..64];
    speech()
        .windows(64)
        .position(|window| window == probe)
        .expect("samples of the stream")
}

/// Returns the numbers of words.
fn numbers(text: &str) -> Vec<usize> {
    let words = text.split_whitespace();
    words.filter_map(|word| word[1..].parse().ok()).collect()
}

/// Finds the words of the numbered speech that lie entirely within the samples, except those of the
/// prefix.
fn find_numbered(request: &Request<'_>) -> (Hypothesis, Asked) {
    let first = index_of(request.samples);
    let known = numbers(request.prefix);
    let inside = first.div_ceil(HALF)..(first + request.samples.len()) / HALF;
    let found: Vec<usize> = inside.filter(|number| !known.contains(number)).collect();
    let text: String = found.iter().map(|number| format!(" w{number}")).collect();
    let mut words = sure_words(&text);
    for (word, number) in words.iter_mut().zip(&found) {
        word.start_s = (*number * HALF - first) as f64 / 16_000.0;
        word.end_s = word.start_s + 0.5;
    }
    let context = request.context.map_or("", |context| &context.text);
    let asked = Asked {
        first,
        context: request.context.map(|context| index_of(&context.samples)),
        before: numbers(&format!("{context}{}", request.prefix)),
        found,
    };
    let hypothesis = Hypothesis {
        words,
        ..hypothesis("")
    };
    (hypothesis, asked)
}

#[test]
fn at_a_cut_the_context_is_what_was_said_before_it() {
    let log: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let asked = log.clone();
    let recognizer = FakeRecognizer::in_language(Some(Language::ENGLISH), move |request| {
        let (hypothesis, asked) = find_numbered(&request);
        log.lock().expect("one thread").push(asked);
        hypothesis
    });
    let options = options(64_000, 40_000, Some(0.5));
    let mut live = Live::new(Box::new(recognizer), options);
    for block in speech().chunks(BLOCK) {
        live.push(block);
        drain(&mut live, &mut Vec::new());
    }
    let asked = asked.lock().expect("one thread");
    let with_context: Vec<&Asked> = asked
        .iter()
        .filter(|asked| asked.context.is_some())
        .collect();
    assert!(
        with_context.len() >= 4,
        "{} of {} have a context",
        with_context.len(),
        asked.len()
    );
    for Asked {
        first,
        context,
        before,
        found,
    } in with_context
    {
        let said: Vec<usize> = before.iter().chain(found).copied().collect();
        assert!(
            said.windows(2).all(|pair| pair[0] < pair[1]),
            "in order, none twice: {before:?} {found:?}"
        );
        let begins = context.map_or(0, |place| place.abs_diff(said[0] * HALF));
        assert!(
            begins <= HALF,
            "{said:?} begin {begins} samples from the context's sound"
        );
        assert!(
            said.windows(2).all(|pair| pair[1] - pair[0] <= 3),
            "none is left out: {before:?} {found:?} at {first}"
        );
    }
}

/// Speaks for `seconds` to a machine that needs `cost` for each pass. Returns how many seconds of
/// audio were waiting each time that the engine was free again, and the step at the end.
fn speak_to_slow_machine(cost: Duration, seconds: usize) -> (Vec<f64>, f64) {
    let clock = Arc::new(AtomicU64::new(0));
    let clock_of_work = clock.clone();
    let recognizer = FakeRecognizer::new(move |request| {
        clock_of_work.fetch_add(cost.as_micros() as u64, Ordering::Relaxed);
        hypothesis(&" word".repeat(request.samples.len() / 6400))
    });
    let mut live = Live::new(Box::new(recognizer), dictation(Some(0.5)));
    let clock_of_live = clock.clone();
    live.clock = Box::new(move || Duration::from_micros(clock_of_live.load(Ordering::Relaxed)));
    let mut backlogs = Vec::new();
    let mut blocks = speech().chunks(960).cycle();
    let mut received = 0;
    while received < seconds * SAMPLE_RATE as usize {
        let spoken = clock.load(Ordering::Relaxed) as usize * 16 / 1000;
        backlogs.push(spoken.saturating_sub(received) as f64 / 16_000.0);
        // All that is waiting comes at once. If nothing is, the engine waits for the next block.
        let until = spoken.max(received + 1);
        while received < until {
            let block = blocks.next().expect("an endless speaker");
            live.push(block);
            received += block.len();
        }
        clock.fetch_max(received as u64 * 1000 / 16, Ordering::Relaxed);
        drain(&mut live, &mut Vec::new());
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
        let (backlogs, step_s) = speak_to_slow_machine(cost, 90);
        let mut pace = Pace::new(0.5);
        (0..100).for_each(|_| pace.spent(cost));
        prop_assert!((step_s - pace.step_s()).abs() < 0.2, "{} s instead of {}", step_s, pace.step_s());
        // An interim pass, and the final of an utterance that has ended meanwhile, made twice at
        // most.
        let most_s = 3.0 * cost.as_secs_f64() + 0.1;
        let worst_s = backlogs.iter().copied().fold(0.0, f64::max);
        prop_assert!(worst_s <= most_s, "{} s are waiting at {} s per pass", worst_s, cost.as_secs_f64());
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
