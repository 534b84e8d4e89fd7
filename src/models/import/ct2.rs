//! CTranslate2's model directory: `model.bin`, with `config.json` and `tokenizer.json` beside it.
//!
//! `model.bin` is a u32 version, the specification's name, a u32 revision, then the variables and
//! their aliases (`Model::load` in CTranslate2's `model.cc`). Names and strings carry a u16 length
//! that counts a final NUL.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::Dtype;

use crate::models::Dims;
use crate::models::error::{Defect, ModelError};
use crate::models::tensors::Mapping;
use crate::models::tensors::{byte_size, words};

use super::bytes::Bytes;
use super::checkpoint::{self, Checkpoint};
use super::weights::{Encoding, Weights};

/// File name of the weights.
pub(crate) const MODEL_BIN: &str = "model.bin";
/// Binary versions that store the type of each variable as this reader expects it.
const VERSIONS: std::ops::RangeInclusive<u32> = 4..=6;
/// The specification's name for Whisper.
const SPEC: &str = "WhisperSpec";

/// Reads the directory.
///
/// # Errors
/// Returns an error if a file cannot be read, or if `model.bin` is not a Whisper model.
pub(crate) fn read(dir: &Path) -> Result<Checkpoint, ModelError> {
    let path = dir.join(MODEL_BIN);
    let map = Arc::new(Mapping::open(&path)?);
    let mut variables = variables(&map).map_err(|d| d.of(&path))?;
    let (dims, tensors) = convert(&mut variables).map_err(|d| d.of(&path))?;
    Ok(Checkpoint {
        dims,
        tensors,
        tokenizer: checkpoint::optional_file(&dir.join("tokenizer.json"))?,
        alignment_heads: checkpoint::alignment_heads(&dir.join("config.json"))?,
        weight_files: vec![map],
    })
}

/// A variable of `model.bin`.
#[derive(Debug, Clone)]
struct Variable {
    dtype: Dtype,
    shape: Vec<usize>,
    /// Bytes from the start of the file.
    offset: usize,
}

/// All variables by name, aliases resolved.
struct Variables<'a> {
    map: &'a Arc<Mapping>,
    by_name: HashMap<String, Variable>,
}

fn variables(map: &Arc<Mapping>) -> Result<Variables<'_>, Defect> {
    let mut bytes = Bytes::new(map);
    let version = bytes.u32("the version")?;
    if !VERSIONS.contains(&version) {
        return Err(Defect::new(format!(
            "binary version {version} at offset 0; versions {VERSIONS:?} can be read"
        )));
    }
    let spec = string(&mut bytes, "the specification's name")?;
    if spec != SPEC {
        return Err(Defect::new(format!("it holds a {spec:?}, not a {SPEC}")));
    }
    bytes.u32("the revision")?;
    let mut by_name = HashMap::new();
    for i in 0..bytes.u32("the number of variables")? {
        let name = string(&mut bytes, &format!("the name of variable {i}"))?;
        let variable = variable(&mut bytes, &name)?;
        by_name.insert(name, variable);
    }
    for i in 0..bytes.u32("the number of aliases")? {
        let alias = string(&mut bytes, &format!("the name of alias {i}"))?;
        let name = string(&mut bytes, &format!("the variable of alias {alias}"))?;
        let variable = by_name.get(&name).cloned();
        let variable = variable.ok_or_else(|| {
            Defect::new(format!("alias {alias} refers to {name}, which is missing"))
        })?;
        by_name.insert(alias, variable);
    }
    if !bytes.at_end() {
        return Err(Defect::new(format!(
            "unknown data follows at offset {}",
            bytes.offset()
        )));
    }
    Ok(Variables { map, by_name })
}

fn variable(bytes: &mut Bytes<'_>, name: &str) -> Result<Variable, Defect> {
    let [rank] = bytes.array(&format!("the rank of {name}"))?;
    let mut shape = Vec::new();
    for _ in 0..rank {
        shape.push(bytes.length(&format!("a dimension of {name}"))?);
    }
    let type_offset = bytes.offset();
    let [type_id] = bytes.array(&format!("the type of {name}"))?;
    let dtype = match type_id {
        0 => Dtype::F32,
        1 => Dtype::I8,
        2 => Dtype::I16,
        3 => Dtype::I32,
        4 => Dtype::F16,
        5 => Dtype::BF16,
        other => {
            return Err(Defect::new(format!(
                "variable {name} has unknown type {other} at offset {type_offset}"
            )));
        }
    };
    let size = bytes.length(&format!("the size of {name}"))?;
    let expected =
        byte_size(dtype, &shape).map_err(|e| Defect::new(format!("variable {name}: {e}")))?;
    if size != expected {
        return Err(Defect::new(format!(
            "variable {name} has {size} bytes, but its shape {shape:?} of {dtype} takes {expected}"
        )));
    }
    let offset = bytes.offset();
    bytes.take(size, &format!("variable {name}"))?;
    Ok(Variable {
        dtype,
        shape,
        offset,
    })
}

