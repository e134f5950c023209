"""Groups of nodes that have much to do with one another, in levels, named, and the same ones from run to run. Pure.

Leiden finds them; with its edges in order and its seed fixed, the same graph gives the same groups. A group keeps its
id as long as most of it stays together, so that what people remember of it stays true while mail comes in.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from graspologic_native import hierarchical_leiden

from atom_backfill.mail.vocabulary import words

LARGEST = 150
"""Nodes from which a community is divided further."""
SMALLEST = 3
"""Nodes that make a community."""
LEVELS = 3
SAME = 0.3
"""The share of two groups' nodes, of all in either, from which they may be the same group."""
WORDS = 3
SEED: Final = 6_021_023


@dataclass(frozen=True, slots=True)
class Member:
    """A node as communities see it: what stands for a group of merged ones. `person`: somebody, not something."""

    id: UUID
    name: str
    person: bool


@dataclass(frozen=True, slots=True)
class Community:
    """A group. `parent`: the one of the level above in which it lies; level 0 are the largest."""

    id: UUID
    level: int
    parent: UUID | None
    name: str
    members: frozenset[UUID]


Edge = tuple[UUID, UUID, int]
"""Two nodes, and how much mail shows that they are related."""


def find_communities(
    members: Mapping[UUID, Member],
    edges: Iterable[Edge],
    earlier: Mapping[UUID, tuple[int, frozenset[UUID]]],
    new_id: Callable[[], UUID],
) -> list[Community]:
    """Divide a graph, the larger communities first. `earlier`: those of the last run, with their levels."""
    groups = _groups(members, edges)
    found: list[Community] = []
    id_of: dict[tuple[int, int], UUID] = {}
    for level in range(LEVELS):
        here = {number: nodes for (at, number), (nodes, _) in groups.items() if at == level}
        before = {identity: nodes for identity, (at, nodes) in earlier.items() if at == level}
        kept = _kept(here, before)
        names = _names(here, members)
        for number in sorted(here, key=lambda each: (-len(here[each]), min(here[each]))):
            identity = id_of[level, number] = kept.get(number) or new_id()
            parent = groups[level, number][1]
            above = None if parent is None else id_of.get((level - 1, parent))
            found.append(Community(identity, level, above, names[number], here[number]))
    return found


def _groups(
    members: Mapping[UUID, Member], edges: Iterable[Edge]
) -> dict[tuple[int, int], tuple[frozenset[UUID], int | None]]:
    """Return the nodes of each group, by level and number, and the number of the group above it."""
    order = sorted(members, key=lambda node: node.int)
    place = {node: number for number, node in enumerate(order)}
    weights: Counter[tuple[int, int]] = Counter()
    for source, target, weight in edges:
        one, other = place.get(source), place.get(target)
        if one is not None and other is not None and one != other:
            weights[(one, other) if one < other else (other, one)] += weight
    if not weights:
        return {}
    text = [str(number) for number in range(len(order))]
    # A hundred mails say more than one, but not a hundred times as much.
    listed = [(text[one], text[other], 1.0 + math.log2(weights[one, other])) for one, other in sorted(weights)]
    del weights
    nodes: defaultdict[tuple[int, int], set[UUID]] = defaultdict(set)
    parents: dict[tuple[int, int], int | None] = {}
    for each in hierarchical_leiden(listed, max_cluster_size=LARGEST, seed=SEED):
        if each.level < LEVELS:
            nodes[each.level, each.cluster].add(order[int(each.node)])
            parents[each.level, each.cluster] = each.parent_cluster
    return {key: (frozenset(found), parents[key]) for key, found in nodes.items() if len(found) >= SMALLEST}


def _kept(here: Mapping[int, frozenset[UUID]], before: Mapping[UUID, frozenset[UUID]]) -> dict[int, UUID]:
    """Return which groups are earlier ones, those first that have most in common."""
    was = {node: identity for identity, nodes in before.items() for node in nodes}
    common = Counter((number, was[node]) for number, nodes in here.items() for node in nodes if node in was)
    alike = [
        (both / (len(here[number]) + len(before[identity]) - both), number, identity)
        for (number, identity), both in common.items()
    ]
    kept: dict[int, UUID] = {}
    taken: set[UUID] = set()
    for share, number, identity in sorted(alike, key=lambda each: (-each[0], each[2], each[1])):
        if share >= SAME and number not in kept and identity not in taken:
            kept[number] = identity
            taken.add(identity)
    return kept


def _names(here: Mapping[int, frozenset[UUID]], members: Mapping[UUID, Member]) -> dict[int, str]:
    """Name groups by words that are frequent in them and rare in others; things tell more of a group than people do."""
    counted = {number: _words(members[node] for node in nodes) for number, nodes in here.items()}
    spread = Counter(word for found in counted.values() for word in found)
    names = {}
    for number, found in counted.items():
        weight = {word: count * math.log(1 + len(here) / spread[word]) for word, count in found.items()}
        best = sorted(weight, key=lambda word: (-weight[word], word))[:WORDS]
        names[number] = ", ".join(best)
    return names


def _words(members: Iterable[Member]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for member in members:
        name = member.name.rpartition("@")[0] or member.name
        for word in set(_WORD.findall(name.casefold())) - _EMPTY:
            counted[word] += 1 if member.person else 2
    return counted


_WORD: Final = re.compile(r"[^\W\d_]{3,24}")
_EMPTY: Final = words("com net org edu gov example www the and for with from our ltd inc gmbh")
