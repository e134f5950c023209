"""What a model may name, and how that may relate: closed lists, with their reasons in docs/reference/extraction.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PERSON, SHARED, ORGANIZATION, ROLE, PLACE, COMMITMENT = (
    "person",
    "shared_address",
    "organization",
    "role",
    "place",
    "commitment",
)
ENTITY_TYPES: Final = frozenset(
    (PERSON, ORGANIZATION, ROLE, "topic", "project", "product", PLACE, "event", COMMITMENT, "document")
)
"""Types that a model may give; `shared_address` comes from headers alone."""

_ACTOR: Final = frozenset((PERSON, SHARED, ORGANIZATION))
_THING: Final = frozenset(("topic", "project", "product", "document", "event", PLACE, ORGANIZATION))
_ANY: Final = ENTITY_TYPES | {SHARED}
_PEOPLE: Final = frozenset((PERSON,))


@dataclass(frozen=True, slots=True)
class RelationKind:
    """Types of the two ends, from left to right. `single`: it holds for one target at a time."""

    sources: frozenset[str]
    targets: frozenset[str]
    single: bool = False


RELATIONS: Final[dict[str, RelationKind]] = {
    "works_for": RelationKind(_PEOPLE, frozenset((ORGANIZATION,)), single=True),
    "reports_to": RelationKind(_PEOPLE, _PEOPLE, single=True),
    "has_title": RelationKind(_PEOPLE, frozenset((ROLE,)), single=True),
    "located_in": RelationKind(_ANY - {ROLE, COMMITMENT}, frozenset((PLACE,)), single=True),
    "member_of": RelationKind(_ACTOR, frozenset((ORGANIZATION, "project"))),
    "works_on": RelationKind(_ACTOR, frozenset(("project", "product", "topic", "document"))),
    "responsible_for": RelationKind(_ACTOR, _THING),
    "decided": RelationKind(_ACTOR, frozenset((COMMITMENT,))),
    "reversed": RelationKind(_ACTOR, frozenset((COMMITMENT,))),
    "committed_to": RelationKind(_ACTOR, frozenset((COMMITMENT,))),
    "requested": RelationKind(_ACTOR, frozenset((COMMITMENT, "document", "product"))),
    "part_of": RelationKind(_THING, _THING),
    "about": RelationKind(_THING | {COMMITMENT}, _ANY),
    "met_with": RelationKind(_PEOPLE, _ACTOR),
    "uses": RelationKind(_ACTOR | {"project", "product", PLACE}, frozenset(("product", "topic", PLACE))),
    "sells_to": RelationKind(_ACTOR, _ACTOR),
    "owns": RelationKind(_ACTOR, _THING),
}
SINGLE_VALUED: Final = frozenset(name for name, kind in RELATIONS.items() if kind.single)
