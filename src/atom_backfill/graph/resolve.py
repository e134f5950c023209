"""Which identities are the same person: rules first, a person's word above all, nothing silently across a doubt. Pure.

The result is the same for the same input in any order. The merges are a forest over the keys: stored as rows, each can
be taken out again, and its two parts stand as they stood before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import groupby
from types import MappingProxyType

from atom_backfill.graph.resolve_bearers import Identity, read_bearers
from atom_backfill.graph.resolve_rules import (
    Alike,
    Chance,
    Rule,
    exchange_names,
    namesakes,
    same_address,
    same_name_elsewhere,
    same_name_in_organization,
)
from atom_backfill.graph.resolve_suggestions import suggestions
from atom_backfill.graph.resolve_union import Groups

MOST_SUGGESTIONS = 10_000
"""Suggestions that are returned, the surest first."""

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pins:
    """What persons have said: pairs of keys that are the same, and that are different. They win over every rule.

    Where they contradict one another, `different` wins, and the pair is named in `Resolution.refused`.
    """

    same: frozenset[Pair] = frozenset()
    different: frozenset[Pair] = frozenset()


@dataclass(frozen=True, slots=True)
class Sightings:
    """What mail shows of pairs of keys that bear one name.

    `side_by_side`: of one organisation, both in the headers of one message: namesakes rather than one person.
    `acquainted`: both write with the same people, two or more, none of whom writes with everybody: one person rather
    than namesakes.
    """

    side_by_side: frozenset[Pair] = frozenset()
    acquainted: frozenset[Pair] = frozenset()


@dataclass(frozen=True, slots=True)
class Resolution:
    """The merges (a forest), what may be the same but is for a person to say, and pins that contradict others."""

    merges: tuple[Alike, ...]
    suggestions: tuple[Alike, ...]
    refused: tuple[Pair, ...]


NO_PINS = Pins()
NO_SIGHTINGS = Sightings()


def resolve(
    identities: Iterable[Identity],
    pins: Pins = NO_PINS,
    sightings: Sightings = NO_SIGHTINGS,
    verdicts: Mapping[Pair, bool] = MappingProxyType({}),
) -> Resolution:
    """Find the identities that are the same person.

    `sightings` need only hold pairs that `worth_a_look` names.
    `verdicts`: a model's answers to earlier suggestions, in any order of the pair; of two that contradict, no wins.
    """
    bearers = read_bearers(identities)
    known = {one.key: one for one in bearers}
    doubts = {pair for pair in map(in_order, sightings.side_by_side) if pair[0] in known and not known[pair[0]].own}
    doubts.update(map(in_order, namesakes(bearers)))
    chance = Chance(bearers)
    found = [
        *same_address(bearers),
        *exchange_names(bearers),
        *same_name_in_organization(bearers, chance),
        *same_name_elsewhere(bearers, chance, {*map(in_order, sightings.acquainted)}),
        *suggestions(bearers),
    ]
    return settle(found, known.keys(), pins, doubts, verdicts)


def worth_a_look(identities: Iterable[Identity]) -> Sightings:
    """List the pairs for which it matters whether mail shows them side by side, or with the same correspondents."""
    bearers = read_bearers(identities)
    chance = Chance(bearers)
    at_home = {(pair.a, pair.b) for pair in same_name_in_organization(bearers, chance) if pair.sure}
    elsewhere = {(pair.a, pair.b) for pair in same_name_elsewhere(bearers, chance, frozenset()) if not pair.sure}
    return Sightings(frozenset(at_home), frozenset(elsewhere))


def taken_out(merges: Iterable[Pair], gone: Pair) -> Pins:
    """Say in pins that a merge is undone, and that the two parts which it had joined each stay as they are."""
    rest = [in_order(pair) for pair in merges if in_order(pair) != in_order(gone)]
    parts = Groups()
    for a, b in rest:
        parts.join(a, b)
    ours = {parts.head(key) for key in gone}
    return Pins(frozenset(pair for pair in rest if parts.head(pair[0]) in ours), frozenset({in_order(gone)}))


def group_heads(keys: Iterable[str], merges: Iterable[Pair]) -> dict[str, str]:
    """Read merges as groups: each key's head, the least key of its group."""
    groups = Groups()
    for a, b in merges:
        groups.join(a, b)
    least: dict[str, str] = {}
    ordered = sorted(keys)
    for key in ordered:
        least.setdefault(groups.head(key), key)
    return {key: least[groups.head(key)] for key in ordered}


