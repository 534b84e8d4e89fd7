//! When each word was said, and how sure it is: from cross-attention, by OpenAI's method
//! (openai-whisper's `timing.py`).
//!
//! In: a window's audio as the decoder keeps it, and the tokens of its text. The text is fed to the
//! decoder once more, all tokens in one pass; some of its cross-attention heads, the model's
//! *alignment heads*, follow the audio as it is read. Dynamic time warping finds the way through
//! their weights. Out: [`TimedWord`]s.

mod dtw;
mod matrix;
mod pauses;
mod words;

pub use pauses::{Pauses, ends_sentence};

use super::attention_capture::AttentionCapture;
use super::decoder::{DecodeError, Decoder, Row, Workspace};
use super::kv_cache::WindowCache;
use super::segment::{Segment, TimedWord};
use super::tokenizer::{Language, Task, Tokenizer};
use crate::cpu::{Isa, argmax, sum_exp};
use matrix::Matrix;
use words::{Piece, merge_punctuation, split};

/// Seconds of an encoder position.
const POSITION_S: f64 = 0.02;

/// What was said in a window.
#[derive(Debug, Clone, Copy)]
pub struct AlignmentInput<'a> {
    /// Text tokens that it began with and whose times are not wanted.
    pub before: &'a [u32],
    /// The tokens after them; what is no text is left out.
    pub tokens: &'a [u32],
    /// Language spoken.
    pub language: Language,
    /// What was made of it.
    pub task: Task,
    /// Length of the audio.
    pub seconds: f64,
    /// Where nobody speaks in it.
    pub pauses: &'a Pauses,
}

/// Finds the times of words.
pub struct Aligner<'a> {
    decoder: &'a Decoder,
    tokenizer: &'a Tokenizer,
    heads: Vec<[usize; 2]>,
}

impl<'a> Aligner<'a> {
    /// An aligner by the alignment heads `[layer, head]`; where none are known, by all heads of the
    /// later half of the layers, as OpenAI does.
    pub fn new(decoder: &'a Decoder, tokenizer: &'a Tokenizer, heads: Vec<[usize; 2]>) -> Self {
        let dims = decoder.dims();
        let later = || {
            (dims.n_text_layer / 2..dims.n_text_layer)
                .flat_map(|l| (0..dims.n_text_head).map(move |h| [l, h]))
        };
        let heads = if heads.is_empty() {
            later().collect()
        } else {
            heads
        };
        Self {
            decoder,
            tokenizer,
            heads,
        }
    }

    /// The words of `said`, in the window that it was said in. Drops the window's sequences.
    ///
    /// # Errors
    /// Where the text is too long for the model's context.
    pub fn align(
        &self,
        window: &mut WindowCache,
        said: &AlignmentInput<'_>,
    ) -> Result<Vec<TimedWord>, DecodeError> {
        let special = self.tokenizer.special();
        let text = |tokens: &'_ [u32]| {
            tokens
                .iter()
                .copied()
                .filter(|token| *token < special.eot)
                .collect::<Vec<_>>()
        };
        let (before, tokens) = (text(said.before), text(said.tokens));
        let positions = ((said.seconds / POSITION_S).ceil() as usize).min(window.n_ctx());
        if tokens.is_empty() || positions == 0 {
            return Ok(Vec::new());
        }
        let start = special.sot_sequence(said.language, said.task, true);
        let sequence: Vec<u32> = [&start[..], &before, &tokens, &[special.eot]].concat();
        // A row's logits are those of the token after it.
        let first = start.len() - 1;
        let wanted: Vec<usize> =
            (first + before.len()..first + before.len() + tokens.len()).collect();
        let rows: Vec<Row> = sequence
            .iter()
            .map(|&token| Row {
                window: 0,
                sequence: 0,
                token,
            })
            .collect();
        let mut attention = AttentionCapture::new(self.decoder.dims(), &self.heads, positions);
        let mut work = Workspace::default();
        window.begin();
        let logits = self.decoder.forward_with_attention(
            &mut [window],
            &rows,
            &wanted,
            Some(&mut attention),
            &mut work,
        )?;
        let isa = self.decoder.cpu().isa;
        let logits = logits.chunks_exact(self.decoder.dims().n_vocab);
        let of_text = |(row, token): (&[f32], &u32)| {
            probability(isa, &row[..special.eot as usize], *token as usize)
        };
        let probabilities: Vec<f32> = logits.zip(&tokens).map(of_text).collect();
        let matrix = Matrix::new(&attention, first..rows.len() - 1);
        let begins = dtw::begins(&matrix.fit, matrix.cols);
        let attended: Vec<usize> = matrix
            .rows()
            .map(|row| argmax(isa, row).map_or(0, |(place, _)| place))
            .collect();
        let tokens_of = Tokens {
            begins: &begins[before.len()..],
            attended: &attended[before.len()..],
            probabilities: &probabilities,
        };
        let mut words = tokens_of.words(&split(self.tokenizer, &tokens, said.language));
        said.pauses.part(&mut words);
        Ok(words)
    }
}

