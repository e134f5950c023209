"""Personal names: read, folded and compared. Pure.

A name is compared by its parts and never by its letters alone: `J. Smith` may be Jane or John, `Mike` may be Michael,
and two different middle initials are two persons.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from atom_backfill.graph.resolve_vocabulary import (
    DEGREES,
    FORMAL_NAMES,
    GENERATIONS,
    NOT_A_PERSON,
    SPELLINGS,
    TITLES,
)

LONGEST_NAME = 120
"""Characters of a written name that are looked at."""

MOST_PARTS = 7
"""Parts of a name; more are a sentence."""


class Likeness(IntEnum):
    """How two names agree; larger is surer."""

    NONE = 0
    INITIAL = 1
    SPELLING = 2
    NICKNAME = 3
    EXACT = 4


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A personal name, its parts folded. `given` may be one letter; `generation` is `jr`, `iii` and the like, or ""."""

    given: str
    middle: tuple[str, ...]
    surname: str
    generation: str = ""

    @property
    def is_full(self) -> bool:
        """Tell whether it has more than an initial on both sides."""
        return len(self.given) > 1 and len(self.surname) > 1

    @property
    def plain(self) -> str:
        """Return given name and surname, as for a reader."""
        return f"{self.given} {self.surname}"


@lru_cache(maxsize=65536)
def read_name(written: str) -> Name | None:
    """Read a person's given name and surname; None where the words are not both, or name a company or a list."""
    parts = name_parts(written)
    generation = "".join(part for part in parts[1:] if part in GENERATIONS)[:8]
    parts = [part for part in parts if part not in GENERATIONS]
    if not 2 <= len(parts) <= MOST_PARTS or NOT_A_PERSON.intersection(parts) or len(parts[-1]) < 2:
        return None
    if parts[0] == "the" or (not any(len(part) > 1 for part in parts[:-1]) and len(parts) > 3):
        return None
    return Name(
        alike_part(parts[0]), tuple(map(alike_part, parts[1:-1])), alike_part(parts[-1], surname=True), generation
    )


def name_parts(written: str) -> list[str]:
    """Fold a written name to its parts, given name first: `Lay, Kenneth L.` → kenneth, l, lay. Titles are left out."""
    text = _ASIDES.sub(" ", written[:LONGEST_NAME])
    if _NEVER_IN_NAMES.search(text):
        return []
    surname, comma, given = text.partition(",")
    if comma and not set(_words(given)) <= DEGREES | GENERATIONS:
        text = f"{given} {surname}"
    return [word for word in _words(text) if word not in TITLES and word not in DEGREES]


def fold(text: str) -> str:
    """Fold letters for comparing: no case, no accents, no points and apostrophes."""
    text = text.casefold()
    if not text.isascii():
        spread = unicodedata.normalize("NFKD", text.translate(_LETTERS))
        text = "".join(letter for letter in spread if not unicodedata.combining(letter))
    return _MARKS.sub("", text)


def alike_part(part: str, *, surname: bool = False) -> str:
    """Fold the two letters that stand for an umlaut to the one: Boehme, Bohme.

    `ae` is left in given names, lest Michael be Michal.
    """
    return (_UMLAUT_SURNAME if surname else _UMLAUT_GIVEN).sub(r"\1", part)


@lru_cache(maxsize=65536)
def likeness(one: Name, other: Name) -> Likeness:
    """Tell how far two names can be one person's: by surname, given name, middle names and generation."""
    if one.surname != other.surname or (one.generation and other.generation and one.generation != other.generation):
        return Likeness.NONE
    if not _middles_agree(one.middle, other.middle):
        return Likeness.NONE
    return given_likeness(one.given, other.given)


def given_likeness(one: str, other: str) -> Likeness:
    """Tell how far two folded given names can be one person's."""
    if one == other:
        return Likeness.EXACT if len(one) > 1 else Likeness.INITIAL
    if len(one) == 1 or len(other) == 1:
        return Likeness.INITIAL if one[:1] == other[:1] else Likeness.NONE
    ours, theirs = formal_names(one), formal_names(other)
    if ours & theirs:
        return Likeness.NICKNAME
    # Catherine and Katherine may be two persons more easily than Cathy and Catherine.
    return Likeness.SPELLING if any(_SPELLINGS.get(name, _NOTHING) & _ways(theirs) for name in ours) else Likeness.NONE


@lru_cache(maxsize=16384)
def formal_names(given: str) -> frozenset[str]:
    """Return the formal given names that this one may stand for, itself among them."""
    return _FORMAL.get(given, frozenset({given}))


def _words(text: str) -> list[str]:
    return [part for word in _BETWEEN.split(text) if (part := fold(word).strip("-_"))]


def _middles_agree(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    short, long = sorted((one, other), key=len)
    rest = iter(long)
    return all(any(_middle_agrees(part, candidate) for candidate in rest) for part in short)


def _middle_agrees(one: str, other: str) -> bool:
    return one == other or (min(len(one), len(other)) == 1 and one[0] == other[0])


def _ways(given: frozenset[str]) -> frozenset[str]:
    return given.union(*(_SPELLINGS.get(name, ()) for name in given))


def _folded(table: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    return {alike_part(name): frozenset(map(alike_part, forms)) for name, forms in table.items()}


_ASIDES: Final = re.compile(r"\([^)]*\)|\[[^\]]*\]|(?:^|(?<=\s))[\"'“‘][^\"'”’]{1,40}[\"'”’](?=\s)")
_NEVER_IN_NAMES: Final = re.compile(r"[@&/\\=<>|?!#*+:;_\d]|\w\.[a-z]{2,3}\b|\s\.[a-z]")
_BETWEEN: Final = re.compile(r"[\s.,\"“”„`]+")
_MARKS: Final = re.compile(r"[.'’‘´`]")
_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ð": "d"})
_UMLAUT_GIVEN: Final = re.compile(r"(?<=[^aeiouq])([ou])e(?=[bcdfghjklmnpqrstvwxz])")
_UMLAUT_SURNAME: Final = re.compile(r"(?<=[^aeiouq])([aou])e(?=[bcdfghjklmnpqrstvwxz])")
_NOTHING: Final[frozenset[str]] = frozenset()
_FORMAL: Final = _folded(FORMAL_NAMES)
_SPELLINGS: Final = _folded(SPELLINGS)
