//! The state of an utterance, driven by hypotheses alone.

use super::*;
use crate::audio::vad::FrameScore;
use crate::stream::fake::hypothesis;
use proptest::prelude::*;

/// Number of samples in half a second, the step between two passes.
const STEP: usize = SAMPLE_RATE as usize / 2;

/// An utterance that continues: `n_samples` samples, the last `n_silent` of them silence.
struct Spoken {
    samples: Vec<f32>,
    n_silent: usize,
}

impl Spoken {
    fn new(n_samples: usize, n_silent: usize) -> Self {
        Self {
            samples: vec![0.0; n_samples],
            n_silent,
        }
    }

    fn ongoing(&self, is_settled: bool) -> Ongoing<'_> {
        Ongoing {
            samples: &self.samples,
            start: 0,
            voiced: self.samples.len() - self.n_silent,
            silence: self.n_silent,
            is_settled,
        }
    }
}

/// Returns an utterance of loud voice up to sample `n_voiced` and silence after it.
fn heard(n_voiced: usize, n_silent: usize) -> Utterance {
    let sample = |i: usize| {
        if i < n_voiced {
            (i as f32).sin()
        } else {
            1e-3 * (i as f32).sin()
        }
    };
    let score = |frame: usize| FrameScore {
        speech: if (frame + 1) * FRAME <= n_voiced {
            0.9
        } else {
            0.1
        },
        level_db: -20.0,
    };
    let len = n_voiced + n_silent;
    Utterance {
        samples: (0..len).map(sample).collect(),
        start: 0,
        scores: (0..len / FRAME).map(score).collect(),
        continues: false,
    }
}

/// Returns a hypothesis whose words last 0.3 s each.
fn spoken_words(text: &str) -> Hypothesis {
    let mut hypothesis = hypothesis(text);
    for (i, word) in hypothesis.words.iter_mut().enumerate() {
        word.start_s = 0.3 * i as f64;
        word.end_s = 0.3 * (i + 1) as f64;
    }
    hypothesis
}

/// Takes hypotheses of interim passes, half a second apart. Returns committed and interim text of
/// each partial.
fn partials(state: &mut UtteranceState, hypotheses: &[Hypothesis]) -> Vec<(String, String)> {
    let mut shown = Vec::new();
    for (i, hypothesis) in hypotheses.iter().enumerate() {
        let samples = 0..((i + 2) * STEP) as u64;
        let partial = state.take_partial(&samples, Pass::Interim, hypothesis.clone());
        shown.extend(partial.map(|partial| (partial.committed, partial.interim)));
    }
    shown
}

fn unlikely(text: &str) -> Hypothesis {
    Hypothesis {
        is_unlikely: true,
        ..hypothesis(text)
    }
}

#[test]
fn an_interim_pass_is_due_every_step() {
    let mut state = UtteranceState::new(true);
    let due = |state: &UtteranceState, n: usize| state.due(&Spoken::new(n, 0).ongoing(false), 0.5);
    assert_eq!(due(&state, NOTHING_DECODED + STEP - 1), None);
    let first = NOTHING_DECODED + STEP;
    assert_eq!(due(&state, first), Some(Pass::Interim));
    state.take_partial(&(0..first as u64), Pass::Interim, hypothesis(" one two"));
    assert_eq!(due(&state, first + STEP - 1), None);
    assert_eq!(due(&state, first + STEP), Some(Pass::Interim));
}

#[test]
fn without_text_the_next_pass_is_due_after_half_a_step() {
    let mut state = UtteranceState::new(true);
    let first = NOTHING_DECODED + STEP;
    state.take_partial(&(0..first as u64), Pass::Interim, hypothesis(""));
    let due = state.due(&Spoken::new(first + STEP / 2, 0).ongoing(false), 0.5);
    assert_eq!(due, Some(Pass::Interim));
}

#[test]
fn a_pause_is_decoded_once_as_it_begins_and_then_for_the_final() {
    let mut state = UtteranceState::new(true);
    let first = NOTHING_DECODED + STEP;
    state.take_partial(&(0..first as u64), Pass::Interim, hypothesis(" one"));
    let due = |state: &UtteranceState, spoken: usize, silent: usize, is_settled| {
        state.due(
            &Spoken::new(spoken + silent, silent).ongoing(is_settled),
            0.5,
        )
    };
    let spoken = first + 800;
    assert_eq!(due(&state, spoken, MIN_PAUSE_SAMPLES - 1, false), None);
    let begun = due(&state, spoken, MIN_PAUSE_SAMPLES, false);
    assert_eq!(begun, Some(Pass::Interim));
    let decoded = (spoken + MIN_PAUSE_SAMPLES) as u64;
    state.take_partial(&(0..decoded), Pass::Interim, hypothesis(" one"));
    assert_eq!(due(&state, spoken, STEP - 1, false), None);
    assert_eq!(due(&state, spoken, STEP, true), Some(Pass::Final));
    let settled = 0..(spoken + STEP) as u64;
    state.take_partial(&settled, Pass::Final, hypothesis(" one two"));
    assert_eq!(due(&state, spoken, STEP, true), None, "it was made ahead");
    assert_eq!(
        state.take_ahead(&heard(spoken + STEP, 0)),
        Some(hypothesis(" one two"))
    );
}

