//! Writes safetensors files: metadata and tensors in, an aligned file with a checksum out.
//!
//! The safetensors crate aligns to 8 bytes; vector kernels need cache lines of 64. The format
//! forbids gaps, so the header is padded, and tensors whose size is not a multiple of a line come
//! last.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Defect, Dtype, ModelError, byte_size, hex};

/// Alignment of the data section and of each tensor that is a multiple of it, in bytes: a cache
/// line.
const ALIGNMENT: usize = 64;
/// Placeholder of the same length as the checksum, until the data has been written.
const CHECKSUM_PLACEHOLDER: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// A tensor to write. Its bytes are made just before they are written, so that only one tensor is
/// in memory at a time.
pub(crate) struct Entry<'a> {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    /// Dimensions, outermost first.
    pub(crate) shape: Vec<usize>,
    /// Makes the bytes: row-major, little-endian.
    pub(crate) bytes: Box<dyn Fn() -> Result<Cow<'a, [u8]>, ModelError> + 'a>,
}

/// Writes a file to `path` and syncs it to disk. `progress` receives the share of bytes written, 0
/// to 1.
///
/// # Errors
/// Returns an error if it cannot be written, or if a tensor's bytes cannot be made or do not fit its
/// shape.
pub(crate) fn write(
    path: &Path,
    mut metadata: BTreeMap<String, String>,
    entries: Vec<Entry<'_>>,
    progress: &mut dyn FnMut(f32),
) -> Result<(), ModelError> {
    metadata.insert("data_sha256".to_owned(), CHECKSUM_PLACEHOLDER.to_owned());
    let (entries, data_len) = placed(entries).map_err(|d| d.of(path))?;
    let header = header(&metadata, &entries);
    let total = (header.len() + data_len) as u64;
    let failed = || ModelError::write(path, total);

    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed())?);
    out.write_all(&header).map_err(failed())?;
    let mut checksum = Sha256::new();
    let mut written = 0;
    for Placed { entry, range } in &entries {
        let bytes = (entry.bytes)()?;
        if bytes.len() != range.len() {
            let reason = format!(
                "tensor {} has {} bytes instead of {}",
                entry.name,
                bytes.len(),
                range.len()
            );
            return Err(Defect::new(reason).of(path));
        }
        checksum.update(&bytes);
        out.write_all(&bytes).map_err(failed())?;
        written += bytes.len();
        progress(written as f32 / data_len as f32);
    }
    metadata.insert("data_sha256".to_owned(), hex(&checksum.finalize()));
    finish(out, &self::header(&metadata, &entries)).map_err(failed())
}

/// Overwrites the first header with the final one and syncs the file to disk.
fn finish(mut out: BufWriter<File>, header: &[u8]) -> io::Result<()> {
    out.seek(SeekFrom::Start(0))?;
    out.write_all(header)?;
    out.flush()?;
    out.get_ref().sync_all()
}

/// An entry and its range in the data section, in bytes.
struct Placed<'a> {
    entry: Entry<'a>,
    range: std::ops::Range<usize>,
}

/// Orders the entries so that as many as possible are aligned. Returns them with their ranges, and
/// the total size in bytes.
fn placed(mut entries: Vec<Entry<'_>>) -> Result<(Vec<Placed<'_>>, usize), Defect> {
    let odd_size = |e: &Entry<'_>| byte_size(e.dtype, &e.shape).is_ok_and(|n| n % ALIGNMENT != 0);
    // Among those of other sizes, wide types come first: each then begins at a multiple of its width.
    entries.sort_by_key(|e| {
        if odd_size(e) {
            (1, usize::MAX - e.dtype.bitsize())
        } else {
            (0, 0)
        }
    });
    let mut end = 0usize;
    let mut placed = Vec::with_capacity(entries.len());
    for entry in entries {
        let start = end;
        end = start
            .checked_add(byte_size(entry.dtype, &entry.shape)?)
            .ok_or_else(|| Defect::new("the tensors are too large"))?;
        placed.push(Placed {
            entry,
            range: start..end,
        });
    }
    Ok((placed, end))
}

/// The length field and the JSON, padded with spaces so that the data is aligned.
fn header(metadata: &BTreeMap<String, String>, entries: &[Placed<'_>]) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("__metadata__".to_owned(), json!(metadata));
    for Placed { entry, range } in entries {
        let info = json!({"dtype": entry.dtype, "shape": entry.shape, "data_offsets": [range.start, range.end]});
        object.insert(entry.name.clone(), info);
    }
    let mut json = Value::Object(object).to_string().into_bytes();
    let length_field = size_of::<u64>();
    json.resize(
        (json.len() + length_field).next_multiple_of(ALIGNMENT) - length_field,
        b' ',
    );
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::tensors::Header;

    fn entry(name: &str, dtype: Dtype, n: usize, byte: u8) -> Entry<'static> {
        let size = byte_size(dtype, &[n]).unwrap();
        Entry {
            name: name.to_owned(),
            dtype,
            shape: vec![n],
            bytes: Box::new(move || Ok(vec![byte; size].into())),
        }
    }

    #[test]
    fn tensors_are_aligned_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let entries = vec![
            entry("bytes", Dtype::U8, 13, 1),
            entry("words", Dtype::U32, 3, 2),
            entry("b", Dtype::F16, 64, 3),
            entry("a", Dtype::F32, 32, 4),
        ];
        let metadata = BTreeMap::from([("k".to_owned(), "\"v\"".to_owned())]);
        write(&path, metadata, entries, &mut |_| ()).unwrap();

        let file = std::fs::read(&path).unwrap();
        let header = Header::parse(&file).unwrap();
        assert_eq!(header.metadata["k"], "\"v\"");
        assert_eq!(header.data_start % 64, 0);
        for (name, alignment, byte) in
            [("a", 64, 4), ("b", 64, 3), ("words", 4, 2), ("bytes", 1, 1)]
        {
            let (start, end) = header.tensors[name].data_offsets;
            assert_eq!(start % alignment, 0, "{name}");
            let data = &file[header.data_start..][start..end];
            assert!(data.iter().all(|&b| b == byte), "{name}");
        }
        let sum = hex(&Sha256::digest(&file[header.data_start..]));
        assert_eq!(header.metadata["data_sha256"], sum);
    }

    #[test]
    fn a_tensor_of_the_wrong_length_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut wrong = entry("a.weight", Dtype::F32, 2, 0);
        wrong.bytes = Box::new(|| Ok(vec![0; 7].into()));
        let error = write(
            &dir.path().join("x"),
            BTreeMap::new(),
            vec![wrong],
            &mut |_| (),
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("tensor a.weight has 7 bytes instead of 8"),
            "{error}"
        );
    }
}
