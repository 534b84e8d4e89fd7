"""Transcribes with whisper.cpp: transcribe_whisper_cpp.py MODEL_FILE WAV THREADS BEAMS

Prints {"load_s": seconds, "transcribe_s": seconds, "text": text} as JSON.
"""

import json
import sys
import time
import wave

import numpy as np
from pywhispercpp.model import Model


def samples(path):
    """The samples of a 16 kHz mono WAV, -1 to 1."""
    with wave.open(path) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def load(path, threads, beams=1, **options):
    """The model, configured as the other programs."""
    beam_search = {"beam_search": {"beam_size": beams, "patience": -1.0}} if beams > 1 else {}
    return Model(
        path,
        params_sampling_strategy=int(beams > 1),
        n_threads=threads,
        language="en",
        temperature_inc=0.0,
        suppress_nst=True,
        # No earlier text as prompt.
        n_max_text_ctx=0,
        print_progress=False,
        **beam_search,
        **options,
    )


def main(path, recording, threads, beams):
    start = time.perf_counter()
    model = load(path, int(threads), int(beams))
    loaded = time.perf_counter()
    text = " ".join(segment.text for segment in model.transcribe(samples(recording)))
    done = time.perf_counter()
    print(json.dumps({"load_s": loaded - start, "transcribe_s": done - loaded, "text": text}))


if __name__ == "__main__":
    main(*sys.argv[1:])
