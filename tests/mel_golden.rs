//! The log-mel spectrogram against openai-whisper's own, and what it costs.

mod common;

use std::fs;

use common::{data, decode_all};
use hearken::mel::LogMel;

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
        let frame = &mel.data[i * 8 * 80..][..80];
        for (value, ideal) in frame.iter().zip(ideal) {
            assert!(
                (value - ideal).abs() < 1e-4,
                "frame {}: {value}, not {ideal}",
                i * 8
            );
        }
    }
    let last = &golden[138 * 80..];
    assert!(
        mel.data[1104 * 80..]
            .chunks_exact(80)
            .all(|frame| frame == last)
    );
}
