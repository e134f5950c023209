"""Ids that look like Exchange's and depend on nothing but the mailbox's name and the mail's key."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

_EPOCH_1601 = datetime(1601, 1, 1, tzinfo=UTC)


def message_id(mailbox: str, key: str) -> str:
    """An immutable message id, 68 characters."""
    return "AAkALg" + _letters(62, mailbox, "message", key)


def folder_id(mailbox: str, path: str) -> str:
    """A folder id, 120 characters."""
    return "AAMk" + _letters(112, mailbox, "folder", path) + "AAA="


def conversation_id(mailbox: str, root_key: str) -> str:
    """A conversation id; the same for every mail of a thread in one mailbox."""
    return "AAQk" + _letters(71, mailbox, "conversation", root_key) + "="


def change_key(mailbox: str, key: str) -> str:
    """A change key, in the standard alphabet with `+` and `/`."""
    return "CQAAABYAAAB" + base64.b64encode(_digest(mailbox, "change", key)).decode()[:21]


def internet_message_id(key: str, domain: str) -> str:
    """A Message-ID; copies of one mail in several folders share it."""
    return f"<{_digest('internet', key).hex()[:32]}@mail.{domain}>"


def conversation_index(root_key: str, started: datetime, depth: int) -> str:
    """The 22-byte header of a thread and five bytes for each answer, in base64 (MS-OXOMSG 2.2.1.3)."""
    ticks = int((started - _EPOCH_1601).total_seconds() * 10_000_000)
    head = b"\x01" + ticks.to_bytes(8, "big")[:5] + _digest("thread", root_key)[:16]
    answers = b"".join(_digest("answer", root_key, str(n))[:5] for n in range(depth))
    return base64.b64encode(head + answers).decode()


def draw(key: str, salt: str, below: int) -> int:
    """A number in [0, below) that belongs to the mail whatever else is generated."""
    return int.from_bytes(_digest("draw", salt, key)[:8], "big") % below


def _letters(length: int, *parts: str) -> str:
    text = "".join(base64.urlsafe_b64encode(_digest(*parts, str(n))).decode().rstrip("=") for n in range(2))
    return text[:length]


def _digest(*parts: str) -> bytes:
    return hashlib.sha512("\0".join(parts).encode()).digest()
