//! What people read, and limits that hold for any transcript.

use super::*;
use crate::output::transcript::Word;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

fn segment(text: &str, start_s: f64, end_s: f64, words: Option<Vec<Word>>) -> Segment {
    Segment {
        id: 0,
        speaker: None,
        start_s,
        end_s,
        text: text.to_owned(),
        tokens: Vec::new(),
        temperature: 0.0,
        avg_logprob: 0.0,
        compression_ratio: 1.0,
        no_speech_prob: 0.0,
        words,
    }
}

/// A segment of words of equal length in seconds, from a time on.
fn spoken(text: &str, start_s: f64, each_s: f64) -> Segment {
    let mut words = Vec::new();
    let mut end_s = start_s;
    for word in text.split_inclusive(' ').map(str::trim) {
        words.push(Word {
            word: format!(" {word}"),
            start_s: end_s,
            end_s: end_s + each_s,
            probability: 1.0,
        });
        end_s += each_s;
    }
    segment(&format!(" {text}"), start_s, end_s, Some(words))
}

fn cues(segments: &[Segment], options: &CaptionOptions) -> Vec<Cue> {
    let mut layout = Layout::new(options);
    let mut cues: Vec<Cue> = segments
        .iter()
        .flat_map(|segment| layout.push(segment))
        .collect();
    cues.extend(layout.finish());
    cues
}

fn lines(cue: &Cue) -> Vec<String> {
    let text = |line: &Vec<cue::Piece>| line.iter().map(|piece| piece.text.as_str()).collect();
    cue.lines.iter().map(text).collect()
}

fn texts(segments: &[Segment], options: &CaptionOptions) -> Vec<String> {
    cues(segments, options)
        .iter()
        .map(|cue| lines(cue).join("|"))
        .collect()
}

fn written<F: CueFormat>(format: F, segments: &[Segment], options: &CaptionOptions) -> String {
    let mut writer = Captions::new(format, options);
    let mut out = writer.format.begin();
    for segment in segments {
        out += &writer.segment(segment);
    }
    let footer = Footer {
        language: None,
        duration_s: 0.0,
    };
    out + &writer.finish(&footer)
}

#[test]
fn cues_and_lines_break_at_sense() {
    let speech = spoken(
        "And so, my fellow Americans, ask not what your country can do for you, ask what you can do \
         for your country.",
        0.0,
        0.4,
    );
    assert_eq!(
        texts(&[speech], &CaptionOptions::default()),
        [
            "And so, my fellow Americans,",
            "ask not what your country can do for you,|ask what you can do for your country."
        ]
    );
    let speech = spoken(
        "We walked along the shore of the lake until the sun had gone down",
        0.0,
        0.3,
    );
    assert_eq!(
        texts(&[speech], &CaptionOptions::default()),
        ["We walked along the shore|of the lake until the sun had gone down"]
    );
}

#[test]
fn short_cues_stay_longer_or_join_the_next() {
    let options = CaptionOptions::default();
    let alone = cues(
        &[spoken("Yes.", 1.0, 0.3), spoken("Then he left.", 9.0, 0.4)],
        &options,
    );
    assert_eq!((alone[0].start_ms, alone[0].end_ms), (1000, 2000));
    let close = [
        spoken("Yes.", 1.0, 0.3),
        spoken("I know that well.", 1.4, 0.4),
    ];
    assert_eq!(texts(&close, &options), ["Yes. I know that well."]);
}

#[test]
fn japanese_and_chinese_characters_take_two_columns() {
    let text = "これは日本語の字幕の例です。とても長い文なので、二行に分けて表示します。";
    let words = text.chars().enumerate().map(|(i, c)| Word {
        word: c.to_string(),
        start_s: i as f64 * 0.15,
        end_s: (i + 1) as f64 * 0.15,
        probability: 1.0,
    });
    let speech = segment(text, 0.0, 6.0, Some(words.collect()));
    let made = texts(&[speech], &CaptionOptions::default());
    assert_eq!(made.concat().replace('|', ""), text);
    assert!(
        made.iter()
            .flat_map(|cue| cue.split('|'))
            .all(|line| line.width() <= 42),
        "{made:?}"
    );
    assert!(
        made.iter()
            .flat_map(|cue| cue.split('|'))
            .all(|line| !line.starts_with(['、', '。'])),
        "{made:?}"
    );
}

#[test]
fn words_per_line_are_limited() {
    let options = CaptionOptions {
        max_line_count: 1,
        max_words_per_line: Some(2),
        ..CaptionOptions::default()
    };
    assert_eq!(
        texts(&[spoken("one two three four five six", 0.0, 1.2)], &options),
        ["one two", "three four", "five six"]
    );
    // Each segment begins anew, and no phrase or sentence matters.
    let said = [
        spoken("One, two three.", 0.0, 0.5),
        spoken("Four five six", 0.5, 0.5),
    ];
    assert_eq!(
        texts(&said, &options),
        ["One, two", "three.", "Four five", "six"]
    );
}

