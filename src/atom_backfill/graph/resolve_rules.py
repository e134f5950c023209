"""The rules by which two identities are one: each gives pairs, how sure it is, and why. Pure.

Every rule works within blocks (a mailbox, an organisation and a surname, a full name), each bounded, so the whole is
about linear in the identities. A rule that has found a doubt still gives the pair, as a suggestion.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Final, TypeVar

from atom_backfill.graph.resolve_addresses import (
    bare_letters,
    brand,
    exchange_alias,
    letters_of,
    local_part,
    number,
    spellings,
)
from atom_backfill.graph.resolve_bearers import Bearer
from atom_backfill.graph.resolve_names import Likeness, Name, alike_part, formal_names, likeness, read_name
from atom_backfill.graph.resolve_vocabulary import COMMON_GIVEN, COMMON_SURNAMES, MOST_COMMON_SURNAMES

Key = TypeVar("Key")
Pair = tuple[str, str]

MOST_ALIKE = 16
"""Addresses that one person may have in a block; a name on more is not a person's."""

MOST_SENDERS = 10_000
"""Addresses of one machine; newsletters write from a new one each time."""

MOST_FORMS = 200
"""Different names of a block that are compared with one another."""

EXPECTED_NAMESAKES = 0.05
"""From how many namesakes, expected by chance, a name alone is a doubt."""


class Rule(StrEnum):
    """Why two identities are taken for one, in words that are stored."""

    PINNED = "pinned"
    ADDRESS = "address"
    EXCHANGE = "exchange-alias"
    SENDER = "sender"
    NAME_AND_ORGANIZATION = "name-and-organization"
    NICKNAME_AND_ORGANIZATION = "nickname-and-organization"
    NAME = "name"
    MODEL = "model"
    NICKNAME = "nickname"
    INITIAL = "initial"
    LOCAL_PART = "local-part"
    SPELLING = "spelling"
    REVERSED = "reversed-name"
    ORGANIZATION_NAME = "organization-name"
    BRAND = "brand"
    ACRONYM = "acronym"
    MENTION = "mention"


@dataclass(frozen=True, slots=True)
class Alike:
    """Two keys, a < b, that a rule takes for one: score in 0..1, and the evidence in words.

    `sure`: the rule alone may join them; others are suggestions.
    """

    a: str
    b: str
    rule: Rule
    score: float
    evidence: str
    sure: bool


class Chance:
    """How likely two bearers of a name are two persons, by how common its halves are, here and in the world."""

    def __init__(self, bearers: Iterable[Bearer]) -> None:
        self._given: Counter[str] = Counter()
        self._surname: Counter[str] = Counter()
        self._full: Counter[tuple[str, str]] = Counter()
        for one in bearers:
            self._given.update({name.given for name in one.names})
            self._surname.update({name.surname for name in one.names})
            self._full.update({(name.given, name.surname) for name in one.names})
        self._all = max(1, self._full.total())

    def is_common(self, given: str, surname: str, *, careful: bool) -> bool:
        """Tell whether a name alone is a doubt; `careful` counts the less common surnames too."""
        if formal_names(given) & _GIVEN and surname in (_SURNAMES if careful else _MOST_SURNAMES):
            return True
        bearers = self._full[given, surname]
        others = (self._given[given] - bearers) * (self._surname[surname] - bearers)
        return others / self._all >= EXPECTED_NAMESAKES


def alike(one: Bearer, other: Bearer, rule: Rule, score: float, evidence: str, *, sure: bool) -> Alike:
    """Pair two bearers, in the order of their keys."""
    a, b = sorted((one.key, other.key))
    return Alike(a, b, rule, score, evidence, sure)


def same_address(bearers: Sequence[Bearer]) -> Iterator[Alike]:
    """Join the forms of one address (tags, rewriting), and the addresses of a sender that is no person."""
    for plain, forms in _blocks(bearers, lambda one: [one.plain]):
        for form in forms[1:]:
            yield alike(forms[0], form, Rule.ADDRESS, 1.0, f"both reach {plain}", sure=True)
    for (place, name), forms in _blocks(bearers, _sender):
        for form in forms[1:MOST_SENDERS]:
            yield alike(forms[0], form, Rule.SENDER, 0.95, f"both are called {name}, at {place}", sure=True)


