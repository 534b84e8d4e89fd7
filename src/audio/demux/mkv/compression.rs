//! Compression of packets by the container.

use std::io::Read;

use flate2::read::ZlibDecoder;

/// Largest packet after decompression, in bytes.
const MAX_PACKET: u64 = 16 << 20;

/// A kind of compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Zlib.
    Zlib,
    /// These bytes are left out at the start.
    Header(Vec<u8>),
}

/// Undoes the compression of a packet; `None` if that fails.
pub fn decompressed(data: &[u8], compressions: &[Compression]) -> Option<Vec<u8>> {
    let mut data = data.to_vec();
    for compression in compressions {
        data = match compression {
            Compression::Header(header) => [header.as_slice(), &data].concat(),
            Compression::Zlib => {
                let mut out = Vec::new();
                let mut decoder = ZlibDecoder::new(data.as_slice()).take(MAX_PACKET + 1);
                decoder.read_to_end(&mut out).ok()?;
                if out.len() as u64 > MAX_PACKET {
                    return None;
                }
                out
            }
        };
    }
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripped_headers_come_back_and_a_bomb_is_refused() {
        let header = Compression::Header(b"\x0b\x77".to_vec());
        assert_eq!(decompressed(b"x", &[header]), Some(b"\x0b\x77x".to_vec()));
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; MAX_PACKET as usize + 10];
        std::io::Write::write_all(&mut packed, &zeros).expect("packed");
        let packed = packed.finish().expect("packed");
        assert_eq!(decompressed(&packed, &[Compression::Zlib]), None);
        assert_eq!(decompressed(b"no zlib", &[Compression::Zlib]), None);
    }
}
