//! The encoder on the emulator: as exact as its number formats allow, and no failure loses a
//! window.

use super::backend::{BackendState, Npu, NpuEncoder};
use super::gemm::Submission;
use super::setup::{NpuOptions, Source, shapes};
use crate::compute::{Device, NpuFormat};
use crate::cpu::{Cpu, Isa, Pool};
use crate::mel::Mel;
use crate::models::{ModelFile, Origin, import, npu_weights, part_of, synthetic, write_random};
use crate::whisper::{CpuEncoder, Dims, Encoder, EncoderWeights, Layer, Layers, Precision, Tails};
use ndarray::Array2;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use xrt_sys::emulator::{Call, Effect, Fault, write_overlays};

/// A model with random weights.
struct Model {
    file: Arc<ModelFile>,
    _directory: TempDir,
}

impl Model {
    fn new(dims: Dims) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        synthetic::write_pt(&path("tiny.pt"), &dims, &synthetic::model(&dims));
        let origin = Origin {
            name: "tiny".to_owned(),
            source: "nowhere".to_owned(),
            dims: None,
        };
        import(
            &path("tiny.pt"),
            &path("plain"),
            &origin,
            &|_, _| Ok(Vec::new()),
            &mut |_, _| (),
        )
        .expect("an import");
        write_random(
            &ModelFile::open(&path("plain")).expect("a model"),
            &path("random"),
        )
        .expect("a model");
        Self {
            file: Arc::new(ModelFile::open(&path("random")).expect("a model")),
            _directory: directory,
        }
    }

    /// One block of one head: the minimum.
    fn small() -> Self {
        Self::new(Dims {
            n_audio_ctx: 300,
            ..synthetic::dims()
        })
    }

    /// Two blocks of two heads, and windows of several runs.
    fn large() -> Self {
        let dims = synthetic::dims();
        Self::new(Dims {
            n_mels: 80,
            n_audio_ctx: 600,
            n_audio_state: 128,
            n_audio_head: 2,
            n_audio_layer: 2,
            ..dims
        })
    }

    fn cpu(&self, precision: Precision) -> CpuEncoder {
        let cpu = Arc::new(Cpu {
            isa: Isa::detect().expect("an instruction set"),
            pool: Pool::new(2),
        });
        let weights = Arc::new(EncoderWeights::load(&self.file, precision).expect("weights"));
        CpuEncoder::new(cpu, weights, Tails::none(self.file.dims().n_audio_layer))
    }

    /// Creates an NPU, and the states that it reports.
    fn npu(&self, options: NpuOptions) -> (Arc<Npu>, Told) {
        let reported = Told::default();
        let tell = reported.clone();
        let npu = Npu::new(&self.file, options, move |state| {
            tell.lock().expect("no panic").push(state.clone())
        });
        (npu.expect("overlays"), reported)
    }

    fn window(&self, n_frames: usize) -> Mel {
        let n_mels = self.file.dims().n_mels;
        let value = |i: usize| {
            ((i * 7919 % 2003) as f32 / 1000.0 - 1.0) * (1.0 + (i / n_mels % 7) as f32 / 4.0)
        };
        Mel {
            values: Array2::from_shape_fn((n_mels, n_frames), |(m, t)| value(t * n_mels + m)),
        }
    }
}

type Told = Arc<Mutex<Vec<BackendState>>>;

fn options(format: NpuFormat) -> NpuOptions {
    NpuOptions::new(Device::NpuEmulator, format).expect("no faults")
}

