//! The model on OpenAI's real Whisper base weights against openai-whisper (fp32), on
//! `tests/data/jfk.flac`.
//!

use crate::cpu::Cpu;
use crate::mel::{LogMel, Mel};
use crate::support::{data, decode_all, golden, model, n_threads};
use crate::tokenizer::Language;
use crate::whisper::decoding::{DecodingOptions, decode_window};
use crate::whisper::{
    AudioFeatures, CpuEncoder, Decoder, DecoderWeights, EncoderWeights, Inference, Precision,
    Stage, Tails, Whisper, Window,
};
use ndarray::{Array2, ArrayView2, s};
use std::sync::Arc;

/// The recording as the reference heard it, at 16 kHz.
fn jfk() -> Vec<f32> {
    decode_all(&data("golden/jfk_16k.flac")).samples
}

fn encoder(precision: Precision, tails: bool) -> CpuEncoder {
    let file = model("base");
    let cpu = Arc::new(Cpu::new(n_threads()).expect("an instruction set"));
    let tails = if tails {
        Tails::load(&file).expect("tails")
    } else {
        Tails::none(file.dims().n_audio_layer)
    };
    CpuEncoder::new(
        cpu,
        Arc::new(EncoderWeights::load(&file, precision).expect("weights")),
        tails,
    )
}

fn decoder(precision: Precision) -> Decoder {
    let cpu = Arc::new(Cpu::new(n_threads()).expect("an instruction set"));
    Decoder::new(
        cpu,
        Arc::new(DecoderWeights::load(model("base"), precision).expect("weights")),
    )
}

