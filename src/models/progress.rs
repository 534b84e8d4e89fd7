//! How far a long operation has come.

/// The part of an operation that is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Done {
    /// A share, 0 to 1.
    Share(f32),
    /// Bytes, and how many there are in all, where known.
    Bytes(u64, Option<u64>),
}

/// Is told what is being done and how much of it is done.
pub type Progress<'a> = dyn FnMut(&str, Done) + 'a;
