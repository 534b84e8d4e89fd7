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

mod blocks;

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
