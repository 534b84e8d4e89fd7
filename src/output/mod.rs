//! Text out: the file formats of a transcript.
