//! Matrix products: register tiles of a block of rows × 16 or 32 columns that run over the whole
//! inner dimension.
//!
//! Every value of the result is one chain of additions over k in ascending order, in any tile, so
//! results do not depend on how the work is divided.
//!
//! Kernels use loops even if a closure would be more readable: a closure is a separate function,
//! compiled without the instruction set unless the optimiser happens to inline it.

use crate::cpu::isa::simd::{LANES, Simd};

/// Height of the tile used for `rows` ≤ `S::MR` rows. A tile for every height would make the
/// program large and slow to compile; the padding costs little, since few rows are bound by reading
/// the weights anyway.
pub(in crate::cpu) fn tile_rows(rows: usize) -> usize {
    [1, 2, 4, 8].into_iter().find(|n| *n >= rows).unwrap_or(12)
}

/// Total rows of the tiles for `rows` rows in blocks of `block`.
pub(in crate::cpu) fn padded_rows(rows: usize, block: usize) -> usize {
    let whole = rows / block * block;
    if rows > whole {
        whole + tile_rows(rows - whole)
    } else {
        whole
    }
}

/// Runs `$body` with the constant `$M` equal to `$m`, a result of [`tile_rows`].
macro_rules! with_rows {
    ($m:expr, $S:ty, $M:ident => $body:expr) => {
        $crate::cpu::gemm::product::with_rows!(@arms $m, $S, $M => $body; 1 2 4 8 12)
    };
    (@arms $m:expr, $S:ty, $M:ident => $body:expr; $($n:literal)*) => {
        match $m {
            $($n if const { $n <= <$S as Simd>::MR } => {
                const $M: usize = $n;
                $body
            })*
            m => unreachable!("a tile of {m} rows"),
        }
    };
}
pub(in crate::cpu) use with_rows;

/// `a`: `[k][M]`; `b`: NP panels `[k][16]`. Returns the M × NP vectors of a × b.
#[inline(always)]
pub(in crate::cpu) fn tile_f32<S: Simd, const M: usize, const NP: usize>(
    s: S,
    a: &[f32],
    b: [&[[f32; LANES]]; NP],
) -> [[S::F; NP]; M] {
    let mut acc = [[s.splat(0.0); NP]; M];
    let mut panels = [s.splat(0.0); NP];
    for (i, a) in a.chunks_exact(M).enumerate() {
        for p in 0..NP {
            panels[p] = s.load(&b[p][i]);
        }
        for r in 0..M {
            let x = s.splat(a[r]);
            for p in 0..NP {
                acc[r][p] = s.mul_add(x, panels[p], acc[r][p]);
            }
        }
    }
    acc
}

/// `a`: `[k / 4][M][4]`, offset by 128; `b`: NP panels `[k / 4][16][4]`; `init`: −128 × the sum of
/// each column's weights. Returns the M × NP vectors of the integer product.
#[inline(always)]
pub(in crate::cpu) fn tile_i8<S: Simd, const M: usize, const NP: usize>(
    s: S,
    a: &[[u8; 4]],
    b: [&[[i8; 4 * LANES]]; NP],
    init: [&[i32; LANES]; NP],
) -> [[S::I; NP]; M] {
    let mut acc = [[s.splat_i32(0); NP]; M];
    for p in 0..NP {
        if S::UNSIGNED {
            for row in &mut acc {
                row[p] = s.load_i32(init[p]);
            }
        }
    }
    let mut quads = [s.load_quads(&[0; 4 * LANES]); NP];
    for (i, a) in a.chunks_exact(M).enumerate() {
        for p in 0..NP {
            quads[p] = s.load_quads(&b[p][i]);
        }
        for r in 0..M {
            for p in 0..NP {
                acc[r][p] = s.dot4(acc[r][p], a[r], quads[p]);
            }
        }
    }
    acc
}

/// As [`tile_i8`] for one row and one panel, which is read sequentially; several sums at a time
/// hide each other's latency.
#[inline(always)]
pub(in crate::cpu) fn row_i8<S: Simd>(
    s: S,
    a: &[[u8; 4]],
    b: &[[i8; 4 * LANES]],
    init: &[i32; LANES],
) -> S::I {
    const SUMS: usize = 4;
    let mut acc = [s.splat_i32(0); SUMS];
    if S::UNSIGNED {
        acc[0] = s.load_i32(init);
    }
    let (a, _) = a.as_chunks::<SUMS>();
    let (b, _) = b.as_chunks::<SUMS>();
    // The inner dimension is a multiple of 16, so no quads are left over.
    for i in 0..a.len().min(b.len()) {
        for j in 0..SUMS {
            acc[j] = s.dot4(acc[j], a[i][j], s.load_quads(&b[i][j]));
        }
    }
    s.add_i32(s.add_i32(acc[0], acc[1]), s.add_i32(acc[2], acc[3]))
}
