//! Hugging Face's model directory: `model.safetensors` or its shards, `config.json`,
//! `tokenizer.json` and `generation_config.json`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::models::Dims;
use crate::models::error::{Defect, ModelError};
use crate::models::file::layout;
use crate::models::tensors::Header;
use crate::models::tensors::Mapping;

use super::checkpoint::{self, Checkpoint};
use super::weights::{Encoding, Weights};

/// File name of the weights if they are in one file.
pub(crate) const MODEL_SAFETENSORS: &str = "model.safetensors";
/// List of shards if they are in several.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// The dimensions under Hugging Face's names (`WhisperConfig`).
#[derive(Deserialize)]
struct Config {
    num_mel_bins: usize,
    max_source_positions: usize,
    d_model: usize,
    encoder_attention_heads: usize,
    encoder_layers: usize,
    vocab_size: usize,
    max_target_positions: usize,
    decoder_attention_heads: usize,
    decoder_layers: usize,
}

/// The list of shards: the file of each tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Reads the directory.
///
/// # Errors
/// Returns an error if a file cannot be read or has unexpected contents, or if a tensor is missing.
pub(crate) fn read(dir: &Path) -> Result<Checkpoint, ModelError> {
    let config_path = dir.join("config.json");
    let dims = dims(&json::<Config>(&config_path)?);
    layout::check_dims(&dims).map_err(|d| d.of(&config_path))?;
    let mut found = HashMap::new();
    let mut weight_files = Vec::new();
    for path in weight_paths(dir)? {
        let map = Arc::new(Mapping::open(&path)?);
        collect(&map, &mut found).map_err(|d| d.of(&path))?;
        weight_files.push(map);
    }
    Ok(Checkpoint {
        dims,
        tensors: renamed(&dims, found).map_err(|d| d.of(dir))?,
        tokenizer: checkpoint::optional_file(&dir.join("tokenizer.json"))?,
        alignment_heads: checkpoint::alignment_heads(&dir.join("generation_config.json"))?,
        weight_files,
    })
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    let bytes = fs::read(path).map_err(ModelError::read(path))?;
    serde_json::from_slice(&bytes).map_err(|e| Defect::new(e.to_string()).of(path))
}

fn dims(config: &Config) -> Dims {
    Dims {
        n_mels: config.num_mel_bins,
        n_audio_ctx: config.max_source_positions,
        n_audio_state: config.d_model,
        n_audio_head: config.encoder_attention_heads,
        n_audio_layer: config.encoder_layers,
        n_vocab: config.vocab_size,
        n_text_ctx: config.max_target_positions,
        n_text_state: config.d_model,
        n_text_head: config.decoder_attention_heads,
        n_text_layer: config.decoder_layers,
    }
}

/// Files that hold the weights, ordered by name.
fn weight_paths(dir: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let single = dir.join(MODEL_SAFETENSORS);
    if single.is_file() {
        return Ok(vec![single]);
    }
    let path = dir.join(INDEX);
    let index: Index = json(&path)?;
    let files: BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(file) = files
        .iter()
        .find(|file| Path::new(file).file_name() != Some(file.as_ref()))
    {
        return Err(Defect::new(format!("shard {file:?} is not a file name")).of(&path));
    }
    Ok(files.into_iter().map(|file| dir.join(file)).collect())
}

/// Adds the tensors of a file under their own names.
fn collect(map: &Arc<Mapping>, found: &mut HashMap<String, Weights>) -> Result<(), Defect> {
    let header = Header::parse(map)?;
    for (name, info) in header.tensors {
        let offset = header.data_start + info.data_offsets.0;
        let weights = Weights::new(map, offset, Encoding::Plain(info.dtype), info.shape)
            .map_err(|e| Defect::new(format!("tensor {name}: {e}")))?;
        found.insert(name, weights);
    }
    Ok(())
}

/// The tensors that a model needs, under OpenAI's names. The output projection is dropped: it is the
/// token embedding.
fn renamed(
    dims: &Dims,
    mut found: HashMap<String, Weights>,
) -> Result<HashMap<String, Weights>, Defect> {
    let take = |(name, _): (String, Vec<usize>)| {
        let theirs = hf_name(&name);
        let full = format!("model.{theirs}");
        let tensor = found.remove(&full).or_else(|| found.remove(&theirs));
        tensor
            .map(|t| (name, t))
            .ok_or_else(|| Defect::new(format!("tensor {full} is missing")))
    };
    layout::tensors(dims).into_iter().map(take).collect()
}

/// Hugging Face's name for one of OpenAI's, without the leading `model.`
/// (`WHISPER_MAPPING` in transformers' `convert_openai_to_hf.py`).
pub(super) fn hf_name(name: &str) -> String {
    let name = name.replace("mlp.0", "fc1").replace("mlp.2", "fc2");
    let parts = name.split('.').map(|part| match part {
        "blocks" => "layers",
        "attn" => "self_attn",
        "attn_ln" => "self_attn_layer_norm",
        "cross_attn" => "encoder_attn",
        "cross_attn_ln" => "encoder_attn_layer_norm",
        "mlp_ln" => "final_layer_norm",
        "query" => "q_proj",
        "key" => "k_proj",
        "value" => "v_proj",
        "out" => "out_proj",
        "ln" | "ln_post" => "layer_norm",
        "token_embedding" => "embed_tokens",
        "positional_embedding" => "embed_positions.weight",
        other => other,
    });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hugging_faces() {
        for (openai, hf) in [
            (
                "encoder.positional_embedding",
                "encoder.embed_positions.weight",
            ),
            ("encoder.conv1.weight", "encoder.conv1.weight"),
            (
                "encoder.blocks.3.attn.key.weight",
                "encoder.layers.3.self_attn.k_proj.weight",
            ),
            (
                "encoder.blocks.3.attn_ln.bias",
                "encoder.layers.3.self_attn_layer_norm.bias",
            ),
            (
                "decoder.blocks.0.cross_attn.out.bias",
                "decoder.layers.0.encoder_attn.out_proj.bias",
            ),
            (
                "decoder.blocks.0.mlp.2.weight",
                "decoder.layers.0.fc2.weight",
            ),
            (
                "decoder.blocks.0.mlp_ln.weight",
                "decoder.layers.0.final_layer_norm.weight",
            ),
            ("encoder.ln_post.weight", "encoder.layer_norm.weight"),
            ("decoder.ln.weight", "decoder.layer_norm.weight"),
            (
                "decoder.token_embedding.weight",
                "decoder.embed_tokens.weight",
            ),
        ] {
            assert_eq!(hf_name(openai), hf);
        }
    }
}
