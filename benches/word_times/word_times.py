#!/usr/bin/env python3
"""Compares Hearken's word times with forced alignment of the reference by pocketsphinx; README.md describes the method.

    word_times.py MANIFEST [--hearken PROGRAM] [--every N] [--max-seconds S]
"""

import argparse
import difflib
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import numpy
import soundfile
from pocketsphinx import Decoder

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "accuracy"))

import manifest  # noqa: E402

HEARKEN = HERE.parents[1] / "target" / "release" / "hearken"
# Silence of this length before a word, in seconds, is a pause.
PAUSE = 0.25


def main():
    arguments = parse()
    clips = manifest.choose(manifest.read(arguments.manifest), arguments)
    aligner = Decoder(samprate=16000, bestpath=False, loglevel="FATAL")
    errors = {"all words": [], "first word": [], "word after a pause": [], "word ends": []}
    confidence = {True: [], False: []}
    aligned = 0
    for clip in clips:
        spoken = align(aligner, clip)
        if spoken is None:
            continue
        aligned += 1
        heard = transcribe(arguments.hearken, clip)
        compare(spoken, heard, errors, confidence)
    print(f"{aligned} of {len(clips)} clips could be aligned\n\n| | words | median error | p90 | bias |\n|---|---|---|---|---|")
    for name, values in errors.items():
        sizes = sorted(abs(value) for value in values)
        p90 = sizes[int(0.9 * len(sizes))]
        bias = statistics.median(values)
        print(f"| {name} | {len(values)} | {statistics.median(sizes):.0f} ms | {p90:.0f} ms | {bias:+.0f} ms |")
    right, wrong = (statistics.mean(confidence[kind]) for kind in (True, False))
    print(f"\nmean confidence: {right:.2f} of right words, {wrong:.2f} of wrong ones; a right word has more than a wrong")
    print(f"one in {100 * separation(confidence[True], confidence[False]):.0f} % of the pairs")


def align(aligner, clip):
    """Words of the reference with start and end in seconds; None if the dictionary does not have a word."""
    sound, rate = soundfile.read(clip.path, dtype="float32", always_2d=True)
    words = re.sub(r"[^a-z' ]", " ", clip.reference.lower().replace("’", "'").replace("-", " ")).split()
    words = [word if aligner.lookup_word(word) else word.strip("'") for word in words]
    known = words and all(aligner.lookup_word(word) for word in words)
    if rate != 16000 or not known or re.search(r"\d", clip.reference):
        return None
    try:
        aligner.set_align_text(" ".join(words))
        aligner.start_utt()
        aligner.process_raw((sound.mean(1) * 32767).astype(numpy.int16).tobytes(), full_utt=True)
        aligner.end_utt()
        segments = [(re.sub(r"\(\d+\)", "", s.word), s.start_frame / 100, (s.end_frame + 1) / 100) for s in aligner.seg()]
    except RuntimeError:
        return None
    spoken = [segment for segment in segments if segment[0][0] not in "<[("]
    return spoken if [word for word, _, _ in spoken] == words else None


def transcribe(program, clip):
    # The user's replacements must not affect the comparison.
    command = [program, "--config", os.devnull, "--file", clip.path, "--language", "en", "--word-timestamps"]
    command += ["--format", "json", "--quiet"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise manifest.Bad(f"{program} failed: {done.stderr.strip()}")
    segments = json.loads(done.stdout)["segments"]
    return [word for segment in segments for word in segment["words"]]


def compare(spoken, heard, errors, confidence):
    """Adds the errors of the words that both have, in milliseconds, and the confidence of all."""
    plain = [re.sub(r"[^a-z0-9']", "", word["word"].lower()) for word in heard]
    blocks = difflib.SequenceMatcher(None, [word for word, _, _ in spoken], plain, autojunk=False).get_matching_blocks()
    pairs = {block.b + i: block.a + i for block in blocks for i in range(block.size)}
    for at, word in enumerate(heard):
        confidence[at in pairs].append(word["probability"])
        if at not in pairs:
            continue
        said = pairs[at]
        _, start, end = spoken[said]
        error = 1000 * (word["start"] - start)
        errors["all words"].append(error)
        errors["word ends"].append(1000 * (word["end"] - end))
        if said == 0:
            errors["first word"].append(error)
        elif start - spoken[said - 1][2] >= PAUSE:
            errors["word after a pause"].append(error)


def separation(right, wrong):
    """Share of pairs in which the right word has the greater confidence."""
    wrong = numpy.sort(wrong)
    below = numpy.searchsorted(wrong, right, "left")
    return below.sum() / max(1, len(right) * len(wrong))


def parse():
    parser = argparse.ArgumentParser(description="Compare word times with forced alignment of English clips.")
    parser.add_argument("manifest", type=Path, help="tab-separated: id, path, seconds, language, category, reference")
    parser.add_argument("--hearken", type=Path, default=HEARKEN, help="program to measure [target/release/hearken]")
    parser.add_argument("--min-seconds", type=float, default=2.0, metavar="S", help="only clips of this length or more")
    parser.add_argument("--max-seconds", type=float, default=10.0, metavar="S", help="only clips up to this")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth of the clips that remain")
    parser.set_defaults(sets=None, languages=["en"], categories=None, ids=None)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except manifest.Bad as error:
        sys.exit(f"word_times.py: {error}")
