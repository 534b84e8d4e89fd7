//! whisper.cpp's ggml file: dimensions, mel filters, vocabulary, then tensors under OpenAI's names
//! (`whisper_model_load` in `whisper.cpp`, `convert-pt-to-ggml.py`). All numbers are little-endian.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::Dtype;

use crate::models::Dims;
use crate::models::error::{Defect, ModelError};
use crate::models::tensors::Mapping;

use super::bytes::Bytes;
use super::checkpoint::Checkpoint;
use super::ggml_blocks::Blocks;
use super::weights::{Encoding, Weights};

/// The first four bytes: the u32 0x67676d6c.
pub(crate) const MAGIC: [u8; 4] = 0x6767_6d6c_u32.to_le_bytes();
/// Maximum number of axes of a tensor.
const MAX_AXES: usize = 4;

/// Reads the file.
///
/// # Errors
/// Returns an error if it cannot be read or is not a Whisper model.
pub(crate) fn read(path: &Path) -> Result<Checkpoint, ModelError> {
    let map = Arc::new(Mapping::open(path)?);
    let (dims, tensors) = parse(&map).map_err(|d| d.of(path))?;
    Ok(Checkpoint {
        dims,
        tensors,
        tokenizer: None,
        alignment_heads: None,
        weight_files: vec![map],
    })
}

fn parse(map: &Arc<Mapping>) -> Result<(Dims, HashMap<String, Weights>), Defect> {
    let mut bytes = Bytes::new(map);
    bytes.take(MAGIC.len(), "the magic number")?;
    let dims = dims(&mut bytes)?;
    skip_mel_filters(&mut bytes)?;
    skip_vocabulary(&mut bytes)?;
    let mut tensors = HashMap::new();
    while !bytes.at_end() {
        let (name, weights) = tensor(&mut bytes, map)?;
        tensors.insert(name, weights);
    }
    Ok((dims, tensors))
}

fn dims(bytes: &mut Bytes<'_>) -> Result<Dims, Defect> {
    let n_vocab = bytes.length("n_vocab")?;
    let n_audio_ctx = bytes.length("n_audio_ctx")?;
    let n_audio_state = bytes.length("n_audio_state")?;
    let n_audio_head = bytes.length("n_audio_head")?;
    let n_audio_layer = bytes.length("n_audio_layer")?;
    let n_text_ctx = bytes.length("n_text_ctx")?;
    let n_text_state = bytes.length("n_text_state")?;
    let n_text_head = bytes.length("n_text_head")?;
    let n_text_layer = bytes.length("n_text_layer")?;
    let n_mels = bytes.length("n_mels")?;
    // The type of most tensors; each tensor also has its own.
    bytes.u32("ftype")?;
    Ok(Dims {
        n_mels,
        n_audio_ctx,
        n_audio_state,
        n_audio_head,
        n_audio_layer,
        n_vocab,
        n_text_ctx,
        n_text_state,
        n_text_head,
        n_text_layer,
    })
}

/// Skips the f32 filter bank [n_mel, n_fft]: Hearken computes its own.
fn skip_mel_filters(bytes: &mut Bytes<'_>) -> Result<(), Defect> {
    let n_mel = bytes.length("the number of mel filters")?;
    let n_fft = bytes.length("the width of the mel filters")?;
    let size = n_mel
        .checked_mul(n_fft)
        .and_then(|n| n.checked_mul(size_of::<f32>()));
    bytes
        .take(size.unwrap_or(usize::MAX), "the mel filters")
        .map(|_| ())
}

/// Skips the bytes of the tokens: OpenAI's vocabulary has the same, and the special tokens.
fn skip_vocabulary(bytes: &mut Bytes<'_>) -> Result<(), Defect> {
    for i in 0..bytes.u32("the number of tokens")? {
        let length = bytes.length("a token's length")?;
        bytes.take(length, &format!("token {i}"))?;
    }
    Ok(())
}

fn tensor(bytes: &mut Bytes<'_>, map: &Arc<Mapping>) -> Result<(String, Weights), Defect> {
    let start = bytes.offset();
    let n_axes = bytes.length("a tensor's number of axes")?;
    let name_length = bytes.length("the length of a tensor's name")?;
    let type_offset = bytes.offset();
    let type_id = bytes.u32("a tensor's type")?;
    if n_axes > MAX_AXES {
        return Err(Defect::new(format!(
            "the tensor at offset {start} has {n_axes} axes; at most {MAX_AXES} are possible"
        )));
    }
    let mut shape = Vec::new();
    for _ in 0..n_axes {
        shape.push(bytes.length("a tensor's dimension")?);
    }
    // The file gives the innermost first.
    shape.reverse();
    let name = String::from_utf8_lossy(bytes.take(name_length, "a tensor's name")?).into_owned();
    let encoding = encoding(type_id).ok_or_else(|| {
        Defect::new(format!(
            "tensor {name} has unknown type {type_id} at offset {type_offset}"
        ))
    })?;
    let weights = Weights::new(map, bytes.offset(), encoding, shape)
        .map_err(|e| Defect::new(format!("tensor {name}: {e}")))?;
    bytes.take(weights.stored_size(), &format!("tensor {name}"))?;
    Ok((name, weights))
}

/// The encoding of a `ggml_type`.
fn encoding(type_id: u32) -> Option<Encoding> {
    Some(match type_id {
        0 => Encoding::Plain(Dtype::F32),
        1 => Encoding::Plain(Dtype::F16),
        2 => Encoding::Blocks(Blocks::Q4_0),
        3 => Encoding::Blocks(Blocks::Q4_1),
        6 => Encoding::Blocks(Blocks::Q5_0),
        7 => Encoding::Blocks(Blocks::Q5_1),
        8 => Encoding::Blocks(Blocks::Q8_0),
        _ => return None,
    })
}
