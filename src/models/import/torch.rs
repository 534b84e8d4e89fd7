//! OpenAI's `.pt` checkpoint: a zip file of a pickle and the tensors' raw bytes. Nothing in it is
//! executed.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use crate::models::Dims;
use crate::models::error::{Defect, ModelError};
use crate::models::tensors::Mapping;

use super::checkpoint::Checkpoint;
use super::pickle::{self, Node, Pickle, TensorRef};
use super::weights::{Encoding, Weights};

/// The first bytes of a zip file.
pub(crate) const MAGIC: [u8; 4] = *b"PK\x03\x04";
/// Name of the pickle after that of the archive.
const PICKLE: &str = "/data.pkl";

/// Reads the file.
///
/// # Errors
/// Returns an error if it cannot be read or is not a Whisper checkpoint.
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
    let mut archive = Archive::open(map)?;
    let pickle = pickle::parse(archive.pickle(map)?)
        .map_err(|e| Defect::new(format!("{}: {e}", archive.pickle_name)))?;
    let root = pickle.root();
    let dims = dims(
        &pickle,
        pickle.entry(root, "dims").ok_or_else(|| missing("dims"))?,
    )?;
    let state = pickle
        .entry(root, "model_state_dict")
        .ok_or_else(|| missing("model_state_dict"))?;
    let Node::Dict(state) = state else {
        return Err(Defect::new("its model_state_dict is not a dictionary"));
    };
    let mut tensors = HashMap::new();
    for &(key, value) in state {
        if let (Node::Text(name), Node::Tensor(tensor)) = (pickle.node(key), pickle.node(value)) {
            let weights = archive
                .weights(map, tensor)
                .map_err(|e| Defect::new(format!("tensor {name}: {e}")))?;
            tensors.insert((*name).to_owned(), weights);
        }
    }
    Ok((dims, tensors))
}

fn missing(key: &str) -> Defect {
    Defect::new(format!(
        "the checkpoint has no {key}: it is not one of openai-whisper's"
    ))
}

fn dims(pickle: &Pickle<'_>, node: &Node<'_>) -> Result<Dims, Defect> {
    let get = |name: &str| match pickle.entry(node, name) {
        Some(&Node::Int(n)) => {
            usize::try_from(n).map_err(|_| Defect::new(format!("{name} is {n}")))
        }
        _ => Err(Defect::new(format!("dims has no number {name}"))),
    };
    Ok(Dims {
        n_mels: get("n_mels")?,
        n_audio_ctx: get("n_audio_ctx")?,
        n_audio_state: get("n_audio_state")?,
        n_audio_head: get("n_audio_head")?,
        n_audio_layer: get("n_audio_layer")?,
        n_vocab: get("n_vocab")?,
        n_text_ctx: get("n_text_ctx")?,
        n_text_state: get("n_text_state")?,
        n_text_head: get("n_text_head")?,
        n_text_layer: get("n_text_layer")?,
    })
}

/// The zip file.
struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    pickle_name: String,
}

impl<'a> Archive<'a> {
    fn open(map: &'a Mapping) -> Result<Self, Defect> {
        let bytes: &[u8] = map;
        let zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|e| Defect::new(format!("as a zip file: {e}")))?;
        let pickle_name = zip
            .file_names()
            .flatten()
            .find(|name| name.ends_with(PICKLE))
            .ok_or_else(|| {
                Defect::new("the zip file has no data.pkl: it is not a PyTorch checkpoint")
            })?
            .into_owned();
        let mut archive = Self { zip, pickle_name };
        archive.check_byte_order()?;
        Ok(archive)
    }

    /// Name of the archive: the directory of all entries.
    fn prefix(&self) -> &str {
        self.pickle_name.strip_suffix(PICKLE).unwrap_or_default()
    }

    /// Newer files state their byte order; older ones are little-endian.
    fn check_byte_order(&mut self) -> Result<(), Defect> {
        let name = format!("{}/byteorder", self.prefix());
        let Ok(entry) = self.zip.by_name(&name) else {
            return Ok(());
        };
        let mut order = Vec::new();
        let read = entry.take(16).read_to_end(&mut order);
        match (read, order.as_slice()) {
            (Ok(_), b"little") => Ok(()),
            (Ok(_), _) => Err(Defect::new(format!(
                "{name} is not \"little\": only little-endian files can be read"
            ))),
            (Err(e), _) => Err(Defect::new(format!("{name}: {e}"))),
        }
    }

    fn pickle<'m>(&mut self, map: &'m Mapping) -> Result<&'m [u8], Defect> {
        let name = self.pickle_name.clone();
        let range = self.stored(map, &name)?;
        map.get(range).ok_or_else(|| missing("data.pkl"))
    }

    /// Range of the uncompressed entry `name` in the file.
    fn stored(&mut self, map: &Mapping, name: &str) -> Result<Range<usize>, Defect> {
        let entry = self
            .zip
            .by_name(name)
            .map_err(|e| Defect::new(format!("entry {name}: {e}")))?;
        if entry.compression() != CompressionMethod::STORE {
            return Err(Defect::new(format!(
                "entry {name} is compressed; PyTorch stores entries uncompressed"
            )));
        }
        let range = || {
            let start = usize::try_from(entry.data_start()?).ok()?;
            let end = start.checked_add(usize::try_from(entry.size()).ok()?)?;
            (end <= map.len()).then_some(start..end)
        };
        range().ok_or_else(|| {
            Defect::new(format!(
                "entry {name} reaches beyond the file's end at {}",
                map.len()
            ))
        })
    }

    fn weights(&mut self, map: &Arc<Mapping>, tensor: &TensorRef<'_>) -> Result<Weights, Defect> {
        let name = format!("{}/data/{}", self.prefix(), tensor.storage.key);
        let storage = self.stored(map, &name)?;
        let shape = &tensor.shape;
        let strides = &tensor.stride;
        if shape.len() != strides.len() {
            return Err(Defect::new(format!(
                "its shape {shape:?} has other axes than its strides {strides:?}"
            )));
        }
        let dtype = tensor.storage.dtype;
        let encoding = if is_contiguous(shape, strides) {
            Encoding::Plain(dtype)
        } else {
            Encoding::Strided {
                dtype,
                shape: shape.clone(),
                strides: strides.clone(),
            }
        };
        let offset = tensor
            .offset
            .checked_mul(dtype.bitsize() / 8)
            .and_then(|o| o.checked_add(storage.start));
        let offset =
            offset.ok_or_else(|| Defect::new(format!("its offset {} is absurd", tensor.offset)))?;
        let weights = Weights::new(map, offset, encoding, shape.clone())?;
        if offset
            .checked_add(weights.stored_size())
            .is_none_or(|end| end > storage.end)
        {
            return Err(Defect::new(format!("it reaches beyond its storage {name}")));
        }
        Ok(weights)
    }
}

/// Whether the strides (in values) describe a row-major tensor without gaps.
fn is_contiguous(shape: &[usize], stride: &[usize]) -> bool {
    let mut expected = 1usize;
    shape.iter().zip(stride).rev().all(|(&n, &stride)| {
        let fits = n == 1 || stride == expected;
        expected = expected.saturating_mul(n);
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_row_major_tensors_are_contiguous() {
        assert!(is_contiguous(&[4, 3, 2], &[6, 2, 1]));
        assert!(is_contiguous(&[4, 1], &[1, 7]));
        assert!(is_contiguous(&[], &[]));
        assert!(!is_contiguous(&[4, 3], &[1, 4]));
    }
}
