//! Timed segments from the tokens of a window, cut as in openai-whisper's `transcribe.py`.

use crate::tokenizer::Tokenizer;
use crate::whisper::Segment;

/// Segments of a window.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Segmentation {
    /// Segments with text.
    pub segments: Vec<Segment>,
    /// What follows the last pair of timestamps, if the transcript does not end with a single
    /// timestamp: the decoder may have stopped in the middle of speech. It reaches the end of the
    /// window; its text may be empty.
    ///
    /// OpenAI drops its text and decodes again from its start. If no more audio follows, it is the
    /// last segment.
    pub unfinished: Option<Segment>,
}

impl Segmentation {
    /// Returns all segments with text, including the unfinished one.
    pub fn into_segments(self) -> Vec<Segment> {
        let unfinished = self.unfinished.filter(Segment::has_text);
        self.segments.into_iter().chain(unfinished).collect()
    }
}

/// Cuts the tokens of a window of `window_seconds` at pairs of timestamps. Without pairs there is
/// one segment, which ends at the last timestamp, or with the window if there is none.
pub fn segments_from_tokens(
    tokens: &[u32],
    window_seconds: f64,
    tokenizer: &Tokenizer,
) -> Segmentation {
    let cutter = Cutter {
        tokenizer,
        window_seconds,
    };
    let time = |token: &u32| tokenizer.special().timestamp(*token);
    let pairs: Vec<usize> = (1..tokens.len())
        .filter(|&i| {
            tokens
                .get(i - 1..=i)
                .is_some_and(|pair| pair.iter().all(|token| time(token).is_some()))
        })
        .collect();
    let Some(&last_cut) = pairs.last() else {
        let end = tokens.iter().rev().find_map(time).filter(|&end| end > 0.0);
        let whole = cutter.segment(tokens, Some(0.0), end);
        return Segmentation {
            segments: Some(whole).filter(Segment::has_text).into_iter().collect(),
            unfinished: None,
        };
    };
    let mut segments = Vec::new();
    let mut begin = 0;
    for cut in pairs {
        segments.push(cutter.segment(tokens.get(begin..cut).unwrap_or_default(), None, None));
        begin = cut;
    }
    let rest = tokens.get(last_cut..).unwrap_or_default();
    let ends_with_single =
        matches!(rest, [.., text, end] if time(text).is_none() && time(end).is_some());
    let unfinished = if ends_with_single {
        segments.push(cutter.segment(rest, None, None));
        None
    } else {
        Some(cutter.segment(rest, None, Some(window_seconds)))
    };
    segments.retain(Segment::has_text);
    Segmentation {
        segments,
        unfinished,
    }
}

struct Cutter<'a> {
    tokenizer: &'a Tokenizer,
    window_seconds: f64,
}

impl Cutter<'_> {
    /// Returns a segment from the time of its first token to that of its last token, unless other
    /// times are given. Missing times are the window's, and all times are limited to the window.
    fn segment(&self, tokens: &[u32], start: Option<f64>, end: Option<f64>) -> Segment {
        let time = |token: Option<&u32>| self.tokenizer.special().timestamp(*token?);
        let within = |seconds: f64| seconds.clamp(0.0, self.window_seconds.max(0.0));
        let start = within(start.or_else(|| time(tokens.first())).unwrap_or(0.0));
        let end = within(
            end.or_else(|| time(tokens.last()))
                .unwrap_or(self.window_seconds),
        )
        .max(start);
        Segment {
            start,
            end,
            text: self.tokenizer.decode(tokens),
            tokens: tokens.to_vec(),
            words: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens 0 and 1 are text; `T + n` is n × 0.02 s.
    const T: u32 = 11;

    fn tokenizer() -> Tokenizer {
        let tokenizer = Tokenizer::miniature(&[b" a", b" b"], 1, 501, true);
        assert_eq!(tokenizer.special().timestamp_begin, T);
        tokenizer
    }

    type Piece = (f64, f64, String);

    fn cut(tokens: &[u32]) -> (Vec<Piece>, Option<Piece>) {
        let summary = |segment: Segment| (segment.start, segment.end, segment.text);
        let cut = segments_from_tokens(tokens, 10.0, &tokenizer());
        (
            cut.segments.into_iter().map(summary).collect(),
            cut.unfinished.map(summary),
        )
    }

    fn piece(start: f64, end: f64, text: &str) -> Piece {
        (start, end, text.to_owned())
    }

    #[test]
    fn pairs_of_timestamps_cut() {
        let tokens = [T, 0, T + 100, T + 150, 1, 0, T + 200];
        assert_eq!(
            cut(&tokens),
            (vec![piece(0.0, 2.0, " a"), piece(3.0, 4.0, " b a")], None)
        );
        let three = [T, 0, T + 100, T + 100, 1, T + 200, T + 200, 0, T + 300];
        assert_eq!(
            cut(&three).0,
            [
                piece(0.0, 2.0, " a"),
                piece(2.0, 4.0, " b"),
                piece(4.0, 6.0, " a")
            ]
        );
    }

    #[test]
    fn text_after_the_last_pair_is_unfinished() {
        let tokens = [T, 0, T + 100, T + 150, 1];
        assert_eq!(
            cut(&tokens),
            (vec![piece(0.0, 2.0, " a")], Some(piece(3.0, 10.0, " b")))
        );
        let merged = segments_from_tokens(&tokens, 10.0, &tokenizer()).into_segments();
        assert_eq!(
            merged
                .iter()
                .map(|segment| segment.text.as_str())
                .collect::<String>(),
            " a b"
        );
    }

    #[test]
    fn a_pair_at_the_end_tells_where_to_continue() {
        let tokens = [T, 0, T + 100, T + 150];
        assert_eq!(
            cut(&tokens),
            (vec![piece(0.0, 2.0, " a")], Some(piece(3.0, 10.0, "")))
        );
        assert_eq!(
            segments_from_tokens(&tokens, 10.0, &tokenizer())
                .into_segments()
                .len(),
            1
        );
    }

    #[test]
    fn without_pairs_the_last_timestamp_ends_the_segment() {
        assert_eq!(
            cut(&[T + 10, 0, 1, T + 100]),
            (vec![piece(0.0, 2.0, " a b")], None)
        );
        assert_eq!(cut(&[T, 0, 1]), (vec![piece(0.0, 10.0, " a b")], None));
        assert_eq!(cut(&[0, 1]), (vec![piece(0.0, 10.0, " a b")], None));
    }

    #[test]
    fn tokens_without_text_are_no_segment() {
        assert_eq!(cut(&[]), (vec![], None));
        assert_eq!(cut(&[T]), (vec![], None));
        assert_eq!(cut(&[T, T + 5]), (vec![], Some(piece(0.1, 10.0, ""))));
    }

    #[test]
    fn times_never_leave_the_window_nor_run_backwards() {
        assert_eq!(
            cut(&[T + 490, 0, T + 500, T + 500, 1, T + 10]).0[1],
            piece(10.0, 10.0, " b")
        );
        // A decoder without timestamps may still produce some.
        assert_eq!(cut(&[0, T + 50, T + 60, 1]).0, [piece(0.0, 1.0, " a")]);
        let short = segments_from_tokens(&[T, 0, T + 400], 2.0, &tokenizer());
        assert_eq!(short.segments.first().map(|segment| segment.end), Some(2.0));
    }
}
