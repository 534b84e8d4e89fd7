//! The header of a safetensors file: bytes in, named ranges out, every one checked against the
//! file's length.

use std::collections::BTreeMap;

use safetensors::tensor::TensorInfo;
use serde_json::{Map, Value};

use super::{Defect, byte_size};

/// Bytes of the header's length field, at the start of the file.
const LENGTH_BYTES: usize = 8;
/// Longest header that the safetensors format allows, in bytes (`MAX_HEADER_SIZE` of the reference
/// reader).
const MAX_HEADER: usize = 100_000_000;

/// A checked header.
#[derive(Debug)]
pub(crate) struct Header {
    /// Offset of the data section in the file, in bytes.
    pub(crate) data_start: usize,
    /// Entries of `__metadata__`.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Each tensor by name; its offsets count from `data_start` and lie within the file.
    pub(crate) tensors: BTreeMap<String, TensorInfo>,
}

impl Header {
    /// Parses and checks the header of the safetensors file whose bytes are `file`.
    ///
    /// # Errors
    /// Returns an error if it is truncated or not JSON, or if a tensor's range does not fit its
    /// shape, the file or its neighbours.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, Defect> {
        let json = header_bytes(file)?;
        let data_start = LENGTH_BYTES + json.len();
        let object: Map<String, Value> = serde_json::from_slice(json).map_err(|e| {
            Defect::new(format!(
                "the header at offset {LENGTH_BYTES} is not a JSON object: {e}"
            ))
        })?;
        let mut metadata = BTreeMap::new();
        let mut tensors = BTreeMap::new();
        for (name, value) in object {
            if name == "__metadata__" {
                metadata = serde_json::from_value(value).map_err(|e| {
                    Defect::new(format!(
                        "__metadata__ in the header is not a map of strings: {e}"
                    ))
                })?;
            } else {
                let info = serde_json::from_value(value)
                    .map_err(|e| Defect::new(format!("tensor {name} in the header: {e}")))?;
                tensors.insert(name, info);
            }
        }
        check_ranges(&tensors, file.len() - data_start)?;
        Ok(Self {
            data_start,
            metadata,
            tensors,
        })
    }
}

/// The JSON part of the header.
fn header_bytes(file: &[u8]) -> Result<&[u8], Defect> {
    let (length, rest) = file.split_first_chunk::<LENGTH_BYTES>().ok_or_else(|| {
        Defect::new(format!(
            "it ends at offset {}, within the header's length",
            file.len()
        ))
    })?;
    let length = u64::from_le_bytes(*length);
    usize::try_from(length).ok().filter(|&n| n <= MAX_HEADER).and_then(|n| rest.get(..n)).ok_or_else(|| {
        Defect::new(format!(
            "the header's length at offset 0 is {length} bytes, but {} follow (not a safetensors file, or truncated)",
            rest.len()
        ))
    })
}

/// Checks that the tensors cover the data section without gaps or overlap, as the format requires.
fn check_ranges(tensors: &BTreeMap<String, TensorInfo>, data_len: usize) -> Result<(), Defect> {
    let mut ordered: Vec<_> = tensors.iter().collect();
    ordered.sort_by_key(|(_, info)| info.data_offsets);
    let mut end_of_last = 0;
    for (name, info) in ordered {
        let (start, end) = info.data_offsets;
        let size = byte_size(info.dtype, &info.shape)
            .map_err(|e| Defect::new(format!("tensor {name}: {e}")))?;
        if start != end_of_last {
            return Err(Defect::new(format!(
                "tensor {name} begins at offset {start} of the data, where {end_of_last} is expected"
            )));
        }
        if end.checked_sub(start) != Some(size) {
            return Err(Defect::new(format!(
                "tensor {name} spans offsets {start} to {end}, but its shape {:?} of {} takes {size} bytes",
                info.shape, info.dtype
            )));
        }
        if end > data_len {
            return Err(Defect::new(format!(
                "tensor {name} ends at offset {end} of the data, which is only {data_len} bytes long (truncated)"
            )));
        }
        end_of_last = end;
    }
    if end_of_last != data_len {
        return Err(Defect::new(format!(
            "the tensors end at offset {end_of_last} of the data, but {} bytes follow",
            data_len - end_of_last
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(json: &str, data: usize) -> Vec<u8> {
        let mut file = (json.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(json.as_bytes());
        file.resize(file.len() + data, 0);
        file
    }

    fn defect(json: &str, data: usize) -> String {
        Header::parse(&file(json, data))
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_sound_header_is_read() {
        let json =
            r#"{"__metadata__":{"k":"v"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}"#;
        let header = Header::parse(&file(json, 12)).unwrap();
        assert_eq!(header.metadata["k"], "v");
        assert_eq!(header.tensors["a"].shape, [2, 3]);
    }

    #[test]
    fn defects_name_the_tensor() {
        let tensor = |shape: &str, range: &str| {
            format!(r#"{{"a.weight":{{"dtype":"F16","shape":{shape},"data_offsets":{range}}}}}"#)
        };
        for (json, data, expected) in [
            (
                tensor("[2,3]", "[0,12]"),
                11,
                "tensor a.weight ends at offset 12",
            ),
            (tensor("[2,3]", "[0,12]"), 13, "1 bytes follow"),
            (
                tensor("[2,3]", "[0,10]"),
                10,
                "tensor a.weight spans offsets 0 to 10",
            ),
            (
                tensor("[2,3]", "[12,0]"),
                12,
                "tensor a.weight begins at offset 12",
            ),
            (tensor("[2,3]", "[2,14]"), 14, "where 0 is expected"),
            (
                tensor("[4294967296,4294967296]", "[0,12]"),
                12,
                "is impossible",
            ),
            (
                tensor("[-1]", "[0,12]"),
                12,
                "tensor a.weight in the header",
            ),
            ("[]".to_owned(), 0, "not a JSON object"),
        ] {
            let defect = defect(&json, data);
            assert!(defect.contains(expected), "{defect:?} without {expected:?}");
        }
    }

    #[test]
    fn an_absurd_header_length_is_not_allocated() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.push(b'{');
        assert!(
            Header::parse(&bytes)
                .unwrap_err()
                .to_string()
                .contains("1 follow")
        );
    }
}
