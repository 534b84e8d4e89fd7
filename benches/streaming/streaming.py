#!/usr/bin/env python3
"""Measures live transcription over the recordings of a manifest; README.md describes the figures.

    streaming.py MANIFEST [filters] [--json OUT] [-- OPTIONS OF bench live]
"""

import argparse
import difflib
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "accuracy"))

import manifest  # noqa: E402
import programs  # noqa: E402
import score  # noqa: E402

HEARKEN = HERE.parents[1] / "target" / "release" / "hearken"
TIMES = [
    ("first partial", "first_partial_s"),
    ("committed word", "committed_s"),
    ("settled word", "settled_s"),
    ("final", "final_s"),
    ("speech to final", "speech_to_final_s"),
]


def main():
    arguments = parse()
    clips = manifest.choose(manifest.read(arguments.manifest), arguments)
    file_run = programs.hearken(arguments.hearken, clips, "given", "txt", [])
    texts = {clip.id: file_run["clips"][clip.id]["text"] for clip in clips}
    run = live(arguments, clips)
    metrics = figures(run, clips, texts)
    print(table(metrics, rate(texts, clips, {clip.id: clip.reference for clip in clips}), len(clips)))
    if arguments.json:
        result = {"clips": [clip.id for clip in clips], "file": texts, "metrics": metrics, "run": run}
        partial = arguments.json.with_name(arguments.json.name + ".part")
        partial.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        partial.replace(arguments.json)


def live(arguments, clips):
    """What `hearken bench live` reports for each clip; one process for each language, which is given."""
    groups = defaultdict(list)
    for clip in clips:
        groups[programs.language_options(clip, "given")].append(clip)
    reports = {}
    for language, members in groups.items():
        files = [str(clip.path) for clip in members]
        command = [arguments.hearken, "bench", "live", *language, *arguments.options, "--file", *files]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise manifest.Bad(f"{arguments.hearken} failed: {done.stderr.strip().splitlines()[-1:]}")
        reports.update(zip([clip.id for clip in members], map(json.loads, done.stdout.splitlines())))
    return reports


def rate(texts, clips, references):
    """Word error rate of the texts against the references, in percent."""
    errors = score.Errors()
    for clip in clips:
        errors.add(score.score(references[clip.id], texts[clip.id], clip.language).errors)
    return errors.rate


def figures(run, clips, file_texts):
    """The figures of a run: rates in percent, times in seconds as p50 and p95."""
    texts = {name: report["text"] for name, report in run.items()}
    total = lambda key: sum(report[key] for report in run.values())  # noqa: E731
    result = {
        "wer": rate(texts, clips, {clip.id: clip.reference for clip in clips}),
        "differs from file": rate(texts, clips, file_texts),
        "cpu": 100 * total("cpu_s") / total("audio_s"),
    }
    finals = [split_finals(run[clip.id]["finals"], file_texts[clip.id]) for clip in clips]
    result["finals"] = sum(n for n, _ in finals)
    result["split sentences"] = sum(split for _, split in finals)
    for name, key in TIMES:
        times = sorted(time for report in run.values() for time in report[key])
        rank = lambda share: times[min(len(times) - 1, int(share * len(times)))] if times else None  # noqa: E731
        result[name] = {"p50": rank(0.5), "p95": rank(0.95), "of": len(times)}
    return result


def split_finals(finals, file_text):
    """The number of finals, and of those that end within a sentence of the file's text."""
    bare = lambda word: "".join(c for c in word.lower() if c.isalnum())  # noqa: E731
    live = [(bare(word), i) for i, text in enumerate(finals) for word in text.split()]
    file = file_text.split()
    blocks = difflib.SequenceMatcher(None, [word for word, _ in live], [bare(word) for word in file], autojunk=False)
    place = {block.a + k: block.b + k for block in blocks.get_matching_blocks() for k in range(block.size)}
    split = 0
    for at, ((_, utterance), (_, following)) in enumerate(zip(live, live[1:])):
        # A boundary counts if the words on both sides are neighbours in the file's text.
        if utterance != following and at in place and place.get(at + 1) == place[at] + 1:
            split += not file[place[at]].rstrip("\"')»”").endswith((".", "?", "!", "。", "？", "！"))
    return len(finals), split


def table(metrics, file_rate, n_clips):
    heading = ["WER %", "differs from file %", *[f"{name}, s" for name, _ in TIMES], "finals", "split sentences", "processor %"]
    lines = [f"{n_clips} clips; file mode: WER {file_rate:.2f} %. Times: p50 / p95.", ""]
    lines += ["| " + " | ".join(heading) + " |", "|---" * len(heading) + "|"]
    times = [metrics[name] for name, _ in TIMES]
    cells = [f"{time['p50']:.2f} / {time['p95']:.2f}" if time["of"] else "none" for time in times]
    rates = [f"{metrics['wer']:.2f}", f"{metrics['differs from file']:.2f}"]
    counts = [f"{metrics['finals']}", f"{metrics['split sentences']}"]
    lines.append("| " + " | ".join([*rates, *cells, *counts, f"{metrics['cpu']:.0f}"]) + " |")
    return "\n".join(lines)


def parse():
    parser = argparse.ArgumentParser(description="Measure live transcription.")
    parser.add_argument("manifest", type=Path, help="tab-separated: id, path, seconds, language, category, reference")
    parser.add_argument("--hearken", type=Path, default=HEARKEN, help="program to measure [target/release/hearken]")
    names = lambda text: text.split(",")  # noqa: E731
    for name in ("sets", "languages", "categories", "ids"):
        parser.add_argument(f"--{name}", type=names, default=None, metavar="A,B", help=f"only these {name}")
    parser.add_argument("--min-seconds", type=float, default=0.0, metavar="S", help="only clips of this length or more")
    parser.add_argument("--max-seconds", type=float, default=float("inf"), metavar="S", help="only clips up to this")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth of the clips that remain")
    parser.add_argument("--json", type=Path, metavar="OUT", help="file for texts and figures")
    parser.add_argument("options", nargs="*", help="options of hearken bench live, after --")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except manifest.Bad as error:
        sys.exit(f"streaming.py: {error}")
