"""Builders that take only what a test is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from atom_backfill.mail.message import Address, FolderId, Message, SourceId


def a_message(**about: Any) -> Message:
    fields: dict[str, Any] = {
        "source_id": SourceId("m-1"),
        "folder_id": FolderId("inbox"),
        "internet_message_id": "<m-1@lumen.example>",
        "conversation_id": "c-1",
        "subject": "Lease for the workshop",
        "received_at": datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        "sent_at": datetime(2026, 3, 2, 9, 29, tzinfo=UTC),
        "from_": Address("Ines Halloran", "ines@lumen.example"),
        "sender": Address("Ines Halloran", "ines@lumen.example"),
        "to": (Address("Tomasz Reyl", "tomasz@lumen.example"),),
        "cc": (),
        "bcc": (),
        "reply_to": (),
        "body": "The lease is signed.\n",
        "body_type": "text",
    }
    return Message(**{**fields, **about})