/// Reads a string with its u16 length, without the final NUL.
fn string(bytes: &mut Bytes<'_>, what: &str) -> Result<String, Defect> {
    let offset = bytes.offset();
    let length = u16::from_le_bytes(bytes.array(what)?);
    let text = bytes.take(length.into(), what)?;
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    String::from_utf8(text.to_vec())
        .map_err(|_| Defect::new(format!("{what} at offset {offset} is not UTF-8")))
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Result<&Variable, Defect> {
        self.by_name
            .get(name)
            .ok_or_else(|| Defect::new(format!("variable {name} is missing")))
    }

    fn dim(&self, name: &str, axis: usize) -> Result<usize, Defect> {
        let shape = &self.get(name)?.shape;
        shape.get(axis).copied().ok_or_else(|| {
            Defect::new(format!(
                "variable {name} has shape {shape:?}, without an axis {axis}"
            ))
        })
    }

    /// The value of an integer scalar.
    fn scalar(&self, name: &str) -> Result<usize, Defect> {
        let variable = self.get(name)?;
        let bytes = self.map.get(variable.offset..).unwrap_or_default();
        let value = match variable.dtype {
            Dtype::I8 => bytes.first().map(|&b| i32::from(b.cast_signed())),
            Dtype::I16 => bytes
                .first_chunk()
                .map(|&b| i32::from(i16::from_le_bytes(b))),
            Dtype::I32 => bytes.first_chunk().map(|&b| i32::from_le_bytes(b)),
            _ => None,
        };
        value
            .and_then(|v| usize::try_from(v).ok())
            .filter(|_| variable.shape.iter().product::<usize>() == 1)
            .ok_or_else(|| Defect::new(format!("variable {name} is not a count")))
    }

    /// The weights in `name`. Scales of int8 weights are in `name` + `_scale`.
    fn weights(&self, name: &str) -> Result<Weights, Defect> {
        let variable = self.get(name)?;
        let encoding = match variable.dtype {
            Dtype::I8 => Encoding::Rows(self.scales(name, variable)?),
            dtype @ (Dtype::F32 | Dtype::F16 | Dtype::BF16) => Encoding::Plain(dtype),
            other => {
                return Err(Defect::new(format!(
                    "variable {name} is {other}, which is not supported"
                )));
            }
        };
        Weights::new(self.map, variable.offset, encoding, variable.shape.clone())
            .map_err(|e| Defect::new(format!("variable {name}: {e}")))
    }

    fn scales(&self, name: &str, weights: &Variable) -> Result<Vec<f32>, Defect> {
        let name = format!("{name}_scale");
        let scales = self.get(&name)?;
        let rows = weights.shape.first().copied().unwrap_or(0);
        if scales.dtype != Dtype::F32 || scales.shape.iter().product::<usize>() != rows {
            return Err(Defect::new(format!(
                "variable {name} is {:?} of {}, but {rows} F32 are expected",
                scales.shape, scales.dtype
            )));
        }
        let bytes = self.map.get(scales.offset..).unwrap_or_default();
        Ok(words(bytes).take(rows).map(f32::from_le_bytes).collect())
    }

    fn layers(&self, side: &str) -> usize {
        (0..)
            .take_while(|i| {
                self.by_name
                    .contains_key(&format!("{side}/layer_{i}/ffn/linear_0/weight"))
            })
            .count()
    }
}

