"""Reads whisper.cpp's own times of encoder and decoder step: stages_whisper_cpp.py MODEL_FILE WAV THREADS FRAMES

Prints {"encoder_ms": median, "step_ms": median} as JSON. FRAMES is the window's length in log-mel frames of 10 ms.
"""

import json
import os
import re
import statistics
import sys
import tempfile

import _pywhispercpp as library

from transcribe_whisper_cpp import load, samples

RUNS = 5
RATE = 16000
FRAMES_PER_SECOND = 100
# Lines of `whisper_print_timings`.
LINE = r"{} time =.*\(\s*([0-9.]+) ms per run\)"


def main(path, recording, threads, frames):
    frames = int(frames)
    # The encoder halves the frames.
    model = load(path, int(threads), audio_ctx=frames // 2, no_timestamps=True, single_segment=True)
    window = samples(recording)[: frames * RATE // FRAMES_PER_SECOND]
    times = [timings(model, window) for _ in range(RUNS + 1)][1:]
    encoder, step = (statistics.median(column) for column in zip(*times))
    print(json.dumps({"encoder_ms": encoder, "step_ms": step}))


def timings(model, window):
    """Milliseconds of the encoder and of a decoder step, from one transcription of the window."""
    library.whisper_reset_timings(model._ctx)
    model.transcribe(window)
    printed = errors_of(model.print_timings)
    found = [re.search(LINE.format(stage), printed) for stage in ("encode", "decode")]
    if not all(found):
        raise SystemExit(f"whisper.cpp's timings cannot be read: {printed}")
    return [float(match.group(1)) for match in found]


def errors_of(action):
    """What `action` writes to the standard error of the process."""
    kept = os.dup(2)
    with tempfile.TemporaryFile("w+") as file:
        os.dup2(file.fileno(), 2)
        try:
            action()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        return file.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
