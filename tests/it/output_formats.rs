//! Each transcript format against a file written by hand, and JSON against its schema.

use hearken::output::{Footer, Format, FormatOptions, Header, Segment, Speaker};
use serde_json::Value;

const SCHEMA: &str = include_str!("../../docs/transcript.schema.json");

/// A whole transcript in memory.
struct Transcript {
    header: Header,
    segments: Vec<Segment>,
    footer: Footer,
}

impl Transcript {
    /// The contents of a file of a format.
    fn render(&self, format: Format) -> String {
        let options = FormatOptions {
            word_timestamps: true,
            ..FormatOptions::default()
        };
        let mut writer = format.writer(&options);
        let mut out = writer.begin(&self.header);
        for segment in &self.segments {
            out.push_str(&writer.segment(segment));
        }
        out.push_str(&writer.finish(&self.footer));
        out
    }
}

fn segment(id: usize, start_s: f64, end_s: f64, text: &str) -> Segment {
    Segment {
        id,
        speaker: None,
        start_s,
        end_s,
        text: text.to_owned(),
        tokens: vec![400, 370, 50257],
        temperature: 0.2,
        avg_logprob: -0.25,
        compression_ratio: 1.5,
        no_speech_prob: 0.0625,
        words: None,
    }
}

/// A transcript with all that makes a format stumble: markup, an arrow, quotes, tabs and line ends,
/// a segment without text, times past the hour, times that are no round milliseconds.
fn tricky() -> Transcript {
    Transcript {
        header: Header {
            file: "talks/\"a\".flac".to_owned(),
            model: "base".to_owned(),
            task: "transcribe".to_owned(),
            has_speakers: false,
        },
        segments: vec![
            segment(0, 0.0, 2.5, " And so, my fellow Americans,"),
            segment(
                1,
                2.5,
                10.240000000000002,
                " if a < b && b --> c\tthen\r\n\n\"d\" \\ é.",
            ),
            segment(2, 10.24, 10.24, " "),
            segment(3, 59.9996, 61.009, " [Music]"),
            segment(4, 3599.5, 7325.678, " done."),
        ],
        footer: Footer {
            language: Some("en".to_owned()),
            duration_s: 7325.6784,
        },
    }
}

fn silent() -> Transcript {
    Transcript {
        segments: Vec::new(),
        footer: Footer {
            language: None,
            duration_s: 4.0,
        },
        ..tricky()
    }
}

