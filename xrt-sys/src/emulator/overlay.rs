//! Overlays for the emulator if none were built: a manifest whose streams hold a shape but no
//! instructions.

use crate::manifest::{
    Argument, File, GEMM, Inner, Layout, Manifest, Operand, Operator, OperatorOverlay,
    OperatorStream, Overlay, PackedOperand, Role, Rounding, Stream, Target, Type, hash,
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
        operators: Vec::new(),
    };
    manifest.write(directory)?;
    Ok(manifest)
}

/// Writes overlays for a whole encoder in one context: bf16 products of these shapes, and the other
/// operators for these numbers of rows at this width, all in one xclbin.
///
/// # Errors
/// Returns an error if a file cannot be written.
pub fn write_one_context(
    directory: &Path,
    shapes: &[[usize; 3]],
    rows: &[usize],
    width: usize,
) -> io::Result<Manifest> {
    let mut manifest = write_overlays(directory, shapes)?;
    manifest
        .gemms
        .retain(|overlay| overlay.a.dtype == Type::Bf16);
    let Some(product) = manifest.gemms.first_mut() else {
        return Ok(manifest);
    };
    // Not padded: a product's operand is another operator's result as it stands.
    let layout = &mut product.b.layout;
    layout.k_tile = layout.k_slice;
    let (xclbin, kernel) = (product.xclbin.clone(), product.kernel.clone());
    for operator in Operator::ALL {
        let widths: &[usize] = match operator {
            Operator::BiasGelu => &[4 * width],
            Operator::BiasAdd => &[3 * width],
            _ => &[width],
        };
        let mut streams = Vec::new();
        for (m, n) in rows
            .iter()
            .flat_map(|m| widths.iter().map(move |n| (*m, *n)))
        {
            streams.push(operator_stream(directory, operator, m, n)?);
        }
        let common = [Role::Opcode, Role::Instructions, Role::InstructionWords];
        let roles = common.iter().chain(operator.roles());
        let index = |(index, role): (u32, &Role)| Argument { index, role: *role };
        manifest.operators.push(OperatorOverlay {
            name: operator.name().to_owned(),
            operator,
            xclbin: xclbin.clone(),
            kernel: kernel.clone(),
            arguments: (0..).zip(roles).map(index).collect(),
            streams,
        });
    }
    manifest.write(directory)?;
    Ok(manifest)
}

fn operator_stream(
    directory: &Path,
    operator: Operator,
    m: usize,
    n: usize,
) -> io::Result<OperatorStream> {
    let mut data = [&MARK[..], operator.name().as_bytes()].concat();
    data.resize(data.len().next_multiple_of(4), 0);
    data.extend([m, n].iter().flat_map(|x| (*x as u32).to_le_bytes()));
    let file = format!("{}_{m}x{n}.bin", operator.name());
    std::fs::write(directory.join(&file), &data)?;
    let is_attention = operator == Operator::Attention;
    Ok(OperatorStream {
        file,
        words: data.len() as u64 / 4,
        sha256: hash(&data),
        m,
        n: (!is_attention).then_some(n),
        heads: is_attention.then_some(n / 64),
    })
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
