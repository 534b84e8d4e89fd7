//! Packs weights into the order and number format in which an overlay's tiles read them.
//!
//! In: a linear layer's weights, `[n][k]` as in PyTorch, so that B\[k\]\[n\] is their transpose.
//! Out: the bytes that `kernels/MANIFEST.md` defines. A wrong order has the right size, so the
//! tests compare with packings that were computed independently.

use xrt_sys::bfp16::{BLOCK, Block};
use xrt_sys::manifest::{Inner, Layout};

/// Packs weights as bfp16ebs8; padding beyond n and k is 0.
///
/// `weights`: `[n][k]`; `(padded_k, padded_n)`: the stream's shape, whole tiles.
pub fn pack_bfp16(weights: &[f32], k: usize, padded: (usize, usize), layout: &Layout) -> Vec<u8> {
    let mut packed = Vec::with_capacity(padded.0 * padded.1 / BLOCK * 9);
    each_block(padded, layout, |first_k, first_n| {
        for n in first_n..first_n + layout.n_block {
            let mut values = [0.0; BLOCK];
            if let Some(row) = weights.get(n * k..(n + 1) * k) {
                let row = row.get(first_k..).unwrap_or_default();
                values.iter_mut().zip(row).for_each(|(to, w)| *to = *w);
            }
            packed.extend(Block::round(values).to_bytes());
        }
    });
    packed
}

/// Packs 8-bit weights; padding beyond n and k is 0.
///
/// `weights`: `[n][k]`; `(padded_k, padded_n)`: the stream's shape, whole tiles.
pub fn pack_i8(weights: &[i8], k: usize, padded: (usize, usize), layout: &Layout) -> Vec<u8> {
    let value = |row: usize, n: usize| match weights.get(n * k..(n + 1) * k) {
        Some(weights) => weights.get(row).copied().unwrap_or(0) as u8,
        None => 0,
    };
    let Layout {
        k_block,
        n_block,
        inner,
        ..
    } = *layout;
    let mut packed = Vec::with_capacity(padded.0 * padded.1);
    each_block(padded, layout, |first_k, first_n| match inner {
        Inner::K => {
            packed.extend(
                (0..k_block * n_block).map(|i| value(first_k + i % k_block, first_n + i / k_block)),
            );
        }
        Inner::N => {
            packed.extend(
                (0..k_block * n_block).map(|i| value(first_k + i / n_block, first_n + i % n_block)),
            );
        }
    });
    packed
}

