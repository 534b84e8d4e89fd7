//! Storage of the cross-attention keys and values of a window: packed once, read for each token.
//!
//! The format is half precision, or 8 bits with a scale for each key and each value of a head,
//! which halves the memory traffic. Keys lie in panels of 16, so that a vector holds the scores of
//! 16 keys.

use crate::cpu::Cpu;
use crate::cpu::attention::encoder::HEAD;
use crate::cpu::isa::simd::{Kernel, LANES, Simd};
use crate::cpu::matrix::MatRef;
use bytemuck::{Pod, cast_slice, cast_slice_mut};

/// Vectors per row of a head.
pub(in crate::cpu) const PARTS: usize = HEAD / LANES;

/// Storage format of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvFormat {
    /// In half precision.
    F16,
    /// 8 bits, −127 … 127; 127 stands for the largest magnitude in a key or value.
    I8,
}

/// Keys and values of one window for the cross-attention of one block.
#[derive(Clone, Copy)]
pub struct Panels<'a> {
    /// For each head, with m = n rounded up to a multiple of 16: with 8 bits, f32 scales of keys
    /// and of values, `[m]` each; then keys `[m / 16][64][16]` and values `[n][64]`.
    pub data: &'a [u8],
    /// Number of keys.
    pub n: usize,
    /// Storage format.
    pub stored: KvFormat,
}

/// Size in bytes of [`Panels`] with `n` keys of `n_state` values.
pub fn panels_len(n: usize, n_state: usize, stored: KvFormat) -> usize {
    let heads = n_state / HEAD;
    match stored {
        KvFormat::F16 => heads * Sizes::of::<u16>(n).sum(),
        KvFormat::I8 => heads * Sizes::of::<i8>(n).sum(),
    }
}

/// Packs keys and values that lie side by side, `[n][2 × n_state]`, into the layout of [`Panels`].
///
/// # Panics
/// Panics if the length of `to` is not [`panels_len`].
pub fn pack_panels(cpu: &Cpu, rows: MatRef<'_>, stored: KvFormat, to: &mut [u8]) {
    assert_eq!(
        to.len(),
        panels_len(rows.rows(), rows.cols() / 2, stored),
        "panels have the wrong size"
    );
    cpu.pool.pieces(
        to,
        panels_len(rows.rows(), HEAD, stored).max(1),
        |head, to| {
            cpu.isa.dispatch(Pack {
                rows,
                col: head * HEAD,
                stored,
                to,
            });
        },
    );
}

/// One head of [`Panels`].
pub(in crate::cpu) struct Head<'a, T> {
    /// Factors for the scores of the keys; empty unless [`Number::SCALED`] is set.
    pub key_scales: &'a [f32],
    /// Factors for the values; empty unless [`Number::SCALED`] is set.
    pub value_scales: &'a [f32],
    /// `[m / 16][64]` vectors.
    pub keys: &'a [[T; LANES]],
    /// `[n][4]` vectors.
    pub values: &'a [[T; LANES]],
}

impl<'a> Panels<'a> {
    /// Returns the head that begins at column `col`.
    #[inline(always)]
    pub(in crate::cpu) fn head<T: Number>(&self, col: usize) -> Head<'a, T> {
        let sizes = Sizes::of::<T>(self.n);
        let data = &self.data[col / HEAD * sizes.sum()..][..sizes.sum()];
        let (key_scales, data) = data.split_at(sizes.scales);
        let (value_scales, data) = data.split_at(sizes.scales);
        let (keys, values) = data.split_at(sizes.keys);
        Head {
            key_scales: cast_slice(key_scales),
            value_scales: cast_slice(value_scales),
            keys: cast_slice(keys),
            values: cast_slice(values),
        }
    }
}

/// Sizes in bytes of the parts of a head.
struct Sizes {
    /// Scales of the keys; those of the values take as much again.
    scales: usize,
    keys: usize,
    values: usize,
}

impl Sizes {
    #[inline(always)]
    fn of<T: Number>(n: usize) -> Self {
        let m = n.next_multiple_of(LANES);
        let scales = if T::SCALED { m * size_of::<f32>() } else { 0 };
        Self {
            scales,
            keys: m * HEAD * size_of::<T>(),
            values: n * HEAD * size_of::<T>(),
        }
    }

