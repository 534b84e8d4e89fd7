"""Clips of a manifest, and which of them to take."""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

# Language code of recordings in which nobody speaks (ISO 639-2: no linguistic content).
NO_SPEECH = "zxx"


class Bad(Exception):
    """An input that cannot be used: what, why, remedy."""


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
        """The corpus it is from: the first part of its id."""
        return self.id.split("/")[0]


def table(path):
    """Rows of a tab-separated file with a header line and without quoting."""
    csv.field_size_limit(sys.maxsize)
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as error:
        raise Bad(f"{path}: {error.strerror}") from error


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
    """The clips that the filters of the command line leave."""
    tests = [
        (arguments.sets, lambda clip: clip.set),
        (arguments.languages, lambda clip: clip.language),
        (arguments.categories, lambda clip: clip.category),
        (arguments.ids, lambda clip: clip.id),
    ]
    chosen = [
        clip
        for clip in clips
        if arguments.min_seconds <= clip.seconds <= arguments.max_seconds
        and all(not wanted or of(clip) in wanted for wanted, of in tests)
    ]
    chosen = chosen[:: arguments.every]
    if not chosen:
        raise Bad("no clip of the manifest passes the filters: widen them")
    return chosen
