"""Puts the answer together: what is known of a mail, else what a reader of it would write down."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..facts import Entity, Stated, folded
from .recognising import Known
from .units import OPENING, Unit, UnitMail

Reader = Callable[[Unit, UnitMail], Stated]
"""Says what a mail states that nobody knows."""


@dataclass(slots=True)
class UnitAnswer:
    """The lines of one unit, before they are joined: (type, name, quote) and (type, from, to, quote)."""

    n: int
    entities: list[tuple[str, str, str]] = field(default_factory=list)
    relations: list[tuple[str, str, str, str]] = field(default_factory=list)

    def content(self) -> dict[str, Any]:
        """The unit as the reference defines it."""
        return {
            "n": self.n,
            "e": ["|".join(parts) for parts in self.entities],
            "r": ["|".join(parts) for parts in self.relations],
        }


def answer_unit(unit: Unit, known: Known, reader: Reader) -> UnitAnswer:
    """What the unit's mails state."""
    answer = UnitAnswer(unit.n)
    for mail in unit.mails:
        for stated in known.find(mail.text) or [reader(unit, mail)]:
            _add(answer, stated, unit, mail)
    return answer


def as_text(answers: Sequence[UnitAnswer]) -> str:
    """The answer's content: compact JSON."""
    return compact({"u": [answer.content() for answer in answers]})


def compact(document: object) -> str:
    """JSON without a space too many."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def instance(schema: Mapping[str, Any], level: int = 0) -> Any:
    """The plainest value that a schema allows: for prompts that hold no units."""
    if "const" in schema or schema.get("enum"):
        return schema.get("const", (schema.get("enum") or [None])[0])
    if schema.get("anyOf"):
        return instance(schema["anyOf"][0], level + 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" and level < 20:
        properties = schema.get("properties", {})
        return {name: instance(inner, level + 1) for name, inner in properties.items()}
    return {"array": [], "string": "ok", "integer": 0, "number": 0, "boolean": True, "object": {}}.get(str(kind))


def _add(answer: UnitAnswer, stated: Stated, unit: Unit, mail: UnitMail) -> None:
    """Add what the text at hand still shows; a person who takes part is that participant."""
    text = _alike(mail.text)
    ends: dict[int, str] = {}
    for place, entity in enumerate(stated.entities):
        if entity.type == "person" and entity.who in unit.people:
            ends[place] = f"p{unit.people[entity.who]}"
        elif _alike(entity.quote) in text:
            ends[place] = str(_place(answer, entity))
    for relation in stated.relations:
        source, target = (_end(end, ends, unit) for end in (relation.source, relation.target))
        if source and target and source != target and _alike(relation.quote) in text:
            line = (relation.type, source, target, _alike(relation.quote))
            answer.relations += [line] if line not in answer.relations else []


def _place(answer: UnitAnswer, entity: Entity) -> int:
    name = _alike(entity.name)
    for place, (kind, known, _) in enumerate(answer.entities):
        if kind == entity.type and known.casefold() == name.casefold():
            return place
    answer.entities.append((entity.type, name, _alike(entity.quote)))
    return len(answer.entities) - 1


def _end(end: int | str, ends: Mapping[int, str], unit: Unit) -> str | None:
    if isinstance(end, int):
        return ends.get(end)
    number = unit.people.get(end)
    return None if number is None else f"p{number}"


def _alike(text: str) -> str:
    return folded(text).replace("<", OPENING)