def settle(
    found: Iterable[Alike], known: Set[str], pins: Pins, doubts: Iterable[Pair], verdicts: Mapping[Pair, bool]
) -> Resolution:
    """Join what the rules have found, the surest first, under the pins and across no doubt."""
    answers: dict[Pair, bool] = {}
    for pair, same in verdicts.items():
        answers[in_order(pair)] = same and answers.get(in_order(pair), True)
    groups, merges, refused = _pinned(pins, known)
    groups.part(sorted(pair for pair in doubts if not answers.get(pair)))
    judged = sorted((_judged(pair, answers) for pair in found), key=_surest)
    for _, equals in groupby((pair for pair in judged if pair.sure), key=lambda pair: pair.score):
        merges += [pair for pair in _clear(list(equals), groups) if groups.join(pair.a, pair.b)]
    return Resolution(tuple(merges), _open(judged, groups, pins, answers), tuple(refused))


def in_order(pair: Pair) -> Pair:
    """Return a pair with the lesser key first."""
    a, b = pair
    return (a, b) if a <= b else (b, a)


def _pinned(pins: Pins, known: Set[str]) -> tuple[Groups, list[Alike], list[Pair]]:
    groups = Groups()
    groups.part(sorted(map(in_order, pins.different)))
    merges, refused = [], []
    for a, b in sorted(map(in_order, pins.same)):
        if a not in known or b not in known:
            continue
        if groups.join(a, b):
            merges.append(Alike(a, b, Rule.PINNED, 1.0, "a person said so", sure=True))
        elif groups.parted(a, b):
            refused.append((a, b))
    return groups, merges, refused


def _judged(pair: Alike, answers: Mapping[Pair, bool]) -> Alike:
    if pair.sure or not answers.get((pair.a, pair.b)):
        return pair
    return Alike(pair.a, pair.b, Rule.MODEL, 0.85, f"the model agreed: {pair.evidence}", sure=True)


def _clear(equals: Sequence[Alike], groups: Groups) -> list[Alike]:
    """Leave out, of pairs that are equally sure, those that would decide to which side of a wall somebody belongs.

    Where all of them together would connect two groups that must stay apart, neither of the two gets anyone.
    """
    together = Groups()
    for pair in equals:
        together.join(groups.head(pair.a), groups.head(pair.b))
    heads = {groups.head(key) for pair in equals for key in (pair.a, pair.b)}
    torn = {head for head in heads if any(together.together(head, other) for other in groups.parted_from(head))}
    return [pair for pair in equals if torn.isdisjoint((groups.head(pair.a), groups.head(pair.b)))]


def _open(judged: Iterable[Alike], groups: Groups, pins: Pins, answers: Mapping[Pair, bool]) -> tuple[Alike, ...]:
    """List what is still open, once for each two groups, by its surest pair."""
    settled = {in_order((groups.head(a), groups.head(b))) for a, b in pins.different}
    still = []
    for pair in judged:
        between = in_order((groups.head(pair.a), groups.head(pair.b)))
        if between[0] == between[1] or between in settled or answers.get((pair.a, pair.b)) is False:
            continue
        settled.add(between)
        still.append(replace(pair, sure=False))
        if len(still) == MOST_SUGGESTIONS:
            break
    return tuple(still)


def _surest(pair: Alike) -> tuple[float, str, str, str, str]:
    return -pair.score, pair.rule, pair.a, pair.b, pair.evidence