    #[inline(always)]
    fn sum(&self) -> usize {
        2 * self.scales + self.keys + self.values
    }
}

/// Number type of stored keys and values.
pub(in crate::cpu) trait Number: Pod {
    /// Whether each key and value has a scale.
    const SCALED: bool;

    /// Reads 16 values.
    fn load<S: Simd>(s: S, from: &[Self; LANES]) -> S::F;

    /// Stores a key or value of a head and returns its scale.
    fn store<S: Simd>(s: S, row: [S::F; PARTS], to: &mut [[Self; LANES]; PARTS]) -> f32;
}

/// Half precision.
impl Number for u16 {
    const SCALED: bool = false;

    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[u16; LANES]) -> S::F {
        s.load_f16(from)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, row: [S::F; PARTS], to: &mut [[u16; LANES]; PARTS]) -> f32 {
        for j in 0..PARTS {
            s.store_f16(row[j], &mut to[j]);
        }
        1.0
    }
}

impl Number for i8 {
    const SCALED: bool = true;

    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[i8; LANES]) -> S::F {
        s.load_i8(from)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, row: [S::F; PARTS], to: &mut [[i8; LANES]; PARTS]) -> f32 {
        let mut largest = s.splat(0.0);
        for j in 0..PARTS {
            largest = s.max(largest, s.abs(row[j]));
        }
        let largest = s.max_lane(largest);
        let factor = s.splat(if largest > 0.0 { 127.0 / largest } else { 0.0 });
        for j in 0..PARTS {
            let x = s.min(
                s.max(s.mul(row[j], factor), s.splat(-127.0)),
                s.splat(127.0),
            );
            let mut bytes = [0; LANES];
            s.store_u8_offset(x, &mut bytes);
            for i in 0..LANES {
                to[j][i] = (bytes[i] ^ 0x80) as i8;
            }
        }
        largest / 127.0
    }
}

struct Pack<'a> {
    rows: MatRef<'a>,
    col: usize,
    stored: KvFormat,
    to: &'a mut [u8],
}

impl Pack<'_> {
    #[inline(always)]
    fn pack<S: Simd, T: Number>(self, s: S) {
        let n = self.rows.rows();
        let sizes = Sizes::of::<T>(n);
        let (key_scales, to) = self.to.split_at_mut(sizes.scales);
        let (value_scales, to) = to.split_at_mut(sizes.scales);
        let (keys, values) = to.split_at_mut(sizes.keys);
        let key_scales: &mut [f32] = cast_slice_mut(key_scales);
        let value_scales: &mut [f32] = cast_slice_mut(value_scales);
        let keys: &mut [[T; LANES]] = cast_slice_mut(keys);
        let (values, _) = cast_slice_mut::<u8, [T; LANES]>(values).as_chunks_mut::<PARTS>();
        let mut row = [s.splat(0.0); PARTS];
        let mut key = [[T::zeroed(); LANES]; PARTS];
        for first in (0..n).step_by(LANES) {
            // The last panel keeps old contents in the keys beyond n: their scores are never read.
            let panel = &mut keys[first * PARTS..][..HEAD];
            for i in first..n.min(first + LANES) {
                let from = self.rows.row(i);
                let (from_key, _) = from[self.col..][..HEAD].as_chunks::<LANES>();
                let (from_value, _) =
                    from[self.rows.cols() / 2 + self.col..][..HEAD].as_chunks::<LANES>();
                for j in 0..PARTS {
                    row[j] = s.load(&from_key[j]);
                }
                let key_scale = T::store(s, row, &mut key);
                for d in 0..HEAD {
                    panel[d][i - first] = key[d / LANES][d % LANES];
                }
                for j in 0..PARTS {
                    row[j] = s.load(&from_value[j]);
                }
                let value_scale = T::store(s, row, &mut values[i]);
                if T::SCALED {
                    key_scales[i] = key_scale;
                    value_scales[i] = value_scale;
                }
            }
        }
    }
}

impl Kernel for Pack<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.stored {
            KvFormat::F16 => self.pack::<S, u16>(s),
            KvFormat::I8 => self.pack::<S, i8>(s),
        }
    }
}
