//! The manifest of an overlay directory: what its xclbins and instruction streams compute.
//!
//! In: `manifest.json` and the files that it names. Out: [`Overlay`]s whose files are the declared
//! ones. `kernels/MANIFEST.md` is the specification.

mod operators;

pub use operators::{Operator, OperatorOverlay, OperatorStream};

use crate::bfp16;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Name of the manifest within its directory.
pub const FILE_NAME: &str = "manifest.json";

const FORMAT: &str = "hearken-npu-overlay";
const VERSION: u32 = 1;

/// Contents of a manifest, as far as this version uses them.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Target that the directory was built for.
    pub target: Target,
    /// Overlays that multiply matrices.
    pub gemms: Vec<Overlay>,
    /// Overlays of the other operators that this version knows.
    pub operators: Vec<OperatorOverlay>,
}

/// A manifest as stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u32,
    target: Target,
    overlays: Vec<serde_json::Value>,
    /// Origin, for reports.
    #[serde(default)]
    provenance: serde_json::Value,
}

/// Target of an overlay directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// XDNA2.
    Npu2,
    /// The emulator only: the streams hold no instructions. Older manifests say `software`.
    #[serde(alias = "software")]
    Emulator,
}

/// An xclbin whose shapes are run-time parameters, with the streams for them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// Name, for messages.
    pub name: String,
    /// Operator; this version uses only [`GEMM`].
    pub operator: String,
    /// The xclbin.
    pub xclbin: File,
    /// Prefix of its kernel's name.
    pub kernel: String,
    /// Arguments of the kernel.
    pub arguments: Vec<Argument>,
    /// Format in which the array multiplies.
    pub multiply: Type,
    /// Format in which it accumulates.
    pub accumulate: Type,
    /// Left operand, row-major `[M][K]`.
    pub a: Operand,
    /// Right operand, packed.
    pub b: PackedOperand,
    /// Result, row-major `[M][N]`.
    pub c: Operand,
    /// Rounding of every conversion to fewer bits.
    pub rounding: Rounding,
    /// One stream for each shape.
    pub streams: Vec<Stream>,
}

/// The operator C\[M\]\[N\] = A\[M\]\[K\] × B\[K\]\[N\].
pub const GEMM: &str = "gemm";

/// A file in the directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Name.
    pub file: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// Index.
    pub index: u32,
    /// Role.
    pub role: Role,
}

/// Role of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The number 3, 64 bits.
    Opcode,
    /// Buffer of the instruction stream.
    Instructions,
    /// Length of the stream in 32-bit words, 32 bits.
    InstructionWords,
    /// Buffer of the left operand.
    A,
    /// Buffer of the right operand.
    B,
    /// Buffer of the result.
    C,
    /// Buffer of an operator's input.
    X,
    /// Buffer of a value for each column.
    Bias,
    /// Buffer of an operator's parameters.
    Parameters,
    /// Buffer of the residual stream.
    Residual,
    /// Buffer of queries, keys and values.
    Qkv,
    /// Buffer of an operator's result.
    Y,
    /// Buffer of an operator's result, which may be the residual stream's own.
    Out,
}

impl Role {
    /// The roles of a product.
    pub const ALL: [Self; 6] = [
        Self::Opcode,
        Self::Instructions,
        Self::InstructionWords,
        Self::A,
        Self::B,
        Self::C,
    ];
}

/// A number format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// Blocks of 8 values with a shared exponent ([`bfp16`]).
    Bfp16ebs8,
    /// The upper half of an `f32`.
    Bf16,
    /// Single precision.
    F32,
    /// 8-bit integers.
    I8,
    /// 32-bit integers.
    I32,
}

impl Type {
    /// Size of this number of values in bytes.
    pub fn bytes(self, values: usize) -> usize {
        match self {
            Self::Bfp16ebs8 => values / bfp16::BLOCK * bfp16::BLOCK_BYTES,
            Self::Bf16 => 2 * values,
            Self::F32 | Self::I32 => 4 * values,
            Self::I8 => values,
        }
    }
}

/// A row-major operand.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operand {
    /// Number format.
    #[serde(rename = "type")]
    pub dtype: Type,
}

/// The packed operand.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedOperand {
    /// Number format.
    #[serde(rename = "type")]
    pub dtype: Type,
    /// Order of its values.
    pub layout: Layout,
}

/// Order in which the tiles read B; `kernels/MANIFEST.md` writes it as loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Rows moved to a tile at a time.
    pub k_tile: usize,
    /// Columns of a tile's result.
    pub n_tile: usize,
    /// Rows that a tile multiplies at a time.
    pub k_slice: usize,
    /// Rows of a block.
    pub k_block: usize,
    /// Columns of a block.
    pub n_block: usize,
    /// Index that runs fastest within a block.
    pub inner: Inner,
}

