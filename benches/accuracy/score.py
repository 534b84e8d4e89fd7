"""Errors of a text against its reference, after OpenAI's normaliser.

The normalisers are those of the package whisper-normalizer, a copy of openai-whisper's `whisper/normalizers`: the
English one for English, the basic one for the other languages, which for Chinese, Japanese and Korean splits the text
into characters, so that the word error rate is a character error rate. Distances and alignments are rapidfuzz's.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import cache

from rapidfuzz.distance import Levenshtein
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from manifest import NO_SPEECH

BY_CHARACTER = {"zh", "ja", "ko"}
# Longest phrase in words, and number of repetitions in a row, that make a loop, unless the reference has it too.
LOOP_PHRASE, LOOP_TIMES = 12, 4

ENGLISH = EnglishTextNormalizer()
BASIC = BasicTextNormalizer()
CHARACTERS = BasicTextNormalizer(split_letters=True)


@dataclass
class Errors:
    """Counts over one clip or many."""

    clips: int = 0
    words: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    # The remaining counts are of clips, not words.
    loops: int = 0
    empty: int = 0
    first_lost: int = 0
    last_lost: int = 0
    # Words written for recordings without speech, and the number of these recordings.
    words_from_non_speech: int = 0
    non_speech_clips: int = 0

    @property
    def errors(self):
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self):
        """Word error rate in percent; None without words."""
        return 100 * self.errors / self.words if self.words else None

    def add(self, other):
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Scored:
    """A clip's errors, and the compared words."""

    errors: Errors
    reference: list = field(default_factory=list)
    words: list = field(default_factory=list)


@cache
def words(text, language):
    """The words of a text; characters in languages without spaces."""
    if language in ("en", NO_SPEECH):
        return ENGLISH(text).split()
    return (CHARACTERS if language in BY_CHARACTER else BASIC)(text).split()


def score(reference, text, language):
    """Counts the errors of one clip."""
    heard = words(text, language)
    if language == NO_SPEECH:
        return Scored(Errors(words_from_non_speech=len(heard), non_speech_clips=1, loops=has_loop(heard, [])), [], heard)
    said = words(reference, language)
    edits = Levenshtein.editops(said, heard)
    kinds = Counter(edit.tag for edit in edits)
    lost = {edit.src_pos for edit in edits if edit.tag == "delete"}
    errors = Errors(
        clips=1,
        words=len(said),
        substitutions=kinds["replace"],
        deletions=kinds["delete"],
        insertions=kinds["insert"],
        loops=int(has_loop(heard, said)),
        empty=int(bool(said) and not heard),
        first_lost=int(0 in lost),
        last_lost=int(len(said) - 1 in lost),
    )
    return Scored(errors, said, heard)


def has_loop(heard, said):
    """Whether a phrase is repeated that the reference does not repeat."""
    return any(
        repeats(heard, length) >= LOOP_TIMES and repeats(said, length) < LOOP_TIMES
        for length in range(1, LOOP_PHRASE + 1)
    )


def repeats(text, length):
    """The most repetitions in a row of any phrase of `length` words."""
    most = run = 0
    for i in range(len(text)):
        run = run + 1 if i >= length and text[i] == text[i - length] else 0
        most = max(most, run)
    return 1 + most // length if len(text) >= length else 0
