//! Import: weights in another program's format in, Hearken's model file out.
//!
//! Each format has a reader that maps the source and returns a [`Checkpoint`]; one writer turns that
//! into the model file. Tensors are decoded one at a time, so that a large model needs little memory.

mod bytes;
mod checkpoint;
mod ct2;
mod ggml;
mod ggml_blocks;
mod hf;
mod pickle;
#[cfg(test)]
pub(crate) mod synthetic;
#[cfg(test)]
mod tests;
mod torch;
mod weights;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::Dtype;

use crate::models::Dims;
use crate::tokenizer::{Tokenizer, TokenizerError, Vocabulary};

use super::error::{Defect, ModelError, PrepareError};
use super::file::layout;
use super::file::{FORMAT, ModelFile, VERSION};
use super::manifest::Manifest;
use super::tensors::{self, Entry};
use super::{Done, Progress};
use checkpoint::Checkpoint;
use weights::Weights;

/// A tensor that the engine derives from the weights once, to store it with them.
#[derive(Debug, Clone)]
pub struct NewTensor {
    /// Name, different from that of any other tensor.
    pub name: String,
    /// Type of the values.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Values: row-major, little-endian.
    pub data: Vec<u8>,
}

/// Computes the engine's own tensors (packed int8 matrices, compressed silence padding) from an open
/// model that has only the plain ones. It calls the second argument with the share done, 0 to 1.
pub type Prepare<'a> =
    dyn Fn(&ModelFile, &mut dyn FnMut(f32)) -> Result<Vec<NewTensor>, PrepareError> + 'a;

/// Description of a model to import.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Name of the model.
    pub name: String,
    /// Source of the weights, for the metadata.
    pub source: String,
    /// Dimensions that the weights must have, if the model is a known one.
    pub dims: Option<Dims>,
}

/// Converts the weights at `source` (a CTranslate2 or Hugging Face directory, an OpenAI `.pt` or a
/// ggml `.bin`) and writes the model file `target`. The file is called `target` + `.part` until it is
/// complete.
///
/// # Errors
/// Returns an error if the source is damaged or its format is unknown, or if the target cannot be
/// written.
pub fn import(
    source: &Path,
    target: &Path,
    origin: &Origin,
    prepare: &Prepare<'_>,
    progress: &mut Progress<'_>,
) -> Result<(), ModelError> {
    let checkpoint = read(source)?;
    let [plain, complete] = part_names(target);
    let result = write_plain(source, checkpoint, &plain, origin, progress)
        .and_then(|()| add_derived(&plain, &complete, &origin.name, prepare, progress))
        .and_then(|()| fs::rename(&complete, target).map_err(ModelError::write(target, 0)));
    // Neither exists after success; after a failure they must not stay.
    let _ = fs::remove_file(&plain);
    let _ = fs::remove_file(&complete);
    result
}

/// Detects the format of `source` and reads it.
fn read(source: &Path) -> Result<Checkpoint, ModelError> {
    let metadata = fs::metadata(source).map_err(ModelError::read(source))?;
    if metadata.is_dir() {
        return read_dir(source);
    }
    let mut magic = [0; 4];
    let mut file = File::open(source).map_err(ModelError::read(source))?;
    let _ = file.read(&mut magic).map_err(ModelError::read(source))?;
    match (
        magic,
        source.file_name().and_then(|name| name.to_str()),
        source.parent(),
    ) {
        (torch::MAGIC, ..) => torch::read(source),
        (ggml::MAGIC, ..) => ggml::read(source),
        (_, Some(ct2::MODEL_BIN | hf::MODEL_SAFETENSORS | hf::INDEX), Some(dir)) => read_dir(dir),
        _ => Err(ModelError::NotAModel {
            path: source.to_owned(),
        }),
    }
}

fn read_dir(dir: &Path) -> Result<Checkpoint, ModelError> {
    let has = |name: &str| dir.join(name).is_file();
    if has(ct2::MODEL_BIN) {
        ct2::read(dir)
    } else if has(hf::MODEL_SAFETENSORS) || has(hf::INDEX) {
        hf::read(dir)
    } else {
        let names = [ct2::MODEL_BIN, hf::MODEL_SAFETENSORS, hf::INDEX].join(", ");
        Err(Defect::new(format!("none of {names} is in the directory")).of(dir))
    }
}

/// Names of the model file `target` while it has only the plain tensors, and until it is complete.
pub(crate) fn part_names(target: &Path) -> [PathBuf; 2] {
    ["plain.part", "part"].map(|extension| {
        let mut name = target.as_os_str().to_owned();
        name.push(".");
        name.push(extension);
        name.into()
    })
}

