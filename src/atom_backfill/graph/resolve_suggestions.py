"""Pairs that may be one person, for a person or a model to say: nearly the same name, or a local part that fits. Pure.

None of these joins anything by itself. Blocks are bounded: a large one is walked in sorted order, each name beside its
neighbours only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter

from rapidfuzz import fuzz

from atom_backfill.graph.resolve_addresses import letters_of, local_part, spellings
from atom_backfill.graph.resolve_bearers import Bearer
from atom_backfill.graph.resolve_names import Likeness, formal_names
from atom_backfill.graph.resolve_rules import MOST_ALIKE, Alike, Rule, alike, bearer_likeness

LEAST_RATIO = 90.0
"""rapidfuzz's ratio, 0..100, from which two spellings are suggested."""

NEIGHBOURS = 10
"""Names after it, in sorted order, that a name is compared with."""


def suggestions(bearers: Sequence[Bearer]) -> Iterator[Alike]:
    """Suggest pairs by nickname, spelling, order of the name's parts, and local part."""
    named = [one for one in bearers if one.names]
    yield from _nicknames(named)
    yield from _spellings(named)
    yield from _reversed_names(named)
    yield from _local_parts(bearers)


def _nicknames(named: Iterable[Bearer]) -> Iterator[Alike]:
    blocks: defaultdict[tuple[str, str], list[Bearer]] = defaultdict(list)
    for one in named:
        for surname, formal in {(name.surname, formal) for name in one.names for formal in formal_names(name.given)}:
            blocks[surname, formal].append(one)
    for block in blocks.values():
        for one, other in _neighbours(block):
            if one.names[0].given != other.names[0].given and bearer_likeness(one, other) is Likeness.NICKNAME:
                yield alike(one, other, Rule.NICKNAME, 0.65, _names(one, other), sure=False)


def _spellings(named: Iterable[Bearer]) -> Iterator[Alike]:
    """Compare each name with its neighbours in two orders, so that a slip in either half leaves them near."""
    first: dict[tuple[str, str], Bearer] = {}
    for one in named:
        for name in one.names:
            first.setdefault((name.given, name.surname), one)
    for order in (itemgetter(0, 1), itemgetter(1, 0)):
        ordered = sorted(first, key=order)
        plain = [f"{given} {surname}" for given, surname in ordered]
        for place, words in enumerate(plain):
            one = first[ordered[place]]
            for near in range(place + 1, min(place + 1 + NEIGHBOURS, len(plain))):
                ratio = fuzz.ratio(words, plain[near], score_cutoff=LEAST_RATIO)
                if ratio and first[ordered[near]] is not one:
                    evidence = f"named {words} and {plain[near]}"
                    score = round(0.6 * ratio / 100, 3)
                    yield alike(one, first[ordered[near]], Rule.SPELLING, score, evidence, sure=False)


def _reversed_names(named: Iterable[Bearer]) -> Iterator[Alike]:
    full: defaultdict[tuple[str, str], list[Bearer]] = defaultdict(list)
    for one in named:
        for given, surname in {(name.given, name.surname) for name in one.names}:
            full[given, surname].append(one)
    for (given, surname), block in full.items():
        for one in block[:MOST_ALIKE] if given < surname else ():
            for other in full.get((surname, given), [])[:MOST_ALIKE]:
                if one is not other:
                    yield alike(one, other, Rule.REVERSED, 0.6, _names(one, other), sure=False)


def _local_parts(bearers: Sequence[Bearer]) -> Iterator[Alike]:
    """Suggest the only person of an organisation whose name makes the local part of an address without a name."""
    nameless: defaultdict[tuple[str, str], list[Bearer]] = defaultdict(list)
    for one in bearers:
        letters = letters_of(local_part(one.plain))
        if len(letters) > 1 and one.organization and not (one.names or one.shared):
            nameless[one.organization, letters].append(one)
    places = {place for place, _ in nameless}
    fits: defaultdict[tuple[str, str], list[Bearer]] = defaultdict(list)
    for one in bearers:
        if one.names and one.organization in places:
            for letters in frozenset().union(*map(spellings, one.names)):
                if (one.organization, letters) in nameless:
                    fits[one.organization, letters].append(one)
    for (place, letters), people in fits.items():
        for one in nameless[place, letters][:MOST_ALIKE] if len(people) == 1 else ():
            evidence = f"{letters} is made of {people[0].names[0].plain}, at {place}"
            yield alike(one, people[0], Rule.LOCAL_PART, 0.7, evidence, sure=False)


def _neighbours(block: Sequence[Bearer]) -> Iterator[tuple[Bearer, Bearer]]:
    for place, one in enumerate(block):
        for other in islice(block, place + 1, place + 1 + NEIGHBOURS):
            yield one, other


def _names(one: Bearer, other: Bearer) -> str:
    return f"named {one.names[0].plain} and {other.names[0].plain}"