def exchange_names(bearers: Sequence[Bearer]) -> Iterator[Alike]:
    """Join an X.500 name with the address whose local part is its alias; without a name that agrees, a suggestion."""
    aliases = {alias for one in bearers if (alias := exchange_alias(one.plain))}
    for alias, block in _blocks(bearers, lambda one: {exchange_alias(one.plain) or local_part(one.plain)} & aliases):
        old = [one for one in block if exchange_alias(one.plain)]
        new = [one for one in block if not exchange_alias(one.plain)]
        for one in old[:MOST_ALIKE]:
            for other in new[:MOST_ALIKE]:
                named = bearer_likeness(one, other) >= Likeness.NICKNAME
                sure = named and len(new) == 1
                yield alike(one, other, Rule.EXCHANGE, 0.97 if sure else 0.75, f"Exchange alias {alias}", sure=sure)


def same_name_in_organization(bearers: Sequence[Bearer], chance: Chance) -> Iterator[Alike]:
    """Join addresses of one organisation by name or nickname, where nobody else there could be meant."""
    for (place, _), block in _blocks(bearers, _organization_and_surname):
        for one, other, how, clear in _alike_names(block):
            rule, score = _IN_ORGANIZATION[how]
            # Where Mike Smith and Michael Smith have an address each, the second may well be another person's.
            common = any(
                chance.is_common(name.given, name.surname, careful=True) for name in (*one.names, *other.names)
            )
            sure = clear and (how is Likeness.EXACT or (how is Likeness.NICKNAME and not common))
            evidence = f"{_names(one, other)}, both at {place}"
            yield alike(one, other, rule, score if sure else min(score, 0.75), evidence, sure=sure)


def same_name_elsewhere(bearers: Sequence[Bearer], chance: Chance, acquainted: Set[Pair]) -> Iterator[Alike]:
    """Join addresses of different organisations by a full name that is rare enough to be one person's.

    A common name needs more: a middle name or a local part of their own that both have, or the same correspondents.
    """
    for (given, surname), block in _blocks(bearers, _full_names):
        rare = not chance.is_common(given, surname, careful=False)
        very_rare = rare and not chance.is_common(given, surname, careful=True)
        for one, other, how, clear in _alike_names(block):
            if one.organization and one.organization == other.organization:
                continue
            near = (one.key, other.key) in acquainted
            enough = (
                near or _share_more(one, other) or (very_rare if one.spelt != other.spelt else rare and not one.spelt)
            )
            sure = enough and clear and how >= Likeness.NICKNAME
            evidence = _names(one, other) + (", and write with the same people" if near else "")
            yield alike(one, other, Rule.NAME, 0.92 if sure else 0.72, evidence, sure=sure)


def namesakes(bearers: Iterable[Bearer]) -> Iterator[tuple[str, str]]:
    """Find addresses of one domain that numbers tell apart, `a.smith2@…`: a sign of two persons."""
    numbered = [one for one in bearers if one.organization and one.names and not one.own]
    for _, block in _blocks(numbered, lambda one: [bare_letters(one.plain)]):
        for one, other in combinations(block[:MOST_ALIKE], 2):
            if number(one.plain) != number(other.plain):
                yield one.key, other.key


def bearer_likeness(one: Bearer, other: Bearer) -> Likeness:
    """Tell how far two bearers' names agree at best; NONE where what is known of both contradicts."""
    return _likeness(one.names, other.names)


def _likeness(ours: tuple[Name, ...], theirs: tuple[Name, ...]) -> Likeness:
    best = Likeness.NONE
    for mine in ours:
        for other in theirs:
            how = likeness(mine, other)
            if how is Likeness.NONE and mine.surname == other.surname and mine.given == other.given:
                return Likeness.NONE
            best = max(best, how)
    return best