fn cosine(a: &Array2<f32>, b: &Array2<f32>) -> f64 {
    let dot = |a: &Array2<f32>, b: &Array2<f32>| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn bf16_products_keep_the_encoder_close_to_f32() {
    let model = Model::large();
    for n_frames in [2, 300, 1100] {
        let mel = model.window(n_frames);
        let want = model
            .cpu(Precision::F32)
            .encode(&mel)
            .expect("a window")
            .states;
        for submission in [Submission::Single, Submission::List] {
            let (npu, reported) = model.npu(NpuOptions {
                submission,
                ..options(NpuFormat::Bf16)
            });
            let got = NpuEncoder::new(npu.clone(), model.cpu(Precision::F32))
                .encode(&mel)
                .expect("a window")
                .states;
            let cosine = cosine(&got, &want);
            assert!(cosine >= 0.999, "{n_frames} frames: cosine {cosine}");
            assert!(got != want, "this came from the CPU");
            assert!(reported.lock().expect("no panic").is_empty());
            assert_eq!(
                npu.state(),
                BackendState {
                    device: Device::NpuEmulator,
                    reason: String::new()
                }
            );
        }
    }
}

#[test]
fn int8_products_are_the_cpus_bit_for_bit() {
    let model = Model::large();
    for n_frames in [2, 300, 1100] {
        let mel = model.window(n_frames);
        let want = model
            .cpu(Precision::Int8)
            .encode(&mel)
            .expect("a window")
            .states;
        for submission in [Submission::Single, Submission::List] {
            let (npu, reported) = model.npu(NpuOptions {
                submission,
                ..options(NpuFormat::Int8)
            });
            let got = NpuEncoder::new(npu.clone(), model.cpu(Precision::Int8))
                .encode(&mel)
                .expect("a window")
                .states;
            assert!(got == want, "{n_frames} frames: {}", cosine(&got, &want));
            assert!(reported.lock().expect("no panic").is_empty());
            let runs = npu.take_times().runs as u64;
            let machine = npu.machine().expect("the emulator");
            let started = machine.calls(Call::RunStart) + machine.calls(Call::ListAdd);
            assert!(
                runs > 0 && runs == started && machine.misuses() == 0,
                "{runs} {started}"
            );
        }
    }
}

#[test]
fn the_device_is_left_as_it_was_found() {
    let model = Model::small();
    let (npu, _) = model.npu(options(NpuFormat::Int8));
    let machine = npu.machine().expect("the emulator").clone();
    NpuEncoder::new(npu, model.cpu(Precision::Int8))
        .encode(&model.window(20))
        .expect("a window");
    assert_eq!((machine.objects(), machine.misuses()), (0, 0));
    assert_eq!(machine.calls(Call::DeviceClose), 1);
}

/// Calls that release something. Their failures are only logged.
const RELEASES: [Call; 7] = [
    Call::DeviceClose,
    Call::XclbinClose,
    Call::ContextClose,
    Call::KernelClose,
    Call::BufferFree,
    Call::RunFree,
    Call::ListFree,
];

/// Every call of the interface that an encoder makes fails once, early, late and in between, in
/// every way.
#[test]
fn whatever_fails_the_window_is_encoded() {
    let model = Model::small();
    // Two runs per product, one of which is active when the other fails.
    let mel = model.window(520);
    let want = model
        .cpu(Precision::Int8)
        .encode(&mel)
        .expect("a window")
        .states;
    for submission in [Submission::Single, Submission::List] {
        let options = NpuOptions {
            submission,
            timeout: Duration::from_millis(500),
            ..options(NpuFormat::Int8)
        };
        let (npu, _) = model.npu(options.clone());
        NpuEncoder::new(npu.clone(), model.cpu(Precision::Int8))
            .encode(&mel)
            .expect("a window");
        let machine = npu.machine().expect("the emulator");
        let calls: Vec<(Call, u64)> = Call::ALL
            .iter()
            .map(|call| (*call, machine.calls(*call)))
            .collect();
        let other: &[Call] = match submission {
            Submission::Single => &[
                Call::ListNew,
                Call::ListAdd,
                Call::ListExecute,
                Call::ListWait,
                Call::ListReset,
            ],
            Submission::List => &[Call::RunStart, Call::RunWait],
        };
        let unused = calls
            .iter()
            .filter(|(call, n)| *n == 0 && !RELEASES.contains(call))
            .map(|(call, _)| *call);
        assert_eq!(
            unused.collect::<Vec<_>>(),
            other,
            "a call of the interface that no window makes"
        );
        let mut n_fell_back = 0;
        for (call, n) in calls
            .into_iter()
            .filter(|(call, n)| *n > 0 && !RELEASES.contains(call))
        {
            let mut effects = vec![Effect::Error, Effect::Vanish(u32::MAX)];
            if matches!(call, Call::RunStart | Call::ListExecute) {
                effects.extend([
                    Effect::Fail,
                    Effect::Hang,
                    Effect::Slow(Duration::from_millis(900)),
                ]);
            }
            let mut places = vec![1, n.div_ceil(2), n];
            places.dedup();
            for (nth, effect) in places
                .into_iter()
                .flat_map(|nth| effects.iter().map(move |effect| (nth, *effect)))
            {
                let fault = Fault { call, nth, effect };
                let (npu, reported) = model.npu(NpuOptions {
                    faults: vec![fault],
                    ..options.clone()
                });
                let machine = npu.machine().expect("the emulator").clone();
                let mut encoder = NpuEncoder::new(npu.clone(), model.cpu(Precision::Int8));
                for window in 0..2 {
                    let got = encoder
                        .encode(&mel)
                        .unwrap_or_else(|e| panic!("{fault:?}: {e}"));
                    assert!(got.states == want, "{fault:?}: window {window} differs");
                }
                let reported = reported.lock().expect("no panic").clone();
                let is_cpu =
                    |state: &BackendState| state.device == Device::Cpu && !state.reason.is_empty();
                assert!(
                    reported.len() == 1 && is_cpu(&reported[0]) && is_cpu(&npu.state()),
                    "{fault:?}: {reported:?}"
                );
                drop((npu, encoder));
                assert_eq!((machine.misuses(), machine.objects()), (0, 0), "{fault:?}");
                n_fell_back += 1;
            }
        }
        assert!(n_fell_back > 40, "{n_fell_back}");
    }
}

#[test]
fn the_drivers_own_reason_is_passed_on() {
    let model = Model::small();
    for (effect, reason) in [
        (Effect::Fail, "failed: its state is ERROR: injected fault"),
        (Effect::Hang, "did not answer within 300 ms"),
    ] {
        let (npu, reported) = model.npu(NpuOptions {
            faults: vec![Fault {
                call: Call::RunStart,
                nth: 2,
                effect,
            }],
            timeout: Duration::from_millis(300),
            ..options(NpuFormat::Int8)
        });
        NpuEncoder::new(npu, model.cpu(Precision::Int8))
            .encode(&model.window(20))
            .expect("a window");
        let reported = reported.lock().expect("no panic");
        assert!(
            reported[0].reason.contains(reason),
            "{}",
            reported[0].reason
        );
    }
    // The driver ends a run after 2 s: later, so that the reason is the driver's.
    let hardware = NpuOptions::new(Device::Npu, NpuFormat::Int8).expect("no faults");
    assert!(hardware.timeout > Duration::from_secs(4));
}

/// What no state of the interface shows, and the benchmark therefore looks for.
#[test]
fn a_run_that_ends_well_with_a_wrong_result_differs_from_the_others() {
    let model = Model::small();
    let mel = model.window(520);
    let (npu, reported) = model.npu(options(NpuFormat::Int8));
    let machine = npu.machine().expect("the emulator").clone();
    let mut encoder = NpuEncoder::new(npu, model.cpu(Precision::Int8));
    let mut states = || encoder.encode(&mel).expect("a window").states;
    let first = states();
    assert!(states() == first);
    let nth = machine.calls(Call::RunStart) + 3;
    machine.add_fault(Fault {
        call: Call::RunStart,
        nth,
        effect: Effect::Corrupt,
    });
    assert!(states() != first, "a wrong product changes nothing");
    assert!(states() == first);
    assert!(reported.lock().expect("no panic").is_empty());
}

#[test]
fn a_release_that_fails_stops_nothing() {
    let model = Model::small();
    let mel = model.window(20);
    let want = model
        .cpu(Precision::Int8)
        .encode(&mel)
        .expect("a window")
        .states;
    for call in RELEASES {
        let faults = vec![Fault {
            call,
            nth: 1,
            effect: Effect::Error,
        }];
        let (npu, reported) = model.npu(NpuOptions {
            faults,
            ..options(NpuFormat::Int8)
        });
        let machine = npu.machine().expect("the emulator").clone();
        let got = NpuEncoder::new(npu, model.cpu(Precision::Int8))
            .encode(&mel)
            .expect("a window");
        assert!(got.states == want && reported.lock().expect("no panic").is_empty());
        assert!(
            machine.objects() > 0 || machine.calls(call) == 0,
            "{call:?}"
        );
    }
}

#[test]
fn a_device_that_comes_back_is_used_again() {
    let model = Model::small();
    let mel = model.window(20);
    let faults = vec![Fault {
        call: Call::RunStart,
        nth: 3,
        effect: Effect::Vanish(2),
    }];
    let first_pause = Duration::from_millis(20);
    let (npu, reported) = model.npu(NpuOptions {
        faults,
        first_pause,
        ..options(NpuFormat::Int8)
    });
    let mut encoder = NpuEncoder::new(npu.clone(), model.cpu(Precision::Int8));
    let begun = Instant::now();
    while reported.lock().expect("no panic").len() < 2 {
        encoder.encode(&mel).expect("a window");
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it does not come back"
        );
    }
    let devices: Vec<_> = reported
        .lock()
        .expect("no panic")
        .iter()
        .map(|state| state.device)
        .collect();
    assert_eq!(devices, [Device::Cpu, Device::NpuEmulator]);
    // Opened once, twice in vain, and again, after pauses of 20, 40 and 80 ms.
    assert_eq!(
        npu.machine().expect("the emulator").calls(Call::DeviceOpen),
        4
    );
    assert!(begun.elapsed() >= Duration::from_millis(140));
    let before = npu.machine().expect("the emulator").calls(Call::RunStart);
    encoder.encode(&mel).expect("a window");
    assert!(npu.machine().expect("the emulator").calls(Call::RunStart) > before);
}

