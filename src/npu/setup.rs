//! Prerequisites of an NPU: a runtime and overlays.
//!
//! In: the user's choice and the environment. Out: a [`Source`] from which the device is opened,
//! repeatedly if necessary.

use super::blocks::in_one_context;
use super::detect::is_there;
use super::device::{Device, DeviceError};
use super::gemm::{Gemm, Submission};
use super::paths::{overlays_directory, shim_path};
use super::weights::{BlockWeights, PackError, PackedLayer, keep, load, pack_blocks};
use crate::advice::Advice;
use crate::compute::{self, NpuFormat};
use crate::cpu::terms_width;
use crate::env;
use crate::models::ModelFile;
use crate::whisper::{Dims, Layer};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tracing::info;
use xrt_sys::emulator::{self, Fault, Machine};
use xrt_sys::manifest::{Manifest, ManifestError, Overlay, Target, Type};
use xrt_sys::{Api, ApiError};

/// Maximum time of a run on hardware. The driver itself ends a run that hangs after 2 s (its parameter
/// `tdr_timeout_ms`) and says why: this limit is for a driver that does not answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time of a run on the emulator, on a machine that is busy with other work.
const EMULATOR_TIMEOUT: Duration = Duration::from_secs(30);

/// Heights of runs for the emulator: half of a window of 10.24 s, and all of it.
const HEIGHTS: [usize; 2] = [256, 512];
/// Rows of B that the GEMM in `kernels/` takes at a time.
const K_TILE: usize = 512;
/// Rows of B that a tile takes at a time.
const K_SLICE: usize = 128;

/// How to use an NPU.
#[derive(Clone, Debug)]
pub struct NpuOptions {
    /// An NPU or the emulator.
    pub kind: compute::Device,
    /// Number format of the products.
    pub format: NpuFormat,
    /// How runs are submitted.
    pub submission: Submission,
    /// Maximum time of a run.
    pub timeout: Duration,
    /// Time after a failure until the device is tried again; each further failure doubles it.
    pub first_pause: Duration,
    /// Computes whole blocks on the array, not only products: in bf16, for windows without a tail
    /// (`--window 30`), if all operators are in one xclbin.
    pub whole: bool,
    /// Faults of the emulator.
    pub faults: Vec<Fault>,
    /// Directory of the overlays; by default the installed ones, and for the emulator overlays that
    /// are made for the model.
    pub overlays: Option<PathBuf>,
}

/// Error while setting up an NPU.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is no NPU.
    #[error("no AMD XDNA2 NPU on this machine")]
    NoNpu,
    /// The shim or XRT is missing.
    #[error(transparent)]
    Runtime(#[from] ApiError),
    /// The overlays are missing or not the declared ones.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The overlays are for a different device, or do not cover the number format.
    #[error("{}: {reason}", directory.display())]
    Overlay {
        /// The directory.
        directory: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The overlays do not cover the model, or the model is damaged.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A fault of the emulator is invalid.
    #[error("{variable}: {0}", variable = env::NPU_EMULATOR_FAULTS)]
    Faults(String),
    /// There is no directory for the emulator's overlays.
    #[error("the emulator cannot write its overlays: {0}")]
    Directory(#[from] std::io::Error),
}

impl Advice for SetupError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::NoNpu => "use the CPU, which is the default; see `hearken doctor`".into(),
            Self::Runtime(error) => error.remedy().into(),
            Self::Manifest(error) => error.remedy().into(),
            Self::Overlay { .. } => "build the overlays (kernels/build)".into(),
            Self::Pack(error) => return error.remedy(),
            _ => return None,
        })
    }
}

