//! Elementwise and row-wise functions: exp, GELU, softmax, layer norm.

use crate::cpu::isa::Isa;
use crate::cpu::isa::simd::{Kernel, LANES, Simd};

/// Weight and bias of a layer norm, one each per value of a row.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// Factor, applied after normalisation.
    pub weight: Vec<f32>,
    /// Summand, applied after the factor.
    pub bias: Vec<f32>,
}

/// ε that openai-whisper's layer norms add to the variance (PyTorch's default).
const LAYER_NORM_EPS: f32 = 1e-5;

/// Reads up to 16 values; lanes beyond the end are `fill`.
#[inline(always)]
pub(super) fn load_part<S: Simd>(s: S, from: &[f32], fill: f32) -> S::F {
    match from.first_chunk() {
        Some(whole) => s.load(whole),
        None => {
            let mut padded = [fill; LANES];
            padded[..from.len()].copy_from_slice(from);
            s.load(&padded)
        }
    }
}

/// Writes the first lanes: 16, or as many as `to` has.
#[inline(always)]
pub(super) fn store_part<S: Simd>(s: S, v: S::F, to: &mut [f32]) {
    match to.first_chunk_mut() {
        Some(whole) => s.store(v, whole),
        None => {
            let mut padded = [0.0; LANES];
            s.store(v, &mut padded);
            let n = to.len();
            to.copy_from_slice(&padded[..n]);
        }
    }
}

/// eˣ to 2 ULP; x is clamped to −87 … 88; NaN stays NaN.
///
/// x = n ln 2 + r with |r| ≤ ln 2 / 2 (ln 2 in two parts, after Cody and Waite); eʳ by its Taylor
/// polynomial of degree 7, whose remainder at the ends is 0.05 ULP.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.min(s.splat(88.0), s.max(s.splat(-87.0), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.mul_add(n, s.splat(-0.693_359_4), x);
    let r = s.mul_add(n, s.splat(2.121_944_4e-4), r);
    let mut p = s.splat(1.0 / 5040.0);
    for c in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        p = s.mul_add(p, r, s.splat(c));
    }
    s.mul(p, s.exp2i(n))
}

/// 2ˣ for x ≤ 0; x below −126 gives 2⁻¹²⁶.
///
/// x = n + r with |r| ≤ ½; 2ʳ by the first `terms` of its Taylor series, Σ (r ln 2)ᵏ / k!. The
/// remainder is below 6e-5 of the value with 5 terms, 2e-7 with 7 and 1e-8 with 8.
#[inline(always)]
pub(super) fn exp2<S: Simd>(s: S, x: S::F, terms: usize) -> S::F {
    const SERIES: [f32; 8] = [
        1.0,
        std::f32::consts::LN_2,
        0.240_226_5,
        0.055_504_11,
        0.009_618_129,
        0.001_333_355_8,
        0.000_154_035_3,
        0.000_015_252_73,
    ];
    let x = s.max(x, s.splat(-126.0));
    let n = s.round(x);
    let r = s.sub(x, n);
    let mut p = s.splat(SERIES[terms - 1]);
    for k in 2..terms + 1 {
        p = s.mul_add(p, r, s.splat(SERIES[terms - k]));
    }
    s.mul(p, s.exp2i(n))
}

/// GELU as PyTorch's default defines it, x Φ(x), to 1e-6: max(x, 0) − |x|/2 erfc(|x|/√2).
///
/// erfc by formula 7.1.26 of Abramowitz and Stegun (absolute error 1.5e-7), which keeps the tails
/// exact where 1 + erf would lose them to rounding.
#[inline(always)]
pub(super) fn gelu_vector<S: Simd>(s: S, x: S::F) -> S::F {
    let magnitude = s.abs(x);
    let t = s.mul_add(
        magnitude,
        s.splat(0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2),
        s.splat(1.0),
    );
    let t = s.div(s.splat(1.0), t);
    let mut p = s.splat(1.061_405_4);
    for c in [-1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6] {
        p = s.mul_add(p, t, s.splat(c));
    }
    let gauss = exp2(
        s,
        s.mul(s.mul(x, x), s.splat(-0.5 * std::f32::consts::LOG2_E)),
        7,
    );
    let tail = s.mul(s.mul(s.mul(p, t), gauss), s.mul(magnitude, s.splat(0.5)));
    s.sub(s.max(x, s.splat(0.0)), tail)
}