/// Writes the model file with the plain tensors.
fn write_plain(
    source: &Path,
    checkpoint: Checkpoint,
    target: &Path,
    origin: &Origin,
    progress: &mut Progress<'_>,
) -> Result<(), ModelError> {
    let dims = checkpoint.dims;
    check_dims(&dims, origin).map_err(|d| d.of(source))?;
    let in_source = |error: TokenizerError| Defect::new(error.to_string()).of(source);
    let vocabulary = vocabulary(&checkpoint).map_err(in_source)?;
    let suppressed = suppressed(&vocabulary).map_err(in_source)?;
    let sha256 = checkpoint.sha256();
    let heads = checkpoint
        .alignment_heads
        .clone()
        .or_else(|| Manifest::builtin().alignment_heads(&sha256));
    let mut metadata = BTreeMap::from([
        ("format".to_owned(), FORMAT.to_owned()),
        ("version".to_owned(), VERSION.to_string()),
        ("name".to_owned(), origin.name.clone()),
        ("dims".to_owned(), serde_json::json!(dims).to_string()),
        (
            "suppress_tokens".to_owned(),
            serde_json::json!(suppressed).to_string(),
        ),
        ("source".to_owned(), origin.source.clone()),
        ("source_sha256".to_owned(), sha256),
    ]);
    if let Some(heads) = heads {
        metadata.insert(
            "alignment_heads".to_owned(),
            serde_json::json!(heads).to_string(),
        );
    }
    let tensors = checkpoint.into_tensors().map_err(|d| d.of(source))?;
    let mut entries = weight_entries(source, &tensors, progress)?;
    entries.extend(vocabulary_entries(&vocabulary));
    tensors::write(target, metadata, entries, &mut |share| {
        progress("converting", Done::Share(share))
    })
}

/// Checks that the dimensions are possible and equal those of the origin, if it names any.
fn check_dims(dims: &Dims, origin: &Origin) -> Result<(), Defect> {
    layout::check_dims(dims)?;
    match &origin.dims {
        Some(expected) if expected != dims => {
            let actual = serde_json::json!(dims);
            let expected = serde_json::json!(expected);
            Err(Defect::new(format!(
                "its dimensions are {actual}, but those of {} are {expected}",
                origin.name
            )))
        }
        _ => Ok(()),
    }
}

/// The source's vocabulary, or else OpenAI's.
fn vocabulary(checkpoint: &Checkpoint) -> Result<Vocabulary, TokenizerError> {
    let n_vocab = checkpoint.dims.n_vocab;
    match &checkpoint.tokenizer {
        Some(json) => Vocabulary::from_tokenizer_json(json, n_vocab),
        None => Vocabulary::published(n_vocab),
    }
}

/// The tokens that OpenAI's decoding suppresses by default.
fn suppressed(vocabulary: &Vocabulary) -> Result<Vec<u32>, TokenizerError> {
    Tokenizer::new(vocabulary.clone(), &[])?.default_suppressed()
}

/// The weights as entries to write. Their types are chosen here, after a first pass over the values.
fn weight_entries<'a>(
    source: &Path,
    tensors: &'a [(String, Weights)],
    progress: &mut Progress<'_>,
) -> Result<Vec<Entry<'a>>, ModelError> {
    let mut entries = Vec::with_capacity(tensors.len());
    for (i, (name, weights)) in tensors.iter().enumerate() {
        let source = source.to_owned();
        let named = move |e: Defect| Defect::new(format!("tensor {name}: {e}")).of(&source);
        let dtype = weights.stored_dtype().map_err(&named)?;
        progress(
            "reading",
            Done::Share((i + 1) as f32 / tensors.len() as f32),
        );
        entries.push(Entry {
            name: name.clone(),
            dtype,
            shape: weights.shape().to_vec(),
            bytes: Box::new(move || {
                weights
                    .f32()
                    .map(|values| Cow::from(encode(&values, dtype)))
                    .map_err(&named)
            }),
        });
    }
    Ok(entries)
}

/// Values as little-endian bytes of F16 or F32.
fn encode(values: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F16 => values
            .iter()
            .flat_map(|&v| f16::from_f32(v).to_le_bytes())
            .collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

fn vocabulary_entries<'a>(vocabulary: &'a Vocabulary) -> [Entry<'a>; 2] {
    let bytes = vocabulary.bytes();
    let offsets = vocabulary.offsets();
    [
        Entry {
            name: "vocab.bytes".to_owned(),
            dtype: Dtype::U8,
            shape: vec![bytes.len()],
            bytes: Box::new(|| Ok(bytes.into())),
        },
        Entry {
            name: "vocab.offsets".to_owned(),
            dtype: Dtype::U32,
            shape: vec![offsets.len()],
            bytes: Box::new(|| {
                let bytes = offsets.iter().flat_map(|offset| offset.to_le_bytes());
                Ok(bytes.collect::<Vec<u8>>().into())
            }),
        },
    ]
}

/// Writes the file at `plain` with the engine's own tensors added to `target`.
fn add_derived(
    plain: &Path,
    target: &Path,
    name: &str,
    prepare: &Prepare<'_>,
    progress: &mut Progress<'_>,
) -> Result<(), ModelError> {
    let model = ModelFile::open(plain)?;
    let derived = prepare(&model, &mut |share| {
        progress("preparing", Done::Share(share))
    })
    .map_err(|source| ModelError::Prepare {
        name: name.to_owned(),
        source,
    })?;
    if derived.is_empty() {
        return fs::rename(plain, target).map_err(ModelError::write(target, model.size()));
    }
    let mut entries = Vec::new();
    for name in model.names() {
        let tensor = model.tensor(name)?;
        entries.push(Entry {
            name: name.to_owned(),
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            bytes: Box::new(move || Ok(tensor.bytes.into())),
        });
    }
    for tensor in &derived {
        if model.names().any(|name| name == tensor.name) {
            let source = format!(
                "the derived tensor {} has the name of a weight",
                tensor.name
            )
            .into();
            return Err(ModelError::Prepare {
                name: name.to_owned(),
                source,
            });
        }
        entries.push(Entry {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            bytes: Box::new(|| Ok(tensor.data.as_slice().into())),
        });
    }
    let metadata = model.header().metadata.clone();
    tensors::write(target, metadata, entries, &mut |share| {
        progress("writing", Done::Share(share))
    })
}
