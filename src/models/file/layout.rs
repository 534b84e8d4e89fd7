//! The tensors of a Whisper model: dimensions in, OpenAI's names and shapes out.

use crate::models::dims::Dims;
use crate::models::error::Defect;

/// Vocabulary sizes of Whisper's three tokenizers: English, multilingual, and multilingual with
/// Cantonese (large-v3).
const VOCABULARIES: [usize; 3] = [51864, 51865, 51866];
/// Upper bound of any single dimension but the vocabulary. The largest in use is 5120 (the MLP of
/// large); this bound only keeps products from overflowing.
const MAX_DIM: usize = 1 << 16;
/// Upper bound of the number of blocks; the largest in use is 32.
const MAX_LAYERS: usize = 128;
/// Width of a block's MLP in units of the block's own (`n_mlp` in openai-whisper's `model.py`).
const MLP_RATIO: usize = 4;
/// Width of an attention head in every Whisper size; the kernels rely on it.
const HEAD_WIDTH: usize = 64;
/// Kernel width of both convolutions.
const CONV_WIDTH: usize = 3;

/// Checks that the dimensions are those of a Whisper model.
///
/// # Errors
/// Returns an error that names a dimension if it is zero, too large or does not match another one.
pub(crate) fn check_dims(dims: &Dims) -> Result<(), Defect> {
    let fields = [
        ("n_mels", dims.n_mels),
        ("n_audio_ctx", dims.n_audio_ctx),
        ("n_audio_state", dims.n_audio_state),
        ("n_audio_head", dims.n_audio_head),
        ("n_audio_layer", dims.n_audio_layer),
        ("n_text_ctx", dims.n_text_ctx),
        ("n_text_state", dims.n_text_state),
        ("n_text_head", dims.n_text_head),
        ("n_text_layer", dims.n_text_layer),
    ];
    for (name, value) in fields {
        let most = if name.ends_with("layer") {
            MAX_LAYERS
        } else {
            MAX_DIM
        };
        if value == 0 || value > most {
            return Err(Defect::new(format!(
                "{name} is {value}, which no Whisper model has"
            )));
        }
    }
    if !VOCABULARIES.contains(&dims.n_vocab) {
        return Err(Defect::new(format!(
            "n_vocab is {}, but Whisper's vocabularies have {VOCABULARIES:?} tokens",
            dims.n_vocab
        )));
    }
    for (name, state, heads) in [
        ("n_audio_state", dims.n_audio_state, dims.n_audio_head),
        ("n_text_state", dims.n_text_state, dims.n_text_head),
    ] {
        if state != heads * HEAD_WIDTH {
            let reason = format!("{name} is {state}, which is not {heads} heads of {HEAD_WIDTH}");
            return Err(Defect::new(reason));
        }
    }
    Ok(())
}

/// Every tensor of a model of these dimensions, encoder first: its name and shape (row-major).
pub(crate) fn tensors(dims: &Dims) -> Vec<(String, Vec<usize>)> {
    let audio = dims.n_audio_state;
    let text = dims.n_text_state;
    let mut list = List::default();
    list.add("encoder.positional_embedding", &[dims.n_audio_ctx, audio]);
    list.add("encoder.conv1.weight", &[audio, dims.n_mels, CONV_WIDTH]);
    list.add("encoder.conv1.bias", &[audio]);
    list.add("encoder.conv2.weight", &[audio, audio, CONV_WIDTH]);
    list.add("encoder.conv2.bias", &[audio]);
    for i in 0..dims.n_audio_layer {
        list.block(&format!("encoder.blocks.{i}"), audio, &["attn"]);
    }
    list.norm("encoder.ln_post", audio);
    list.add("decoder.token_embedding.weight", &[dims.n_vocab, text]);
    list.add("decoder.positional_embedding", &[dims.n_text_ctx, text]);
    for i in 0..dims.n_text_layer {
        list.block(
            &format!("decoder.blocks.{i}"),
            text,
            &["attn", "cross_attn"],
        );
    }
    list.norm("decoder.ln", text);
    list.0
}

/// A list of names and shapes.
#[derive(Default)]
struct List(Vec<(String, Vec<usize>)>);

impl List {
    fn add(&mut self, name: &str, shape: &[usize]) {
        self.0.push((name.to_owned(), shape.to_vec()));
    }

    fn linear(&mut self, name: &str, n_out: usize, n_in: usize, bias: bool) {
        self.add(&format!("{name}.weight"), &[n_out, n_in]);
        if bias {
            self.add(&format!("{name}.bias"), &[n_out]);
        }
    }

    fn norm(&mut self, name: &str, n: usize) {
        self.add(&format!("{name}.weight"), &[n]);
        self.add(&format!("{name}.bias"), &[n]);
    }

    /// A transformer block of width `n`. Keys have no bias in Whisper.
    fn block(&mut self, name: &str, n: usize, attentions: &[&str]) {
        for attention in attentions {
            let name = format!("{name}.{attention}");
            self.linear(&format!("{name}.query"), n, n, true);
            self.linear(&format!("{name}.key"), n, n, false);
            self.linear(&format!("{name}.value"), n, n, true);
            self.linear(&format!("{name}.out"), n, n, true);
            self.norm(&format!("{name}_ln"), n);
        }
        self.linear(&format!("{name}.mlp.0"), MLP_RATIO * n, n, true);
        self.linear(&format!("{name}.mlp.2"), n, MLP_RATIO * n, true);
        self.norm(&format!("{name}.mlp_ln"), n);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Whisper base.
    pub(crate) const BASE: Dims = Dims {
        n_mels: 80,
        n_audio_ctx: 1500,
        n_audio_state: 512,
        n_audio_head: 8,
        n_audio_layer: 6,
        n_vocab: 51865,
        n_text_ctx: 448,
        n_text_state: 512,
        n_text_head: 8,
        n_text_layer: 6,
    };

    #[test]
    fn base_has_97_encoder_tensors_and_72_593_920_parameters() {
        let tensors = tensors(&BASE);
        let encoder = tensors
            .iter()
            .filter(|(name, _)| name.starts_with("encoder."));
        assert_eq!(encoder.count(), 97);
        let parameters: usize = tensors
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        assert_eq!(parameters, 72_593_920);
    }

    #[test]
    fn impossible_dims_are_named() {
        check_dims(&BASE).unwrap();
        for (dims, expected) in [
            (Dims { n_mels: 0, ..BASE }, "n_mels is 0"),
            (
                Dims {
                    n_vocab: 50257,
                    ..BASE
                },
                "n_vocab is 50257",
            ),
            (
                Dims {
                    n_audio_head: 7,
                    ..BASE
                },
                "7 heads of 64",
            ),
            (
                Dims {
                    n_text_layer: 129,
                    ..BASE
                },
                "n_text_layer is",
            ),
        ] {
            let defect = check_dims(&dims).unwrap_err().to_string();
            assert!(defect.contains(expected), "{defect}");
        }
    }
}
