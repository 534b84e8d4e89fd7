//! Tiny Whisper models for tests, written in each of the formats that can be imported.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use half::f16;
use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::models::Dims;
use crate::models::file::layout;

/// Dimensions of an English model of one layer and one head.
pub(crate) fn dims() -> Dims {
    Dims {
        n_mels: 8,
        n_audio_ctx: 20,
        n_audio_state: 64,
        n_audio_head: 1,
        n_audio_layer: 1,
        n_vocab: 51864,
        n_text_ctx: 12,
        n_text_state: 64,
        n_text_head: 1,
        n_text_layer: 1,
    }
}

/// A model's weights: name, shape and values, all exact in F16.
pub(crate) type Model = Vec<(String, Vec<usize>, Vec<f32>)>;

/// Weights that differ from value to value and from tensor to tensor.
pub(crate) fn model(dims: &Dims) -> Model {
    let mut state = 1u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 22) as i16 - 512) / 256.0
    };
    let tensors = layout::tensors(dims).into_iter();
    tensors
        .map(|(name, shape)| {
            (
                name,
                shape.clone(),
                (0..shape.iter().product()).map(|_| next()).collect(),
            )
        })
        .collect()
}

fn f16_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|&v| f16::from_f32(v).to_le_bytes())
        .collect()
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Writes `model.bin`, F16, into the directory.
pub(crate) fn write_ct2(dir: &Path, dims: &Dims, model: &Model) {
    let mut variables: BTreeMap<String, (Vec<usize>, Vec<f32>)> = BTreeMap::new();
    for (name, shape, values) in model {
        let (variable, shape, values) = ct2_variable(name, shape, values);
        let stacked = variables
            .entry(variable)
            .or_insert_with(|| (vec![0; shape.len()], Vec::new()));
        stacked.0 = [stacked.0[0] + shape[0]]
            .into_iter()
            .chain(shape[1..].iter().copied())
            .collect();
        stacked.1.extend(values);
    }
    let mut file = 6u32.to_le_bytes().to_vec();
    ct2_string(&mut file, "WhisperSpec");
    file.extend(3u32.to_le_bytes());
    file.extend((variables.len() as u32 + 2).to_le_bytes());
    for (name, heads) in [
        ("encoder/num_heads", dims.n_audio_head),
        ("decoder/num_heads", dims.n_text_head),
    ] {
        ct2_string(&mut file, name);
        file.extend([0, 2]);
        file.extend(2u32.to_le_bytes());
        file.extend((heads as i16).to_le_bytes());
    }
    for (name, (shape, values)) in &variables {
        ct2_string(&mut file, name);
        file.push(shape.len() as u8);
        file.extend(shape.iter().flat_map(|&n| (n as u32).to_le_bytes()));
        file.push(4);
        file.extend((2 * values.len() as u32).to_le_bytes());
        file.extend(f16_bytes(values));
    }
    file.extend(1u32.to_le_bytes());
    ct2_string(&mut file, "decoder/projection/weight");
    ct2_string(&mut file, "decoder/embeddings/weight");
    fs::write(dir.join("model.bin"), file).unwrap();
}

fn ct2_string(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u16 + 1).to_le_bytes());
    file.extend(text.as_bytes());
    file.push(0);
}

/// The variable that holds a tensor, alone or stacked; keys get the bias of zeros that the stack
/// needs.
fn ct2_variable(name: &str, shape: &[usize], values: &[f32]) -> (String, Vec<usize>, Vec<f32>) {
    let norm = |name: &str| name.replace(".weight", "/gamma").replace(".bias", "/beta");
    let linear = |name: &str| name.replace(".weight", "/weight").replace(".bias", "/bias");
    let variable = match name {
        "encoder.positional_embedding" => "encoder/position_encodings/encodings".to_owned(),
        "decoder.positional_embedding" => "decoder/position_encodings/encodings".to_owned(),
        "decoder.token_embedding.weight" => "decoder/embeddings/weight".to_owned(),
        _ if name.contains("ln") => norm(name),
        _ => linear(name),
    };
    let variable = variable
        .replace("encoder.ln_post", "encoder/layer_norm")
        .replace("decoder.ln", "decoder/layer_norm")
        .replace(".blocks.", "/layer_")
        .replace(".cross_attn_ln", "/attention/layer_norm")
        .replace(".attn_ln", "/self_attention/layer_norm")
        .replace(".mlp_ln", "/ffn/layer_norm")
        .replace(".mlp.0", "/ffn/linear_0")
        .replace(".mlp.2", "/ffn/linear_1")
        .replace(".cross_attn.query", "/attention/linear_0")
        .replace(".cross_attn.key", "/attention/linear_1")
        .replace(".cross_attn.value", "/attention/linear_1")
        .replace(".cross_attn.out", "/attention/linear_2")
        .replace(".attn.query", "/self_attention/linear_0")
        .replace(".attn.key", "/self_attention/linear_0")
        .replace(".attn.value", "/self_attention/linear_0")
        .replace(".attn.out", "/self_attention/linear_1")
        .replace('.', "/");
    if name.ends_with(".value.bias") && variable.contains("self_attention") {
        // The query's bias is there already; the keys' and this one follow it.
        let zeros = vec![0.0; values.len()];
        return (
            variable,
            vec![2 * shape[0]],
            [zeros, values.to_vec()].concat(),
        );
    }
    if name.ends_with(".value.bias") {
        return (
            variable,
            vec![2 * shape[0]],
            [vec![0.0; values.len()], values.to_vec()].concat(),
        );
    }
    (variable, shape.to_vec(), values.to_vec())
}

