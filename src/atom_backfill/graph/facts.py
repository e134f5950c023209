"""The nouns of extraction: a unit of new text, and what a checked answer states of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody of a unit's headers. `shared`: a function, a machine or a list rather than one person."""

    key: str
    name: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a mail's new text: `text` stands at `start` (code points) of the message's rendering."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class UnitMail:
    """The new text of one mail. `author` and `readers` are places in the unit's participants."""

    message_id: UUID
    day: date | None
    author: int | None
    readers: tuple[int, ...]
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The pieces as a model reads them."""
        return "\n".join(piece.text.strip("\n") for piece in self.pieces).strip()


@dataclass(frozen=True, slots=True)
class Unit:
    """What of a thread is read in one go: mails by date, and who takes part, those of earlier parts included."""

    unit_id: UUID
    subject: str
    participants: tuple[Participant, ...]
    mails: tuple[UnitMail, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a mail says something: `quote` is the rendering's [start, end) to the letter."""

    message_id: UUID
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Entity:
    """Something that a mail names."""

    type: str
    name: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class End:
    """What a relation joins: a participant or an entity of the same unit, by its place."""

    place: int
    participant: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A directed relation that a mail states."""

    type: str
    source: End
    target: End
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Facts:
    """What is believed of an answer about one unit. `dropped`: how many lines were not, by reason."""

    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing is left to store."""
        return not self.entities and not self.relations
