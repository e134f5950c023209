"""Which nodes of a tenant are one: the rules of `resolve` over what the graph holds, as rows to be stored. Pure.

People are resolved by their addresses first; then a name without an address is somebody of the threads in which it
stands, or nobody; then organisations. Anything else is one only where a person has said so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from atom_backfill.graph.kinds import ORGANIZATION, PERSON, SHARED
from atom_backfill.graph.resolve import Pins, Resolution, Sightings, group_heads, in_order, resolve, settle
from atom_backfill.graph.resolve_bearers import Identity
from atom_backfill.graph.resolve_mentions import Called, Known, Parties, Place, Ring, known_person, resolve_mention
from atom_backfill.graph.resolve_organizations import resolve_organizations
from atom_backfill.graph.resolve_rules import Alike, Rule
from atom_backfill.graph.resolve_union import Groups


@dataclass(frozen=True, slots=True)
class Seen:
    """A node. `names`: how mail writes it, with how often each; `uses`: its evidence rows."""

    id: UUID
    type: str
    key: str
    name: str
    uses: int
    names: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pin:
    """What a person has said: that a node is another one (which then stands for both), or that it is not."""

    node: UUID
    into: UUID
    same: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """That two nodes are one, or may be: `into` is nearer to what stands for the group."""

    node: UUID
    into: UUID
    rule: str
    score: float
    evidence: str


@dataclass(frozen=True, slots=True)
class Merging:
    """The merges (a forest), what stands for each member of a group but itself, and what may be one."""

    merges: tuple[Joined, ...]
    heads: Mapping[UUID, UUID]
    suggestions: tuple[Joined, ...]


@dataclass(frozen=True, slots=True)
class Mentioned:
    """A person whom mails name without an address, and the people of each thread in which they do."""

    node: Seen
    threads: Sequence[frozenset[UUID]]


def has_address(key: str) -> bool:
    """Tell whether a person's key is an address, or an X.500 name, rather than a name."""
    return "@" in key or key.startswith("/")


def family(kind: str) -> str:
    """Return within which nodes of a type can be one: people, organisations, or other things."""
    return {PERSON: "people", SHARED: "people", ORGANIZATION: "organizations"}.get(kind, "things")


def merge_people(
    people: Sequence[Seen], mentioned: Sequence[Mentioned], pins: Collection[Pin], sightings: Sightings
) -> Merging:
    """Find which people and shared addresses are one."""
    keys = _Keys([*people, *(one.node for one in mentioned)], pins)
    identities = identities_of(people)
    found = resolve(identities, keys.pins, sightings)
    pinned = {key for pair in keys.pins.same for key in pair}
    threads = _Threads(people, found)
    meant = [pair for one in mentioned if one.node.key not in pinned and (pair := threads.meaning(one))]
    if meant or pinned:
        ruled = [merge for merge in found.merges if merge.rule is not Rule.PINNED]
        found = settle([*ruled, *found.suggestions, *meant], keys.known, keys.pins, (), {})
    return keys.merging(found)


def merge_organizations(organizations: Sequence[Seen], pins: Collection[Pin]) -> Merging:
    """Find which organisations are one."""
    keys = _Keys(organizations, pins)
    return keys.merging(resolve_organizations(identities_of(organizations), keys.pins))


def merge_things(things: Sequence[Seen], pins: Collection[Pin]) -> Merging:
    """Join what persons have said is one."""
    keys = _Keys(things, pins)
    return keys.merging(settle((), keys.known, keys.pins, (), {}))


def identities_of(nodes: Iterable[Seen]) -> list[Identity]:
    """Return nodes as the rules read them."""
    return [Identity(node.key, node.names, shared=node.type == SHARED) for node in nodes]