/// Applies GELU to each value, as the epilogue of a product does.
#[cfg(test)]
pub fn gelu(isa: Isa, values: &mut [f32]) {
    struct Gelu<'a>(&'a mut [f32]);
    impl Kernel for Gelu<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for part in self.0.chunks_mut(LANES) {
                let y = gelu_vector(s, load_part(s, part, 0.0));
                store_part(s, y, part);
            }
        }
    }
    isa.dispatch(Gelu(values));
}

/// Replaces a row of scores with its softmax, as attention does.
#[cfg(test)]
pub fn softmax(isa: Isa, scores: &mut [f32]) {
    struct Softmax<'a>(&'a mut [f32]);
    impl Kernel for Softmax<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            softmax_row(s, self.0);
        }
    }
    isa.dispatch(Softmax(scores));
}

#[inline(always)]
pub(super) fn softmax_row<S: Simd>(s: S, scores: &mut [f32]) {
    let mut max = s.splat(f32::NEG_INFINITY);
    for part in scores.chunks(LANES) {
        max = s.max(max, load_part(s, part, f32::NEG_INFINITY));
    }
    let max = s.splat(s.max_lane(max));
    let mut sum = s.splat(0.0);
    for part in scores.chunks_mut(LANES) {
        let e = exp(s, s.sub(load_part(s, part, 0.0), max));
        store_part(s, e, part);
        sum = s.add(sum, load_part(s, part, 0.0));
    }
    let scale = s.splat(1.0 / s.sum(sum));
    for part in scores.chunks_mut(LANES) {
        let y = s.mul(load_part(s, part, 0.0), scale);
        store_part(s, y, part);
    }
}

/// Layer norm of one row: (x − mean) / √(variance + ε) × `weight` + `bias`; all slices have the
/// row's length.
pub fn layer_norm(isa: Isa, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    struct Norm<'a>(&'a [f32], &'a [f32], &'a [f32], &'a mut [f32]);
    impl Kernel for Norm<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            layer_norm_row(s, self.0, self.1, self.2, self.3);
        }
    }
    isa.dispatch(Norm(x, weight, bias, out));
}