/// Calls `visit` with the first k and n of each block, in the order in which the tiles read them.
fn each_block((k, n): (usize, usize), layout: &Layout, mut visit: impl FnMut(usize, usize)) {
    let Layout {
        k_tile,
        n_tile,
        k_slice,
        k_block,
        n_block,
        ..
    } = *layout;
    for column in (0..n).step_by(n_tile) {
        for slice in (0..k)
            .step_by(k_tile)
            .flat_map(|tile| (tile..tile + k_tile).step_by(k_slice))
        {
            for nb in (column..column + n_tile).step_by(n_block) {
                for kb in (slice..slice + k_slice).step_by(k_block) {
                    visit(kb, nb);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xrt_sys::bfp16::BLOCK_BYTES;
    use xrt_sys::manifest::hash;

    const BFP16: Layout = Layout {
        k_tile: 512,
        n_tile: 64,
        k_slice: 128,
        k_block: 8,
        n_block: 8,
        inner: Inner::K,
    };
    const I8: Layout = Layout {
        k_slice: 64,
        inner: Inner::N,
        ..BFP16
    };
    const SHAPE: (usize, usize) = (1024, 128);

    /// Weights `[n][k]` whose rows, columns and exponents all differ; exact in `f32`.
    fn weights((k, n): (usize, usize)) -> Vec<f32> {
        let weight = |n: usize, k: usize| {
            let mantissa = ((n * 1031 + k * 7919) % 4001) as f32 - 2000.0;
            mantissa / 1024.0 * [0.25, 0.5, 1.0, 2.0, 4.0][(3 * n + k / 8) % 5]
        };
        (0..n * k).map(|i| weight(i / k, i % k)).collect()
    }

    fn whole((k, n): (usize, usize)) -> Vec<i8> {
        (0..n * k)
            .map(|i| ((i / k * 1031 + i % k * 7919) % 255) as i16 - 127)
            .map(|x| x as i8)
            .collect()
    }

    /// Computed in another language from the reshape and the axis order of amd/IRON's `packing.py`
    /// (`pack_b`: axes 4 0 1 5 2 6 3 for bfp16ebs8, 4 0 1 5 2 3 6 for row-major blocks).
    #[test]
    fn packings_are_those_of_the_reference() {
        let packed = pack_bfp16(&weights(SHAPE), SHAPE.0, SHAPE, &BFP16);
        assert_eq!(packed[..18], GOLDEN_FIRST);
        assert_eq!(hash(&packed), GOLDEN_BFP16);
        assert_eq!(
            hash(&pack_i8(&whole(SHAPE), SHAPE.0, SHAPE, &I8)),
            GOLDEN_I8
        );
        let inner_k = Layout {
            inner: Inner::K,
            ..I8
        };
        assert_eq!(
            hash(&pack_i8(&whole(SHAPE), SHAPE.0, SHAPE, &inner_k)),
            GOLDEN_I8_INNER_K
        );
    }

    /// A mistake in an index leaves every size right and every hash wrong.
    #[test]
    fn swapped_rows_columns_slices_or_exponents_do_not_pass() {
        let (k, n) = SHAPE;
        let right = weights(SHAPE);
        let transposed: Vec<f32> = (0..n * k).map(|i| right[i % n * k + i / n]).collect();
        let mut rows = right.clone();
        rows[..2 * k].rotate_left(k);
        let mut columns = right.clone();
        columns.chunks_exact_mut(k).for_each(|row| row.swap(3, 4));
        for wrong in [transposed, rows, columns] {
            assert_ne!(hash(&pack_bfp16(&wrong, k, SHAPE, &BFP16)), GOLDEN_BFP16);
        }
        for wrong in [
            Layout {
                k_slice: 64,
                ..BFP16
            },
            Layout {
                n_tile: 128,
                ..BFP16
            },
            Layout {
                k_tile: 1024,
                k_slice: 256,
                ..BFP16
            },
        ] {
            let packed = pack_bfp16(&right, k, SHAPE, &wrong);
            assert_eq!(packed.len(), n * k / BLOCK * BLOCK_BYTES);
            assert_ne!(hash(&packed), GOLDEN_BFP16, "{wrong:?}");
        }
        let mut exponents = pack_bfp16(&right, k, SHAPE, &BFP16);
        let (first, second) = exponents.split_at_mut(BLOCK_BYTES);
        assert_ne!(
            first[0], second[0],
            "neighbours with the same exponent prove nothing"
        );
        std::mem::swap(&mut first[0], &mut second[0]);
        assert_ne!(hash(&exponents), GOLDEN_BFP16);
    }

    /// Position of row k and column n, as one formula instead of loops.
    fn place(layout: &Layout, depth: usize, k: usize, n: usize) -> usize {
        let Layout {
            k_tile,
            n_tile,
            k_slice,
            k_block,
            n_block,
            inner,
        } = *layout;
        let tiles = n / n_tile * depth / k_tile + k / k_tile;
        let slices = tiles * (k_tile / k_slice) + k % k_tile / k_slice;
        let rows_of_blocks = slices * (n_tile / n_block) + n % n_tile / n_block;
        let blocks = rows_of_blocks * (k_slice / k_block) + k % k_slice / k_block;
        let within = if inner == Inner::K {
            n % n_block * k_block + k % k_block
        } else {
            k % k_block * n_block + n % n_block
        };
        blocks * k_block * n_block + within
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn packed_weights_are_found_again_and_the_rest_is_zero(
            (k, n) in (1usize..200, 1usize..100),
            (blocks, slices, tiles) in (1usize..3, 1usize..3, 1usize..3),
            n_block in prop_oneof![Just(4usize), Just(8)],
            inner_k in any::<bool>(),
        ) {
            let inner = if inner_k { Inner::K } else { Inner::N };
            let k_slice = 8 * blocks;
            let layout = Layout { k_tile: k_slice * slices, n_tile: n_block * tiles, k_slice, k_block: 8, n_block, inner };
            let padded = (k.next_multiple_of(layout.k_tile), n.next_multiple_of(layout.n_tile));
            let weights = whole((k, n));
            let packed = pack_i8(&weights, k, padded, &layout);
            prop_assert_eq!(packed.len(), padded.0 * padded.1);
            let reals: Vec<f32> = weights.iter().map(|w| f32::from(*w) / 64.0).collect();
            let layout_k = Layout { inner: Inner::K, ..layout };
            let blocks = pack_bfp16(&reals, k, padded, &layout_k);
            for row in 0..padded.0 {
                for col in 0..padded.1 {
                    let want = if row < k && col < n { weights[col * k + row] } else { 0 };
                    prop_assert_eq!(packed[place(&layout, padded.0, row, col)] as i8, want);
                    let at = place(&layout_k, padded.0, row, col);
                    let block = blocks[at / BLOCK * BLOCK_BYTES..].first_chunk().map(|b| Block::from_bytes(*b));
                    let got = block.map(|block| block.values()[at % BLOCK]);
                    // At most half a unit off, which is 1/64 of the block's largest power of two.
                    prop_assert!(got.is_some_and(|got| (got - f32::from(want) / 64.0).abs() <= 1.0 / 128.0));
                }
            }
        }
    }

    const GOLDEN_FIRST: [u8; 18] = [
        125, 131, 120, 115, 110, 104, 99, 94, 89, 128, 195, 190, 185, 180, 175, 170, 164, 159,
    ];
    const GOLDEN_BFP16: &str = "59a76d7c5d50a62344afa5b1e862036366342e62e8ecdef3078e91a2885950df";
    const GOLDEN_I8: &str = "b9dd409fd2c218b0fca0047452450404341b459151d52f3c22ade510da0b5e76";
    const GOLDEN_I8_INNER_K: &str =
        "0ba634ae2fe7afbff4d1741984b28d8d468b417919ff81d000cc4cdc1c8006ca";
}
