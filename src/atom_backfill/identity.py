"""Ids derived from what they name, so that doing a page again meets the same rows. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from uuid import UUID

from atom_backfill.errors import NotFoundError


def message_id(account: UUID, source_id: str) -> UUID:
    """Name a message by its account (which belongs to one tenant) and its id at the source."""
    return _derived("message", account.hex, source_id)


def thread_id(account: UUID, conversation_id: str, source_id: str) -> UUID:
    """Name a conversation; a message without one is a thread of its own."""
    return _derived("thread", account.hex, conversation_id or f"\0{source_id}")


def failure_id(account: UUID, source_id: str) -> UUID:
    """Name the failure of one source id."""
    return _derived("failure", account.hex, source_id)


def entity_id(message: UUID, entity_type: str, key: str, field: str, start: int | None) -> UUID:
    """Name what a rule found in one place of a message."""
    return _beside(message, "entity", entity_type, key, field, str(start))


def node_id(tenant: UUID, node_type: str, key: str) -> UUID:
    """Name a person or thing within a tenant."""
    return _derived("node", tenant.hex, node_type, key)


def edge_id(source: UUID, relationship: str, target: UUID, ordinal: int = 0) -> UUID:
    """Name a directed relation of two nodes, and which period of it, from 0."""
    period = (str(ordinal),) if ordinal else ()
    return _derived("edge", source.hex, relationship, target.hex, *period)


def merge_id(node: UUID, other: UUID) -> UUID:
    """Name that two nodes are one, in either order."""
    return _derived("merge", *sorted((node.hex, other.hex)))


def evidence_id(message: UUID, shown: UUID, field: str) -> UUID:
    """Name the evidence that a message gives for a node or an edge, by the field that it stands in."""
    return _beside(message, "evidence", shown.hex, field)


def chunk_id(job: UUID, kind: str, *about: str) -> UUID:
    """Name a chunk of a job by what it covers."""
    return _derived("chunk", job.hex, kind, *about)


def unit_id(thread: UUID, mails: Sequence[tuple[UUID, str, int, int]]) -> UUID:
    """Name a unit by its messages: each with its content's hash and from where to where its text goes."""
    parts = [part for message, known, start, end in mails for part in (message.hex, known, str(start), str(end))]
    return _derived("unit", thread.hex, *parts)


def slot_id(job: UUID, number: int) -> UUID:
    """Name a slot of a job's graph lane."""
    return _derived("slot", job.hex, str(number))


def generation_id(tenant: UUID, definition: str, model: str) -> UUID:
    """Name a generation of facts: the prompt and schema, and the model."""
    return _derived("generation", tenant.hex, definition, model)


def id_range(prefix: str, what: str) -> tuple[UUID, UUID]:
    """Return the least and the greatest id that begin with `prefix`. Raises NotFoundError where none can."""
    digits = prefix.replace("-", "").lower()
    if not digits or len(digits) > 32 or any(digit not in "0123456789abcdef" for digit in digits):
        raise NotFoundError(f"no_such_{what}", f"{prefix!r} is not the id of a {what}, nor the beginning of one.")
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def content_hash(*parts: str) -> str:
    """Hash what a reader of a message would see, in hex: equal hashes are equal mail."""
    return _hash(*parts).hex()


def _beside(message: UUID, kind: str, *parts: str) -> UUID:
    """Begin with the message's own bits: what it shows lies together in the indexes, and is written in one place."""
    return UUID(int=_value(kind, message.hex, *parts) & ~_FIRST_BITS | message.int & _FIRST_BITS)


def _derived(*parts: str) -> UUID:
    return UUID(int=_value(*parts))


def _value(*parts: str) -> int:
    return int.from_bytes(_hash(*parts)) & _FREE_BITS | _VERSION


def _hash(*parts: str) -> bytes:
    # JSON strings tell the parts apart and are plain ASCII: an odd id must not stop its page.
    return hashlib.blake2b(",".join(map(encode_basestring_ascii, parts)).encode(), digest_size=16).digest()


_VERSION = 8 << 76 | 2 << 62
"""RFC 9562 version 8: made of what the maker likes."""
_FREE_BITS = (1 << 128) - 1 & ~(0xF << 76 | 0x3 << 62)
_FIRST_BITS = (1 << 48) - 1 << 80
"""Those before the version."""