#[test]
fn text_that_stands_is_the_final_if_only_silence_follows() {
    let ahead = |stands| {
        let mut state = UtteranceState::new(true);
        let found = Hypothesis {
            stands,
            ..hypothesis(" one two")
        };
        state.take_partial(&(0..17_600), Pass::Interim, found);
        state
    };
    let is_final = |mut state: UtteranceState, utterance: Utterance| {
        let text = state.take_ahead(&utterance).map(|found| join(&found.words));
        text.as_deref() == Some(" one two")
    };
    assert!(is_final(ahead(true), heard(16_000, 3_200)));
    assert!(
        !is_final(ahead(false), heard(16_000, 3_200)),
        "it was doubtful"
    );
    assert!(!is_final(ahead(true), heard(19_200, 0)), "a voice follows");
    assert!(
        !is_final(ahead(true), heard(16_000, 800)),
        "it was made of more"
    );
    let mut unnoticed = heard(16_000, 3_200);
    unnoticed
        .scores
        .iter_mut()
        .for_each(|score| score.speech = 0.5);
    assert!(
        is_final(ahead(true), unnoticed),
        "silence that the detector has not noticed"
    );
    let mut click = heard(16_000, 3_200);
    click.samples[18_000..18_160].fill(0.9);
    assert!(is_final(ahead(true), click.clone()), "a click");
    click.scores.iter_mut().for_each(|score| score.speech = 0.5);
    click.samples[18_000..19_000].fill(0.9);
    assert!(!is_final(ahead(true), click), "a sound");
    let mut elsewhere = heard(16_000, 3_200);
    elsewhere.start = 256;
    assert!(!is_final(ahead(true), elsewhere));
}

#[test]
fn a_finished_sentence_ends_sooner_than_an_unfinished_one() {
    let ends = |text: &str, confidence: f32, n_silent: usize| {
        let mut state = UtteranceState::new(true);
        let mut found = hypothesis(text);
        found
            .words
            .iter_mut()
            .for_each(|word| word.confidence = confidence);
        let spoken = Spoken::new(3 * STEP, STEP);
        state.take_partial(&(0..3 * STEP as u64), Pass::Final, found);
        state.is_finished(&Ongoing {
            silence: n_silent,
            ..spoken.ongoing(true)
        })
    };
    assert!(ends(" That is all.", 0.9, STEP));
    assert!(ends(" Is that all?", 0.9, STEP));
    assert!(!ends(" That is all", 0.9, 4 * STEP), "it is not finished");
    assert!(!ends(" That is,", 0.9, 4 * STEP));
    assert!(!ends(" That is...", 0.9, 4 * STEP));
    assert!(!ends(" That is all.", 0.4, STEP), "the model is not sure");
    assert!(ends(" That is all.", 0.4, 2 * STEP));
    assert!(!ends("", 0.9, 4 * STEP));
    let state = UtteranceState::new(true);
    assert!(
        !state.is_finished(&Spoken::new(3 * STEP, STEP).ongoing(true)),
        "no text yet"
    );
}

#[test]
fn without_partials_only_final_passes_are_due() {
    let mut state = UtteranceState::new(false);
    let spoken = Spoken::new(100 * STEP, 0);
    assert_eq!(state.due(&spoken.ongoing(false), 0.0), None);
    assert_eq!(state.due(&spoken.ongoing(true), 0.0), Some(Pass::Final));
    let shown = state.take_partial(&(0..16_000), Pass::Final, hypothesis(" one"));
    assert_eq!(shown, None);
}

#[test]
fn nothing_is_committed_by_two_hypotheses_with_an_empty_one_between() {
    let commits = |texts: &[&str]| {
        let hypotheses: Vec<Hypothesis> = texts.iter().map(|text| hypothesis(text)).collect();
        partials(&mut UtteranceState::new(true), &hypotheses)
            .iter()
            .any(|(committed, _)| !committed.is_empty())
    };
    assert!(commits(&[" one two three", " one two three"]));
    assert!(!commits(&[
        " one two three",
        "",
        " one two three",
        "",
        " one two three"
    ]));
}

#[test]
fn a_wrong_committed_word_does_not_affect_the_words_after_it() {
    let mut state = UtteranceState::new(true);
    let shown = partials(
        &mut state,
        &[
            spoken_words(" won two three"),
            spoken_words(" won two three"),
            spoken_words(" one two, three four"),
            spoken_words(" one two, three four"),
        ],
    );
    let shown: Vec<(&str, &str)> = shown
        .iter()
        .map(|(c, i)| (c.as_str(), i.as_str()))
        .collect();
    let expected = [
        ("", "won two three"),
        ("won two", " three"),
        ("won two three", " four"),
        ("won two three", " four"),
    ];
    assert_eq!(shown, expected);
    let last = state.finish(
        &(0..40_000),
        false,
        spoken_words(" one two, three four five"),
    );
    let text = last.event.map(|event| event.text);
    assert_eq!(text.as_deref(), Some("won two three four five"));
}