/// Writes `model.safetensors`, F32, and `config.json` into the directory.
pub(crate) fn write_hf(dir: &Path, dims: &Dims, model: &Model) {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, shape, values) in model {
        let start = data.len();
        data.extend(f32_bytes(values));
        let info = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(format!("model.{}", super::hf::hf_name(name)), info);
    }
    let header = json!(header).to_string().into_bytes();
    let file = [(header.len() as u64).to_le_bytes().to_vec(), header, data].concat();
    fs::write(dir.join("model.safetensors"), file).unwrap();
    let config = json!({
        "num_mel_bins": dims.n_mels, "max_source_positions": dims.n_audio_ctx, "d_model": dims.n_audio_state,
        "encoder_attention_heads": dims.n_audio_head, "encoder_layers": dims.n_audio_layer,
        "vocab_size": dims.n_vocab, "max_target_positions": dims.n_text_ctx,
        "decoder_attention_heads": dims.n_text_head, "decoder_layers": dims.n_text_layer,
    });
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    fs::write(
        dir.join("generation_config.json"),
        r#"{"alignment_heads": [[0, 1]]}"#,
    )
    .unwrap();
}

/// Writes whisper.cpp's file: matrices F16, the rest F32.
pub(crate) fn write_ggml(path: &Path, dims: &Dims, model: &Model) {
    let mut file = 0x6767_6d6c_u32.to_le_bytes().to_vec();
    let mut put =
        |values: &[usize]| file.extend(values.iter().flat_map(|&n| (n as u32).to_le_bytes()));
    put(&[
        dims.n_vocab,
        dims.n_audio_ctx,
        dims.n_audio_state,
        dims.n_audio_head,
        dims.n_audio_layer,
    ]);
    put(&[
        dims.n_text_ctx,
        dims.n_text_state,
        dims.n_text_head,
        dims.n_text_layer,
        dims.n_mels,
        1,
    ]);
    put(&[1, 1, 0, 1, 2]);
    file.extend(b"hi");
    for (name, shape, values) in model {
        // Convolutions' biases have a second axis there.
        let mut shape = shape.clone();
        if name.contains("conv") && name.ends_with("bias") {
            shape.push(1);
        }
        let half = shape.len() > 1 && !name.contains("positional") && !name.ends_with("bias");
        let mut put =
            |values: &[usize]| file.extend(values.iter().flat_map(|&n| (n as u32).to_le_bytes()));
        put(&[shape.len(), name.len(), usize::from(half)]);
        shape.reverse();
        put(&shape);
        file.extend(name.as_bytes());
        file.extend(if half {
            f16_bytes(values)
        } else {
            f32_bytes(values)
        });
    }
    fs::write(path, file).unwrap();
}

/// Writes OpenAI's checkpoint, F16.
pub(crate) fn write_pt(path: &Path, dims: &Dims, model: &Model) {
    let mut zip = ZipWriter::new(fs::File::create(path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::STORE);
    zip.start_file("tiny/data.pkl", options).unwrap();
    zip.write_all(&pt_pickle(dims, model)).unwrap();
    zip.start_file("tiny/byteorder", options).unwrap();
    zip.write_all(b"little").unwrap();
    for (i, (_, _, values)) in model.iter().enumerate() {
        zip.start_file(format!("tiny/data/{i}"), options).unwrap();
        zip.write_all(&f16_bytes(values)).unwrap();
    }
    zip.finish().unwrap();
}

/// `{"dims": {…}, "model_state_dict": {…}}`, protocol 2, as torch.save writes it.
fn pt_pickle(dims: &Dims, model: &Model) -> Vec<u8> {
    let mut p = b"\x80\x02}q\x00(".to_vec();
    pickle_text(&mut p, "dims");
    p.extend(b"}(");
    for (name, n) in json!(dims).as_object().unwrap() {
        pickle_text(&mut p, name);
        pickle_int(&mut p, n.as_u64().unwrap() as usize);
    }
    p.push(b'u');
    pickle_text(&mut p, "model_state_dict");
    p.extend(b"ccollections\nOrderedDict\n)R(");
    for (i, (name, shape, values)) in model.iter().enumerate() {
        pickle_text(&mut p, name);
        p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle_text(&mut p, "storage");
        p.extend(b"ctorch\nHalfStorage\n");
        pickle_text(&mut p, &i.to_string());
        pickle_text(&mut p, "cpu");
        pickle_int(&mut p, values.len());
        p.extend(b"tQK\x00(");
        shape.iter().for_each(|&n| pickle_int(&mut p, n));
        p.extend(b"t(");
        (0..shape.len()).for_each(|axis| pickle_int(&mut p, shape[axis + 1..].iter().product()));
        p.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
    }
    p.extend(b"uu.");
    p
}

fn pickle_text(p: &mut Vec<u8>, text: &str) {
    p.push(b'X');
    p.extend((text.len() as u32).to_le_bytes());
    p.extend(text.as_bytes());
}

fn pickle_int(p: &mut Vec<u8>, n: usize) {
    p.push(b'J');
    p.extend((n as u32).to_le_bytes());
}
