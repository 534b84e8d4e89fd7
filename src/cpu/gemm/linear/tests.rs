//! Products of all sizes around the tile edges, on every instruction set, against the definition.

use super::*;
use crate::cpu::math::LayerNorm;
use crate::cpu::quantize_rows;
use crate::cpu::{Isa, Pool, gelu};

fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn cpus() -> Vec<Cpu> {
    let levels = Isa::available();
    levels
        .into_iter()
        .flat_map(|isa| {
            [1, 3].map(|n| Cpu {
                isa,
                pool: Pool::new(n),
            })
        })
        .collect()
}

/// x Wᵀ + b in f64.
fn reference(x: &[f32], w: &[f32], b: &[f32], (m, n, k): (usize, usize, usize)) -> Vec<f64> {
    let value = |i: usize| {
        let r = i / n;
        let c = i % n;
        let products = x[r * k..][..k].iter().zip(&w[c * k..][..k]);
        products
            .map(|(x, w)| f64::from(*x) * f64::from(*w))
            .sum::<f64>()
            + b.get(c).map_or(0.0, |b| f64::from(*b))
    };
    (0..m * n).map(value).collect()
}

const SIZES: [(usize, usize, usize); 14] = [
    (1, 1, 1),
    (1, 16, 16),
    (1, 33, 20),
    (1, 129, 64),
    (2, 31, 15),
    (3, 32, 17),
    (4, 65, 48),
    (5, 16, 100),
    (11, 47, 64),
    (12, 64, 64),
    (13, 48, 33),
    (25, 96, 80),
    (110, 300, 64),
    (200, 520, 32),
];

#[test]
fn f32_products_equal_the_definition_and_do_not_depend_on_the_threads() {
    for (m, n, k) in SIZES {
        let x = noise(m * k, 1);
        let w = noise(n * k, 2);
        let b = noise(n, 3);
        let layer = Linear::f32(&w, b.clone(), n, k);
        let want = reference(&x, &w, &b, (m, n, k));
        let results: Vec<_> = cpus()
            .iter()
            .map(|cpu| {
                let mut out = vec![f32::NAN; m * n];
                layer.apply(
                    cpu,
                    MatRef::dense(&x, k),
                    None,
                    MatMut::dense(&mut out, n),
                    Epilogue::default(),
                );
                for (y, want) in out.iter().zip(&want) {
                    assert!(
                        (f64::from(*y) - want).abs() < 1e-5 * k as f64,
                        "{} {m}×{n}×{k}",
                        cpu.isa.name()
                    );
                }
                out
            })
            .collect();
        for pair in results.chunks(2) {
            assert!(pair[0] == pair[1], "1 and 3 threads differ at {m}×{n}×{k}");
        }
    }
}

#[test]
fn int8_products_are_exact_on_every_instruction_set() {
    for (m, n, k) in SIZES {
        let x = noise(m * k, 4);
        let w = noise(n * k, 5);
        let (q, scales) = quantize_rows(&w, n, k);
        let layer = Linear::i8(pack_i8(&q, &scales, n, k), Vec::new(), n);
        // The definition: integer products of the quantised rows, times both scales.
        let (qx, sx) = quantize_rows(&x, m, k);
        for cpu in cpus() {
            let mut out = vec![f32::NAN; m * n];
            layer.apply(
                &cpu,
                MatRef::dense(&x, k),
                None,
                MatMut::dense(&mut out, n),
                Epilogue::default(),
            );
            for (i, y) in out.iter().enumerate() {
                let r = i / n;
                let c = i % n;
                let products = qx[r * k..][..k].iter().zip(&q[c * k..][..k]);
                let whole: i32 = products.map(|(x, w)| i32::from(*x) * i32::from(*w)).sum();
                let want = f64::from(whole) * f64::from(sx[r]) * f64::from(scales[c]);
                assert!(
                    (f64::from(*y) - want).abs() < 1e-5 * want.abs().max(0.01),
                    "{} {m}×{n}×{k} at {i}: {y}, not {want}",
                    cpu.isa.name()
                );
            }
        }
    }
}

#[test]
fn int8_extremes_do_not_saturate() {
    let (n, k) = (32, 2048);
    let w: Vec<i8> = (0..n * k)
        .map(|i| if i / k % 2 == 0 { 127 } else { -127 })
        .collect();
    let layer = Linear::i8(pack_i8(&w, &vec![1.0; n], n, k), Vec::new(), n);
    for x in [127.0, -127.0] {
        for cpu in cpus() {
            let mut out = vec![0.0; n];
            layer.apply(
                &cpu,
                MatRef::dense(&vec![x; k], k),
                None,
                MatMut::dense(&mut out, n),
                Epilogue::default(),
            );
            for (c, y) in out.iter().enumerate() {
                let want = x * if c % 2 == 0 { 127.0 } else { -127.0 } * k as f32;
                assert_eq!(*y, want, "{} output {c}", cpu.isa.name());
            }
        }
    }
}

#[test]
fn epilogue_norm_and_overlapping_rows() {
    let (m, n, k, stride) = (20, 40, 24, 8);
    let data = noise((m - 1) * stride + k, 6);
    let w = noise(n * k, 7);
    let b = noise(n, 8);
    let norm = LayerNorm {
        weight: noise(k, 9),
        bias: noise(k, 10),
    };
    let layer = Linear::f32(&w, b.clone(), n, k);
    for cpu in cpus() {
        let x = MatRef::new(&data, m, k, stride);
        let mut normed = vec![0.0; m * k];
        for i in 0..m {
            let row = &mut normed[i * k..][..k];
            crate::cpu::layer_norm(cpu.isa, x.row(i), &norm.weight, &norm.bias, row);
        }
        let mut want: Vec<f32> = reference(&normed, &w, &b, (m, n, k))
            .iter()
            .map(|y| *y as f32)
            .collect();
        gelu(cpu.isa, &mut want);
        let mut out = vec![1.5; m * n];
        let epilogue = Epilogue {
            gelu: true,
            accumulate: true,
        };
        layer.apply(&cpu, x, Some(&norm), MatMut::dense(&mut out, n), epilogue);
        for (y, want) in out.iter().zip(&want) {
            assert!(
                (y - 1.5 - want).abs() < 1e-4,
                "{}: {y} {want}",
                cpu.isa.name()
            );
        }
    }
}
