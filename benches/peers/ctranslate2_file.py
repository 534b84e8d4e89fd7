"""Reads CTranslate2's `model.bin` of a Whisper model and gives its tensors OpenAI's names.

The file: u32 version, the specification's name, u32 revision, the variables (name, u8 rank, u32 dimensions, u8 type,
u32 bytes, values), the aliases (pairs of names). Names have a u16 length that counts a final NUL
(`Model::load` in CTranslate2's `model.cc`).
"""

import itertools
import struct

import numpy as np

TYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}


def read(path):
    """The variables by name."""
    data = memoryview(path.read_bytes())
    offset = 0

    def take(layout):
        nonlocal offset
        values = struct.unpack_from("<" + layout, data, offset)
        offset += struct.calcsize("<" + layout)
        return values if len(values) > 1 else values[0]

    def name():
        return take(f"{take('H')}s").rstrip(b"\0").decode()

    take("I")
    if name() != "WhisperSpec":
        raise ValueError(f"{path} is no Whisper model")
    take("I")
    variables = {}
    for _ in range(take("I")):
        key = name()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = take("BI")
        variables[key] = np.frombuffer(data[offset : offset + size], TYPES[kind]).reshape(shape)
        offset += size
    for _ in range(take("I")):
        alias = name()
        variables[alias] = variables[name()]
    return variables


def openai_tensors(variables):
    """The dimensions in the order of OpenAI's `ModelDimensions` for ggml (mel bins last), and the tensors."""
    tensors = {}
    layers = {side: fill_side(side, variables, tensors) for side in ("encoder", "decoder")}
    for conv in ("conv1", "conv2"):
        layer(f"encoder/{conv}", f"encoder.{conv}", variables, tensors)
    tensors["decoder.token_embedding.weight"] = variables["decoder/embeddings/weight"]
    context, state = tensors["encoder.positional_embedding"].shape
    text_context, text_state = tensors["decoder.positional_embedding"].shape
    audio = (context, state, int(variables["encoder/num_heads"]), layers["encoder"])
    text = (text_context, text_state, int(variables["decoder/num_heads"]), layers["decoder"])
    vocabulary = len(tensors["decoder.token_embedding.weight"])
    return (vocabulary, *audio, *text, tensors["encoder.conv1.weight"].shape[1]), tensors


def fill_side(side, variables, tensors):
    """Adds the tensors of the encoder's or the decoder's blocks; returns how many blocks there are."""
    tensors[f"{side}.positional_embedding"] = variables[f"{side}/position_encodings/encodings"]
    norm(f"{side}/layer_norm", f"{side}.ln_post" if side == "encoder" else f"{side}.ln", variables, tensors)
    for i in itertools.count():
        source, target = f"{side}/layer_{i}", f"{side}.blocks.{i}"
        if f"{source}/ffn/linear_0/weight" not in variables:
            return i
        attention(f"{source}/self_attention", f"{target}.attn", ("query", "key", "value"), variables, tensors)
        if side == "decoder":
            attention(f"{source}/attention", f"{target}.cross_attn", ("key", "value"), variables, tensors)
        norm(f"{source}/ffn/layer_norm", f"{target}.mlp_ln", variables, tensors)
        layer(f"{source}/ffn/linear_0", f"{target}.mlp.0", variables, tensors)
        layer(f"{source}/ffn/linear_1", f"{target}.mlp.2", variables, tensors)


def attention(source, target, fused, variables, tensors):
    """CTranslate2 keeps the `fused` products in one matrix, below one another; Whisper's keys have no bias."""
    norm(f"{source}/layer_norm", f"{target}_ln", variables, tensors)
    joint = "linear_0"
    out = "linear_1"
    if "query" not in fused:
        layer(f"{source}/linear_0", f"{target}.query", variables, tensors)
        joint, out = "linear_1", "linear_2"
    weight, bias = (variables[f"{source}/{joint}/{part}"] for part in ("weight", "bias"))
    for name, rows, values in zip(fused, np.split(weight, len(fused)), np.split(bias, len(fused))):
        tensors[f"{target}.{name}.weight"] = rows
        if name != "key":
            tensors[f"{target}.{name}.bias"] = values
    layer(f"{source}/{out}", f"{target}.out", variables, tensors)


def layer(source, target, variables, tensors):
    for part in ("weight", "bias"):
        tensors[f"{target}.{part}"] = variables[f"{source}/{part}"]


def norm(source, target, variables, tensors):
    tensors[f"{target}.weight"] = variables[f"{source}/gamma"]
    tensors[f"{target}.bias"] = variables[f"{source}/beta"]
