//! EBML, the syntax of Matroska (RFC 8794): elements of an id, a size and a body.

use std::io;

use crate::audio::stream::ByteStream;

/// Longest header of an element: an id of four bytes and a size of eight.
pub const MAX_HEADER: usize = 12;

/// An element's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// Id, its length bits included.
    pub id: u32,
    /// Bytes of the header.
    pub header_len: usize,
    /// Bytes of the body; `None` if it lasts until another element of its level.
    pub size: Option<u64>,
}

impl Element {
    /// Reads a header; `None` if there is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let id_len = bytes.first()?.leading_zeros() as usize + 1;
        if id_len > 4 {
            return None;
        }
        let id = bytes.get(..id_len)?.iter();
        let id = id.fold(0, |id, x| id << 8 | u32::from(*x));
        let (size_len, size) = vint(bytes.get(id_len..)?)?;
        Some(Self {
            id,
            header_len: id_len + size_len,
            size,
        })
    }

    /// Returns the header that comes next in `stream`.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub fn next(stream: &mut ByteStream) -> io::Result<Option<Self>> {
        Ok(Self::parse(stream.peek(MAX_HEADER)?))
    }
}

/// Reads a number whose first byte tells its length. Returns that length and the number, which is
/// `None` if all its bits are set.
pub fn vint(bytes: &[u8]) -> Option<(usize, Option<u64>)> {
    let first = *bytes.first()?;
    let len = first.leading_zeros() as usize + 1;
    if len > 8 {
        return None;
    }
    let rest = bytes.get(1..len)?.iter();
    let mask = (0xff_u16 >> len) as u8;
    let value = rest.fold(u64::from(first & mask), |value, x| {
        value << 8 | u64::from(*x)
    });
    let is_unknown = value == (1 << (7 * len)) - 1;
    Some((len, (!is_unknown).then_some(value)))
}

/// The elements in the body of another, as ids and bodies.
pub fn children(mut body: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let Element {
            id,
            header_len,
            size,
        } = Element::parse(body)?;
        let rest = body.get(header_len..)?;
        let len = size.map_or(rest.len(), |n| usize::try_from(n).unwrap_or(usize::MAX));
        let (child, after) = rest.split_at_checked(len)?;
        body = after;
        Some((id, child))
    })
}

/// Returns the child with this id.
pub fn child(body: &[u8], id: u32) -> Option<&[u8]> {
    children(body)
        .find(|child| child.0 == id)
        .map(|child| child.1)
}

/// Value of an unsigned integer.
pub fn uint(body: &[u8]) -> u64 {
    body.iter().take(8).fold(0, |n, x| n << 8 | u64::from(*x))
}

/// Value of a floating-point number.
pub fn float(body: &[u8]) -> Option<f64> {
    match body.len() {
        4 => body
            .first_chunk()
            .map(|x| f64::from(f32::from_be_bytes(*x))),
        8 => body.first_chunk().map(|x| f64::from_be_bytes(*x)),
        _ => None,
    }
}

/// Value of a text, which may be padded with zeros.
pub fn text(body: &[u8]) -> String {
    let end = body.iter().position(|x| *x == 0).unwrap_or(body.len());
    String::from_utf8_lossy(body.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_read() {
        assert_eq!(vint(&[0x81]), Some((1, Some(1))));
        assert_eq!(vint(&[0x40, 0x7f]), Some((2, Some(127))));
        assert_eq!(vint(&[0x01, 0, 0, 0, 0, 0, 1, 0]), Some((8, Some(256))));
        assert_eq!(vint(&[0xff]), Some((1, None)));
        assert_eq!(
            vint(&[0x01, 255, 255, 255, 255, 255, 255, 255]),
            Some((8, None))
        );
        assert_eq!(vint(&[0]), None);
        assert_eq!(vint(&[0x40]), None);
    }

    #[test]
    fn children_end_where_they_are_damaged() {
        let body = [0xd7, 0x81, 5, 0x53, 0x6e, 0x82, b'a', 0, 0x83, 0x88, 1];
        let found: Vec<(u32, &[u8])> = children(&body).collect();
        assert_eq!(found, [(0xd7, &[5][..]), (0x536e, &[b'a', 0][..])]);
        assert_eq!(text(found[1].1), "a");
        assert_eq!(uint(found[0].1), 5);
    }
}