/// Cosine of all values of two matrices or rows.
fn cosine<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f32>) -> f64 {
    let a: Vec<f64> = a.into_iter().copied().map(f64::from).collect();
    let b: Vec<f64> = b.into_iter().copied().map(f64::from).collect();
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

/// Every `step`-th row.
fn every(step: usize, rows: ArrayView2<f32>) -> Array2<f32> {
    rows.slice(s![..;step, ..]).to_owned()
}

/// The lowest cosine of any row, and of all together, with reference rows `[n][512]`.
fn worst_cosine(a: &Array2<f32>, b: &[f32]) -> f64 {
    let rows = a.rows().into_iter().zip(b.chunks_exact(512));
    rows.map(|(a, b)| cosine(a, b)).fold(cosine(a, b), f64::min)
}

#[test]
#[ignore = "needs the model base: make test"]
fn f32_encoder_stages_equal_the_reference() {
    let mel = LogMel::new(80).compute(&jfk(), 3000);
    let mut stem = Array2::zeros((0, 512));
    let mut block0 = Array2::zeros((0, 512));
    let features = encoder(Precision::F32, false)
        .encode_with_hook(&mel, &mut |stage| match stage {
            Stage::Stem(x) => stem = every(25, x),
            Stage::Block(0, x) => block0 = every(25, x),
            _ => (),
        })
        .expect("a full window");
    for (name, got) in [
        ("stem", stem),
        ("block0", block0),
        ("encoder_30s", every(25, features.states.view())),
    ] {
        let cosine = worst_cosine(&got, &golden::f32(name));
        assert!(cosine >= 0.9999, "{name}: cosine {cosine}");
    }
}

#[test]
#[ignore = "needs the model base: make test"]
fn a_window_cut_to_10_24_s_equals_the_reference() {
    let mel = LogMel::new(80).compute(&jfk(), 3000);
    let cut = Mel {
        values: mel.values.slice(s![.., ..1024]).to_owned(),
    };
    let features = encoder(Precision::F32, false)
        .encode_with_hook(&cut, &mut |_| ())
        .expect("a window");
    let cosine = worst_cosine(
        &every(8, features.states.view()),
        &golden::f32("encoder_10.24s"),
    );
    assert!(cosine >= 0.9999, "cosine {cosine}");
}

#[test]
#[ignore = "needs the model base: make test"]
fn int8_encoder_is_close_to_f32() {
    let audio = jfk();
    for (n_ctx, tails) in [(1500, false), (512, true), (128, true)] {
        let mel = LogMel::new(80).compute(&audio, 2 * n_ctx);
        let states = |precision| {
            encoder(precision, tails)
                .encode_with_hook(&mel, &mut |_| ())
                .expect("a window")
                .states
        };
        let cosine = cosine(&states(Precision::Int8), &states(Precision::F32));
        assert!(cosine >= 0.99, "{n_ctx} positions: cosine {cosine}");
    }
}

fn features(mel_frames: usize) -> AudioFeatures {
    let mel = LogMel::new(80).compute(&jfk(), mel_frames);
    encoder(Precision::F32, false)
        .encode_with_hook(&mel, &mut |_| ())
        .expect("a window")
}

/// Feeds the reference's own tokens and compares the five highest logits of each step.
#[test]
#[ignore = "needs the model base: make test"]
fn f32_decoder_logits_equal_the_reference() {
    let decoder = decoder(Precision::F32);
    let features = features(3000);
    for (kind, prompt) in [
        ("nots", vec![50258, 50259, 50359, 50363]),
        ("ts", vec![50258, 50259, 50359]),
    ] {
        let tokens = golden::u32(&format!("tokens_{kind}"));
        let (ids, logits) = (
            golden::u32(&format!("top5_ids_{kind}")),
            golden::f32(&format!("top5_logits_{kind}")),
        );
        let mut window = Window::new(&decoder, &features).expect("features of the model");
        let mut row = window
            .prefill(&prompt, &[prompt.len() - 1])
            .expect("a prompt");
        for (step, token) in tokens.iter().enumerate() {
            for (id, want) in ids[5 * step..][..5].iter().zip(&logits[5 * step..]) {
                let got = row[*id as usize];
                assert!(
                    (got - want).abs() < 0.02,
                    "{kind}, step {step}, token {id}: {got}, not {want}"
                );
            }
            row = window.step(&[*token]).expect("a step");
        }
    }
}

/// OpenAI's rules on our decoder choose the reference's tokens.
#[test]
#[ignore = "needs the model base: make test"]
fn greedy_tokens_equal_the_reference() {
    let file = model("base");
    let whisper = Whisper::load(file, Precision::F32, n_threads()).expect("a model");
    let features = features(3000);
    for (kind, without_timestamps) in [("nots", true), ("ts", false)] {
        let options = DecodingOptions {
            language: Some(Language::ENGLISH),
            without_timestamps,
            ..DecodingOptions::default()
        };
        let mut window = Window::new(whisper.decoder(), &features).expect("features of the model");
        let result =
            decode_window(&mut window, whisper.tokenizer(), &options, &|| false).expect("a text");
        let mut expected = golden::u32(&format!("tokens_{kind}"));
        assert_eq!(expected.pop(), Some(50257), "the reference ends with eot");
        assert_eq!(result.tokens, expected, "{kind}");
    }
}

/// A prompt fed at once and token by token gives the same logits, for the sequence and for a copy
/// of it.
#[test]
#[ignore = "needs the model base: make test"]
fn prefill_equals_steps() {
    for precision in [Precision::F32, Precision::Int8] {
        let decoder = decoder(precision);
        let features = features(1000);
        let prompt = [50258, 50259, 50359, 50363, 400, 370, 452];
        let mut at_once = Window::new(&decoder, &features).expect("features of the model");
        let all: Vec<_> = (0..prompt.len()).collect();
        let rows = at_once.prefill(&prompt, &all).expect("a prompt");
        let mut stepped = Window::new(&decoder, &features).expect("features of the model");
        let mut row = stepped.prefill(&prompt[..1], &[0]).expect("a prompt");
        stepped.rearrange(&[0, 0]);
        for (i, want) in rows.chunks_exact(51865).enumerate() {
            let cosine = cosine(&row[..51865], want);
            assert!(
                cosine > 0.999_999,
                "{precision:?}, position {i}: cosine {cosine}"
            );
            if let Some(token) = prompt.get(i + 1) {
                row = stepped.step(&[*token; 2]).expect("a step");
                assert!(
                    row[..51865] == row[51865..],
                    "two copies of a sequence differ"
                );
            }
        }
    }
}