#[test]
fn weights_are_packed_once_and_again_when_anything_differs() {
    for (format, name) in [(NpuFormat::Bf16, "bf16"), (NpuFormat::Int8, "int8")] {
        let mut model = Model::small();
        let mel = model.window(20);
        let states = |model: &Model| {
            let (npu, reported) = model.npu(options(format));
            let states = NpuEncoder::new(npu, model.cpu(Precision::Int8))
                .encode(&mel)
                .expect("a window")
                .states;
            assert!(reported.lock().expect("no panic").is_empty());
            states
        };
        let path = npu_weights(model.file.path(), name);
        assert!(!path.exists());
        // Left by a killed process.
        fs::write(part_of(&path), "unfinished").expect("a file");
        let want = states(&model);
        let packed = fs::read(&path).expect("a file");
        let inode = fs::metadata(&path).expect("a file").ino();
        assert!(
            states(&model) == want,
            "the packed weights are read differently from how they were written"
        );
        assert_eq!(
            fs::metadata(&path).expect("a file").ino(),
            inode,
            "they are packed again"
        );

        let replaced = |from: &str, to: &str| {
            let at = packed
                .windows(from.len())
                .position(|part| part == from.as_bytes())
                .expect("metadata");
            [&packed[..at], to.as_bytes(), &packed[at + from.len()..]].concat()
        };
        let mut flipped = packed.clone();
        *flipped.last_mut().expect("weights") ^= 1;
        let cut = packed[..packed.len() - 1].to_vec();
        let older = replaced(r#""version":"1""#, r#""version":"0""#);
        let other = replaced("k_slice", "k_slide");
        for wrong in [flipped, cut, older, other, Vec::new()] {
            fs::write(&path, wrong).expect("a file");
            assert!(states(&model) == want);
            assert!(
                fs::read(&path).expect("a file") == packed,
                "a wrong file stays"
            );
        }

        // A different model with the same name.
        let directory = model.file.path().parent().expect("a directory").to_owned();
        fs::rename(directory.join("plain"), model.file.path()).expect("a model");
        model.file = Arc::new(ModelFile::open(model.file.path()).expect("a model"));
        let other = states(&model);
        assert!(
            other != want && fs::read(&path).expect("a file") != packed,
            "the weights of another model"
        );
        let names = fs::read_dir(&directory)
            .expect("a directory")
            .map(|e| e.expect("an entry").file_name());
        assert!(
            names
                .into_iter()
                .all(|name| !name.to_string_lossy().ends_with(".part"))
        );

        // If they cannot be stored, they are packed each time.
        fs::remove_file(&path).expect("a file");
        fs::create_dir(&path).expect("a directory");
        assert!(states(&model) == other);
    }
}

/// A block as the array computes it, step by step on the host: the same values at each step, rounded
/// where a step's result leaves it.
mod reference {
    use super::*;
    use half::bf16;
    use xrt_sys::bfp16::Block;

    fn round(values: &[f32]) -> Vec<f32> {
        values.iter().map(|x| bf16::from_f32(*x).to_f32()).collect()
    }

    /// Rounds rows to blocks of 8 values with one exponent.
    fn blocks(values: &[f32]) -> Vec<f32> {
        let (blocks, _) = values.as_chunks::<8>();
        blocks
            .iter()
            .flat_map(|block| Block::round(*block).values())
            .collect()
    }

    pub fn norm(x: &[f32], file: &ModelFile, name: &str) -> Vec<f32> {
        let of = |part: &str| file.f32(&format!("{name}.{part}")).expect("a tensor");
        let (gamma, beta) = (of("weight"), of("bias"));
        let mut out = Vec::new();
        for row in x.chunks_exact(gamma.len()) {
            let n = row.len() as f64;
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
            let variance = row
                .iter()
                .map(|x| (f64::from(*x) - mean).powi(2))
                .sum::<f64>()
                / n;
            let scale = 1.0 / (variance + 1e-5).sqrt();
            let columns = gamma.iter().zip(&beta);
            out.extend(row.iter().zip(columns).map(|(x, (g, b))| {
                ((f64::from(*x) - mean) * scale * f64::from(*g) + f64::from(*b)) as f32
            }));
        }
        round(&out)
    }

    /// A product, and its bias.
    pub fn product(a: &[f32], file: &Arc<ModelFile>, layer: Layer) -> (Vec<f32>, Vec<f32>) {
        let (n, k) = layer.shape(file.dims());
        let weights = layer.spec().weights(file).expect("weights");
        let weights = blocks(&crate::whisper::row_major(weights.view()));
        let a = blocks(a);
        let mut c = Vec::new();
        for row in a.chunks_exact(k) {
            for column in weights.chunks_exact(k) {
                let products = row.iter().zip(column);
                c.push(
                    products
                        .map(|(a, b)| f64::from(*a) * f64::from(*b))
                        .sum::<f64>() as f32,
                );
            }
        }
        assert_eq!(c.len(), a.len() / k * n);
        (round(&c), layer.spec().bias(file).expect("a bias"))
    }

    pub fn biased(x: &[f32], bias: &[f32], function: fn(f32) -> f32) -> Vec<f32> {
        let sums = x.iter().zip(bias.iter().cycle());
        round(&sums.map(|(x, b)| function(x + b)).collect::<Vec<_>>())
    }

    /// GELU by the CPU's kernel.
    pub fn gelu(x: f32) -> f32 {
        let mut value = [x];
        crate::cpu::gelu(Isa::detect().expect("an instruction set"), &mut value);
        value[0]
    }

    pub fn attention(qkv: &[f32], width: usize) -> Vec<f32> {
        let rows = qkv.len() / (3 * width);
        let part = |row: usize, which: usize, head: usize| {
            &qkv[row * 3 * width + which * width + 64 * head..][..64]
        };
        let mut out = vec![0.0; rows * width];
        for head in 0..width / 64 {
            for row in 0..rows {
                let score = |key: usize| {
                    let pairs = part(row, 0, head).iter().zip(part(key, 1, head));
                    pairs
                        .map(|(q, k)| f64::from(*q) * f64::from(*k))
                        .sum::<f64>()
                        / 8.0
                };
                let scores: Vec<f64> = (0..rows).map(score).collect();
                let most = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
                let total: f64 = weights.iter().sum();
                for column in 0..64 {
                    let values = (0..rows).map(|key| f64::from(part(key, 2, head)[column]));
                    let sum: f64 = weights.iter().zip(values).map(|(w, v)| w * v).sum();
                    out[row * width + 64 * head + column] = (sum / total) as f32;
                }
            }
        }
        round(&out)
    }

    pub fn add(x: &mut [f32], product: &[f32], bias: &[f32]) {
        let sums = product.iter().zip(bias.iter().cycle());
        for (x, (product, bias)) in x.iter_mut().zip(sums) {
            *x += product + bias;
        }
    }
}

/// Blocks on the emulated array, with the stem's states from the CPU.
fn whole(options: NpuOptions) -> NpuOptions {
    NpuOptions {
        whole: true,
        ..options
    }
}

#[test]
fn whole_blocks_on_the_array_are_the_operators_one_after_the_other() {
    let model = Model::large();
    let file = &model.file;
    let width = file.dims().n_audio_state;
    let source = Source::new(file, &whole(options(NpuFormat::Bf16))).expect("overlays");
    let mut gemm = source
        .open(&whole(options(NpuFormat::Bf16)))
        .expect("a device");
    for rows in [1, 150, 256, 300] {
        let mut got: Vec<f32> = (0..rows * width)
            .map(|i| {
                ((i * 7919 % 2003) as f32 / 1000.0 - 1.0) * (1.0 + (i % 97 / 96) as f32 * 30.0)
            })
            .collect();
        let mut want = got.clone();
        Layers::blocks(&mut gemm, &mut got, width)
            .expect("blocks")
            .expect("a device");
        for i in 0..file.dims().n_audio_layer {
            let name = |norm: &str| format!("encoder.blocks.{i}.{norm}");
            let y = reference::norm(&want, file, &name("attn_ln"));
            let (c, bias) = reference::product(&y, file, Layer::Qkv(i));
            let heads = reference::attention(&reference::biased(&c, &bias, |x| x), width);
            let (c, bias) = reference::product(&heads, file, Layer::Out(i));
            reference::add(&mut want, &c, &bias);
            let y = reference::norm(&want, file, &name("mlp_ln"));
            let (c, bias) = reference::product(&y, file, Layer::Mlp(i, 0));
            let hidden = reference::biased(&c, &bias, reference::gelu);
            let (c, bias) = reference::product(&hidden, file, Layer::Mlp(i, 1));
            reference::add(&mut want, &c, &bias);
        }
        let array = |values: Vec<f32>| Array2::from_shape_vec((rows, width), values).expect("rows");
        let cosine = cosine(&array(got.clone()), &array(want.clone()));
        assert!(cosine > 0.999_9, "{rows} rows: cosine {cosine}");
        // The same bits again: nothing of a window, or of its padding, is left behind.
        let mut again = (0..rows * width)
            .map(|i| {
                ((i * 7919 % 2003) as f32 / 1000.0 - 1.0) * (1.0 + (i % 97 / 96) as f32 * 30.0)
            })
            .collect::<Vec<f32>>();
        Layers::blocks(&mut gemm, &mut again, width)
            .expect("blocks")
            .expect("a device");
        assert!(again == got, "{rows} rows differ the second time");
    }
    // 11 runs for each block, four windows twice, and nothing that the emulator had to refuse.
    assert_eq!(gemm.take_times().runs, 11 * 2 * 4 * 2);
    let machine = source.machine.as_ref().expect("the emulator");
    assert_eq!(
        (machine.misuses(), machine.calls(Call::ContextOpen)),
        (0, 1)
    );
}

#[test]
fn an_encoder_of_whole_blocks_is_close_to_f32_and_falls_back() {
    let model = Model::large();
    let mel = model.window(1100);
    let want = model
        .cpu(Precision::F32)
        .encode(&mel)
        .expect("a window")
        .states;
    let faults = [Effect::Fail, Effect::Vanish(u32::MAX)].map(|effect| Fault {
        call: Call::RunStart,
        nth: 15,
        effect,
    });
    for fault in [None, Some(faults[0]), Some(faults[1])] {
        let (npu, reported) = model.npu(NpuOptions {
            faults: fault.into_iter().collect(),
            ..whole(options(NpuFormat::Bf16))
        });
        let got = NpuEncoder::new(npu.clone(), model.cpu(Precision::F32))
            .encode(&mel)
            .expect("a window")
            .states;
        let reported = reported.lock().expect("no panic");
        match fault {
            None => {
                let cosine = cosine(&got, &want);
                assert!(cosine > 0.99 && got != want, "cosine {cosine}");
                assert!(reported.is_empty());
            }
            Some(fault) => {
                assert!(got == want, "{fault:?}");
                assert_eq!(reported[0].device, Device::Cpu);
            }
        }
    }
}

#[test]
fn whole_blocks_need_bf16_and_one_context() {
    let model = Model::large();
    let refused = |options: NpuOptions| match Source::new(&model.file, &options) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    let said = refused(whole(options(NpuFormat::Int8)));
    assert!(
        said.contains("bf16") || said.contains("no overlay"),
        "{said}"
    );
    let apart = tempfile::tempdir().expect("a directory");
    write_overlays(apart.path(), &shapes(model.file.dims())).expect("overlays");
    let said = refused(NpuOptions {
        overlays: Some(apart.path().to_owned()),
        ..whole(options(NpuFormat::Bf16))
    });
    assert!(said.contains("there is no bias_gelu"), "{said}");
}

/// The padded products of the larger models, which the movement check covers under the same sizes
/// (`kernels/hearken_kernels/overlays.py`): multiples of 512 for K and N, and 256 rows.
fn padded_products(dims: &Dims) -> Vec<[usize; 3]> {
    let mut shapes: Vec<_> = Layer::all(dims)
        .map(|layer| layer.shape(dims))
        .map(|(n, k)| [256, k.next_multiple_of(512), n.next_multiple_of(512)])
        .collect();
    shapes.sort_unstable();
    shapes.dedup();
    shapes
}

fn padded_products_give_the_cpus_bits(dims: Dims) {
    let model = Model::new(dims);
    let overlays = tempfile::tempdir().expect("a directory");
    write_overlays(overlays.path(), &padded_products(&dims)).expect("overlays");
    let mel = model.window(2 * dims.n_audio_ctx);
    let want = model
        .cpu(Precision::Int8)
        .encode(&mel)
        .expect("a window")
        .states;
    // Packed, then read from the file.
    for _ in 0..2 {
        let (npu, reported) = model.npu(NpuOptions {
            overlays: Some(overlays.path().to_owned()),
            ..options(NpuFormat::Int8)
        });
        let got = NpuEncoder::new(npu.clone(), model.cpu(Precision::Int8))
            .encode(&mel)
            .expect("a window")
            .states;
        assert!(got == want, "{}", cosine(&got, &want));
        assert!(reported.lock().expect("no panic").is_empty());
        assert!(npu.take_times().runs > 0);
    }
}

#[test]
fn a_width_that_is_no_multiple_of_the_arrays_gives_the_cpus_bits() {
    padded_products_give_the_cpus_bits(Dims {
        n_audio_ctx: 300,
        n_audio_state: 192,
        n_audio_head: 3,
        ..synthetic::dims()
    });
}

#[test]
#[ignore = "minutes without optimisation: make test"]
fn blocks_of_small_and_turbo_give_the_cpus_bits() {
    for (n_mels, width) in [(80, 768), (128, 1280)] {
        padded_products_give_the_cpus_bits(Dims {
            n_mels,
            n_audio_ctx: 300,
            n_audio_state: width,
            n_audio_head: width / 64,
            n_audio_layer: 1,
            ..synthetic::dims()
        });
    }
}

#[test]
fn every_whisper_size_has_shapes_that_the_overlay_takes() {
    for width in [384, 512, 768, 1024, 1280] {
        let dims = Dims {
            n_mels: 80,
            n_audio_state: width,
            ..synthetic::dims()
        };
        let shapes = shapes(&dims);
        assert!(
            shapes
                .iter()
                .all(|[m, k, n]| m % 256 + k % 512 + n % 64 == 0),
            "{shapes:?}"
        );
        assert!(
            shapes.iter().any(|[_, _, n]| *n == 3 * width),
            "no product for query, key and value together"
        );
    }
}
