//! The array's arithmetic, as an overlay declares it: products in the declared formats, order and
//! rounding.
//!
//! In: the operands' bytes as the device sees them. Out: the result's. bfp16 products are summed in
//! `f32` in an order that may differ from the device's: results are close to hardware, but not bit
//! for bit. Integer products are exact.

use crate::bfp16::{BLOCK, BLOCK_BYTES, Block};
use crate::manifest::{Inner, Layout, Overlay, Stream, Type};
use half::bf16;

/// Number of columns that are computed at a time.
const PANEL: usize = 16;

/// Number of terms summed in `f32` before they are converted to integers: 1024 × 128² = 2²⁴ is
/// exact.
const EXACT: usize = 1024;

/// C\[m\]\[n\] = A\[m\]\[k\] × B\[k\]\[n\].
pub fn gemm(overlay: &Overlay, stream: &Stream, a: &[u8], b: &[u8]) -> Vec<u8> {
    let Stream { m, k, n, .. } = *stream;
    let a = &a[..overlay.a.dtype.bytes(m * k)];
    let b = &b[..overlay.b.dtype.bytes(k * n)];
    let a = match overlay.a.dtype {
        Type::I8 => a.iter().map(|x| f32::from(*x as i8)).collect(),
        _ => rounded_rows(a),
    };
    let b = panels(overlay, b, k, n);
    let mut c = vec![0u8; overlay.c.dtype.bytes(m * n)];
    let step = if overlay.c.dtype == Type::I32 {
        EXACT
    } else {
        k
    };
    for (panel, first) in b.chunks_exact(k).zip((0..n).step_by(PANEL)) {
        for row in 0..m {
            let mut whole = [0i32; PANEL];
            let mut sums = [0.0; PANEL];
            for (a, panel) in a[row * k..][..k].chunks(step).zip(panel.chunks(step)) {
                sums = dot(a, panel);
                for j in 0..PANEL {
                    whole[j] = whole[j].wrapping_add(sums[j] as i32);
                }
            }
            for j in 0..PANEL.min(n - first) {
                let at = row * n + first + j;
                match overlay.c.dtype {
                    Type::I32 => c[4 * at..][..4].copy_from_slice(&whole[j].to_le_bytes()),
                    _ => c[2 * at..][..2].copy_from_slice(&bf16::from_f32(sums[j]).to_le_bytes()),
                }
            }
        }
    }
    c
}

/// Rounds bf16 rows as the multiplier does: to bfp16, in blocks of 8 consecutive values.
fn rounded_rows(a: &[u8]) -> Vec<f32> {
    let (blocks, _) = a.as_chunks::<{ 2 * BLOCK }>();
    let mut values = Vec::with_capacity(a.len() / 2);
    for block in blocks {
        let (pairs, _) = block.as_chunks::<2>();
        let mut x = [0.0; BLOCK];
        for i in 0..BLOCK {
            x[i] = bf16::from_le_bytes(pairs[i]).to_f32();
        }
        values.extend(Block::round(x).values());
    }
    values
}

/// Unpacks B into panels of 16 columns, `[n / 16][k][16]`.
fn panels(overlay: &Overlay, b: &[u8], k: usize, n: usize) -> Vec<[f32; PANEL]> {
    let layout = &overlay.b.layout;
    let mut panels = vec![[0.0; PANEL]; n.div_ceil(PANEL) * k];
    for col in 0..n {
        let panel = &mut panels[col / PANEL * k..][..k];
        match overlay.b.dtype {
            Type::I8 => {
                for row in 0..k {
                    panel[row][col % PANEL] = f32::from(b[place(layout, k, row, col)] as i8);
                }
            }
            _ => {
                let (blocks, _) = b.as_chunks::<BLOCK_BYTES>();
                for row in (0..k).step_by(BLOCK) {
                    let values =
                        Block::from_bytes(blocks[place(layout, k, row, col) / BLOCK]).values();
                    for i in 0..BLOCK {
                        panel[row + i][col % PANEL] = values[i];
                    }
                }
            }
        }
    }
    panels
}

/// Index of the value of row `k` and column `n` among B's values; a column has `depth` rows.
fn place(layout: &Layout, depth: usize, k: usize, n: usize) -> usize {
    let Layout {
        k_tile,
        n_tile,
        k_slice,
        k_block,
        n_block,
        inner,
    } = *layout;
    let (column, n) = (n / n_tile, n % n_tile);
    let (nb, ni) = (n / n_block, n % n_block);
    let (tile, k) = (k / k_tile, k % k_tile);
    let (slice, k) = (k / k_slice, k % k_slice);
    let (kb, ki) = (k / k_block, k % k_block);
    let block = nb * (k_slice / k_block) + kb;
    let within = if inner == Inner::K {
        ni * k_block + ki
    } else {
        ki * n_block + ni
    };
    column * depth * n_tile
        + tile * k_tile * n_tile
        + slice * k_slice * n_tile
        + block * k_block * n_block
        + within
}

/// Σ a\[i\] × b\[i\], for each of 16 columns.
fn dot(a: &[f32], b: &[[f32; PANEL]]) -> [f32; PANEL] {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2.
        return unsafe { dot_avx2(a, b) };
    }
    dot_here(a, b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_avx2(a: &[f32], b: &[[f32; PANEL]]) -> [f32; PANEL] {
    dot_here(a, b)
}

// Loops that the compiler vectorises; a closure would be compiled without the caller's instruction
// set.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
fn dot_here(a: &[f32], b: &[[f32; PANEL]]) -> [f32; PANEL] {
    // Two chains hide some of the additions' latency.
    let mut sums = [[0.0; PANEL]; 2];
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let mut i = 0;
    while i + 1 < len {
        for j in 0..PANEL {
            sums[0][j] += a[i] * b[i][j];
        }
        for j in 0..PANEL {
            sums[1][j] += a[i + 1] * b[i + 1][j];
        }
        i += 2;
    }
    if i < len {
        for j in 0..PANEL {
            sums[0][j] += a[i] * b[i][j];
        }
    }
    for j in 0..PANEL {
        sums[0][j] += sums[1][j];
    }
    sums[0]
}