/// An index of B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inner {
    /// Row.
    K,
    /// Column.
    N,
}

/// Rounding mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To nearest, ties to even.
    ConvEven,
}

/// An instruction stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// File.
    pub file: String,
    /// Length in 32-bit words.
    pub words: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Rows of A and C.
    pub m: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// Columns of B and C.
    pub n: usize,
}

/// Error while reading an overlay directory.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The manifest is invalid.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file is not the declared one.
    #[error("{}: is not the file that the manifest declares", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl ManifestError {
    /// Returns what the user can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Read { .. } => "build the overlays (kernels/build) or install them",
            Self::Content { .. } | Self::Changed { .. } => {
                "build the overlays again (kernels/build)"
            }
        }
    }
}

impl Manifest {
    /// Reads and checks the manifest of a directory, but not the other files.
    ///
    /// # Errors
    /// Returns an error if it cannot be read or is invalid.
    pub fn read(directory: &Path) -> Result<Self, ManifestError> {
        let path = directory.join(FILE_NAME);
        let text = std::fs::read_to_string(&path).map_err(|source| ManifestError::Read {
            path: path.clone(),
            source,
        })?;
        Self::parse(&text).map_err(|reason| ManifestError::Content { path, reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let head: Head = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if head.format != FORMAT || head.version != VERSION {
            return Err(format!(
                "it is {} {}, not {FORMAT} {VERSION}",
                head.format, head.version
            ));
        }
        let document: Document = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let mut gemms = Vec::new();
        let mut operators = Vec::new();
        for overlay in document.overlays {
            let operator = overlay.get("operator").and_then(serde_json::Value::as_str);
            if Operator::ALL
                .iter()
                .any(|known| operator == Some(known.name()))
            {
                let overlay: OperatorOverlay =
                    serde_json::from_value(overlay).map_err(|e| e.to_string())?;
                overlay
                    .check()
                    .map_err(|reason| format!("overlay {}: {reason}", overlay.name))?;
                operators.push(overlay);
            } else if operator == Some(GEMM) {
                let overlay: Overlay =
                    serde_json::from_value(overlay).map_err(|e| e.to_string())?;
                overlay
                    .check()
                    .map_err(|reason| format!("overlay {}: {reason}", overlay.name))?;
                gemms.push(overlay);
            }
        }
        Ok(Self {
            target: document.target,
            gemms,
            operators,
        })
    }

    /// Writes the manifest to a directory.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, directory: &Path) -> std::io::Result<()> {
        let overlays = self
            .gemms
            .iter()
            .map(serde_json::to_value)
            .chain(self.operators.iter().map(serde_json::to_value))
            .collect::<Result<_, _>>()?;
        let format = FORMAT.to_owned();
        let provenance = serde_json::Value::Null;
        let document = Document {
            format,
            version: VERSION,
            target: self.target,
            overlays,
            provenance,
        };
        std::fs::write(
            directory.join(FILE_NAME),
            serde_json::to_vec_pretty(&document)?,
        )
    }
}

impl Overlay {
    /// Checks that a program can use the overlay.
    fn check(&self) -> Result<(), String> {
        let types = (
            self.a.dtype,
            self.b.dtype,
            self.multiply,
            self.accumulate,
            self.c.dtype,
        );
        let bf16 = (
            Type::Bf16,
            Type::Bfp16ebs8,
            Type::Bfp16ebs8,
            Type::F32,
            Type::Bf16,
        );
        let i8 = (Type::I8, Type::I8, Type::I8, Type::I32, Type::I32);
        if types != bf16 && types != i8 {
            return Err(
                "this version does not support this combination of number formats".to_owned(),
            );
        }
        let Layout {
            k_tile,
            n_tile,
            k_slice,
            k_block,
            n_block,
            inner,
        } = self.b.layout;
        if [k_tile, n_tile, k_slice, k_block, n_block].contains(&0)
            || k_tile % k_slice + k_slice % k_block + n_tile % n_block != 0
        {
            return Err("the sizes in the layout of B do not divide each other".to_owned());
        }
        if types == bf16 && (inner, k_block) != (Inner::K, bfp16::BLOCK) {
            return Err("bfp16ebs8 needs blocks of 8 consecutive k".to_owned());
        }
        for role in Role::ALL {
            if self
                .arguments
                .iter()
                .filter(|argument| argument.role == role)
                .count()
                != 1
            {
                return Err(format!("argument {role:?} is not declared exactly once"));
            }
        }
        let indices: BTreeSet<u32> = self
            .arguments
            .iter()
            .map(|argument| argument.index)
            .collect();
        if indices.len() != self.arguments.len() {
            return Err("two arguments have the same index".to_owned());
        }
        for (i, stream) in self.streams.iter().enumerate() {
            let shape = (stream.m, stream.k, stream.n);
            if stream.m == 0
                || stream.k == 0
                || stream.n == 0
                || stream.k % k_tile + stream.n % n_tile != 0
            {
                return Err(format!("{shape:?} is not a multiple of the tiles"));
            }
            if self.streams[..i]
                .iter()
                .any(|other| (other.m, other.k, other.n) == shape)
            {
                return Err(format!("{shape:?} is declared twice"));
            }
        }
        if self.streams.is_empty() {
            Err("it has no streams".to_owned())
        } else {
            Ok(())
        }
    }

