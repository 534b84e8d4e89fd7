"""Runs Hearken, and openai-whisper if it is installed. Each returns the clips' texts as a run:

    {"system": name, "options": [...], "audio_s", "seconds", "clips": {id: {"text", "language"}}}

where "seconds" is the time that transcribing took and "language" is None unless the program told it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from manifest import NO_SPEECH, Bad

# Hearken's last line on standard error for each recording.
CLOSING_LINE = re.compile(r"([0-9.]+) s of audio in ([0-9.]+) s")

# For detection among three: the language itself and the two most easily confused with it.
NEIGHBOURS = {
    "cs": "cs,ru,en",
    "de": "de,nl,en",
    "en": "en,de,fr",
    "es": "es,pt,it",
    "fr": "fr,it,en",
    "it": "it,es,fr",
    "ja": "ja,ko,zh",
    "ko": "ko,ja,zh",
    "nl": "nl,de,en",
    "pt": "pt,es,it",
    "ru": "ru,cs,en",
    "zh": "zh,ja,ko",
}


def language_options(clip, mode):
    """Options that give Hearken the language of a clip."""
    if mode == "given":
        return ("--language", "en" if clip.language == NO_SPEECH else clip.language)
    if mode == "three" and clip.language in NEIGHBOURS:
        return ("--languages", NEIGHBOURS[clip.language])
    return ()


def hearken(program, clips, mode, file_format, options):
    """Transcribes all clips, with one process for each set of options; the format `live` plays them into `hearken bench
    live`."""
    groups = defaultdict(list)
    for clip in clips:
        groups[language_options(clip, mode)].append(clip)
    run = {"system": "hearken", "language": mode, "options": options, "audio_s": 0.0, "seconds": 0.0, "clips": {}}
    for language, members in groups.items():
        with tempfile.TemporaryDirectory(prefix="hearken-accuracy-") as folder:
            if file_format == "live":
                speak(program, members, [*language, *options], run)
            else:
                transcribe(program, members, [*language, "--format", file_format, *options], Path(folder), run)
    return run


def transcribe(program, clips, options, folder, run):
    """Runs one process over `clips` and adds its output to `run`."""
    inputs, texts = folder / "in", folder / "out"
    inputs.mkdir()
    # Numbered, since clips of different sets may have the same name.
    links = [inputs / f"{i:05}{clip.path.suffix}" for i, clip in enumerate(clips)]
    for link, clip in zip(links, clips):
        if not clip.path.is_file():
            raise Bad(f"{clip.path} is missing: the manifest names it")
        link.symlink_to(clip.path.resolve())
    # The user's replacements must not affect the comparison.
    command = [program, "--config", os.devnull, "--output-dir", texts, *options, "--file", *links]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Bad(f"{program} failed (exit code {done.returncode}): {done.stderr.strip().splitlines()[-1:]}")
    for match in CLOSING_LINE.finditer(done.stderr):
        run["audio_s"] += float(match.group(1))
        run["seconds"] += float(match.group(2))
    for link, clip in zip(links, clips):
        run["clips"][clip.id] = read_transcript(texts, link.stem)


def speak(program, clips, options, run):
    """The texts of `clips` as a client of the daemon receives them, from one process."""
    command = [program, "bench", "live", *options, "--file", *[clip.path for clip in clips]]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Bad(f"{program} failed (exit code {done.returncode}): {done.stderr.strip().splitlines()[-1:]}")
    for clip, line in zip(clips, done.stdout.splitlines(), strict=True):
        report = json.loads(line)
        run["audio_s"] += report["audio_s"]
        run["seconds"] += report["busy_s"]
        run["clips"][clip.id] = {"text": " ".join(report["text"].split()), "language": None}


def read_transcript(folder, stem):
    as_json, as_text = folder / f"{stem}.json", folder / f"{stem}.txt"
    if as_json.is_file():
        transcript = json.loads(as_json.read_text())
        return {"text": " ".join(transcript["text"].split()), "language": transcript["language"]}
    return {"text": " ".join(as_text.read_text().split()), "language": None}


def openai_whisper(model, clips, mode, partial):
    """openai-whisper's `transcribe` with its own defaults, in fp32. Results are stored in the file `partial`, so
    an interrupted run continues where it stopped."""
    try:
        import whisper
    except ImportError as error:
        raise Bad(f"openai-whisper cannot be used ({error}): pip install openai-whisper") from error
    if mode == "three":
        raise Bad("openai-whisper cannot choose among some languages: use --language given or detected")
    kept = read_partial(partial)
    network = whisper.load_model(model)
    with open(partial, "a", encoding="utf-8") as log:
        for clip in clips:
            if clip.id in kept:
                continue
            begun = time.monotonic()
            language = language_options(clip, mode)[1] if mode == "given" else None
            result = network.transcribe(str(clip.path), language=language, fp16=False, verbose=None)
            record = {
                "text": " ".join(result["text"].split()),
                "language": result["language"],
                "seconds": time.monotonic() - begun,
            }
            kept[clip.id] = record
            print(json.dumps({"id": clip.id, **record}, ensure_ascii=False), file=log, flush=True)
            print(f"openai-whisper: {clip.id}: {record['seconds']:.1f} s", file=sys.stderr)
    own = {clip.id: kept[clip.id] for clip in clips}
    return {
        "system": "openai-whisper",
        "language": mode,
        "options": [Path(model).name],
        "audio_s": sum(clip.seconds for clip in clips),
        "seconds": sum(one["seconds"] for one in own.values()),
        "clips": own,
    }


def read_partial(partial):
    if not partial.exists():
        return {}
    with open(partial, encoding="utf-8") as file:
        records = [json.loads(line) for line in file if line.endswith("\n")]
    return {record.pop("id"): record for record in records}