def _alike_names(block: Sequence[Bearer]) -> Iterator[tuple[Bearer, Bearer, Likeness, bool]]:
    """Pair the bearers of a block whose names agree; the last field tells that no third name there makes a doubt.

    Two names are clear when each agrees with the same names of the block: where `J. Smith` agrees with Jane and John,
    who do not agree with each other, nothing is clear.
    """
    forms: dict[tuple[Name, ...], list[Bearer]] = defaultdict(list)
    for one in block:
        forms[one.names].append(one)
    if len(forms) > MOST_FORMS:
        return
    agree = {
        form: frozenset(other for other in forms if form == other or _likeness(form, other) is not Likeness.NONE)
        for form in forms
    }
    for group in {agree[form] for form in forms}:
        ours = sorted((one for form in group for one in forms[form]), key=lambda one: one.key)
        if len(ours) > MOST_ALIKE:
            continue
        for one, other in combinations(ours, 2):
            how = Likeness.EXACT if one.names == other.names else _likeness(one.names, other.names)
            if how is not Likeness.NONE:
                yield one, other, how, agree[one.names] == agree[other.names]


def _share_more(one: Bearer, other: Bearer) -> bool:
    """Tell whether two bearers of a name share a middle name, or a local part that is not made of the name."""
    for mine in one.names:
        if mine.middle and any(theirs.middle == mine.middle for theirs in other.names):
            return True
    local = local_part(one.plain)
    if len(local) < _OWN_LOCAL or local != local_part(other.plain):
        return False
    own = not any(letters_of(local) in spellings(name) | {name.given} for name in one.names)
    return own or brand(one.organization) == brand(other.organization) != ""


def _blocks(bearers: Iterable[Bearer], keys: Callable[[Bearer], Iterable[Key]]) -> Iterator[tuple[Key, list[Bearer]]]:
    blocks: defaultdict[Key, list[Bearer]] = defaultdict(list)
    for one in bearers:
        for key in keys(one):
            blocks[key].append(one)
    return ((key, block) for key, block in blocks.items() if len(block) > 1)


def _sender(one: Bearer) -> list[tuple[str, str]]:
    """Key a sender that is no person by its name, at its organisation or, where addresses change, at its host."""
    if one.names or not one.sender or read_name(one.sender) is not None:
        return []
    local, _, host = one.plain.rpartition("@")
    if one.shared and one.organization and " " in one.sender:
        return [(one.organization, one.sender)]
    return [(host, one.sender)] if sum(map(str.isdigit, local)) >= _DIGITS else []


def _organization_and_surname(one: Bearer) -> set[tuple[str, str]]:
    return {(one.organization, name.surname) for name in one.names if one.organization}


def _full_names(one: Bearer) -> set[tuple[str, str]]:
    return {(name.given, name.surname) for name in one.names if name.is_full}


def _names(one: Bearer, other: Bearer) -> str:
    mine, theirs = one.names[0].plain, other.names[0].plain
    return f"both are named {mine}" if mine == theirs else f"named {mine} and {theirs}"


_IN_ORGANIZATION: Final = {
    Likeness.EXACT: (Rule.NAME_AND_ORGANIZATION, 0.97),
    Likeness.NICKNAME: (Rule.NICKNAME_AND_ORGANIZATION, 0.94),
    Likeness.SPELLING: (Rule.SPELLING, 0.7),
    Likeness.INITIAL: (Rule.INITIAL, 0.6),
}
_DIGITS: Final = 5
_OWN_LOCAL: Final = 3
_SURNAMES: Final = frozenset(alike_part(name, surname=True) for name in COMMON_SURNAMES)
_MOST_SURNAMES: Final = frozenset(alike_part(name, surname=True) for name in MOST_COMMON_SURNAMES)
_GIVEN: Final = frozenset().union(*(formal_names(alike_part(name)) for name in COMMON_GIVEN))
