#!/usr/bin/env python3
"""Makes noisy and telephone versions of a manifest's recordings, with a manifest of their own for accuracy.py.

    degrade.py MANIFEST FOLDER white|babble|telephone [DECIBELS]

`white` and `babble` add white noise, or six other recordings of the manifest at once, at a signal-to-noise ratio of
DECIBELS (10 unless given) over the whole recording. `telephone` leaves 300 to 3,400 Hz at 8 kHz in G.711 µ-law. The same
arguments give the same sound. Needs ffmpeg and the package `numpy`.
"""

import random
import subprocess
import sys
from pathlib import Path

import numpy

import manifest

RATE = 16_000
# Voices of the babble.
VOICES = 6
TELEPHONE = ["-af", "highpass=f=300:poles=2,lowpass=f=3400:poles=2", "-ar", "8000", "-c:a", "pcm_mulaw"]


def samples(path):
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
    return numpy.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, numpy.float32)


def babble(clips, count, chance):
    """Mixes `count` samples of several recordings, equally loud, each repeated as needed."""
    voices = [samples(clip.path) for clip in chance.sample(clips, VOICES)]
    return sum(numpy.resize(voice / max(level(voice), 1e-6), count) for voice in voices)


def level(signal):
    """Root mean square."""
    return float(numpy.sqrt(numpy.mean(numpy.square(signal, dtype=numpy.float64))))


def with_noise(speech, noise, decibels):
    mixed = speech + noise * (level(speech) / level(noise) / 10 ** (decibels / 20))
    return mixed / max(1.0, float(numpy.abs(mixed).max()))


def write(path, signal, options):
    command = ["ffmpeg", "-v", "error", "-y", "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-i", "-", *options, path]
    subprocess.run(command, check=True, input=signal.astype(numpy.float32).tobytes())


def main():
    clips, folder, kind = manifest.read(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
    decibels = float(sys.argv[4]) if len(sys.argv) > 4 else 10.0
    clips = [clip for clip in clips if clip.language != manifest.NO_SPEECH]
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["id", "path", "seconds", "language", "category", "reference"]
    lines = ["\t".join(columns)]
    for i, clip in enumerate(clips):
        # Seeded by the recording's position, so the other recordings do not matter.
        chance = random.Random(i)
        speech = samples(clip.path)
        if kind == "babble":
            others = [other for other in clips if other.language == clip.language] or clips
            speech = with_noise(speech, babble(others if len(others) >= VOICES else clips, len(speech), chance), decibels)
        elif kind == "white":
            noise = numpy.random.default_rng(i).standard_normal(len(speech))
            speech = with_noise(speech, noise, decibels)
        elif kind != "telephone":
            sys.exit(f"degrade.py: {kind} is no kind of sound: white, babble or telephone")
        name = f"{i:04}.wav"
        write(folder / name, speech, TELEPHONE if kind == "telephone" else ["-c:a", "pcm_s16le"])
        lines.append("\t".join([clip.id, name, str(clip.seconds), clip.language, clip.category, clip.reference]))
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