class _Keys:
    """Between nodes and the keys that rules know. A thing's key holds its type: a topic may be called as a project."""

    def __init__(self, nodes: Iterable[Seen], pins: Collection[Pin]) -> None:
        self._by_key = {self._key(node): node for node in nodes}
        key_of = {node.id: key for key, node in self._by_key.items()}
        pairs = [
            (key_of[pin.node], key_of[pin.into], pin.same) for pin in pins if {pin.node, pin.into} <= key_of.keys()
        ]
        self.pins = Pins(
            frozenset((a, b) for a, b, same in pairs if same), frozenset((a, b) for a, b, same in pairs if not same)
        )
        self._into = {key for _, key, same in pairs if same}
        self._from = {key for key, _, same in pairs if same}

    @property
    def known(self) -> frozenset[str]:
        return frozenset(self._by_key)

    def merging(self, found: Resolution) -> Merging:
        """Turn what was found into rows."""
        groups = Groups()
        for merge in found.merges:
            groups.join(merge.a, merge.b)
        members: defaultdict[str, list[str]] = defaultdict(list)
        for key in {key for merge in found.merges for key in (merge.a, merge.b)}:
            members[groups.head(key)].append(key)
        heads: dict[UUID, UUID] = {}
        for keys in members.values():
            first, *rest = sorted(keys, key=self._rank)
            heads.update({self._by_key[key].id: self._by_key[first].id for key in rest})
        return Merging(
            tuple(self._joined(merge) for merge in found.merges),
            heads,
            tuple(self._joined(pair) for pair in found.suggestions),
        )

    def _joined(self, pair: Alike) -> Joined:
        into, node = sorted((pair.a, pair.b), key=self._rank)
        return Joined(self._by_key[node].id, self._by_key[into].id, str(pair.rule), pair.score, pair.evidence)

    def _rank(self, key: str) -> tuple[bool, bool, int, str]:
        """What a person has chosen stands for a group; else an address, or an organisation's name; the most used."""
        node = self._by_key[key]
        chosen = key in self._into and key not in self._from
        plain = has_address(key) if family(node.type) == "people" else node.name != node.key
        return not chosen, not plain, -node.uses, key

    @staticmethod
    def _key(node: Seen) -> str:
        return f"{node.type} {node.key}" if family(node.type) == "things" else node.key


class _Threads:
    """Looks names up among the people of threads."""

    def __init__(self, people: Sequence[Seen], found: Resolution) -> None:
        heads = group_heads((node.key for node in people), ((merge.a, merge.b) for merge in found.merges))
        self._person = {node.id: heads[node.key] for node in people}
        self._identities: defaultdict[str, list[Identity]] = defaultdict(list)
        for identity in identities_of(people):
            self._identities[heads[identity.key]].append(identity)
        self._known: dict[str, Known] = {}
        self._rings: dict[frozenset[UUID], Ring] = {}

    def meaning(self, one: Mentioned) -> Alike | None:
        """Find whom a name means: the same person in every thread where it means anyone.

        A full name joins. Any other is a suggestion, and only where no thread leaves it open.
        """
        nobody = Ring(())
        looked = [
            resolve_mention(one.node.name, Place.TEXT, Parties(nobody, nobody, self._ring(thread), nobody))
            for thread in one.threads
        ]
        meant = [each for each in looked if each is not None]
        if len({each.person for each in meant}) != 1:
            return None
        called = max((each.called for each in meant), key=list(Called).index)
        sure = called is Called.FULL_NAME
        if not sure and len(meant) < len(looked):
            return None
        a, b = in_order((one.node.key, meant[0].person))
        score = min(each.score for each in meant) if sure else 0.6
        evidence = f"called {one.node.name} in {len(meant)} of the threads of {meant[0].person}"
        return Alike(a, b, Rule.MENTION, score, evidence, sure=sure)

    def _ring(self, thread: frozenset[UUID]) -> Ring:
        if thread not in self._rings:
            keys = sorted({self._person[node] for node in thread if node in self._person})
            self._rings[thread] = Ring(map(self._known_person, keys))
        return self._rings[thread]

    def _known_person(self, key: str) -> Known:
        if key not in self._known:
            self._known[key] = known_person(key, self._identities[key])
        return self._known[key]
