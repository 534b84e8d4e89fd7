//! Hearken's matrix products beside rten-gemm (int8) and gemm (f32), on the shapes of Whisper base.
//!
//! The two are timed in turns in one process with as many threads, and medians and their ratio are
//! printed. Weights are packed beforehand on both sides where the yardstick can (rten-gemm).
//! Hearken's int8 times are of the whole layer: it quantises the activations, multiplies, and
//! scales the sums to f32 with a bias; rten-gemm is given bytes and returns whole numbers.
//!
//! Run: `cargo run --release --manifest-path benches/products/Cargo.toml`

use hearken::cpu::{Cpu, Epilogue, Linear, MatMut, MatRef, pack_i8};
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions};
use rten_tensor::NdTensorView;
use std::time::Instant;

/// Outputs and inputs of base's linear layers, and where they stand.
const SHAPES: [(usize, usize, &str); 8] = [
    (512, 240, "convolution 1"),
    (512, 1536, "convolution 2"),
    (1536, 512, "query, key, value"),
    (512, 512, "attention out"),
    (1024, 512, "cross key, value"),
    (2048, 512, "mlp in"),
    (512, 2048, "mlp out"),
    (51865, 512, "logits"),
];
/// Rows: a token, a 10.24 s window, a 30 s window.
const ROWS: [usize; 3] = [1, 512, 1500];
/// Time that is spent on each pair, in seconds.
const BUDGET_S: f64 = 0.6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::thread::available_parallelism()?.get();
    let cpu = Cpu::new(threads)?;
    println!(
        "rten-gemm: {}",
        GemmExecutor::<u8, i8, i32>::default().kernel_name()
    );
    println!(
        "{}, {threads} threads; times are medians in µs, ratios are yardstick / Hearken",
        cpu.isa.name()
    );
    println!(
        "{:<20}{:>6} {:>10} {:>10} {:>7} {:>10} {:>10} {:>7}",
        "layer", "rows", "int8", "rten-gemm", "ratio", "f32", "gemm", "ratio"
    );
    for (n, k, name) in SHAPES {
        for m in ROWS {
            // Logits are only ever wanted of single rows.
            if n > 10_000 && m > 1 {
                continue;
            }
            let (ours8, rten) = int8(&cpu, m, n, k)?;
            let (ours32, gemm) = f32(&cpu, m, n, k);
            println!(
                "{name:<20}{m:>6} {ours8:>10.1} {rten:>10.1} {:>7.2} {ours32:>10.1} {gemm:>10.1} {:>7.2}",
                rten / ours8,
                gemm / ours32
            );
        }
    }
    Ok(())
}

/// Median times of an int8 layer and of rten-gemm's product.
fn int8(cpu: &Cpu, m: usize, n: usize, k: usize) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let weights: Vec<i8> = noise(n * k).map(|x| (x * 127.0) as i8).collect();
    let layer = Linear::i8(pack_i8(&weights, &vec![0.01; n], n, k), vec![0.5; n], n);
    let x: Vec<f32> = noise(m * k).collect();
    let mut y = vec![0.0; m * n];

    let gemm = GemmExecutor::<u8, i8, i32>::default();
    let bytes: Vec<u8> = x.iter().map(|x| (x * 127.0 + 128.0) as u8).collect();
    // Weights are [n][k]; the product wants [k][n].
    let b = NdTensorView::from_data([n, k], weights.as_slice());
    let packed = gemm.prepack_b(b.transposed());
    let a = NdTensorView::from_data([m, k], bytes.as_slice());
    let mut whole = vec![0i32; m * n];
    let mut failed = None;
    let times = alternate(
        || {
            let out = MatMut::dense(&mut y, n);
            layer.apply(cpu, MatRef::dense(&x, k), None, out, Epilogue::default());
        },
        || {
            let (a, b) = (GemmInputA::Unpacked(a), GemmInputB::Packed(&packed));
            failed = gemm.gemm(&mut whole, a, b, GemmOptions::default()).err();
        },
    );
    failed.map_or(Ok(times), |error| Err(error.into()))
}

/// Median times of an f32 layer and of gemm's product.
fn f32(cpu: &Cpu, m: usize, n: usize, k: usize) -> (f64, f64) {
    let weights: Vec<f32> = noise(n * k).collect();
    let layer = Linear::f32(&weights, vec![0.5; n], n, k);
    let x: Vec<f32> = noise(m * k).collect();
    let (mut y, mut z) = (vec![0.0; m * n], vec![0.0; m * n]);
    let threads = gemm::Parallelism::Rayon(cpu.pool.threads());
    let row = |n: usize| n as isize;
    alternate(
        || {
            layer.apply(
                cpu,
                MatRef::dense(&x, k),
                None,
                MatMut::dense(&mut y, n),
                Epilogue::default(),
            )
        },
        || {
            let (z, x, w) = (z.as_mut_ptr(), x.as_ptr(), weights.as_ptr());
            // SAFETY: z is [m][n], x is [m][k] and w is [n][k], read as [k][n]; the strides say so.
            unsafe {
                gemm::gemm(
                    m,
                    n,
                    k,
                    z,
                    1,
                    row(n),
                    false,
                    x,
                    1,
                    row(k),
                    w,
                    row(k),
                    1,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    threads,
                );
            }
        },
    )
}

/// Medians of the times of two pieces of work done in turns, in µs.
fn alternate(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (f64, f64) {
    let time = |work: &mut dyn FnMut()| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64() * 1e6
    };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    while a.len() < 15 || begun.elapsed().as_secs_f64() < BUDGET_S {
        a.push(time(&mut ours));
        b.push(time(&mut theirs));
    }
    (median(a), median(b))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Numbers in −1 … 1.
fn noise(n: usize) -> impl Iterator<Item = f32> {
    (0..n as u64).map(|i| {
        let mixed = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32;
        mixed / 8_388_608.0 - 1.0
    })
}
