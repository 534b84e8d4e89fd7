#!/usr/bin/env python3
"""Prints the rare words of a manifest's English references, one a line: a list for accuracy.py --hotwords.

    rare_words.py MANIFEST [ZIPF]

A word is rare if its Zipf frequency in English (the base-10 logarithm of its occurrences in 10^9 words, by the package
wordfreq) is below ZIPF, 2.5 unless given.
"""

import re
import sys
from pathlib import Path

from wordfreq import zipf_frequency

import manifest


def rare(clips, below):
    """Rare words; names are capitalised if a mixed-case reference capitalises them."""
    forms = {}
    for clip in clips:
        shouted = clip.reference.isupper() or clip.reference.islower()
        for word in re.findall(r"[^\W\d_]+", clip.reference):
            if clip.language == "en" and len(word) > 3 and zipf_frequency(word, "en") < below:
                form = word.lower() if shouted else word
                forms[word.lower()] = max(form, forms.get(word.lower(), form), key=str.islower)
    return [form for _, form in sorted(forms.items())]


def main():
    below = float(sys.argv[2]) if len(sys.argv) > 2 else 2.5
    print("\n".join(rare(manifest.read(Path(sys.argv[1])), below)))


if __name__ == "__main__":
    main()
