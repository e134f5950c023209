"""What mails state, as data: entities and relations of closed lists, each with the words that state it.

The lists are those of docs/reference/extraction.md. `check` holds a mail's facts to the rules of that page, so that
neither the truth of the sample nor facts from a file can ask for what no reader could find.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENTITY_TYPES = (
    "person",
    "organization",
    "role",
    "topic",
    "project",
    "product",
    "place",
    "event",
    "commitment",
    "document",
)
_ACTOR = frozenset({"person", "organization"})
_THING = frozenset({"topic", "project", "product", "document", "event", "place", "organization"})
_PERSON = frozenset({"person"})
_ALL = frozenset(ENTITY_TYPES)

ENDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "works_for": (_PERSON, frozenset({"organization"})),
    "reports_to": (_PERSON, _PERSON),
    "has_title": (_PERSON, frozenset({"role"})),
    "located_in": (_ALL - {"role", "commitment"}, frozenset({"place"})),
    "member_of": (_ACTOR, frozenset({"organization", "project"})),
    "works_on": (_ACTOR, frozenset({"project", "product", "topic", "document"})),
    "responsible_for": (_ACTOR, _THING),
    "decided": (_ACTOR, frozenset({"commitment"})),
    "reversed": (_ACTOR, frozenset({"commitment"})),
    "committed_to": (_ACTOR, frozenset({"commitment"})),
    "requested": (_ACTOR, frozenset({"commitment", "document", "product"})),
    "part_of": (_THING, _THING),
    "about": (_THING | {"commitment"}, _ALL),
    "met_with": (_PERSON, _ACTOR),
    "uses": (_ACTOR | {"project", "product", "place"}, frozenset({"product", "topic", "place"})),
    "sells_to": (_ACTOR, _ACTOR),
    "owns": (_ACTOR, _THING),
}
"""Relation to the types that its two ends may have."""
SINGLE_VALUED = frozenset({"works_for", "reports_to", "has_title", "located_in"})
"""Relations of which a newer one takes the place of an older one."""
MOST_WORDS = 12
MOST_LETTERS = 80
MOST_ENTITIES, MOST_RELATIONS = 12, 8
"""Of one mail."""


class FactsError(ValueError):
    """Facts that break the rules; the message is a sentence for the person who wrote them."""


@dataclass(frozen=True, slots=True)
class Entity:
    """Something named in a mail. `who` says which person a name is: an address, or a full name."""

    type: str
    name: str
    quote: str
    who: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    """`source` and `target` are places in the mail's entities, or the address of one who wrote or was written to."""

    type: str
    source: int | str
    target: int | str
    quote: str


@dataclass(frozen=True, slots=True)
class Stated:
    """What one mail's new text states. `mail` names it, `people` are the addresses of its headers."""

    mail: str
    text: str
    people: tuple[str, ...]
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()


def folded(text: str) -> str:
    """Text with white space made single spaces: quotes are compared like this."""
    return " ".join(text.split())


def check(stated: Stated) -> None:
    """Hold facts to the rules of the reference. Raises FactsError with the first that is broken."""
    text = folded(stated.text)
    if len(stated.entities) > MOST_ENTITIES or len(stated.relations) > MOST_RELATIONS:
        raise FactsError(f"{stated.mail}: has more than {MOST_ENTITIES} entities or {MOST_RELATIONS} relations")
    for entity in stated.entities:
        _check_quote(stated, entity.quote, text)
        if entity.type not in ENTITY_TYPES or not 0 < len(entity.name) <= MOST_LETTERS or "|" in entity.name:
            raise FactsError(f"{stated.mail}: {entity.type}:{entity.name} is no entity")
        if not named(entity.name, entity.quote):
            raise FactsError(f"{stated.mail}: {entity.name!r} does not occur in {entity.quote!r}")
    for relation in stated.relations:
        _check_quote(stated, relation.quote, text)
        _check_ends(stated, relation)


def named(name: str, quote: str) -> bool:
    """Whether a quote holds a name, upper and lower case alike."""
    return folded(name).casefold() in folded(quote).casefold()


def as_json(all_stated: Sequence[Stated]) -> dict[str, Any]:
    """The document that `simulate llm --facts FILE` reads."""
    return {"mails": [_mail_as_json(stated) for stated in all_stated]}


def read_facts(path: Path) -> tuple[Stated, ...]:
    """Read and check a file of facts. Raises FactsError with the first thing that is wrong."""
    try:
        document = json.loads(path.read_text("utf-8"))
        found = tuple(_mail_from_json(mail, number) for number, mail in enumerate(document["mails"], 1))
    except OSError as error:
        raise FactsError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FactsError(f"{path}: is no list of mails with their facts ({error!r})") from error
    for stated in found:
        check(stated)
    return found


def _check_quote(stated: Stated, quote: str, text: str) -> None:
    if folded(quote) not in text:
        raise FactsError(f"{stated.mail}: {quote!r} does not occur in the mail")
    if len(quote.split()) > MOST_WORDS:
        raise FactsError(f"{stated.mail}: {quote!r} has more than {MOST_WORDS} words")


def _check_ends(stated: Stated, relation: Relation) -> None:
    if relation.type not in ENDS:
        raise FactsError(f"{stated.mail}: {relation.type} is no relation")
    names = []
    for end, allowed in zip((relation.source, relation.target), ENDS[relation.type], strict=True):
        if isinstance(end, str):
            if end not in stated.people:
                raise FactsError(f"{stated.mail}: {end} is not in the mail's headers")
            kind = "person"
        elif 0 <= end < len(stated.entities):
            kind = stated.entities[end].type
            # Who a person is may be known to the reader as well, who then needs no name; so another has to be there.
            names += [] if stated.entities[end].who else [stated.entities[end].name]
        else:
            raise FactsError(f"{stated.mail}: there is no entity {end}")
        if kind not in allowed:
            raise FactsError(f"{stated.mail}: {relation.type} has no end of type {kind}")
    if relation.source == relation.target:
        raise FactsError(f"{stated.mail}: both ends of {relation.type} are the same")
    if names and not any(named(name, relation.quote) for name in names):
        raise FactsError(f"{stated.mail}: {relation.quote!r} names neither end")


def _mail_as_json(stated: Stated) -> dict[str, Any]:
    return {
        "mail": stated.mail,
        "text": stated.text,
        "people": list(stated.people),
        "entities": [
            {"type": e.type, "name": e.name, "quote": e.quote, **({"who": e.who} if e.who else {})}
            for e in stated.entities
        ],
        "relations": [{"type": r.type, "from": r.source, "to": r.target, "quote": r.quote} for r in stated.relations],
    }


def _mail_from_json(mail: Mapping[str, Any], number: int) -> Stated:
    return Stated(
        str(mail.get("mail", f"mail {number}")),
        str(mail["text"]),
        tuple(str(address).lower() for address in mail.get("people", ())),
        tuple(
            Entity(str(e["type"]), folded(str(e["name"])), folded(str(e["quote"])), str(e.get("who", "")))
            for e in mail.get("entities", ())
        ),
        tuple(
            Relation(str(r["type"]), _end(r["from"]), _end(r["to"]), folded(str(r["quote"])))
            for r in mail.get("relations", ())
        ),
    )


def _end(value: object) -> int | str:
    return value if isinstance(value, int) and not isinstance(value, bool) else str(value).lower()
