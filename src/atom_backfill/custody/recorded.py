"""What the memory must hold of a message, made anew from the record: from its text and what was cut from it. Pure.

Nothing is cut anew: text and segments are as they were when the message was read, so the same message gives the same
rows. What a newer cleaner would cut, `start --again` brings in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from atom_backfill.mail.digest import Digest, Segment, SegmentKind
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Address, Attachment, FolderId, Message, SourceId
from atom_backfill.mail.passages import cut_passages
from atom_backfill.memory.ports import PassageRow
from atom_backfill.memory.rows import rows_of


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message as the record has it; `segments` as [kind, start, end], `participants` with role, name and address."""

    id: UUID
    account_id: UUID
    thread_id: UUID
    subject: str
    received_at: datetime | None
    participants: Sequence[Mapping[str, str]]
    attachments: Sequence[Mapping[str, Any]]
    has_attachments: bool
    content_hash: str
    generation: str
    text: str
    segments: Sequence[Sequence[Any]]
    folder_ids: Sequence[str]


def rows_from(recorded: Recorded, *, generation: str | None = None) -> list[PassageRow]:
    """Make a message's rows, in its own generation or in another, as of no lease: their fence is 0."""
    segments = tuple(Segment(SegmentKind(kind), start, end) for kind, start, end in recorded.segments)
    passages, _ = cut_passages(recorded.text, segments, limit=Limits().passages)
    return rows_of(
        Digest(_message(recorded), recorded.text, 0, segments, passages, ()),
        message_id=recorded.id,
        account_id=recorded.account_id,
        thread_id=str(recorded.thread_id),
        folder_ids=sorted(recorded.folder_ids),
        fence=0,
        generation=generation or recorded.generation,
    )


def _message(recorded: Recorded) -> Message:
    """Return as much of the message as its rows show."""
    return Message(
        source_id=SourceId(""),
        folder_id=FolderId(""),
        internet_message_id="",
        conversation_id="",
        subject=recorded.subject,
        received_at=recorded.received_at,
        sent_at=None,
        from_=next(iter(_people(recorded, "from")), None),
        sender=None,
        to=tuple(_people(recorded, "to")),
        cc=tuple(_people(recorded, "cc")),
        bcc=tuple(_people(recorded, "bcc")),
        reply_to=(),
        body="",
        body_type="text",
        attachments=tuple(
            Attachment(each["name"], each["content_type"], each["size"], each["inline"])
            for each in recorded.attachments
        ),
        has_attachments=recorded.has_attachments,
    )


def _people(recorded: Recorded, role: str) -> Iterable[Address]:
    return (Address(each["name"], each["address"]) for each in recorded.participants if each["role"] == role)
