//! Imports of tiny models: all formats give the same file, and damage to one causes an error, not a
//! crash.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A tiny model in each format.
struct Sources {
    dir: TempDir,
    model: synthetic::Model,
}

impl Sources {
    fn new() -> Self {
        let dims = synthetic::dims();
        let model = synthetic::model(&dims);
        let dir = TempDir::new().unwrap();
        for sub in ["ct2", "hf"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
        }
        synthetic::write_ct2(&dir.path().join("ct2"), &dims, &model);
        synthetic::write_hf(&dir.path().join("hf"), &dims, &model);
        synthetic::write_ggml(&dir.path().join("ggml.bin"), &dims, &model);
        synthetic::write_pt(&dir.path().join("tiny.pt"), &dims, &model);
        Self { dir, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn origin() -> Origin {
    Origin {
        name: "tiny".to_owned(),
        source: "a test".to_owned(),
        dims: None,
    }
}

fn import_plain(source: &Path, target: &Path) -> Result<ModelFile, ModelError> {
    import(
        source,
        target,
        &origin(),
        &|_, _| Ok(Vec::new()),
        &mut |_, _| (),
    )?;
    ModelFile::open(target)
}

#[test]
fn all_formats_give_the_same_tensors() {
    let sources = Sources::new();
    for source in ["ct2", "hf", "ggml.bin", "tiny.pt"] {
        let target = sources.path("out.safetensors");
        let file = import_plain(&sources.path(source), &target).unwrap();
        assert_eq!(*file.dims(), synthetic::dims(), "{source}");
        for (name, shape, values) in &sources.model {
            let tensor = file.tensor(name).unwrap();
            assert_eq!(tensor.dtype(), Dtype::F16, "{source} {name}");
            assert_eq!(tensor.shape(), shape, "{source} {name}");
            assert_eq!(tensor.bytes.as_ptr() as usize % 64, 0, "{source} {name}");
            assert!(file.f32(name).unwrap() == *values, "{source} {name}");
        }
        let bytes = file.tensor("vocab.bytes").unwrap().bytes;
        let offsets = file.u32("vocab.offsets").unwrap();
        let vocabulary = Vocabulary::new(bytes, &offsets).unwrap();
        assert_eq!(vocabulary.token(843), b" And", "{source}");
        assert_eq!(vocabulary.token(51863), b"<|30.00|>", "{source}");
        assert_eq!(vocabulary.token(51864), b"", "{source}");
        assert_eq!(file.suppress_tokens().unwrap().len(), 90, "{source}");
        assert_eq!(
            file.alignment_heads(),
            if source == "hf" { vec![[0, 1]] } else { vec![] }
        );
        file.verify().unwrap();
    }
    let names: Vec<_> = fs::read_dir(sources.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        !names
            .iter()
            .any(|name| name.to_string_lossy().ends_with("part")),
        "{names:?}"
    );
}

#[test]
fn values_beyond_f16_stay_f32() {
    let sources = Sources::new();
    let dims = synthetic::dims();
    let mut model = synthetic::model(&dims);
    model[0].2[3] = 1.0 + f32::EPSILON;
    synthetic::write_hf(&sources.path("hf"), &dims, &model);
    let file = import_plain(&sources.path("hf"), &sources.path("out")).unwrap();
    assert_eq!(file.tensor(&model[0].0).unwrap().dtype(), Dtype::F32);
    assert!(file.f32(&model[0].0).unwrap() == model[0].2);
    assert_eq!(file.tensor(&model[1].0).unwrap().dtype(), Dtype::F16);
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let sources = Sources::new();
    let dims = synthetic::dims();
    let mut model = synthetic::model(&dims);
    model[1].2[5] = f32::NAN;
    synthetic::write_hf(&sources.path("hf"), &dims, &model);
    let error = import_plain(&sources.path("hf"), &sources.path("out"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("tensor encoder.conv1.weight: value 5 is NaN"),
        "{error}"
    );
    assert!(!sources.path("out").exists());
}

#[test]
fn derived_tensors_are_added() {
    let sources = Sources::new();
    let derive = |model: &ModelFile, progress: &mut dyn FnMut(f32)| {
        progress(1.0);
        let data = vec![model.dims().n_audio_state as u8; 128];
        Ok(vec![NewTensor {
            name: "derived.x".to_owned(),
            dtype: Dtype::I8,
            shape: vec![2, 64],
            data,
        }])
    };
    let target = sources.path("out");
    import(
        &sources.path("ct2"),
        &target,
        &origin(),
        &derive,
        &mut |_, _| (),
    )
    .unwrap();
    let file = ModelFile::open(&target).unwrap();
    file.verify().unwrap();
    let tensor = file.tensor("derived.x").unwrap();
    assert_eq!(
        (tensor.shape(), tensor.bytes),
        ([2, 64].as_slice(), [64; 128].as_slice())
    );
    assert_eq!(tensor.bytes.as_ptr() as usize % 64, 0);
    let (name, _, values) = &sources.model[7];
    assert!(file.f32(name).unwrap() == *values);
}

/// Earlier versions wrote it; nothing reads it.
#[test]
fn a_file_with_a_tokenizer_json_still_opens() {
    let sources = Sources::new();
    let target = sources.path("out");
    let unread = |_: &ModelFile, _: &mut dyn FnMut(f32)| {
        Ok(vec![NewTensor {
            name: "tokenizer.json".to_owned(),
            dtype: Dtype::U8,
            shape: vec![2],
            data: b"{}".to_vec(),
        }])
    };
    import(
        &sources.path("ct2"),
        &target,
        &origin(),
        &unread,
        &mut |_, _| (),
    )
    .unwrap();
    let file = ModelFile::open(&target).unwrap();
    assert!(file.has("tokenizer.json"));
    file.verify().unwrap();
}

#[test]
fn a_failure_of_the_engine_leaves_nothing() {
    let sources = Sources::new();
    let target = sources.path("out");
    let fail = |_: &ModelFile, _: &mut dyn FnMut(f32)| Err("no clip".into());
    let error = import(
        &sources.path("ct2"),
        &target,
        &origin(),
        &fail,
        &mut |_, _| (),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot prepare model tiny: no clip"),
        "{error}"
    );
    assert_eq!(fs::read_dir(sources.dir.path()).unwrap().count(), 4);
}

#[test]
fn foreign_sources_are_refused() {
    let sources = Sources::new();
    let gguf = sources.path("x.bin");
    fs::write(&gguf, b"GGUF....").unwrap();
    fs::write(sources.path("empty"), b"").unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(sources.path("other.zip")).unwrap());
    zip.start_file("readme", zip::write::SimpleFileOptions::default())
        .unwrap();
    zip.finish().unwrap();
    for (source, expected) in [
        ("x.bin", "not a model that Hearken knows"),
        ("empty", "not a model that Hearken knows"),
        ("absent", "cannot read"),
        ("other.zip", "no data.pkl"),
        ("", "none of model.bin"),
    ] {
        let error = import_plain(&sources.path(source), &sources.path("out")).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!matches!(
            error,
            ModelError::NoSpace { .. } | ModelError::Write { .. }
        ));
    }
}

#[test]
fn truncation_names_the_tensor_or_offset() {
    for (source, cut, expected) in [
        ("ct2/model.bin", 1000, "(truncated)"),
        (
            "hf/model.safetensors",
            1000,
            "tensor model.decoder.layers.0.final_layer_norm.weight ends",
        ),
        (
            "ggml.bin",
            20,
            "tensor decoder.ln.bias: 256 bytes at offset",
        ),
        ("tiny.pt", 1000, "as a zip file"),
    ] {
        let sources = Sources::new();
        let path = sources.path(source);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        let error = import_plain(&path, &sources.path("out"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{source}: {error}");
    }
}

#[test]
fn int8_rows_are_divided_by_their_scales() {
    let sources = Sources::new();
    let path = sources.path("rows");
    fs::write(&path, [1u8, 2, 0xff, 0x80]).unwrap();
    let map = std::sync::Arc::new(crate::models::tensors::Mapping::open(&path).unwrap());
    let encoding = weights::Encoding::Rows(vec![2.0, 4.0]);
    let weights = Weights::new(&map, 0, encoding, vec![2, 2]).unwrap();
    assert_eq!(weights.f32().unwrap(), [0.5, 1.0, -0.25, -32.0]);
    assert_eq!(weights.part(1, 2).unwrap().f32().unwrap(), [-0.25, -32.0]);
}

/// Reads everything that an import would, without writing.
fn read_all(source: &Path) -> Result<(), ModelError> {
    let tensors = read(source)?.into_tensors().map_err(|d| d.of(source))?;
    for (name, tensor) in tensors {
        tensor
            .f32()
            .map_err(|e| Defect::new(format!("tensor {name}: {e}")).of(source))?;
    }
    Ok(())
}

/// How a file is damaged.
#[derive(Debug, Clone)]
enum Damage {
    Truncate(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    /// Flips near the start or the end, where the structure is.
    FlipHead(u16, u8),
    FlipTail(u16, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let flip = 1..=u8::MAX;
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Truncate),
        (any::<prop::sample::Index>(), flip.clone()).prop_map(|(i, x)| Damage::Flip(i, x)),
        (0..4096u16, flip.clone()).prop_map(|(i, x)| Damage::FlipHead(i, x)),
        (1..4096u16, flip).prop_map(|(i, x)| Damage::FlipTail(i, x)),
    ]
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    let n = bytes.len();
    match *damage {
        Damage::Truncate(at) => bytes.truncate(at.index(n)),
        Damage::Flip(at, x) => bytes[at.index(n)] ^= x,
        Damage::FlipHead(at, x) => bytes[usize::from(at) % n] ^= x,
        Damage::FlipTail(at, x) => bytes[n - 1 - usize::from(at) % n] ^= x,
    }
}

#[test]
fn damage_never_panics() {
    let sources = Sources::new();
    let own = import_plain(&sources.path("ct2"), &sources.path("own.safetensors")).unwrap();
    let data_start = own.header().data_start;
    for source in [
        "ct2/model.bin",
        "hf/model.safetensors",
        "hf/config.json",
        "ggml.bin",
        "tiny.pt",
        "own.safetensors",
    ] {
        let path = sources.path(source);
        let intact = fs::read(&path).unwrap();
        let config = ProptestConfig {
            cases: 32,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        proptest!(config, |(damages in prop::collection::vec(damage(), 1..4))| {
            let mut bytes = intact.clone();
            damages.iter().for_each(|d| if !bytes.is_empty() { apply(d, &mut bytes) });
            fs::write(&path, &bytes).unwrap();
            // A flipped weight is not an error; anything else must be, and nothing may panic or abort.
            let result = match source {
                "own.safetensors" => ModelFile::open(&path).and_then(|file| file.verify()),
                "hf/config.json" => read_all(&sources.path("hf")),
                _ => read_all(&path),
            };
            // The data section of a model file is covered by its checksum.
            if source == "own.safetensors" && bytes.get(..data_start) == intact.get(..data_start) && bytes != intact {
                prop_assert!(result.is_err());
            }
            if bytes.len() < intact.len() && source != "hf/config.json" {
                prop_assert!(result.is_err());
            }
        });
        fs::write(&path, &intact).unwrap();
    }
}
