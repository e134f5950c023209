"""Finds a model's quote in a text although white space and typographic signs differ. Pure, linear in the text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

_ALIKE = str.maketrans("‹’‘‚“”„«»–—‐‑−", "<" + 3 * "'" + 5 * '"' + 5 * "-")
"""One sign for one sign: models write the plain one for the typographic one, and the prompt writes ‹ for <."""


def fold(text: str) -> str:
    """Return the text with white space as single spaces and signs that are alike made equal."""
    return " ".join(text.translate(_ALIKE).split())


@dataclass(frozen=True)
class Folded:
    """A text in which quotes are looked for."""

    text: str

    def find(self, quote: str) -> tuple[int, int] | None:
        """Return the first [start, end) of the text that reads as the quote, or None."""
        wanted = fold(quote)
        folded, places = self._folded
        at = folded.find(wanted) if wanted else -1
        return None if at < 0 else (places[at], places[at + len(wanted) - 1] + 1)

    @cached_property
    def _folded(self) -> tuple[str, list[int]]:
        """The folded text, and where each of its characters stands in the text."""
        characters: list[str] = []
        places: list[int] = []
        for place, character in enumerate(self.text.translate(_ALIKE)):
            if not character.isspace():
                characters.append(character)
                places.append(place)
            elif characters and characters[-1] != " ":
                characters.append(" ")
                places.append(place)
        return "".join(characters), places
