"""Reads what a story file says that a mail states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..facts import Entity, Relation, Stated, check, folded
from .cast import Cast
from .mail import Mail


def read_notes(mail: Mail, notes: Sequence[Sequence[str]], cast: Cast) -> Stated:
    """The facts of a mail's `=` and `+` lines, in their order. Raises FactsError, a ValueError, for a wrong one."""
    reader = _Reader(mail, cast)
    for mark, *fields in notes:
        if mark == "+":
            entity, quote = fields
            reader.entity(entity, quote)
        elif mark == "=":
            source, relation, target, quote = fields
            reader.relations.append(Relation(relation, reader.end(source, quote), reader.end(target, quote), quote))
    people = tuple(dict.fromkeys(p.address for p in (mail.sender, *mail.to, *mail.cc)))
    stated = Stated(mail.key, own_words(mail), people, tuple(reader.entities), tuple(reader.relations))
    check(stated)
    return stated


def own_words(mail: Mail) -> str:
    """The new text without the lines that quote."""
    return "\n".join(line for line in mail.text.splitlines() if not line.startswith("> "))


@dataclass(slots=True)
class _Reader:
    mail: Mail
    cast: Cast
    entities: list[Entity] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)

    def end(self, text: str, quote: str) -> int | str:
        """An end of a relation: one of the mail's people by address, or an entity's place."""
        return self.cast[text[1:]].address if text.startswith("@") else self.entity(text, quote)

    def entity(self, text: str, quote: str) -> int:
        """The place of an entity; the first line that names it gives its quote."""
        kind, _, name = text.partition(":")
        name, _, who = name.partition("=")
        for place, known in enumerate(self.entities):
            if (known.type, folded(known.name)) == (kind, folded(name)):
                return place
        person = self.cast.people.get(who)
        self.entities.append(Entity(kind, name, quote, person.address if person else who))
        return len(self.entities) - 1