#[inline(always)]
pub(super) fn layer_norm_row<S: Simd>(
    s: S,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    out: &mut [f32],
) {
    let n = x.len() as f32;
    let mut sum = s.splat(0.0);
    let mut i = 0;
    while i < x.len() {
        sum = s.add(sum, load_part(s, &x[i..], 0.0));
        i += LANES;
    }
    let mean = s.sum(sum) / n;
    let mean_v = s.splat(mean);
    let mut squares = s.splat(0.0);
    let mut i = 0;
    while i < x.len() {
        let d = s.sub(load_part(s, &x[i..], mean), mean_v);
        squares = s.mul_add(d, d, squares);
        i += LANES;
    }
    let scale = s.splat(1.0 / (s.sum(squares) / n + LAYER_NORM_EPS).sqrt());
    let mut i = 0;
    while i < x.len() {
        let d = s.mul(s.sub(load_part(s, &x[i..], 0.0), mean_v), scale);
        let y = s.mul_add(
            d,
            load_part(s, &weight[i..], 0.0),
            load_part(s, &bias[i..], 0.0),
        );
        store_part(s, y, &mut out[i..]);
        i += LANES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 9] = [1, 2, 15, 16, 17, 31, 32, 100, 512];

    fn values(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 7919 + 13) % 1000) as f32 / 100.0 - 5.0)
            .collect()
    }

    /// erf by its power series in f64, |x| ≤ 5.
    fn erf(x: f64) -> f64 {
        let mut term = x;
        let mut sum = x;
        for n in 1..200 {
            term *= -x * x / n as f64;
            sum += term / (2 * n + 1) as f64;
        }
        2.0 / std::f64::consts::PI.sqrt() * sum
    }

    #[test]
    fn gelu_is_within_a_millionth_of_its_definition() {
        for isa in Isa::available() {
            let xs: Vec<f32> = (-60_000..60_000).map(|i| i as f32 / 10_000.0).collect();
            let mut ys = xs.clone();
            gelu(isa, &mut ys);
            for (x, y) in xs.iter().zip(&ys) {
                let x = f64::from(*x);
                let want = x / 2.0 * (1.0 + erf((x / 2f64.sqrt()).clamp(-5.0, 5.0)));
                assert!(
                    (f64::from(*y) - want).abs() < 1e-6,
                    "{}: gelu({x}) = {y}, not {want}",
                    isa.name()
                );
            }
        }
    }

    #[test]
    fn exp_is_within_two_ulp() {
        struct Exp([f32; LANES]);
        impl Kernel for Exp {
            type Out = [f32; LANES];
            #[inline(always)]
            fn run<S: Simd>(mut self, s: S) -> [f32; LANES] {
                let y = exp(s, s.load(&self.0));
                s.store(y, &mut self.0);
                self.0
            }
        }
        for isa in Isa::available() {
            for i in -8600..8700i32 {
                let x = i as f32 / 100.0 + 0.003;
                let y = isa.dispatch(Exp([x; LANES]))[i.unsigned_abs() as usize % LANES];
                let want = f64::from(x).exp();
                let ulp = f64::from((want as f32).next_up()) - f64::from(want as f32);
                let off = (f64::from(y) - want).abs() / ulp;
                assert!(
                    off <= 2.0,
                    "{}: exp({x}) = {y:e}, {off} ULP from {want:e}",
                    isa.name()
                );
            }
        }
    }

    #[test]
    fn exp2_is_as_close_as_its_terms() {
        struct Exp2([f32; LANES], usize);
        impl Kernel for Exp2 {
            type Out = [f32; LANES];
            #[inline(always)]
            fn run<S: Simd>(mut self, s: S) -> [f32; LANES] {
                let y = exp2(s, s.load(&self.0), self.1);
                s.store(y, &mut self.0);
                self.0
            }
        }
        for isa in Isa::available() {
            for (terms, tolerance) in [(5, 6e-5), (7, 4e-7), (8, 3e-7)] {
                for i in 0..=12_500 {
                    let x = -i as f32 / 100.0;
                    let y = f64::from(isa.dispatch(Exp2([x; LANES], terms))[i as usize % LANES]);
                    let want = f64::from(x).exp2();
                    assert!(
                        (y / want - 1.0).abs() < tolerance,
                        "{}: 2^{x} = {y:e}, not {want:e}",
                        isa.name()
                    );
                }
                assert!(isa.dispatch(Exp2([f32::NEG_INFINITY; LANES], terms))[0] < 1e-30);
            }
        }
    }

    #[test]
    fn softmax_is_its_definition() {
        for isa in Isa::available() {
            for n in SIZES {
                let xs = values(n);
                let mut ys = xs.clone();
                softmax(isa, &mut ys);
                let max = xs.iter().copied().fold(f32::MIN, f32::max);
                let sum: f64 = xs.iter().map(|x| f64::from(x - max).exp()).sum();
                for (x, y) in xs.iter().zip(&ys) {
                    let want = f64::from(x - max).exp() / sum;
                    assert!(
                        (f64::from(*y) - want).abs() < 1e-6,
                        "{} n={n}: {y} {want}",
                        isa.name()
                    );
                }
            }
        }
    }

    #[test]
    fn layer_norm_is_its_definition() {
        for isa in Isa::available() {
            for n in SIZES {
                let x = values(n);
                let w = values(n + 5)[5..].to_vec();
                let b: Vec<f32> = w.iter().map(|w| w * 0.3 - 1.0).collect();
                let mut y = vec![0.0; n];
                layer_norm(isa, &x, &w, &b, &mut y);
                let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / n as f64;
                let var = x
                    .iter()
                    .map(|x| (f64::from(*x) - mean).powi(2))
                    .sum::<f64>()
                    / n as f64;
                for i in 0..n {
                    let want = (f64::from(x[i]) - mean) / (var + 1e-5).sqrt() * f64::from(w[i])
                        + f64::from(b[i]);
                    assert!(
                        (f64::from(y[i]) - want).abs() < 2e-5,
                        "{} n={n}: {} {want}",
                        isa.name(),
                        y[i]
                    );
                }
            }
        }
    }
}
