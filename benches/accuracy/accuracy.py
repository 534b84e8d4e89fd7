#!/usr/bin/env python3
"""Measures how accurately Hearken transcribes the recordings of a manifest; README.md describes the method.

    accuracy.py MANIFEST [--language given|detected|three] [filters] [--json OUT] [-- HEARKEN OPTIONS]
"""

import argparse
import json
import sys
from pathlib import Path

import manifest
import programs
import report

HERE = Path(__file__).resolve().parent
HEARKEN = HERE.parents[1] / "target" / "release" / "hearken"


def main():
    arguments = parse()
    clips = manifest.choose(manifest.read(arguments.manifest), arguments)
    hotwords = read_lines(arguments.hotwords) if arguments.hotwords else []
    own = transcribe(arguments, clips)
    others = [read_run(path) for path in arguments.compare]
    if arguments.openai and not arguments.reference_only:
        others.append(reference(arguments, clips))
    for other in others or [None]:
        print(report.markdown(own, clips, other))
        print("\n".join(report.worst(own, clips, arguments.show, other)))
    if hotwords:
        print(report.hotwords(own, clips, hotwords))
    if arguments.json:
        result = {**own, "figures": report.figures(own, clips)}
        partial = arguments.json.with_name(arguments.json.name + ".part")
        partial.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        partial.replace(arguments.json)
    check(arguments, own, clips)


def transcribe(arguments, clips):
    if arguments.reference_only:
        return reference(arguments, clips)
    if arguments.saved:
        return read_run(arguments.saved)
    if arguments.live:
        return programs.hearken(arguments.hearken, clips, arguments.language, "live", arguments.options)
    file_format = "json" if arguments.language != "given" else "txt"
    options = list(arguments.options)
    if arguments.hotwords and not arguments.count_only:
        options += ["--hotwords", ",".join(read_lines(arguments.hotwords))]
    run = programs.hearken(arguments.hearken, clips, arguments.language, file_format, options)
    return {**run, "options": arguments.options}


def reference(arguments, clips):
    partial = arguments.cache / f"openai-{Path(arguments.openai).stem}-{arguments.language}.jsonl"
    arguments.cache.mkdir(parents=True, exist_ok=True)
    return programs.openai_whisper(arguments.openai, clips, arguments.language, partial)


def read_run(path):
    """A run that --json wrote, or texts of another program: FILE.tsv:COLUMN with the clips' ids in the column id."""
    name, _, column = str(path).partition(":")
    if not column:
        try:
            return json.loads(Path(name).read_text())
        except (OSError, ValueError) as error:
            raise manifest.Bad(f"{name}: not a run ({error}): give a file that --json wrote") from error
    rows = manifest.table(Path(name))
    if not rows or column not in rows[0] or "id" not in rows[0]:
        raise manifest.Bad(f"{name} has no columns id and {column}")
    texts = {row["id"]: {"text": row[column] or "", "language": None} for row in rows}
    return {"system": column, "language": "given", "options": [], "audio_s": 0, "seconds": 0, "clips": texts}


def read_lines(path):
    try:
        return [line for line in path.read_text().splitlines() if line.strip()]
    except OSError as error:
        raise manifest.Bad(f"{path}: {error.strerror}") from error


def check(arguments, own, clips):
    """Exits with code 1 if a limit is exceeded: for gates."""
    errors = report.total(clips, report.scored(own, clips))
    failures = []
    if arguments.most_wer is not None and (errors.rate is None or errors.rate > arguments.most_wer):
        failures.append(f"word error rate {report.rate(errors)} % is above {arguments.most_wer} %")
    if arguments.strict and errors.loops + errors.empty + errors.words_from_non_speech:
        failures.append("there are loops, empty texts or words from recordings without speech")
    if failures:
        sys.exit("accuracy.py: " + "; ".join(failures))


def parse():
    parser = argparse.ArgumentParser(description="Measure the accuracy of Hearken on the recordings of a manifest.")
    parser.add_argument("manifest", type=Path, help="tab-separated: id, path, seconds, language, category, reference")
    parser.add_argument("--hearken", type=Path, default=HEARKEN, help="program to measure [target/release/hearken]")
    languages = ["given", "detected", "three"]
    parser.add_argument("--language", choices=languages, default="given", help="three: detected among three")
    parser.add_argument("--live", action="store_true", help="play the clips into `hearken bench live`")
    parser.add_argument("--json", type=Path, metavar="OUT", help="file for texts and figures")
    parser.add_argument("--saved", type=Path, metavar="RUN", help="score a run that --json wrote, without running")
    compare = "show beside it: a run that --json wrote, or FILE.tsv:COLUMN"
    parser.add_argument("--compare", action="append", default=[], metavar="RUN", help=compare)
    parser.add_argument("--openai", metavar="MODEL", help="also run openai-whisper: a size, or a .pt file")
    parser.add_argument("--reference-only", action="store_true", help="run openai-whisper alone")
    parser.add_argument("--cache", type=Path, default=Path("target/accuracy"), help="folder for openai-whisper's texts")
    hotwords = "count how many of these words and phrases, one a line, are found"
    parser.add_argument("--hotwords", type=Path, metavar="LIST", help=hotwords + "; give them to Hearken")
    parser.add_argument("--count-only", action="store_true", help="do not give the hotwords to Hearken")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="show the N worst clips")
    filters = parser.add_argument_group("filters")
    for name, what in [("sets", "corpora"), ("languages", "codes"), ("categories", "categories"), ("ids", "clips")]:
        filters.add_argument(f"--{name}", type=lambda text: set(text.split(",")), default=set(), help=f"{what}: A,B,...")
    filters.add_argument("--min-seconds", type=float, default=0.0)
    filters.add_argument("--max-seconds", type=float, default=float("inf"))
    filters.add_argument("--every", type=int, default=1, metavar="N", help="each Nth clip of those")
    gate = parser.add_argument_group("limits: exit code 1 beyond them")
    gate.add_argument("--most-wer", type=float, metavar="PERCENT", help="word error rate over all clips")
    gate.add_argument("--strict", action="store_true", help="no loop, no empty text, no word from non-speech")
    given = sys.argv[1:]
    split = given.index("--") if "--" in given else len(given)
    arguments = parser.parse_args(given[:split])
    arguments.options = given[split + 1 :]
    if arguments.reference_only and not arguments.openai:
        parser.error("--reference-only needs --openai")
    if arguments.every < 1:
        parser.error("--every is at least 1")
    return arguments


if __name__ == "__main__":
    try:
        main()
    except manifest.Bad as bad:
        sys.exit(f"accuracy.py: {bad}")
