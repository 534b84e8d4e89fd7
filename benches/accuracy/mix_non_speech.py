#!/usr/bin/env python3
"""Mixes a manifest's recordings without speech into one long one, with a manifest of its own for accuracy.py.

    mix_non_speech.py MANIFEST FOLDER [SECONDS]

Two layers, in each one recording after another, drawn by chance, from anywhere in them, at gains of -20 to +6 dB; 3,600
seconds unless given. The same arguments give the same sound. Needs ffmpeg.
"""

import random
import subprocess
import sys
import wave
from array import array
from pathlib import Path

import manifest

RATE = 16_000
# Shortest and longest piece of a recording, in seconds.
STRETCH = (3.0, 40.0)


def samples(path):
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
    return array("f", subprocess.run(command, check=True, capture_output=True).stdout)


def layer(recordings, length, chance):
    """Concatenates recordings up to `length` samples."""
    mixed = array("f")
    while len(mixed) < length:
        recording = chance.choice(recordings)
        gain = 10 ** (chance.uniform(-20, 6) / 20)
        count = int(chance.uniform(*STRETCH) * RATE)
        begin = chance.randrange(len(recording))
        for i in range(begin, begin + count):
            mixed.append(gain * recording[i % len(recording)])
    return mixed[:length]


def main():
    folder, seconds = Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 3600.0
    clips = [clip for clip in manifest.read(Path(sys.argv[1])) if clip.language == manifest.NO_SPEECH]
    recordings = [samples(clip.path) for clip in clips]
    chance = random.Random(5)
    first, second = (layer(recordings, int(seconds * RATE), chance) for _ in range(2))
    mixed = array("h", (int(32767 * max(-1.0, min(1.0, a + b))) for a, b in zip(first, second)))
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / "mixed.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", None))
        file.writeframes(mixed.tobytes())
    columns = ["id", "path", "seconds", "language", "category", "reference"]
    row = ["non-speech/mixed", "mixed.wav", str(seconds), manifest.NO_SPEECH, "non-speech", ""]
    (folder / "manifest.tsv").write_text("\t".join(columns) + "\n" + "\t".join(row) + "\n")


if __name__ == "__main__":
    main()
