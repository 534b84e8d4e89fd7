#!/usr/bin/env python3
"""Whether an hour of dictation keeps its capitals and full stops: compares the first ten minutes with the last.

    steadiness.py MANIFEST [--minutes 60] [--language en] [--live] [--most-drift PERCENT] [--hearken PROGRAM] [-- OPTIONS]

Concatenates the manifest's recordings of the language, with a second of silence after each. The last ten minutes repeat
the first ten, so that a difference is the program's, not the material's. With --live the hour is played into `hearken
bench live`, whose text has no times: there the first and last sixth of the words are compared. Exits with code 1 if a
share has fallen by more than --most-drift percent. Needs ffmpeg.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import manifest

RATE = 16_000
# Length of the parts that are compared, in seconds.
PART = 600
SILENCE = bytes(2 * RATE)
WORD = re.compile(r"[^\W_]+(?:['’.,-][^\W_]+)*")
# A word and what ends the sentence before it.
SENTENCE_START = re.compile(r"(?:^|[.!?…][\"”’)]*\s+)[\"“‘(]*([^\W\d_])")


def samples(path):
    """A recording and the silence after it, as 16-bit samples at 16 kHz."""
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-ac", "1", "-ar", str(RATE), "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout + SILENCE


def concatenate(clips, seconds, path):
    """Writes recordings for `seconds`, of which the last ten minutes repeat the first ten."""
    sound = bytearray()
    n_bytes = 2 * RATE * seconds
    n_part = 2 * RATE * min(PART, seconds // 2)
    while len(sound) < n_bytes - n_part:
        for clip in clips:
            sound += samples(clip.path)
            if len(sound) >= n_bytes - n_part:
                break
    sound = sound[: n_bytes - n_part] + sound[:n_part]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", None))
        file.writeframes(sound)


def transcribe(program, recording, options):
    """Text of the first and of the last ten minutes of a recording."""
    command = [program, "--config", os.devnull, "--format", "json", *options, "--file", recording]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    transcript = json.loads(done.stdout)
    last = transcript["duration"] - PART
    first = [segment["text"] for segment in transcript["segments"] if segment["end"] <= PART]
    rest = [segment["text"] for segment in transcript["segments"] if segment["start"] >= last]
    return "".join(first), "".join(rest)


def listen(program, recording, options):
    """Text of the first and of the last sixth of a recording, as a client of the daemon receives it."""
    command = [program, "bench", "live", *options, "--file", recording]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    words = json.loads(done.stdout.splitlines()[0])["text"].split()
    sixth = len(words) // 6
    return " ".join(words[:sixth]), " ".join(words[-sixth:])


def figures(text):
    """Words, and the shares that are compared."""
    n_words = len(WORD.findall(text))
    starts = SENTENCE_START.findall(text.strip())
    return {
        "words": n_words,
        "full stops per 100 words": 100 * len(re.findall(r"[.!?…]+(?=[\"”’)]*(?:\s|$))", text)) / max(1, n_words),
        "capitals per 100 words": 100 * sum(word[0].isupper() for word in WORD.findall(text)) / max(1, n_words),
        "sentence starts with a capital, %": 100 * sum(start.isupper() for start in starts) / max(1, len(starts)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--language", default="en")
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--most-drift", type=float, metavar="PERCENT")
    parser.add_argument("--hearken", default="target/release/hearken")
    parser.add_argument("options", nargs="*")
    arguments = parser.parse_args()
    clips = [clip for clip in manifest.read(arguments.manifest) if clip.language == arguments.language]
    if not clips:
        sys.exit(f"{arguments.manifest}: no recordings in {arguments.language}")
    with tempfile.TemporaryDirectory(prefix="hearken-steadiness-") as folder:
        recording = Path(folder) / "hour.wav"
        concatenate(clips, 60 * arguments.minutes, recording)
        run = listen if arguments.live else transcribe
        first, last = run(arguments.hearken, recording, ["--language", arguments.language, *arguments.options])
    before, after = figures(first), figures(last)
    has_drifted = False
    print(f"{'':36}{'first':>9}{'last':>9}")
    for name, value in before.items():
        print(f"{name:36}{value:9.1f}{after[name]:9.1f}")
        is_less = arguments.most_drift is not None and after[name] < value * (1 - arguments.most_drift / 100)
        has_drifted |= name != "words" and is_less
    return int(has_drifted)


if __name__ == "__main__":
    sys.exit(main())
