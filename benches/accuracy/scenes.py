#!/usr/bin/env python3
"""Makes scenes out of a manifest's recordings, with a manifest of their own for accuracy.py.

    scenes.py MANIFEST FOLDER counts|near-far|languages|repeats|running

`near-far`: a near voice, another one farther away (15 to 30 dB quieter), the near one again, 0.2 to 1 s apart; 12 scenes.
`languages`: 8 s in each of three languages, 1.5 s apart; 9 orders. `repeats`: the beginning of a sentence said 4, 8 or 12
times, 0.3 to 1 s apart, by 4 voices. `running`: recordings of one speaker after one another with pauses of 80 ms, in each
language. `counts`: from 1 to 40, by 8 voices of espeak-ng at 3 speeds. The same arguments give the same sound. Needs ffmpeg,
espeak-ng for `counts`, and the package `numpy`.
"""

import itertools
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy

import degrade
import manifest

RATE = degrade.RATE
# Length of a running recording in seconds.
RUNNING = 60.0
# Voices of espeak-ng.
COUNTING = ["en-us", "en-gb", "en-gb-scotland", "en-029", "en-us+f3", "en-gb+m3", "en-us+m7", "en-gb+f5"]


def silence(seconds):
    return numpy.zeros(int(seconds * RATE), numpy.float32)


def trimmed(speech):
    """Speech without what is quieter than its loud parts by 35 dB at its ends."""
    frame = RATE // 100
    frames = speech[: len(speech) // frame * frame].reshape(-1, frame)
    power = numpy.mean(numpy.square(frames, dtype=numpy.float64), axis=1)
    loud = numpy.flatnonzero(power > numpy.quantile(power, 0.95) * 10**-3.5)
    first, last = max(loud[0] - 8, 0), min(loud[-1] + 8, len(frames))
    return frames[first:last].reshape(-1)


def at(speech, decibels):
    return speech * (10 ** (decibels / 20) / degrade.level(speech))


def near_far(clips, chance):
    english = [clip for clip in clips if clip.language == "en" and 3 <= clip.seconds <= 9]
    for i in range(12):
        near, far = chance.sample(english, 2)
        gap = [0.2, 0.5, 1.0][i % 3]
        close = at(trimmed(degrade.samples(near.path)), -20)
        distant = at(trimmed(degrade.samples(far.path)), -20 - [15, 20, 25, 30][i // 3])
        parts = [silence(0.3), close, silence(gap), distant, silence(gap), close, silence(0.3)]
        yield "en", numpy.concatenate(parts), " ".join([near.reference, far.reference, near.reference])


def languages(clips, chance):
    by_language = defaultdict(list)
    for clip in clips:
        if clip.seconds >= 6 and clip.category == "multilingual" or clip.id.startswith("fleurs"):
            by_language[clip.language].append(clip)
    orders = list(itertools.permutations(["en", "de", "fr"])) + [("es", "ru", "en"), ("ru", "fr", "es"), ("pt", "en", "de")]
    for order in orders:
        parts, texts = [silence(0.3)], []
        for language in order:
            said, count = [], 0.0
            for clip in chance.sample(by_language[language], len(by_language[language])):
                speech = at(trimmed(degrade.samples(clip.path)), -20)
                if count == 0 or count + len(speech) / RATE <= 9:
                    said.append(speech)
                    texts.append(clip.reference)
                    count += len(speech) / RATE
                if count >= 6:
                    break
            parts += said + [silence(1.5)]
        # Scored by the basic rules, which every language has.
        yield "xx", numpy.concatenate(parts), " ".join(texts)


def repeats(clips, chance):
    voices = {}
    for clip in clips:
        voices.setdefault(clip.set, clip) if clip.language == "en" and 3 <= clip.seconds <= 8 else None
    for (name, clip), times in itertools.product(list(voices.items())[:4], [4, 8, 12]):
        speech = at(trimmed(degrade.samples(clip.path)), -20)
        phrase = beginning(speech)
        words = clip.reference.split()
        # The share of the words that the share of the sound holds, by the number of letters.
        share = len(phrase) / len(speech) * len(clip.reference)
        count = max(1, sum(1 for i in range(len(words)) if len(" ".join(words[: i + 1])) <= share + 2))
        parts = [silence(0.3)]
        for _ in range(times):
            parts += [phrase, silence(chance.choice([0.3, 0.6, 1.0]))]
        yield "en", numpy.concatenate(parts), " ".join([" ".join(words[:count])] * times)


def beginning(speech):
    """The first 1 to 2 s of speech, up to the quietest spot there."""
    frame = RATE // 50
    frames = speech[: len(speech) // frame * frame].reshape(-1, frame)
    power = numpy.convolve(numpy.mean(numpy.square(frames), axis=1), numpy.ones(4), "same")
    spot = 50 + int(numpy.argmin(power[50:100])) if len(power) > 100 else len(power)
    return speech[: spot * frame]


def running(clips, chance):
    groups = defaultdict(list)
    for clip in clips:
        if clip.category != "long-form" and clip.seconds < 30:
            groups[clip.language, clip.set].append(clip)
    for (language, _), members in groups.items():
        parts, texts, count = [silence(0.3)], [], 0.0
        for clip in members:
            speech = at(degrade.without_pauses(trimmed(degrade.samples(clip.path))), -20)
            parts += [speech, silence(0.08)]
            texts.append(clip.reference)
            count += len(speech) / RATE
            if count >= RUNNING:
                yield language, numpy.concatenate(parts), " ".join(texts)
                parts, texts, count = [silence(0.3)], [], 0.0
        if count >= RUNNING / 3:
            yield language, numpy.concatenate(parts), " ".join(texts)


def counts(_clips, _chance):
    """Counting from 1 to 40 by eight voices of espeak-ng at three speeds, in words a minute."""
    said = ", ".join(number(n) for n in range(1, 41)) + "."
    for voice, speed in itertools.product(COUNTING, [120, 160, 200]):
        command = ["espeak-ng", "-v", voice, "-s", str(speed), "--stdout", said]
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            file.write(subprocess.run(command, check=True, capture_output=True).stdout)
            file.flush()
            yield "en", degrade.samples(Path(file.name)), " ".join(str(n) for n in range(1, 41))


def number(n):
    small = (
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen"
    ).split()
    if n < 20:
        return small[n - 1]
    tens = {2: "twenty", 3: "thirty", 4: "forty"}[n // 10]
    return f"{tens}-{small[n % 10 - 1]}" if n % 10 else tens


KINDS = {"counts": counts, "near-far": near_far, "languages": languages, "repeats": repeats, "running": running}


def main():
    folder, kind = Path(sys.argv[2]), sys.argv[3]
    if kind not in KINDS:
        sys.exit(f"scenes.py: {kind} is no kind of scene: {', '.join(KINDS)}")
    clips = [clip for clip in manifest.read(Path(sys.argv[1])) if clip.language != manifest.NO_SPEECH]
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(["id", "path", "seconds", "language", "category", "reference"])]
    for i, (language, speech, text) in enumerate(KINDS[kind](clips, random.Random(7))):
        name = f"{kind}-{i:03}.wav"
        degrade.write(folder / name, speech, ["-c:a", "pcm_s16le"])
        row = [f"{kind}/{i:03}", name, f"{len(speech) / RATE:.2f}", language, kind, text.replace("\t", " ")]
        lines.append("\t".join(row))
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
