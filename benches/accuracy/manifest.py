"""Clips of a manifest, and filters."""

import csv
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

# Language code of recordings without speech (ISO 639-2: no linguistic content).
NO_SPEECH = "zxx"

# Recordings from which the models' tail is computed (models/tail/README.md): they would flatter the result.
TAIL_SOURCES = {
    "librispeech-train-clean-100/2384-152900-0000",
    "librispeech-train-clean-100/1970-10594-0000",
    "librispeech-train-clean-100/307-127535-0000",
    "librispeech-train-clean-100/289-121652-0000",
    "librispeech-train-clean-100/5703-47198-0000",
    "librispeech-test-other/1688-142285-0001",
    "fleurs-de/fleurs-de-002",
    "fleurs-fr/fleurs-fr-001",
}


class Bad(Exception):
    """An unusable input: what, why, remedy."""


@dataclass
class Clip:
    """One recording with its reference transcript."""

    id: str
    path: Path
    seconds: float
    language: str
    category: str
    reference: str

    @property
    def set(self):
        """The corpus that it is from: the first part of its id."""
        return self.id.split("/")[0]


def table(path):
    """Rows of a tab-separated file with a header line and without quoting. If an id occurs again, `#2` and so on
    are appended."""
    csv.field_size_limit(sys.maxsize)
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as error:
        raise Bad(f"{path}: {error.strerror}") from error
    seen = Counter()
    for row in rows:
        seen[row.get("id")] += 1
        if seen[row.get("id")] > 1:
            row["id"] = f"{row['id']}#{seen[row['id']]}"
    return rows


def read(path):
    """All clips of a manifest; their paths are relative to it."""
    try:
        return [
            Clip(
                row["id"],
                path.parent / row["path"],
                float(row["seconds"]),
                row["language"],
                row["category"],
                row["reference"] or "",
            )
            for row in table(path)
        ]
    except (KeyError, TypeError, ValueError) as error:
        columns = "id, path, seconds, language, category, reference"
        raise Bad(f"{path}: not a manifest ({error}): it needs the columns {columns}") from error


def choose(clips, arguments):
    """The clips that pass the command line's filters."""
    tests = [
        (arguments.sets, lambda clip: clip.set),
        (arguments.languages, lambda clip: clip.language),
        (arguments.categories, lambda clip: clip.category),
        (arguments.ids, lambda clip: clip.id),
    ]
    chosen = [
        clip
        for clip in clips
        if clip.id not in TAIL_SOURCES
        and arguments.min_seconds <= clip.seconds <= arguments.max_seconds
        and all(not wanted or of(clip) in wanted for wanted, of in tests)
    ]
    chosen = chosen[:: arguments.every]
    if not chosen:
        raise Bad("no clip of the manifest passes the filters: widen them")
    return chosen
