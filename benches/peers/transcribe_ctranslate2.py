"""Transcribes with faster-whisper: transcribe_ctranslate2.py MODEL_DIRECTORY WAV THREADS BEAMS plain|batched

Prints {"load_s": seconds, "transcribe_s": seconds, "text": text} as JSON.
"""

import json
import sys
import time

from faster_whisper import BatchedInferencePipeline, WhisperModel

# Windows that the batched pipeline decodes together.
BATCH = 8

directory, recording, threads, beams, pipeline = sys.argv[1:]
start = time.perf_counter()
model = WhisperModel(directory, device="cpu", compute_type="int8", cpu_threads=int(threads))
loaded = time.perf_counter()
options = {
    "language": "en",
    "beam_size": int(beams),
    "temperature": 0.0,
    "condition_on_previous_text": False,
}
if pipeline == "batched":
    segments, _ = BatchedInferencePipeline(model).transcribe(recording, batch_size=BATCH, **options)
else:
    segments, _ = model.transcribe(recording, **options)
# Segments are produced lazily.
text = "".join(segment.text for segment in segments)
done = time.perf_counter()
print(json.dumps({"load_s": loaded - start, "transcribe_s": done - loaded, "text": text.strip()}))
