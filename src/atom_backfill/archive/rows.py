"""The rows that a message becomes in the record, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from atom_backfill.identity import entity_id
from atom_backfill.mail.digest import Digest
from atom_backfill.mail.message import Address


@dataclass(frozen=True, slots=True)
class Stored:
    """A message ready for the record. `source_body` is zlib of UTF-8; `generation` names what made its passages."""

    message_id: UUID
    thread_id: UUID
    digest: Digest
    source_body: bytes
    content_hash: str
    change_key: str
    generation: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A message that could not be read, and why. `subject` where it is known."""

    source_id: str
    message_id: UUID
    folder_id: str | None
    received_at: datetime | None
    subject: str
    stage: str
    error_code: str
    error: str


def message_row(stored: Stored) -> dict[str, Any]:
    """Return the values of one row of `messages`, without tenant, account and job."""
    message = stored.digest.message
    sender = message.from_ or message.sender or Address("", "")
    return {
        "id": stored.message_id,
        "source_id": message.source_id,
        "internet_message_id": message.internet_message_id,
        "conversation_id": message.conversation_id,
        "thread_id": stored.thread_id,
        "subject": message.subject,
        "received_at": message.received_at,
        "sent_at": message.sent_at,
        "from_name": sender.name,
        "from_address": sender.address.lower(),
        "participants": list(_participants(stored.digest)),
        "kind": str(message.kind),
        "bulk": stored.digest.bulk,
        "machine": stored.digest.machine,
        "is_draft": message.is_draft,
        "has_attachments": message.has_attachments,
        "attachments": [
            {"name": a.name, "content_type": a.content_type, "size": a.size, "inline": a.inline}
            for a in message.attachments
        ],
        "importance": message.importance,
        "web_link": message.web_link,
        "change_key": stored.change_key,
        "content_hash": stored.content_hash,
        "generation": stored.generation,
        "passages": len(stored.digest.passages),
        "notes": sorted({*message.notes, *stored.digest.notes}),
    }


def body_row(stored: Stored) -> dict[str, Any]:
    """Return the values of one row of `message_bodies`; segments as [kind, start, end]."""
    digest = stored.digest
    return {
        "message_id": stored.message_id,
        "text": digest.text,
        "renderer": digest.renderer,
        "segments": [[str(segment.kind), segment.start, segment.end] for segment in digest.segments],
        "body_type": digest.message.body_type,
        "source_body": stored.source_body,
    }


def entity_rows(stored: Stored) -> Iterable[dict[str, Any]]:
    """Yield one row of `discovered_entities`, as JSON, for each finding; the same finding twice is one row."""
    message, seen = stored.message_id.hex, set[str]()
    for finding in stored.digest.findings:
        identity = entity_id(stored.message_id, finding.entity_type, finding.key, finding.field, finding.start).hex
        if identity in seen:
            continue
        seen.add(identity)
        properties: dict[str, Any] = dict(finding.properties)
        properties["key"], properties["field"] = finding.key, finding.field
        if finding.start is not None:
            properties["start"], properties["end"] = finding.start, finding.end
        yield {
            "id": identity,
            "message_id": message,
            "entity_type": finding.entity_type,
            "name": finding.name,
            "properties": properties,
        }


def _participants(digest: Digest) -> Iterable[dict[str, str]]:
    message = digest.message
    one = (("from", message.from_), ("sender", message.sender))
    for role, address in one:
        if address is not None:
            yield {"role": role, "name": address.name, "address": address.address}
    many = (("to", message.to), ("cc", message.cc), ("bcc", message.bcc), ("reply_to", message.reply_to))
    for role, addresses in many:
        for address in addresses:
            yield {"role": role, "name": address.name, "address": address.address}
