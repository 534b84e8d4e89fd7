//! A model with random weights: the speed of a size can be measured without its weights.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use half::f16;

use super::{Dtype, FORMAT, ModelError, ModelFile, VERSION, layout};
use crate::models::tensors::{self, Entry};

/// Writes a model file with the dimensions and vocabulary of `like` to `path`: weights uniform in
/// ±√(3/k) for rows of k values, so that layers preserve the variance of their input; norms of 1.
/// The file is the same each time.
///
/// # Errors
/// Returns an error if it cannot be written.
pub fn write_random(like: &ModelFile, path: &Path) -> Result<(), ModelError> {
    let metadata = BTreeMap::from([
        ("format".to_owned(), FORMAT.to_owned()),
        ("version".to_owned(), VERSION.to_string()),
        ("name".to_owned(), "random".to_owned()),
        (
            "dims".to_owned(),
            serde_json::json!(like.dims()).to_string(),
        ),
        ("suppress_tokens".to_owned(), "[]".to_owned()),
    ]);
    let mut entries: Vec<_> = layout::tensors(like.dims())
        .into_iter()
        .map(random_entry)
        .collect();
    for name in ["vocab.bytes", "vocab.offsets"] {
        let tensor = like.tensor(name)?;
        entries.push(Entry {
            name: name.to_owned(),
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            bytes: Box::new(move || Ok(Cow::from(tensor.bytes))),
        });
    }
    tensors::write(path, metadata, entries, &mut |_| ())
}

fn random_entry<'a>((name, shape): (String, Vec<usize>)) -> Entry<'a> {
    let n: usize = shape.iter().product();
    let k: usize = shape[1..].iter().product();
    let is_norm_weight = shape.len() == 1 && name.ends_with("weight");
    let seed = name.bytes().fold(1u32, |seed, b| {
        seed.wrapping_mul(31).wrapping_add(u32::from(b))
    }) | 1;
    let bytes = move || {
        let mut state = seed;
        let mut value = || {
            // Marsaglia's xorshift32.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let unit = state as f32 / u32::MAX as f32 * 2.0 - 1.0;
            if is_norm_weight {
                1.0
            } else {
                unit * (3.0 / k as f32).sqrt()
            }
        };
        Ok(Cow::from(
            (0..n)
                .flat_map(|_| f16::from_f32(value()).to_le_bytes())
                .collect::<Vec<_>>(),
        ))
    };
    Entry {
        name,
        dtype: Dtype::F16,
        shape,
        bytes: Box::new(bytes),
    }
}