/// The dimensions and the tensors under OpenAI's names.
fn convert(variables: &mut Variables<'_>) -> Result<(Dims, HashMap<String, Weights>), Defect> {
    let v = &*variables;
    let audio = "encoder/position_encodings/encodings";
    let text = "decoder/position_encodings/encodings";
    let mut dims = Dims {
        n_mels: v.dim("encoder/conv1/weight", 1)?,
        n_audio_ctx: v.dim(audio, 0)?,
        n_audio_state: v.dim(audio, 1)?,
        n_audio_head: v.scalar("encoder/num_heads")?,
        n_audio_layer: v.layers("encoder"),
        n_vocab: v.dim("decoder/embeddings/weight", 0)?,
        n_text_ctx: v.dim(text, 0)?,
        n_text_state: v.dim(text, 1)?,
        n_text_head: v.scalar("decoder/num_heads")?,
        n_text_layer: v.layers("decoder"),
    };
    let mut tensors = Tensors {
        variables: v,
        by_name: HashMap::new(),
    };
    tensors.add("encoder.positional_embedding", audio)?;
    tensors.add("decoder.positional_embedding", text)?;
    tensors.add(
        "decoder.token_embedding.weight",
        "decoder/embeddings/weight",
    )?;
    // Quantised convolutions are stored as matrices [n_out, n_in * width].
    if v.get("encoder/conv1/weight")?.shape.len() == 2 {
        dims.n_mels /= 3;
    }
    tensors.linear("encoder.conv1", "encoder/conv1")?;
    tensors.linear("encoder.conv2", "encoder/conv2")?;
    tensors.norm("encoder.ln_post", "encoder/layer_norm")?;
    tensors.norm("decoder.ln", "decoder/layer_norm")?;
    for i in 0..dims.n_audio_layer {
        tensors.block(
            &format!("encoder.blocks.{i}"),
            &format!("encoder/layer_{i}"),
            false,
        )?;
    }
    for i in 0..dims.n_text_layer {
        tensors.block(
            &format!("decoder.blocks.{i}"),
            &format!("decoder/layer_{i}"),
            true,
        )?;
    }
    Ok((dims, tensors.by_name))
}

/// The converted tensors.
struct Tensors<'a> {
    variables: &'a Variables<'a>,
    by_name: HashMap<String, Weights>,
}

impl Tensors<'_> {
    fn add(&mut self, name: &str, variable: &str) -> Result<(), Defect> {
        self.by_name
            .insert(name.to_owned(), self.variables.weights(variable)?);
        Ok(())
    }

    fn linear(&mut self, name: &str, variable: &str) -> Result<(), Defect> {
        self.add(&format!("{name}.weight"), &format!("{variable}/weight"))?;
        self.add(&format!("{name}.bias"), &format!("{variable}/bias"))
    }

    fn norm(&mut self, name: &str, variable: &str) -> Result<(), Defect> {
        self.add(&format!("{name}.weight"), &format!("{variable}/gamma"))?;
        self.add(&format!("{name}.bias"), &format!("{variable}/beta"))
    }

    fn block(&mut self, name: &str, layer: &str, decoder: bool) -> Result<(), Defect> {
        let attention = format!("{layer}/self_attention");
        let parts = ["query", "key", "value"].map(|part| format!("{name}.attn.{part}"));
        self.stacked(&parts, &format!("{attention}/linear_0"))?;
        self.linear(
            &format!("{name}.attn.out"),
            &format!("{attention}/linear_1"),
        )?;
        self.norm(
            &format!("{name}.attn_ln"),
            &format!("{attention}/layer_norm"),
        )?;
        if decoder {
            let attention = format!("{layer}/attention");
            self.linear(
                &format!("{name}.cross_attn.query"),
                &format!("{attention}/linear_0"),
            )?;
            let parts = ["key", "value"].map(|part| format!("{name}.cross_attn.{part}"));
            self.stacked(&parts, &format!("{attention}/linear_1"))?;
            self.linear(
                &format!("{name}.cross_attn.out"),
                &format!("{attention}/linear_2"),
            )?;
            self.norm(
                &format!("{name}.cross_attn_ln"),
                &format!("{attention}/layer_norm"),
            )?;
        }
        self.linear(&format!("{name}.mlp.0"), &format!("{layer}/ffn/linear_0"))?;
        self.linear(&format!("{name}.mlp.2"), &format!("{layer}/ffn/linear_1"))?;
        self.norm(
            &format!("{name}.mlp_ln"),
            &format!("{layer}/ffn/layer_norm"),
        )
    }

    /// Adds projections that are stacked in one variable. The bias of the keys must be zero, since
    /// Whisper has none.
    fn stacked(&mut self, names: &[String], variable: &str) -> Result<(), Defect> {
        for kind in ["weight", "bias"] {
            let variable = format!("{variable}/{kind}");
            let named = |e: Defect| Defect::new(format!("variable {variable}: {e}"));
            let whole = self.variables.weights(&variable)?;
            for (i, name) in names.iter().enumerate() {
                let part = whole.part(i, names.len()).map_err(named)?;
                if kind == "bias" && name.ends_with(".key") {
                    if part.f32().map_err(named)?.iter().any(|&b| b != 0.0) {
                        return Err(Defect::new(format!(
                            "variable {variable} has a bias for the keys; Whisper has none"
                        )));
                    }
                } else {
                    self.by_name.insert(format!("{name}.{kind}"), part);
                }
            }
        }
        Ok(())
    }
}
