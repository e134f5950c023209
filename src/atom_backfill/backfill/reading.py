"""From a raw item to all that is kept of it. Runs in the sandbox's child process; pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from atom_backfill.identity import content_hash
from atom_backfill.mail.clean import clean
from atom_backfill.mail.digest import Digest
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Message
from atom_backfill.sources.ports import RawItem

Parse = Callable[[RawItem, Limits], Message]
"""Turns a source's payload into a Message. Raises SkipItemError(stage="parse")."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A message, read and cleaned, and its body as the source gave it (zlib of UTF-8)."""

    digest: Digest
    source_body: bytes
    content_hash: str


def read_item(item: RawItem, *, parse: Parse, limits: Limits) -> Reading:
    """Parse and clean one item. Raises SkipItemError(stage="parse") where it cannot be read."""
    message = parse(item, limits)
    digest = clean(message, limits)
    people = repr((message.from_, message.sender, message.to, message.cc, message.bcc, message.reply_to))
    dates = repr((message.received_at, message.sent_at))
    return Reading(
        digest=digest,
        source_body=zlib.compress(message.body.encode(), level=1),
        content_hash=content_hash(message.subject, people, dates, message.body, message.internet_message_id),
    )
