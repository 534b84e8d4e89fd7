//! The log-mel spectrogram against openai-whisper's own, and what it costs.

use std::fs;

use crate::mel::LogMel;
use crate::support::{data, decode_all};
use ndarray::ArrayView1;

/// openai-whisper's `log_mel_spectrogram` of `golden/jfk_16k.flac` padded to 30 s: every eighth
/// frame up to 1104, f32, little-endian, `[139, 80]`. The speech ends with frame 1100; all frames
/// after it are alike.
fn golden() -> Vec<f32> {
    let bytes = fs::read(data("golden/logmel_every8th_139x80.f32")).expect("test data");
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|v| f32::from_le_bytes(*v)).collect()
}

#[test]
fn agrees_with_openai_whisper() {
    let clip = decode_all(&data("golden/jfk_16k.flac"));
    assert_eq!(clip.samples.len(), 176_000);
    let mel = LogMel::new(80).compute(&clip.samples, 3000);
    let golden = golden();
    assert_eq!(golden.len(), 139 * 80);
    for (i, ideal) in golden.chunks_exact(80).enumerate() {
        for (value, ideal) in mel.values.column(i * 8).iter().zip(ideal) {
            assert!(
                (value - ideal).abs() < 1e-4,
                "frame {}: {value}, not {ideal}",
                i * 8
            );
        }
    }
    let last = ArrayView1::from(&golden[138 * 80..]);
    assert!((1104..3000).all(|t| mel.values.column(t) == last));
}