/// Gives each segment its words, the aligned text of all of them, and the times of these
/// (`add_word_timestamps` in openai-whisper's `timing.py`). Tokens below `eot` are text.
pub fn give_words(segments: &mut [Segment], words: Vec<TimedWord>, eot: u32) {
    let mut words = words.into_iter();
    let mut ahead = 0;
    for segment in segments {
        let tokens = segment.tokens.iter().filter(|token| **token < eot).count();
        while ahead < tokens
            && let Some(word) = words.next()
        {
            ahead += word.tokens;
            segment.words.push(word);
        }
        ahead = ahead.saturating_sub(tokens);
        if let (Some(first), Some(last)) = (segment.words.first(), segment.words.last()) {
            (segment.start, segment.end) = (first.start, last.end);
        }
    }
}

/// The probability of `token` among all text tokens.
fn probability(isa: Isa, logits: &[f32], token: usize) -> f32 {
    let most = argmax(isa, logits).map_or(0.0, |(_, value)| value);
    (f64::from(logits[token] - most).exp() / sum_exp(isa, logits, most, 1.0)) as f32
}

/// What is known of text tokens.
struct Tokens<'a> {
    /// Position at which each begins, and the end of the last.
    begins: &'a [usize],
    /// Position that each attends to most.
    attended: &'a [usize],
    probabilities: &'a [f32],
}

impl Tokens<'_> {
    fn words(&self, pieces: &[Piece]) -> Vec<TimedWord> {
        let seconds = |position: usize| position as f64 * POSITION_S;
        let mut words: Vec<Option<TimedWord>> = Vec::with_capacity(pieces.len());
        let mut from = 0;
        for piece in pieces {
            let to = from + piece.tokens;
            let attended = self.attended[from..to]
                .iter()
                .max()
                .copied()
                .unwrap_or_default();
            words.push(Some(TimedWord {
                text: piece.text.clone(),
                tokens: piece.tokens,
                start: seconds(self.begins[from]),
                end: seconds(self.begins[to]),
                probability: self.probabilities[from..to].iter().sum::<f32>() / piece.tokens as f32,
                attended: seconds(attended),
            }));
            from = to;
        }
        for (i, owner) in merge_punctuation(pieces)
            .into_iter()
            .enumerate()
            .filter(|(i, owner)| i != owner)
        {
            if let Some(mark) = words[i].take()
                && let Some(word) = &mut words[owner]
            {
                // Whoever speaks takes no time for punctuation.
                word.text = if i < owner {
                    mark.text + &word.text
                } else {
                    std::mem::take(&mut word.text) + &mark.text
                };
                word.tokens += mark.tokens;
            }
        }
        words.into_iter().flatten().collect()
    }
}