    /// Returns the index of the argument with this role.
    ///
    /// # Panics
    /// Never for an overlay that was read from a manifest.
    pub fn argument(&self, role: Role) -> u32 {
        let found = self.arguments.iter().find(|argument| argument.role == role);
        found.map_or_else(
            || panic!("an overlay without argument {role:?}"),
            |argument| argument.index,
        )
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

impl Stream {
    /// Returns the instructions.
    ///
    /// # Errors
    /// Returns an error if the file is not the declared one.
    pub fn read(&self, directory: &Path) -> Result<Vec<u8>, ManifestError> {
        read_declared(&directory.join(&self.file), 4 * self.words, &self.sha256)
    }
}

fn read_declared(path: &Path, bytes: u64, sha256: &str) -> Result<Vec<u8>, ManifestError> {
    let data = std::fs::read(path).map_err(|source| ManifestError::Read {
        path: path.to_owned(),
        source,
    })?;
    if data.len() as u64 == bytes && hash(&data) == sha256 {
        Ok(data)
    } else {
        Err(ManifestError::Changed {
            path: path.to_owned(),
        })
    }
}

/// SHA-256 in the notation of the manifest.
pub fn hash(data: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(data) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../kernels/manifest.example.json");

    #[test]
    fn the_example_is_a_manifest() {
        let manifest = Manifest::parse(EXAMPLE).expect("a manifest");
        assert_eq!(manifest.target, Target::Npu2);
        let names: Vec<_> = manifest
            .gemms
            .iter()
            .map(|overlay| overlay.name.as_str())
            .collect();
        assert_eq!(names, ["gemm-bf16", "gemm-i8"]);
        let overlay = &manifest.gemms[0];
        assert_eq!(
            Role::ALL.map(|role| overlay.argument(role)),
            [0, 1, 2, 3, 4, 5]
        );
        assert_eq!(overlay.b.layout.k_slice, 128);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("\"hearken-npu-overlay\"", "\"other\""),
            ("\"accumulate\": \"f32\"", "\"accumulate\": \"bf16\""),
            ("\"k_slice\": 128", "\"k_slice\": 100"),
            ("\"k_slice\": 128", "\"k_slice\": 0"),
            ("\"inner\": \"k\"", "\"inner\": \"n\""),
            ("\"role\": \"c\"", "\"role\": \"b\""),
            ("\"index\": 5", "\"index\": 4"),
            ("\"k\": 512", "\"k\": 500"),
            ("\"conv_even\"", "\"floor\""),
            ("\"rounding\"", "\"roundign\""),
        ] {
            assert!(EXAMPLE.contains(from));
            assert!(
                Manifest::parse(&EXAMPLE.replace(from, to)).is_err(),
                "{from} -> {to}"
            );
        }
        let skipped = EXAMPLE
            .replace("\"gemm\"", "\"conv\"")
            .replace("\"k_slice\": 128", "\"rows\": 100");
        assert_eq!(
            Manifest::parse(&skipped).map(|manifest| manifest.gemms.len()),
            Ok(0)
        );
    }

    #[test]
    fn a_file_that_is_not_the_declared_one_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let data = [1, 2, 3, 4, 5, 6, 7, 8];
        let mut stream = Stream {
            file: "s.bin".to_owned(),
            words: 2,
            sha256: hash(&data),
            m: 1,
            k: 1,
            n: 1,
        };
        assert!(matches!(
            stream.read(directory.path()),
            Err(ManifestError::Read { .. })
        ));
        std::fs::write(directory.path().join("s.bin"), data).expect("a file");
        assert_eq!(stream.read(directory.path()).expect("the stream"), data);
        stream.words = 3;
        assert!(matches!(
            stream.read(directory.path()),
            Err(ManifestError::Changed { .. })
        ));
        std::fs::write(directory.path().join("s.bin"), [0; 8]).expect("a file");
        stream.words = 2;
        assert!(matches!(
            stream.read(directory.path()),
            Err(ManifestError::Changed { .. })
        ));
    }
}