#[test]
fn of_unlikely_hypotheses_the_first_words_that_two_have_in_common_are_shown() {
    let shown = |texts: &[&str]| {
        let hypotheses: Vec<Hypothesis> = texts.iter().map(|text| unlikely(text)).collect();
        partials(&mut UtteranceState::new(true), &hypotheses)
    };
    assert_eq!(shown(&[" so what", " some of it"]), []);
    assert_eq!(shown(&[" so", "", " so", ""]), [], "two in a row");
    let once = [(String::new(), "some re".to_owned())];
    assert_eq!(
        shown(&[" some re", " some re ports", " some re ports for"]),
        once,
        "nothing is committed, and nothing that is shown makes way for them"
    );
}

#[test]
fn a_detected_language_holds_once_there_is_enough_speech() {
    let mut state = UtteranceState::new(true);
    let languages = |state: &UtteranceState| {
        [Pass::Interim, Pass::Final].map(|pass| state.request(&[], pass).language)
    };
    let short = 0..MIN_LANGUAGE_SAMPLES as u64 - 1;
    state.take_partial(&short, Pass::Interim, hypothesis(" one two three"));
    assert_eq!(languages(&state), [None, None]);
    let long = 0..MIN_LANGUAGE_SAMPLES as u64;
    state.take_partial(&long, Pass::Interim, hypothesis(" four five six"));
    let english = Some(Language::ENGLISH);
    assert_eq!(
        languages(&state),
        [english, None],
        "the final pass is free until words are committed"
    );
    state.take_partial(&long, Pass::Interim, hypothesis(" four five six"));
    assert_eq!(languages(&state), [english, english]);
}

#[test]
fn an_utterance_without_text_has_no_final_and_no_number() {
    let mut state = UtteranceState::new(true);
    let nobody = state.finish(&(0..16_000), false, hypothesis(""));
    assert!(nobody.event.is_none() && nobody.said.is_empty());
    let first = state.finish(&(32_000..48_000), false, hypothesis(" one"));
    assert_eq!(first.event.map(|event| event.utterance), Some(1));
}

#[test]
fn a_final_without_words_keeps_those_that_were_committed() {
    let mut state = UtteranceState::new(true);
    partials(
        &mut state,
        &[hypothesis(" one two three"), hypothesis(" one two three")],
    );
    let last = state.finish(&(0..32_000), true, hypothesis(""));
    assert_eq!(join(&last.said), " one two");
    assert_eq!(
        last.event.map(|event| event.text).as_deref(),
        Some("one two")
    );
    assert_eq!(state.request(&[], Pass::Interim).prefix, "");
}

#[test]
fn committed_words_beyond_a_cut_begin_the_next_utterance() {
    let mut state = UtteranceState::new(true);
    let four = spoken_words(" one two three four");
    partials(&mut state, &[four.clone(), four.clone(), four]);
    // The third word, from 0.6 to 0.9 s, lies beyond the cut.
    let cut_s = 0.7;
    let cut = clock::samples(cut_s) as u64;
    let last = state.finish(&(0..cut), true, spoken_words(" one two"));
    assert_eq!(join(&last.said), " one two");
    let text = last.event.map(|event| event.text);
    assert_eq!(
        text.as_deref(),
        Some("one two three"),
        "it was shown already"
    );
    assert_eq!(state.request(&[], Pass::Interim).prefix, " three");
    let next = state.finish(&(cut..32_000), false, spoken_words(" four"));
    assert_eq!(join(&next.said), " three four");
    assert_eq!(next.event.map(|event| event.text).as_deref(), Some("four"));
}

proptest! {
    #[test]
    fn committed_text_only_grows(
        texts in prop::collection::vec("( (a|b|no|Yes|well,)){0,4}", 1..9),
        unlikely in prop::collection::vec(any::<bool>(), 9),
        last in "( (a|b|no|Yes|well,)){0,6}",
        is_cut in any::<bool>(),
    ) {
        let mut state = UtteranceState::new(true);
        let mut committed = String::new();
        let mut revision = 0;
        for (i, (text, is_unlikely)) in texts.iter().zip(unlikely).enumerate() {
            let samples = 0..((i + 2) * STEP) as u64;
            let found = Hypothesis { is_unlikely, ..spoken_words(text) };
            let Some(partial) = state.take_partial(&samples, Pass::Interim, found) else { continue };
            prop_assert!(partial.committed.starts_with(&committed), "{partial:?} after {committed:?}");
            let joined = join(&partial.words);
            prop_assert_eq!(joined.trim_start(), &partial.committed);
            prop_assert_eq!(partial.revision, revision + 1);
            revision += 1;
            committed = partial.committed;
        }
        let last = state.finish(&(0..80_000), is_cut, spoken_words(&last));
        if let Some(event) = last.event {
            prop_assert!(event.text.starts_with(committed.trim()), "{event:?} after {committed:?}");
            let joined = join(&event.words);
            prop_assert_eq!(joined.trim(), event.text);
            prop_assert_eq!(event.revision, revision + 1);
        } else {
            prop_assert_eq!(revision, 0);
        }
    }
}
