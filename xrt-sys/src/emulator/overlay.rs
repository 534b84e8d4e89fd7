//! Overlays for the emulator if none were built: a manifest whose streams hold a shape but no
//! instructions.

use crate::manifest::{
    Argument, File, GEMM, Inner, Layout, Manifest, Operand, Overlay, PackedOperand, Role, Rounding,
    Stream, Target, Type, hash,
};
use std::io;
use std::path::Path;

/// First words of a stream that no hardware can execute.
const MARK: &[u8; 8] = b"SOFTWARE";

/// The layout of amd/IRON's GEMM (`iron/operators/flm/gemm/design.py`: n_tile 64 requires slices of
/// 128).
const BFP16_LAYOUT: Layout = Layout {
    k_tile: 512,
    n_tile: 64,
    k_slice: 128,
    k_block: 8,
    n_block: 8,
    inner: Inner::K,
};

/// Blocks of 8 × 8 as the AIE API's `mmul<8, 8, 8>` reads integers, row by row.
const I8_LAYOUT: Layout = Layout {
    k_tile: 512,
    n_tile: 64,
    k_slice: 64,
    k_block: 8,
    n_block: 8,
    inner: Inner::N,
};

/// Writes overlays for products of these shapes, \[m, k, n\], in both number formats.
///
/// # Errors
/// Returns an error if a file cannot be written.
pub fn write_overlays(directory: &Path, shapes: &[[usize; 3]]) -> io::Result<Manifest> {
    let bf16 = [
        Type::Bf16,
        Type::Bfp16ebs8,
        Type::Bfp16ebs8,
        Type::F32,
        Type::Bf16,
    ];
    let i8 = [Type::I8, Type::I8, Type::I8, Type::I32, Type::I32];
    let gemms = vec![
        overlay(directory, "gemm-bf16", bf16, BFP16_LAYOUT, shapes)?,
        overlay(directory, "gemm-i8", i8, I8_LAYOUT, shapes)?,
    ];
    let manifest = Manifest {
        target: Target::Emulator,
        gemms,
    };
    manifest.write(directory)?;
    Ok(manifest)
}

fn overlay(
    directory: &Path,
    name: &str,
    [a, b, multiply, accumulate, c]: [Type; 5],
    layout: Layout,
    shapes: &[[usize; 3]],
) -> io::Result<Overlay> {
    let stream = |&[m, k, n]: &[usize; 3]| {
        let mut data = [&MARK[..], name.as_bytes()].concat();
        data.resize(data.len().next_multiple_of(4), 0);
        data.extend([m, k, n].iter().flat_map(|x| (*x as u32).to_le_bytes()));
        let file = format!("{name}_{m}x{k}x{n}.bin");
        std::fs::write(directory.join(&file), &data)?;
        Ok(Stream {
            file,
            words: data.len() as u64 / 4,
            sha256: hash(&data),
            m,
            k,
            n,
        })
    };
    let streams = shapes.iter().map(stream).collect::<io::Result<_>>()?;
    let file = format!("{name}.xclbin");
    let data = [&MARK[..], name.as_bytes()].concat();
    std::fs::write(directory.join(&file), &data)?;
    let index = |(index, role)| Argument { index, role };
    Ok(Overlay {
        name: name.to_owned(),
        operator: GEMM.to_owned(),
        xclbin: File {
            file,
            bytes: data.len() as u64,
            sha256: hash(&data),
        },
        kernel: "MLIR_AIE".to_owned(),
        arguments: (0..).zip(Role::ALL).map(index).collect(),
        multiply,
        accumulate,
        a: Operand { dtype: a },
        b: PackedOperand { dtype: b, layout },
        c: Operand { dtype: c },
        rounding: Rounding::ConvEven,
        streams,
    })
}
