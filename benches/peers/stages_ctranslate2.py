"""Times CTranslate2's encoder and decoder step: stages_ctranslate2.py MODEL_DIRECTORY WAV THREADS FRAMES

Prints {"encoder_ms": median, "step_ms": median} as JSON. FRAMES is the window's length in log-mel frames of 10 ms.
"""

import json
import statistics
import sys
import time

import ctranslate2
import numpy as np
from faster_whisper.audio import decode_audio
from faster_whisper.feature_extractor import FeatureExtractor

ENCODER_RUNS = 10
DECODER_RUNS = 5
# <|startoftranscript|><|en|><|transcribe|><|notimestamps|> and <|endoftext|> of the multilingual vocabulary.
PROMPT = [50258, 50259, 50359, 50363]
END = 50257
# Steps of a short and of a long text.
SHORT, LONG = 10, 110


def main(directory, recording, threads, frames):
    model = ctranslate2.models.Whisper(directory, device="cpu", compute_type="int8", intra_threads=int(threads))
    features = FeatureExtractor()(decode_audio(recording))[:, : int(frames)]
    features = np.pad(features, ((0, 0), (0, int(frames) - features.shape[1])))
    window = ctranslate2.StorageView.from_array(np.ascontiguousarray(features[None], np.float32))
    encoder = [timed(lambda: model.encode(window)) for _ in range(ENCODER_RUNS + 1)][1:]
    encoded = model.encode(window)
    # Additional work of the first step, such as the window's keys and values, cancels in the difference.
    steps = [generate(model, encoded, LONG) - generate(model, encoded, SHORT) for _ in range(DECODER_RUNS + 1)][1:]
    step = statistics.median(steps) / (LONG - SHORT)
    print(json.dumps({"encoder_ms": statistics.median(encoder) * 1000, "step_ms": step * 1000}))


def generate(model, encoded, steps):
    """Seconds that greedy decoding of so many tokens takes."""
    # Half of max_length is for the prompt. The text reaches its full length, since its end is suppressed.
    options = {"beam_size": 1, "suppress_tokens": [-1, END], "max_length": 2 * steps}
    return timed(lambda: check(model.generate(encoded, [PROMPT], **options), steps))


def check(results, steps):
    tokens = len(results[0].sequences_ids[0])
    if tokens != steps:
        raise SystemExit(f"CTranslate2 decoded {tokens} tokens where {steps} were asked for")


def timed(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main(*sys.argv[1:])
