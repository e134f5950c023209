"""Reads a model's answer and believes nothing of it that its mail does not say. Pure.

docs/reference/extraction.md has the rules, in the order in which they are tried here; what falls is counted by reason.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atom_backfill.graph.facts import End, Entity, Evidence, Facts, Relation, Unit, UnitMail
from atom_backfill.graph.folding import Folded, fold
from atom_backfill.graph.kinds import ENTITY_TYPES, PERSON, RELATIONS, SHARED

MOST_ANSWER_CHARS = 400_000
"""Of an answer that is read at all; the longest that is asked for has a tenth of it."""
MOST_NAME_CHARS = 80
MOST_QUOTE_WORDS = 12
MOST_ENTITIES, MOST_RELATIONS = 12, 8
"""Of a mail; over them, the first count."""
_MOST_LINES = 2_000
_MOST_STARTS = 100
_END = re.compile(r"(p?)([0-9]{1,4})")


def read_answer(text: str) -> dict[int, dict[str, Any]] | None:
    """Read an answer into its units by their number; None where it holds no such answer.

    A whole JSON document, or the first JSON object within other words that has a list `u`. Of a number given twice, the
    first counts.
    """
    if len(text) > MOST_ANSWER_CHARS:
        return None
    answer = _document(text)
    if answer is None:
        return None
    units: dict[int, dict[str, Any]] = {}
    for unit in answer["u"]:
        number = unit.get("n") if isinstance(unit, dict) else None
        if type(number) is int:
            units.setdefault(number, unit)
    return units


def check(unit: Unit, answer: Mapping[str, Any]) -> Facts:
    """Keep what an answer says of a unit as far as the unit's mails bear it out."""
    checking = _Checking(unit)
    checking.read_entities(_strings(answer.get("e")))
    checking.read_relations(_strings(answer.get("r")))
    return Facts(tuple(checking.entities), tuple(checking.relations), dict(checking.dropped))


def _document(text: str) -> dict[str, Any] | None:
    decoder = json.JSONDecoder(strict=False)
    start = text.find("{")
    for _ in range(_MOST_STARTS):
        if start < 0:
            return None
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and isinstance(found.get("u"), list):
            return found
        start = text.find("{", start + 1)
    return None


def _strings(lines: object) -> list[object]:
    return lines[:_MOST_LINES] if isinstance(lines, list) else []


class _Fallen(Exception):  # noqa: N818 - a verdict on a line, caught right here
    """A line is not believed; the argument is the reason."""


@dataclass
class _Checking:
    """What stands so far of one unit. `places`: for each entity line, where its entity is, or None if it fell."""

    unit: Unit
    entities: list[Entity] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    places: list[End | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._texts = [(mail, [Folded(piece.text) for piece in mail.pieces]) for mail in self.unit.mails]
        self._known: dict[tuple[str, str], End] = {}
        self._names: dict[str, int] = {}
        for place, person in enumerate(self.unit.participants):
            if person.name:
                self._names.setdefault(fold(person.name).casefold(), place)

    def read_entities(self, lines: Sequence[object]) -> None:
        """Take the entities in their order; relations refer to it."""
        for line in lines:
            try:
                kind, name, quote = _parts(line, 3)
                self.places.append(self._entity(kind, name, quote))
            except _Fallen as fallen:
                self.dropped[str(fallen)] += 1
                self.places.append(None)

    def read_relations(self, lines: Sequence[object]) -> None:
        """Take the relations whose ends stand."""
        for line in lines:
            try:
                kind, source, target, quote = _parts(line, 4)
                relation = self._relation(kind, source, target, quote)
                if relation not in self.relations:
                    self.relations.append(relation)
            except _Fallen as fallen:
                self.dropped[str(fallen)] += 1

    def _entity(self, kind: str, name: str, quote: str) -> End:
        if kind not in ENTITY_TYPES:
            raise _Fallen("unknown_type")
        name = " ".join(name.split())
        if not 1 <= len(name) <= MOST_NAME_CHARS:
            raise _Fallen("name_length")
        evidence = self._evidence(quote)
        key = fold(name).casefold()
        if key not in fold(evidence.quote).casefold():
            raise _Fallen("name_not_in_quote")
        if kind == PERSON and key in self._names:
            return End(self._names[key], participant=True)
        if (known := self._known.get((kind, key))) is not None:
            entity = self.entities[known.place]
            if evidence not in entity.evidence:
                self.entities[known.place] = Entity(kind, entity.name, (*entity.evidence, evidence))
            return known
        if len(self.entities) >= MOST_ENTITIES * len(self.unit.mails):
            raise _Fallen("too_many")
        self.entities.append(Entity(kind, name, (evidence,)))
        end = self._known[kind, key] = End(len(self.entities) - 1, participant=False)
        return end

    def _relation(self, kind: str, source: str, target: str, quote: str) -> Relation:
        if kind not in RELATIONS:
            raise _Fallen("unknown_type")
        ends = self._end(source), self._end(target)
        if ends[0] == ends[1]:
            raise _Fallen("same_end")
        if self._type(ends[0]) not in RELATIONS[kind].sources or self._type(ends[1]) not in RELATIONS[kind].targets:
            raise _Fallen("ends_of_other_types")
        evidence = self._evidence(quote)
        said = fold(evidence.quote).casefold()
        named = [fold(self.entities[end.place].name).casefold() for end in ends if not end.participant]
        if named and not any(name in said for name in named):
            raise _Fallen("end_not_in_quote")
        if len(self.relations) >= MOST_RELATIONS * len(self.unit.mails):
            raise _Fallen("too_many")
        return Relation(kind, *ends, evidence)

    def _end(self, written: str) -> End:
        match = _END.fullmatch(written.strip())
        if match is None:
            raise _Fallen("bad_end")
        place = int(match[2])
        if match[1]:
            if place >= len(self.unit.participants):
                raise _Fallen("bad_end")
            return End(place, participant=True)
        if place >= len(self.places):
            raise _Fallen("bad_end")
        end = self.places[place]
        if end is None:
            raise _Fallen("end_fell")
        return end

    def _type(self, end: End) -> str:
        if end.participant:
            return SHARED if self.unit.participants[end.place].shared else PERSON
        return self.entities[end.place].type

    def _evidence(self, quote: str) -> Evidence:
        """Find the first mail that says so; the evidence is the mail's own letters."""
        if not 1 <= len(quote.split()) <= MOST_QUOTE_WORDS:
            raise _Fallen("quote_length")
        for mail, texts in self._texts:
            for piece, folded in zip(mail.pieces, texts, strict=True):
                if (found := folded.find(quote)) is not None:
                    return _shown(mail, piece.text, piece.start, *found)
        raise _Fallen("no_such_quote")


def _shown(mail: UnitMail, text: str, offset: int, start: int, end: int) -> Evidence:
    return Evidence(mail.message_id, text[start:end], offset + start, offset + end)


def _parts(line: object, count: int) -> list[str]:
    parts = line.split("|", count - 1) if isinstance(line, str) else []
    if len(parts) != count:
        raise _Fallen("bad_shape")
    return [parts[0].strip(), *parts[1:]]
