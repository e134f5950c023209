"""How words and phrases are written down, one vocabulary a constant."""

from __future__ import annotations

import re


def words(text: str) -> frozenset[str]:
    """Make a set of the words of a text."""
    return frozenset(text.split())


def stems(text: str) -> tuple[str, ...]:
    """List beginnings of words and short phrases, in lower case, parted by `|` or line ends."""
    return tuple(stem for line in text.strip().splitlines() for stem in line.strip().split("|"))


def any_of(text: str) -> str:
    """Write a pattern's alternatives on several lines: every line end is a `|`, outer white space does not count."""
    return "(?:" + "|".join(line.strip() for line in text.strip().splitlines()) + ")"


def phrases(text: str) -> re.Pattern[str]:
    """Compile alternatives written as for `any_of`, without regard to case."""
    return re.compile(any_of(text), re.IGNORECASE)
