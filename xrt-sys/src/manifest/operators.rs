//! The operators beside the product: what is left of an encoder's block.
//!
//! Those that name the same xclbin share one context, so that a block runs without a switch.

use super::{Argument, File, ManifestError, Role, read_declared};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Width of the streams that do not give it: Whisper base.
const WIDTH: usize = 512;

/// What an operator computes; the folders of `kernels/` define each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// GELU(x + bias): bf16, f32 → bf16.
    BiasGelu,
    /// x + bias: bf16, f32 → bf16.
    BiasAdd,
    /// Layer normalisation: f32 → bf16.
    LayerNorm,
    /// residual + (x + bias): bf16, f32, f32 → f32.
    Residual,
    /// softmax(Q Kᵀ / 8) V: bf16 → bf16.
    Attention,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::BiasGelu,
        Self::BiasAdd,
        Self::LayerNorm,
        Self::Residual,
        Self::Attention,
    ];

    /// Roles of the data arguments in order; the last is the result.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Self::BiasGelu | Self::BiasAdd => &[Role::X, Role::Bias, Role::Y],
            Self::LayerNorm => &[Role::X, Role::Parameters, Role::Y],
            Self::Residual => &[Role::X, Role::Residual, Role::Bias, Role::Out],
            Self::Attention => &[Role::Qkv, Role::Parameters, Role::Out],
        }
    }

    /// Its name in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::BiasGelu => "bias_gelu",
            Self::BiasAdd => "bias_add",
            Self::LayerNorm => "layer_norm",
            Self::Residual => "residual",
            Self::Attention => "attention",
        }
    }
}

/// An overlay of an operator, with a stream for each shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorOverlay {
    /// Name, for messages.
    pub name: String,
    /// What it computes.
    pub operator: Operator,
    /// The xclbin.
    pub xclbin: File,
    /// Prefix of its kernel's name.
    pub kernel: String,
    /// Arguments of the kernel.
    pub arguments: Vec<Argument>,
    /// One stream for each shape.
    pub streams: Vec<OperatorStream>,
}

/// An operator's instruction stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorStream {
    /// File.
    pub file: String,
    /// Length in 32-bit words.
    pub words: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Rows.
    pub m: usize,
    /// Columns; not given for attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<usize>,
    /// Heads of 64 columns; given for attention only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
}

impl OperatorOverlay {
    pub(super) fn check(&self) -> Result<(), String> {
        let common = [Role::Opcode, Role::Instructions, Role::InstructionWords];
        let wanted: Vec<Role> = common
            .iter()
            .chain(self.operator.roles())
            .copied()
            .collect();
        let given: Vec<Role> = self.arguments.iter().map(|a| a.role).collect();
        let indices: BTreeSet<u32> = self.arguments.iter().map(|a| a.index).collect();
        if given != wanted || indices.len() != given.len() {
            return Err(format!("its arguments are {given:?}, not {wanted:?}"));
        }
        if self.streams.is_empty() {
            return Err("it has no streams".to_owned());
        }
        for (i, stream) in self.streams.iter().enumerate() {
            let is_attention = self.operator == Operator::Attention;
            if stream.m == 0 || stream.width() == 0 || stream.heads.is_some() != is_attention {
                return Err(format!("{} has no shape", stream.file));
            }
            if self.streams[..i]
                .iter()
                .any(|other| other.shape() == stream.shape())
            {
                return Err(format!("{:?} is declared twice", stream.shape()));
            }
        }
        Ok(())
    }

    /// Returns the index of the argument with this role; `None` if the operator has none.
    pub fn argument(&self, role: Role) -> Option<u32> {
        let found = self.arguments.iter().find(|argument| argument.role == role);
        found.map(|argument| argument.index)
    }

    /// Returns the path of the xclbin after checking that it is the declared one.
    ///
    /// # Errors
    /// Returns an error if it is not.
    pub fn xclbin(&self, directory: &Path) -> Result<PathBuf, ManifestError> {
        let path = directory.join(&self.xclbin.file);
        read_declared(&path, self.xclbin.bytes, &self.xclbin.sha256)?;
        Ok(path)
    }
}

impl OperatorStream {
    /// Columns of the result.
    pub fn width(&self) -> usize {
        self.heads
            .map_or(self.n.unwrap_or(WIDTH), |heads| 64 * heads)
    }

    /// Rows and columns of the result.
    pub fn shape(&self) -> (usize, usize) {
        (self.m, self.width())
    }

    /// Returns the instructions.
    ///
    /// # Errors
    /// Returns an error if the file is not the declared one.
    pub fn read(&self, directory: &Path) -> Result<Vec<u8>, ManifestError> {
        read_declared(&directory.join(&self.file), 4 * self.words, &self.sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    /// An entry as `kernels/build` writes it.
    const NORM: &str = r#"{
        "name": "layer-norm", "operator": "layer_norm", "kernel": "MLIR_AIE",
        "xclbin": {"file": "layer_norm.xclbin", "bytes": 4, "sha256": "00"},
        "arguments": [
            {"index": 0, "role": "opcode"}, {"index": 1, "role": "instructions"},
            {"index": 2, "role": "instruction_words"},
            {"index": 3, "role": "x"}, {"index": 4, "role": "parameters"}, {"index": 5, "role": "y"}],
        "streams": [{"file": "layer_norm_256.bin", "words": 9, "sha256": "01", "m": 256}]}"#;

    fn parsed(overlay: &str) -> Result<Manifest, String> {
        Manifest::parse(&format!(
            r#"{{"format": "hearken-npu-overlay", "version": 1, "target": "npu2", "overlays": [{overlay}]}}"#
        ))
    }

    #[test]
    fn an_operator_has_its_arguments_and_shapes() {
        let manifest = parsed(NORM).expect("a manifest");
        let overlay = &manifest.operators[0];
        assert_eq!(overlay.streams[0].shape(), (256, 512));
        assert_eq!(overlay.argument(Role::Y), Some(5));
        assert_eq!(overlay.argument(Role::Qkv), None);
        let attention = NORM
            .replace("layer_norm\"", "attention\"")
            .replace("\"x\"", "\"qkv\"")
            .replace("\"y\"", "\"out\"")
            .replace("\"m\": 256", "\"m\": 256, \"heads\": 8");
        let manifest = parsed(&attention).expect("a manifest");
        assert_eq!(manifest.operators[0].streams[0].shape(), (256, 512));
    }

    #[test]
    fn an_operator_that_makes_no_sense_is_refused() {
        for (from, to) in [
            ("\"x\"", "\"residual\""),
            ("\"index\": 5", "\"index\": 4"),
            ("\"m\": 256", "\"m\": 0"),
            ("\"m\": 256", "\"m\": 256, \"heads\": 8"),
            ("\"m\": 256", "\"m\": 256, \"k\": 8"),
            ("\"layer_norm\"", "\"attention\""),
        ] {
            assert!(NORM.contains(from));
            assert!(parsed(&NORM.replace(from, to)).is_err(), "{from} -> {to}");
        }
        let unknown = parsed(&NORM.replace("\"layer_norm\"", "\"transpose\""));
        assert!(unknown.is_ok_and(|manifest| manifest.operators.is_empty()));
    }
}
