//! Whole blocks on the emulated array, and the products of the larger models.

use super::*;

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
