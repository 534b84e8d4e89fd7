"""Writes a recording as 16 kHz mono WAV, so that every program reads the same samples: decode_audio.py IN OUT."""

import sys
import wave

import numpy as np
from faster_whisper.audio import decode_audio

RATE = 16000

samples = decode_audio(sys.argv[1], sampling_rate=RATE)
with wave.open(sys.argv[2], "wb") as file:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(RATE)
    file.writeframes(np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes())