#[test]
fn highlighted_words_are_marked_while_they_are_spoken() {
    let options = CaptionOptions {
        highlight_words: true,
        ..CaptionOptions::default()
    };
    let mut speech = spoken("Hear <this>", 1.0, 0.5);
    if let Some(word) = speech.words.as_mut().and_then(|words| words.last_mut()) {
        (word.start_s, word.end_s) = (2.0, 2.5);
    }
    let speech = [speech];
    assert_eq!(
        written(formats::Srt::default(), &speech, &options),
        "1\n00:00:01,000 --> 00:00:01,500\n<u>Hear</u> <this>\n\n\
         2\n00:00:01,500 --> 00:00:02,000\nHear <this>\n\n\
         3\n00:00:02,000 --> 00:00:02,500\nHear <u><this></u>\n\n"
    );
    assert!(written(formats::Vtt, &speech, &options).contains("Hear <u>&lt;this&gt;</u>"));
    assert!(
        written(formats::Lrc, &speech, &options)
            .contains("[00:01.00]<00:01.00>Hear <00:02.00><this>")
    );
    assert!(written(Ass, &speech, &options).ends_with(
        "Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\kf50}Hear{\\k50}{\\kf50} <this>\n"
    ));
}

#[test]
fn ass_has_a_header_and_no_commands_of_the_text() {
    let speech = [spoken("a {b} \\N c", 3661.0, 0.5)];
    let script = written(Ass, &speech, &CaptionOptions::default());
    assert!(script.starts_with("[Script Info]\n"));
    assert!(
        script.ends_with(
            "Dialogue: 0,1:01:01.00,1:01:03.00,Default,,0,0,0,,a \\{b\\} \\\u{2060}N c\n"
        ),
        "{script}"
    );
}

#[test]
fn an_hour_of_a_segment_without_words_is_still_cut() {
    let text = " word".repeat(5000);
    let made = cues(
        &[segment(&text, 0.0, 3600.0, None)],
        &CaptionOptions::default(),
    );
    assert!(made.len() > 500);
}

fn any_segments() -> impl Strategy<Value = Vec<Segment>> {
    let word = prop::sample::select(vec![
        " I",
        " and",
        " the",
        " house,",
        " well.",
        " Donaudampfschifffahrtsgesellschaftskapitän",
        " \"Yes\"",
        "世",
        "界。",
        " ok",
        "-known",
        " ...",
        " これ",
        "は",
        "!",
        " สวัสดี",
        " ",
        " (a)",
        "\n",
        " -->",
    ]);
    let timed = (word, 0u32..900, 0u32..3000, prop::bool::weighted(0.15));
    let words = prop::collection::vec(timed, 0..40);
    prop::collection::vec((words, any::<bool>()), 0..6).prop_map(|segments| {
        let mut at = 0.0;
        let mut made = Vec::new();
        for (words, has_words) in segments {
            let start = at;
            let text: String = words.iter().map(|(word, ..)| *word).collect();
            let to_word = |(word, length, gap, pauses): (&str, u32, u32, bool)| {
                at += if pauses { f64::from(gap) / 1000.0 } else { 0.0 };
                let start_s = at;
                at += f64::from(length) / 1000.0;
                Word {
                    word: word.to_owned(),
                    start_s,
                    end_s: at,
                    probability: 1.0,
                }
            };
            let words: Vec<Word> = words.into_iter().map(to_word).collect();
            made.push(segment(&text, start, at, has_words.then_some(words)));
        }
        made
    })
}

fn any_options() -> impl Strategy<Value = CaptionOptions> {
    (
        1..50usize,
        1..4usize,
        prop::option::of(1..6usize),
        any::<bool>(),
    )
        .prop_map(
            |(max_line_width, max_line_count, max_words_per_line, highlight_words)| {
                CaptionOptions {
                    max_line_width,
                    max_line_count,
                    max_words_per_line,
                    highlight_words,
                }
            },
        )
}

proptest! {
    #[test]
    fn no_word_is_lost_and_all_limits_hold(segments in any_segments(), options in any_options()) {
        let made = cues(&segments, &options);
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let given: String = segments.iter().map(|segment| letters(&segment.text)).collect();
        let shown: String = made.iter().flat_map(lines).map(|line| letters(&line)).collect();
        prop_assert_eq!(shown, given);
        for cue in &made {
            prop_assert!(cue.lines.len() <= options.max_line_count, "{cue:?}");
            prop_assert!(cue.start_ms < cue.end_ms && cue.end_ms - cue.start_ms <= 7000, "{cue:?}");
            for (line, text) in cue.lines.iter().zip(lines(cue)) {
                prop_assert!(!line.is_empty() && !text.starts_with(' '));
                prop_assert!(line.len() == 1 || text.trim_end().width() <= options.max_line_width, "{text:?}");
                prop_assert!(line.len() <= options.max_words_per_line.unwrap_or(usize::MAX));
            }
            let moments = cue.moments();
            prop_assert_eq!(moments.first().map(|moment| moment.start_ms), Some(cue.start_ms));
            prop_assert_eq!(moments.last().map(|moment| moment.end_ms), Some(cue.end_ms));
            prop_assert!(moments.windows(2).all(|pair| pair[0].end_ms == pair[1].start_ms));
        }
        prop_assert!(made.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms), "{made:?}");
    }

    #[test]
    fn a_cue_is_short_only_if_the_next_one_leaves_no_room(segments in any_segments()) {
        let made = cues(&segments, &CaptionOptions::default());
        for pair in made.windows(2) {
            let is_short = pair[0].end_ms - pair[0].start_ms < 1000;
            prop_assert!(!is_short || pair[0].end_ms == pair[1].start_ms, "{pair:?}");
        }
    }
}
