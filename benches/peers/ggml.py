"""Writes whisper.cpp's ggml file, f16 or q8_0, from the weights in a CTranslate2 directory.

    ggml.py CTRANSLATE2_DIRECTORY f16|q8_0 OUT

The layout is that which `whisper_model_load` in whisper.cpp reads: dimensions, mel filters, vocabulary, tensors
under OpenAI's names, all little-endian. Which tensors are f32, f16 or q8_0 follows whisper.cpp's own
`convert-pt-to-ggml.py` and `quantize`: matrices in the type asked for, convolutions in f16, all else in f32.
"""

import struct
import sys
from pathlib import Path

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

from ctranslate2_file import openai_tensors, read

MAGIC = 0x67676D6C
# `ggml_ftype` of the file, and `ggml_type` of a tensor.
FILE_TYPES = {"f16": 1, "q8_0": 7}
F32, F16, Q8_0 = 0, 1, 8
# `GGML_QNT_VERSION` and its factor, part of the type of a quantised file.
QUANTISATION_VERSION, VERSION_FACTOR = 2, 1000
# Values in a q8_0 block (`QK8_0`).
BLOCK = 32
# Tokens that stand for bytes; the special ones after them are known to whisper.cpp.
BYTE_TOKENS = 50257


def main(directory, kind, out):
    variables = read(directory / "model.bin")
    dims, tensors = openai_tensors(variables)
    partial = out.with_name(out.name + ".part")
    with open(partial, "wb") as file:
        file_type = FILE_TYPES[kind] + (QUANTISATION_VERSION * VERSION_FACTOR if kind == "q8_0" else 0)
        file.write(struct.pack("<12i", MAGIC, *dims, file_type))
        filters = FeatureExtractor(feature_size=dims[-1]).mel_filters.astype("<f4")
        file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        tokens = vocabulary(directory)
        file.write(struct.pack("<i", len(tokens)))
        for token in tokens:
            file.write(struct.pack("<i", len(token)) + token)
        for name, values in tensors.items():
            write_tensor(file, name, values, kind)
    partial.replace(out)


def vocabulary(directory):
    """The tokens' bytes; the file encodes them with GPT-2's `bytes_to_unicode`."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
    lines = (directory / "vocabulary.txt").read_text(encoding="utf-8").split("\n")[:BYTE_TOKENS]
    return [bytes(letters[letter] for letter in line) for line in lines]


def write_tensor(file, name, values, kind):
    if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
        values = values.reshape(-1, 1)
    plain = values.ndim == 1 or name.endswith(("bias", "positional_embedding"))
    type_id = F32 if plain else Q8_0 if kind == "q8_0" and values.ndim == 2 else F16
    encoded = name.encode()
    file.write(struct.pack("<3i", values.ndim, len(encoded), type_id))
    file.write(struct.pack(f"<{values.ndim}i", *reversed(values.shape)) + encoded)
    file.write(q8_0(values) if type_id == Q8_0 else values.astype("<f4" if type_id == F32 else "<f2").tobytes())


def q8_0(values):
    """Blocks of a scale and 32 integers, as ggml's `quantize_row_q8_0_ref` makes them."""
    blocks = values.astype(np.float32).reshape(-1, BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / 127
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales != 0)
    packed = np.empty(len(blocks), [("scale", "<f2"), ("values", "i1", BLOCK)])
    packed["scale"] = scales[:, 0]
    packed["values"] = np.rint(blocks * inverse)
    return packed.tobytes()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
