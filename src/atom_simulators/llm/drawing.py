"""Facts in a given number, for benchmarks: drawn from a mail's words, so that no answer is short by leaving out."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ..facts import MOST_ENTITIES, MOST_RELATIONS, Entity, Relation, Stated
from .units import Unit, UnitMail

_ENTITIES, _RELATIONS = 0.6, 0.4
_FEWEST_WORDS, _MOST_WORDS = 6, 12
_JOINED_BY = {
    "organization": "member_of",
    "role": "has_title",
    "topic": "works_on",
    "project": "works_on",
    "product": "uses",
    "place": "located_in",
    "event": "responsible_for",
    "commitment": "committed_to",
    "document": "requested",
}
"""A relation that may lead from a person to an entity of the type."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """So many `facts` for a mail of `words` words, others in proportion; six in ten are entities, four relations."""

    facts: float
    words: float = 75.0

    def counts(self, words: int) -> tuple[int, int]:
        """How many entities and relations a mail of so many words gets; no more than a reader may keep."""
        share = self.facts * words / self.words
        entities = min(MOST_ENTITIES, round(share * _ENTITIES))
        return entities, min(MOST_RELATIONS, round(share * _RELATIONS)) if entities else 0


def drawn_by(drawing: Drawing) -> Callable[[Unit, UnitMail], Stated]:
    """A reader that draws. The same text gives the same facts."""

    def read(unit: Unit, mail: UnitMail) -> Stated:
        words = mail.text.split()
        if len(words) < _FEWEST_WORDS:
            return Stated("", mail.text, ())
        seed = int.from_bytes(hashlib.sha256(mail.text.encode("utf-8", "replace")).digest()[:8], "big")
        rng = Random(seed)  # noqa: S311 - variety, not secrecy
        wanted, joins = drawing.counts(len(words))
        entities, at = _entities(words, wanted, rng)
        addresses = {number: address for address, number in unit.people.items()}
        people = [addresses[n] for n in (mail.sender, *mail.to) if n is not None and n in addresses]
        relations = _relations(words, entities, at, people, joins, rng)
        return Stated("", mail.text, tuple(people), tuple(entities), tuple(relations))

    return read


def _entities(words: list[str], wanted: int, rng: Random) -> tuple[list[Entity], list[int]]:
    """Entities with names of their own, and where each name stands."""
    names: dict[str, int] = {}
    places = list(range(len(words)))
    rng.shuffle(places)
    for place in places:
        name = words[place].strip(".,;:!?\"'()[]<>‹›|*_-").casefold()
        if len(names) < wanted and len(name) > 3 and "|" not in name and len(name) <= 80:
            names.setdefault(name, place)
    kinds = list(_JOINED_BY)
    entities, at = [], []
    for place in names.values():
        name = words[place].strip(".,;:!?\"'()[]<>‹›|*_-")
        entities.append(Entity(rng.choice(kinds), name, _quote(words, place, rng)))
        at.append(place)
    return entities, at


def _relations(
    words: list[str], entities: list[Entity], at: list[int], people: list[str], wanted: int, rng: Random
) -> list[Relation]:
    """Relations from somebody of the mail to an entity, each pair once."""
    pairs = [(person, place) for place in range(len(entities)) for person in people[:4]]
    rng.shuffle(pairs)
    return [
        Relation(_JOINED_BY[entities[place].type], person, place, _quote(words, at[place], rng))
        for person, place in pairs[:wanted]
    ]


def _quote(words: list[str], place: int, rng: Random) -> str:
    """6 to 12 words around a place, fewer where the mail has no more."""
    length = min(len(words), rng.randint(_FEWEST_WORDS, _MOST_WORDS))
    first = max(0, min(len(words) - length, place - rng.randrange(length)))
    return " ".join(words[first : first + length])
