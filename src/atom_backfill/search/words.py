"""What words two texts share, in any language: stems are a word's first letters, accents and case aside. Pure."""

from __future__ import annotations

import re
import unicodedata

WORD = re.compile(r"[^\W_]+")
STEM_LETTERS = 5
"""`invoice` and `invoicing` share them, in most languages; the word index has its own, better stemmer."""
TELLING_LETTERS = 4
"""Shorter words are mostly grammar, unless they hold a digit."""


def stem(word: str) -> str:
    """Reduce a word to what its inflections share."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))
    return bare[:STEM_LETTERS]


def telling_stems(text: str) -> frozenset[str]:
    """Gather the stems of the words that say what a text is about; of all words where none is long enough."""
    words = WORD.findall(text)
    telling = [word for word in words if len(word) >= TELLING_LETTERS or any(map(str.isdigit, word))]
    return frozenset(map(stem, telling or words))