impl NpuOptions {
    /// Creates default options, with the emulator's faults from the environment.
    ///
    /// # Errors
    /// Returns an error if a fault is invalid.
    pub fn new(kind: compute::Device, format: NpuFormat) -> Result<Self, SetupError> {
        let faults = match std::env::var(env::NPU_EMULATOR_FAULTS) {
            Ok(text) if kind == compute::Device::NpuEmulator => {
                text.split(',').map(str::parse).collect()
            }
            _ => Ok(Vec::new()),
        };
        Ok(Self {
            kind,
            format,
            submission: Submission::Single,
            timeout: if kind == compute::Device::Npu {
                TIMEOUT
            } else {
                EMULATOR_TIMEOUT
            },
            first_pause: Duration::from_secs(5),
            whole: std::env::var_os(env::NPU_WHOLE).is_some_and(|value| value == "1"),
            faults: faults.map_err(SetupError::Faults)?,
            overlays: std::env::var_os(env::NPU_OVERLAYS).map(PathBuf::from),
        })
    }
}

/// Source from which the device is opened.
pub struct Source {
    api: Api,
    index: u32,
    /// The emulator's machine.
    pub machine: Option<Arc<Machine>>,
    directory: Directory,
    overlay: Overlay,
    weights: Vec<PackedLayer>,
    /// The manifest and the blocks' own weights, if whole blocks run on the array.
    blocks: Option<(Manifest, Vec<BlockWeights>)>,
}

/// Directory of the overlays.
enum Directory {
    Installed(PathBuf),
    /// Made for the emulator; removed on drop.
    Made(TempDir),
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Installed(path) => path,
            Self::Made(directory) => directory.path(),
        }
    }
}

impl Source {
    /// Finds runtime and overlays, and the encoder's packed weights; packs them and stores them
    /// next to the model if necessary.
    ///
    /// # Errors
    /// Returns an error if something is missing or does not match; the device itself is not
    /// checked.
    pub fn new(file: &Arc<ModelFile>, options: &NpuOptions) -> Result<Self, SetupError> {
        Self::find(file, options).map_err(|error| match options.kind {
            // Without an NPU, nothing else that is missing matters.
            compute::Device::Npu if !is_there(Path::new("/")) => SetupError::NoNpu,
            _ => error,
        })
    }

    fn find(file: &Arc<ModelFile>, options: &NpuOptions) -> Result<Self, SetupError> {
        let is_emulated = options.kind == compute::Device::NpuEmulator;
        let directory = match &options.overlays {
            Some(given) => Directory::Installed(given.clone()),
            None if is_emulated => {
                let made = tempfile::tempdir()?;
                let dims = file.dims();
                if options.whole {
                    let (shapes, rows) = whole_shapes(dims);
                    emulator::write_one_context(made.path(), &shapes, &rows, dims.n_audio_state)?;
                } else {
                    emulator::write_overlays(made.path(), &shapes(dims))?;
                }
                Directory::Made(made)
            }
            None => Directory::Installed(overlays_directory()),
        };
        let overlay = overlay(directory.path(), options.format, is_emulated)?;
        let weights = load(file, &overlay)?;
        let blocks = options
            .whole
            .then(|| whole(directory.path(), file, options.format));
        let blocks = blocks.transpose()?;
        let (api, index, machine) = if is_emulated {
            let (index, machine) = emulator::machine(&options.faults);
            (emulator::api(), index, Some(machine))
        } else {
            (Api::load(&shim_path())?, 0, None)
        };
        Ok(Self {
            api,
            index,
            machine,
            directory,
            overlay,
            weights,
            blocks,
        })
    }

    /// Opens the device.
    ///
    /// # Errors
    /// Returns an error if there is none, or it refuses.
    pub fn open(&self, options: &NpuOptions) -> Result<Gemm, DeviceError> {
        let device = Device::open(self.api, self.index)?;
        // Outside the macro, which does not evaluate its arguments if logging is off.
        let name = device.name()?;
        info!("the NPU is {name}");
        let NpuOptions {
            timeout,
            submission,
            ..
        } = *options;
        let directory = self.directory.path();
        let mut gemm = Gemm::open(
            &device,
            directory,
            &self.overlay,
            &self.weights,
            timeout,
            submission,
        )?;
        if let Some((manifest, weights)) = &self.blocks {
            gemm.load_blocks(directory, manifest, weights)?;
        }
        Ok(gemm)
    }
}

