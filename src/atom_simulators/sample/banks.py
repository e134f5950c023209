"""Reads the banks of written pieces that everyday mail is put together from."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random


@cache
def pieces(bank: str) -> Sequence[str]:
    """The pieces of banks/<bank>.txt in order; they are parted by lines of `%`, comments begin with `#`."""
    text = (files("atom_simulators.sample") / "banks" / f"{bank}.txt").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(piece.strip("\n") for piece in f"\n{lines}\n".split("\n%\n") if piece.strip())


@cache
def sections(bank: str) -> Mapping[str, Sequence[str]]:
    """The labelled lists of banks/<bank>.txt: each line after `[label]` is one entry."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in "\n".join(pieces(bank)).splitlines():
        if line.startswith("[") and line.endswith("]"):
            current = found.setdefault(line[1:-1], [])
        elif line.strip():
            current.append(line.strip())
    return found


def fill(template: str, rng: Random, avoid: Collection[str] = ()) -> str:
    """Fill `{label}` from the list of that name, or a number; equal slots get equal values, so `{part2}` is another.

    Numbers: n 3-89, few 2-9, many 100-4,999, money, clock, ref, date. A value at the start of a sentence gets a
    capital letter, and none of `avoid` is drawn. Raises KeyError for an unknown label.
    """
    values: dict[str, str] = {}

    def value(match: re.Match[str]) -> str:
        slot = match[1]
        if slot not in values:
            values[slot] = _draw(slot.rstrip("0123456789"), rng, avoid)
        drawn = values[slot]
        return drawn[0].upper() + drawn[1:] if _SENTENCE_START.search(template[: match.start()]) else drawn

    return re.sub(r"\{([a-z]+\d?)\}", value, template)


_SENTENCE_START = re.compile(r"(?:^|[.!?:] |\n(?:[-*] )?)$")


def _draw(label: str, rng: Random, avoid: Collection[str]) -> str:
    if label in _NUMBERS:
        return _NUMBERS[label](rng)
    return rng.choice([entry for entry in sections("slots")[label] if entry not in avoid])


_NUMBERS: Mapping[str, Callable[[Random], str]] = {
    "n": lambda rng: str(rng.randrange(3, 90)),
    "few": lambda rng: str(rng.randrange(2, 10)),
    "many": lambda rng: f"{rng.randrange(100, 5000):,}",
    "money": lambda rng: f"£{rng.randrange(18, 9000):,}",
    "clock": lambda rng: f"{rng.randrange(7, 19):02}:{rng.randrange(60):02}",
    "ref": lambda rng: f"{rng.choice('ABCDEFHKLMNPRSTVWXYZ')}{rng.randrange(1000, 99999)}",
    "date": lambda rng: f"{rng.randrange(1, 29)} {rng.choice(sections('slots')['month'])}",
}
