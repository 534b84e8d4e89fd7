#!/usr/bin/env python3
"""Compares Hearken with faster-whisper and whisper.cpp on one recording; README.md describes the method.

    compare.py AUDIO [REFERENCE_TEXT] [--threads N] [--runs N] [--json OUT] [--hearken PROGRAM] [--cache FOLDER]
"""

import argparse
import json
import os
import sys
import wave
from pathlib import Path

import install
import programs
import report
import run

HERE = Path(__file__).resolve().parent


def main():
    arguments = parse()
    peers = install.install(arguments.cache)
    recording = arguments.cache / "recording.wav"
    decode = [peers.python, HERE / "decode_audio.py", arguments.audio, recording]
    run.check(decode, peers.environment(arguments.threads))
    with wave.open(str(recording)) as file:
        seconds = file.getnframes() / file.getframerate()

    settings = programs.Settings(arguments.hearken, peers, recording, arguments.threads)
    transcriptions = programs.transcriptions(settings)
    stages = programs.stages(settings)
    # Every program once, then every program again, so that other work on the machine affects all of them.
    for turn in range(arguments.runs):
        for one in [*transcriptions, *stages]:
            say(f"run {turn + 1} of {arguments.runs}: {one.label}: {one.measure()}")
    results = {
        "audio_s": seconds,
        "threads": arguments.threads,
        "runs": arguments.runs,
        "machine": report.machine(),
        "versions": versions(arguments, peers),
        "transcription": [one.result() for one in transcriptions],
        "stages": [one.result() for one in stages],
    }
    if arguments.reference:
        score(results, arguments.reference, peers.python)
    print(report.markdown(results))
    if arguments.json:
        partial = arguments.json.with_name(arguments.json.name + ".part")
        partial.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
        partial.replace(arguments.json)


def parse():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hearken" / "peers"
    parser = argparse.ArgumentParser(description="Compare Hearken with its peers on one English recording.")
    parser.add_argument("audio", type=Path, help="recording, in any format that FFmpeg reads")
    parser.add_argument("reference", type=Path, nargs="?", help="text file with what is said, for the word error rate")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of each program [all cores]")
    parser.add_argument("--runs", type=int, default=3, help="runs of each program; medians are reported [3]")
    parser.add_argument("--json", type=Path, help="file for all figures and texts")
    parser.add_argument("--hearken", type=Path, default=HERE.parents[1] / "target" / "release" / "hearken")
    parser.add_argument("--cache", type=Path, default=cache, help=f"folder for programs and models [{cache}]")
    arguments = parser.parse_args()
    for path in filter(None, [arguments.audio, arguments.reference, arguments.hearken]):
        if not path.is_file():
            parser.error(f"{path} is no file")
    if min(arguments.threads, arguments.runs) < 1:
        parser.error("--threads and --runs are at least 1")
    return arguments


def versions(arguments, peers):
    hearken = run.check([arguments.hearken, "--version"], os.environ).split()[-1]
    return {"hearken": hearken, **install.versions(peers.python)}


def score(results, reference, python):
    """Adds the word error rate in percent of each program's last text."""
    texts = [one["text"] for one in results["transcription"]]
    asked = json.dumps({"reference": reference.read_text(), "texts": texts})
    rates = json.loads(run.check([python, HERE / "word_errors.py"], os.environ, asked))
    for one, rate in zip(results["transcription"], rates):
        one["word_error_rate"] = rate


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except run.Failed as failure:
        sys.exit(f"compare.py: {failure}")
