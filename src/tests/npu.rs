//! The encoder of Whisper base on the NPU emulator: bf16 is close to f32, int8 equals the CPU.

use crate::compute::{Device, NpuFormat};
use crate::mel::LogMel;
use crate::models::ModelFile;
use crate::npu::{Npu, NpuOptions};
use crate::support::{jfk, model, n_threads};
use crate::whisper::{Precision, Whisper};
use std::os::unix::fs::symlink;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

/// The model in a directory of its own: packed weights do not go beside the user's.
fn packed_model() -> Arc<ModelFile> {
    static DIRECTORY: OnceLock<TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let link = directory.path().join("base.safetensors");
        symlink(model("base").path(), link).expect("a link");
        directory
    });
    let path = directory.path().join("base.safetensors");
    Arc::new(ModelFile::open(&path).expect("a model"))
}

fn states(precision: Precision, format: Option<NpuFormat>) -> Vec<f32> {
    let whisper = Whisper::load(packed_model(), precision, n_threads()).expect("a model");
    let whisper = match format {
        None => whisper,
        Some(format) => {
            let options = NpuOptions::new(Device::NpuEmulator, format).expect("no faults");
            let npu =
                Npu::new(whisper.file(), options, |state| panic!("{state}")).expect("overlays");
            whisper.with_encoders(npu)
        }
    };
    let mel = LogMel::new(80).compute(&jfk()[..160_000], 1024);
    let states = whisper.encoder().encode(&mel).expect("a window").states;
    states.iter().copied().collect()
}

#[test]
#[ignore = "needs the model base: make test"]
fn bf16_is_close_to_f32_in_every_row_and_int8_is_the_cpus() {
    let (want, got) = (
        states(Precision::F32, None),
        states(Precision::F32, Some(NpuFormat::Bf16)),
    );
    let cosine = |a: &[f32], b: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| {
            a.iter()
                .zip(b)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum::<f64>()
        };
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let whole = cosine(&want, &got);
    assert!((0.9995..0.999_999_9).contains(&whole), "{whole}");
    let rows = want.chunks_exact(512).zip(got.chunks_exact(512));
    let mut rows: Vec<f64> = rows.map(|(a, b)| cosine(a, b)).collect();
    rows.sort_by(f64::total_cmp);
    // A few positions hang on little: what they gather is decided by small differences between
    // scores.
    assert!(
        rows[0] >= 0.95 && rows[rows.len() / 20] >= 0.999,
        "{} {}",
        rows[0],
        rows[rows.len() / 20]
    );
    assert!(states(Precision::Int8, None) == states(Precision::Int8, Some(NpuFormat::Int8)));
}