/// Packs the encoder's weights for the installed overlays, in the default format, so that the first
/// start with an NPU need not. Returns the path of the file; `None` if no overlays are installed,
/// as on a machine without an NPU.
///
/// # Errors
/// Returns an error if the overlays do not cover the model, or the file cannot be written.
pub fn pack_weights(file: &Arc<ModelFile>) -> Result<Option<PathBuf>, SetupError> {
    let directory = overlays_directory();
    if std::env::var_os(env::NPU_OVERLAYS).is_none() && !directory.is_dir() {
        return Ok(None);
    }
    Ok(keep(file, &overlay(&directory, NpuFormat::Int8, true)?)?)
}

/// Returns what whole blocks on the array need.
fn whole(
    directory: &Path,
    file: &Arc<ModelFile>,
    format: NpuFormat,
) -> Result<(Manifest, Vec<BlockWeights>), SetupError> {
    let manifest = Manifest::read(directory)?;
    let product = match format {
        NpuFormat::Bf16 => in_one_context(&manifest),
        NpuFormat::Int8 => Err("whole blocks on the array need --compute bf16".to_owned()),
    };
    let product = product.map_err(|reason| SetupError::Overlay {
        directory: directory.to_owned(),
        reason,
    })?;
    Ok((manifest, pack_blocks(file, &product)?))
}

/// Returns the shapes of all products, and the rows of all operators, of an encoder that runs on the
/// emulated array as a whole.
fn whole_shapes(dims: &Dims) -> (Vec<[usize; 3]>, Vec<usize>) {
    let attention = HEIGHTS[0];
    let most = dims.n_audio_ctx.next_multiple_of(attention);
    let rows: Vec<usize> = (attention..=most).step_by(attention).collect();
    let blocks = Layer::all(dims).map(|layer| layer.shape(dims));
    let own = blocks.flat_map(|(n, k)| rows.iter().map(move |m| [*m, k, n]));
    let own = own.filter(|[_, k, _]| k.is_multiple_of(K_SLICE));
    let mut shapes: Vec<_> = shapes(dims).into_iter().chain(own).collect();
    shapes.sort_unstable();
    shapes.dedup();
    (shapes, rows)
}

/// Returns the overlay that multiplies in a format.
fn overlay(
    directory: &Path,
    format: NpuFormat,
    takes_emulator: bool,
) -> Result<Overlay, SetupError> {
    let manifest = Manifest::read(directory)?;
    let wrong = |reason: String| SetupError::Overlay {
        directory: directory.to_owned(),
        reason,
    };
    if manifest.target == Target::Emulator && !takes_emulator {
        return Err(wrong(
            "these overlays are for the emulator, not for hardware".to_owned(),
        ));
    }
    let (dtype, name, other) = match format {
        NpuFormat::Int8 => (Type::I8, "int8", "bf16"),
        NpuFormat::Bf16 => (Type::Bf16, "bf16", "int8"),
    };
    let hint = if manifest.gemms.is_empty() {
        String::new()
    } else {
        format!(", only one for compute {other}")
    };
    let found = manifest
        .gemms
        .into_iter()
        .find(|overlay| overlay.a.dtype == dtype);
    found.ok_or_else(|| wrong(format!("no overlay for compute {name}{hint}")))
}

/// Returns the shapes, \[m, k, n\], of all products of a model's encoder in both number formats,
/// for the emulator's heights.
pub fn shapes(dims: &Dims) -> Vec<[usize; 3]> {
    let products = Layer::all(dims).map(|layer| layer.shape(dims));
    let products = products.flat_map(|(n, k)| [(n, k), (n, terms_width(k))]);
    let shape = |(n, k): (usize, usize)| HEIGHTS.map(|m| [m, k.next_multiple_of(K_TILE), n]);
    let mut shapes: Vec<_> = products.flat_map(shape).collect();
    shapes.sort_unstable();
    shapes.dedup();
    shapes
}
