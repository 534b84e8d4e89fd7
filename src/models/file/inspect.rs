//! Reports on a model: its tensors with type, shape and range, and the effect of int8 quantisation.

use super::{Defect, Dtype, ModelError, ModelFile, layout};
use crate::cpu::quantize_rows;

/// Properties of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorReport {
    /// Name.
    pub name: String,
    /// Type of the values in the file.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Size in bytes.
    pub bytes: usize,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Effect of quantisation; only matrices and convolutions are quantised.
    pub int8: Option<Int8Report>,
}

/// Effect of symmetric int8 quantisation with one scale per output channel on a matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Int8Report {
    /// Smallest scale of a channel.
    pub min_scale: f32,
    /// Largest scale of a channel.
    pub max_scale: f32,
    /// Root mean square of the error, divided by that of the weights.
    pub relative_rms: f64,
}

impl TensorReport {
    /// Number of values.
    pub fn parameters(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Reads all plain tensors of the model, encoder first; with `int8`, quantises each matrix.
///
/// # Errors
/// Returns an error if a tensor cannot be read.
pub fn inspect(model: &ModelFile, int8: bool) -> Result<Vec<TensorReport>, ModelError> {
    let report = |(name, _): (String, Vec<usize>)| {
        let tensor = model.tensor(&name)?;
        let values = model.f32(&name)?;
        let rows = tensor.shape().first().copied().unwrap_or(1);
        let is_matrix = tensor.shape().len() > 1 && name.ends_with(".weight");
        if values.is_empty() {
            return Err(Defect::new(format!("tensor {name} is empty")).of(model.path()));
        }
        Ok(TensorReport {
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            bytes: tensor.bytes.len(),
            min: values.iter().copied().fold(f32::INFINITY, f32::min),
            max: values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            int8: (int8 && is_matrix).then(|| int8_report(&values, rows)),
            name,
        })
    };
    layout::tensors(model.dims())
        .into_iter()
        .map(report)
        .collect()
}

fn int8_report(weights: &[f32], rows: usize) -> Int8Report {
    let width = weights.len() / rows.max(1);
    let (quantized, scales) = quantize_rows(weights, rows, width);
    let square = |v: f64| v * v;
    let pairs = weights
        .chunks(width.max(1))
        .zip(quantized.chunks(width.max(1)))
        .zip(&scales);
    let error: f64 = pairs
        .map(|((weights, quantized), &scale)| {
            let errors = weights
                .iter()
                .zip(quantized)
                .map(|(&w, &q)| square(f64::from(w - f32::from(q) * scale)));
            errors.sum::<f64>()
        })
        .sum();
    let power: f64 = weights.iter().map(|&w| square(f64::from(w))).sum();
    Int8Report {
        min_scale: scales.iter().copied().fold(f32::INFINITY, f32::min),
        max_scale: scales.iter().copied().fold(0.0, f32::max),
        relative_rms: if power > 0.0 {
            (error / power).sqrt()
        } else {
            0.0
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_relative_to_the_weights() {
        // Scales 1 and 0.01; the second value of the first row is off by 0.5 (ties go to even), the
        // others are exact.
        let report = int8_report(&[127.0, 0.5, 1.27, -0.01], 2);
        assert_eq!((report.min_scale, report.max_scale), (0.01, 1.0));
        let power = 127.0f64.powi(2) + 0.25 + 1.27f64.powi(2) + 0.0001;
        assert!(
            (report.relative_rms - (0.25 / power).sqrt()).abs() < 1e-6,
            "{report:?}"
        );
        assert_eq!(int8_report(&[0.0; 4], 2).relative_rms, 0.0);
    }
}