fn assert_valid(json: &Value) {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    let errors: Vec<String> = validator
        .iter_errors(json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn txt() {
    let expected = include_str!("../data/transcript/expected.txt");
    assert_eq!(tricky().render(Format::Txt), expected);
}

#[test]
fn srt() {
    let expected = include_str!("../data/transcript/expected.srt");
    assert_eq!(tricky().render(Format::Srt), expected);
}

#[test]
fn vtt() {
    let expected = include_str!("../data/transcript/expected.vtt");
    assert_eq!(tricky().render(Format::Vtt), expected);
}

#[test]
fn tsv() {
    let expected = include_str!("../data/transcript/expected.tsv");
    assert_eq!(tricky().render(Format::Tsv), expected);
}

#[test]
fn lrc() {
    let expected = include_str!("../data/transcript/expected.lrc");
    assert_eq!(tricky().render(Format::Lrc), expected);
}

#[test]
fn ass() {
    let expected = include_str!("../data/transcript/expected.ass");
    assert_eq!(tricky().render(Format::Ass), expected);
}

#[test]
fn json() {
    let expected = include_str!("../data/transcript/expected.json");
    assert_eq!(tricky().render(Format::Json), expected);
}

#[test]
fn json_follows_its_schema_and_keeps_the_text() {
    let transcript = tricky();
    let json: Value = serde_json::from_str(&transcript.render(Format::Json)).expect("valid JSON");
    assert_valid(&json);
    let texts = transcript
        .segments
        .iter()
        .map(|segment| segment.text.as_str());
    assert_eq!(json["text"], texts.collect::<String>().trim());
    assert_eq!(json["segments"][1]["text"], transcript.segments[1].text);
    assert_eq!(json["segments"][1]["end"], 10.24);
}

#[test]
fn json_of_silence_and_of_numbers_that_are_none_follows_the_schema() {
    let silence: Value = serde_json::from_str(&silent().render(Format::Json)).expect("valid JSON");
    assert_valid(&silence);

    let mut transcript = tricky();
    transcript.segments[0].avg_logprob = f32::NEG_INFINITY;
    transcript.segments[0].no_speech_prob = f32::NAN;
    let json: Value = serde_json::from_str(&transcript.render(Format::Json)).expect("valid JSON");
    assert_valid(&json);
    assert!(json["segments"][0]["no_speech_prob"].is_null());
}

#[test]
fn the_schema_refuses_what_is_missing_or_unknown() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    let good: Value = serde_json::from_str(&tricky().render(Format::Json)).expect("valid JSON");
    let mut missing = good.clone();
    missing["segments"][0]
        .as_object_mut()
        .expect("an object")
        .remove("start");
    assert!(!validator.is_valid(&missing));
    let mut unknown = good;
    unknown["speaker"] = Value::from("A");
    assert!(!validator.is_valid(&unknown));
}

#[test]
fn silence_gives_the_frame_alone() {
    let rendered = |format| silent().render(format);
    assert_eq!(rendered(Format::Txt), "");
    assert_eq!(rendered(Format::Srt), "");
    assert_eq!(rendered(Format::Vtt), "WEBVTT\n\n");
    assert_eq!(rendered(Format::Tsv), "start\tend\ttext\n");
}

#[test]
fn impossible_times_do_not_break_a_format() {
    let mut transcript = tricky();
    transcript.segments = vec![
        segment(0, f64::NAN, f64::INFINITY, " a"),
        segment(1, -3.0, 1.0, " b"),
    ];
    for format in [
        Format::Srt,
        Format::Vtt,
        Format::Tsv,
        Format::Lrc,
        Format::Ass,
        Format::Json,
    ] {
        assert!(transcript.render(format).contains('b'), "{format:?}");
    }
    let srt = transcript.render(Format::Srt);
    assert!(srt.contains("00:00:07,000 --> 00:00:08,000\nb"), "{srt}");
}

/// A call: both speak at once from 2 s on, then one interrupts the other.
fn call() -> Transcript {
    let by = |channel, name: &str, segment| Segment {
        speaker: Some(Speaker {
            channel,
            name: name.to_owned(),
        }),
        ..segment
    };
    Transcript {
        header: Header {
            has_speakers: true,
            ..tricky().header
        },
        segments: vec![
            by(1, "Ann", segment(0, 0.0, 2.0, " Hello?")),
            by(1, "Ann", segment(1, 2.0, 4.0, " Who is there?")),
            by(2, "R&B", segment(2, 2.0, 4.0, " This is Bob.")),
            by(1, "Ann", segment(3, 10.0, 16.0, " I wanted to ask you")),
            by(2, "R&B", segment(4, 11.0, 12.0, " Yes.")),
        ],
        ..tricky()
    }
}

#[test]
fn who_speaks_is_named_in_every_format() {
    let call = call();
    assert_eq!(
        call.render(Format::Txt),
        "Ann: Hello?\nAnn: Who is there?\nR&B: This is Bob.\nAnn: I wanted to ask you\nR&B: Yes.\n"
    );
    let tsv = call.render(Format::Tsv);
    assert!(tsv.starts_with("start\tend\tspeaker\ttext\n0\t2000\tAnn\tHello?\n"));
    let vtt = call.render(Format::Vtt);
    assert!(vtt.contains("\n<v R&amp;B>Yes.\n"), "{vtt}");
    assert!(vtt.contains("<v Ann>Hello?"), "{vtt}");
    let ass = call.render(Format::Ass);
    assert!(ass.contains(",Default,Ann,0,0,0,,Ann: Hello?\n"), "{ass}");
    let lrc = call.render(Format::Lrc);
    assert!(lrc.contains("[00:00.00]Ann: Hello?\n"), "{lrc}");
    let json: Value = serde_json::from_str(&call.render(Format::Json)).expect("valid JSON");
    assert_valid(&json);
    assert_eq!(json["segments"][2]["speaker"], "R&B");
    assert_eq!(json["segments"][2]["channel"], 2);
}

#[test]
fn captions_of_two_who_speak_at_once_follow_one_another() {
    let srt = call().render(Format::Srt);
    let times: Vec<(&str, &str)> = srt
        .lines()
        .filter_map(|line| line.split_once(" --> "))
        .collect();
    assert_eq!(times.len(), 5, "{srt}");
    for pair in times.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "{srt}");
    }
    for line in ["Ann: Who is there?", "R&B: This is Bob.", "R&B: Yes."] {
        assert!(srt.lines().any(|found| found == line), "{srt}");
    }
}
