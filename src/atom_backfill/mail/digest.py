"""The nouns that cleaning yields: the rendering of a body, its segments, the passages and what the rules found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from atom_backfill.mail.message import Message


class SegmentKind(StrEnum):
    """What a stretch of the rendering is. Only NEW is embedded."""

    NEW = "new"
    QUOTE = "quote"
    ATTRIBUTION = "attribution"
    SIGNATURE = "signature"
    DISCLAIMER = "disclaimer"
    FOOTER = "footer"
    BLOB = "blob"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch [start, end) of the rendering, in code points. Segments cover the text in order, without gaps."""

    kind: SegmentKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """About 200 tokens of new text; `text` is the rendering's [start, end) to the letter, `content_hash` hex of it."""

    seq: int
    start: int
    end: int
    text: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: one `discovered_entities` row.

    `field` is from, to, cc, bcc, reply_to, subject or content. `start` and `end` count code points into that field
    (content: into the rendering); None for what stands in a header. `key` is the normalised identity (lower-case
    address, E.164-like number, ISO date, …), `name` what to show.
    """

    entity_type: str
    name: str
    key: str
    field: str
    start: int | None = None
    end: int | None = None
    properties: tuple[tuple[str, str], ...] = ()

    def __reduce__(self) -> tuple[type[Finding], tuple[object, ...]]:
        # See Address.__reduce__.
        values = (self.entity_type, self.name, self.key, self.field, self.start, self.end, self.properties)
        return Finding, values


@dataclass(frozen=True, slots=True)
class Digest:
    """A message, read and cleaned: everything that the record and the memory keep of it."""

    message: Message
    text: str
    renderer: int
    segments: tuple[Segment, ...]
    passages: tuple[Passage, ...]
    findings: tuple[Finding, ...]
    bulk: bool = False
    machine: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def clean_text(self) -> str:
        """The new text alone, segments joined by a newline."""
        return "\n".join(
            self.text[s.start : s.end].strip("\n") for s in self.segments if s.kind is SegmentKind.NEW
        ).strip()
