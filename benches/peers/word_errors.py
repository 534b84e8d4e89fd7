"""Word error rates in percent, after OpenAI's English normaliser.

Reads {"reference": text, "texts": [text, ...]} as JSON from standard input and prints a list of rates.
"""

import json
import sys

import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer


def errors(reference, words):
    """Levenshtein's distance between two lists of words."""
    numbers = {}
    reference, words = ([numbers.setdefault(word, len(numbers)) for word in text] for text in (reference, words))
    words = np.array(words, int)
    columns = np.arange(len(words) + 1)
    row = columns.copy()
    for i, word in enumerate(reference):
        best = np.minimum(row[:-1] + (words != word), row[1:] + 1)
        # An inserted word adds one to what stands to its left: a running minimum once the column is taken off.
        row = np.minimum.accumulate(np.concatenate([[i + 1], best]) - columns) + columns
    return int(row[-1])


asked = json.load(sys.stdin)
normalise = EnglishTextNormalizer()
reference = normalise(asked["reference"]).split()
texts = [normalise(text).split() for text in asked["texts"]]
print(json.dumps([100 * errors(reference, text) / max(1, len(reference)) for text in texts]))
