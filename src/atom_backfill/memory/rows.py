"""What of a mail the memory keeps: rows made from a digest, with ids that follow from what they hold.

The vector is made of the subject and the passage: a passage of a long thread seldom names what it is about. The words
leg sees all of it, and the header: who wrote, to whom, which files came with it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from atom_backfill.mail.digest import Digest
from atom_backfill.mail.message import Address, Message
from atom_backfill.memory.ports import PassageRow

RECIPE = 1
"""Raised when what is embedded or indexed changes, so that old rows are a generation of their own."""
MAX_SUBJECT = 400
MAX_HEADER = 400
"""Code points; a mail to thousands is found by its first recipients, and by all of them with a filter."""

WORDS = "words"
"""The column that the words leg sees: header, subject and text. One index of one column ranked as well as three."""
PRINTED = (
    *("id", "message_id", "account_id", "thread_id", "seq", "start", "end", "subject", "text", WORDS, "content_hash"),
    *("from_address", "to_addresses", "has_attachments", "received_at", "generation"),
)
"""What a row's fingerprint is made of: every column but vector, folders and fence."""

_REPLY_MARKS = re.compile(r"^(?:\s*(?:re|aw|antw|sv|vs|fw|fwd|wg|tr|rv|enc)(?:\[\d+\])?\s*:)+\s*", re.IGNORECASE)


def passage_id(message_id: UUID, generation: str, seq: int) -> str:
    """Name a passage: the same message, generation and place always give the same id."""
    return f"{message_id}:{generation}:{seq}"


def generation_of(cleaner: str, embedder: str, content_hash: str) -> str:
    """Name what a message's rows are made by and of: 16 hex digits that change when cleaner, embedder or content do."""
    return _name("\n".join((str(RECIPE), cleaner, embedder, content_hash)))


@dataclass(frozen=True, slots=True)
class Naming:
    """Names generations: `present` of messages read now, `remade` of those whose passages the record has given anew.

    Each is what a name is made of before the content's hash, as in `generation_of`.
    """

    present: str
    remade: str

    def generation(self, stored: str, content_hash: str) -> str:
        """Return the generation of a message's remade passages: the stored one where cleaner and embedder are those."""
        remade = _name(self.remade + content_hash)
        return stored if stored == _name(self.present + content_hash) else remade


def naming(cleaner: str, embedder: str) -> Naming:
    """Return how generations are named now; what cut a remade message is whatever read it."""
    return Naming(f"{RECIPE}\n{cleaner}\n{embedder}\n", f"{RECIPE}\nas read\n{embedder}\n")


def _name(made_of: str) -> str:
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]


def rows_of(
    digest: Digest,
    *,
    message_id: UUID,
    account_id: UUID,
    thread_id: str,
    folder_ids: Sequence[str],
    fence: int,
    generation: str,
) -> list[PassageRow]:
    """Make a mail's rows, one a passage and at least one: without new text it is remembered by subject and header."""
    message = digest.message
    subject = message.subject.strip()[:MAX_SUBJECT]
    stretches = [(p.seq, p.start, p.end, p.text) for p in digest.passages] or [(0, 0, 0, "")]
    return [
        PassageRow(
            id=passage_id(message_id, generation, seq),
            message_id=message_id,
            account_id=account_id,
            thread_id=thread_id,
            seq=seq,
            start=start,
            end=end,
            subject=subject,
            text=text,
            embedded=(embedded := embedded_text(subject, text)),
            content_hash=hashlib.sha256(embedded.encode()).hexdigest(),
            from_address=message.from_.address.lower() if message.from_ else "",
            to_addresses=_addresses((*message.to, *message.cc, *message.bcc)),
            folder_ids=tuple(folder_ids),
            has_attachments=message.has_attachments,
            received_at=message.received_at,
            generation=generation,
            fence=fence,
            header=header_text(message, whole=seq == 0),
        )
        for seq, start, end, text in stretches
    ]


def embedded_text(subject: str, text: str) -> str:
    """Join what a vector is made of; reply marks say nothing, and without them equal texts share their vector."""
    return f"{_REPLY_MARKS.sub('', subject)}\n{text}".strip()


def header_text(message: Message, *, whole: bool) -> str:
    """Join what a mail may be looked up by: its sender with the address; if whole, the others' names and the files'.

    The whole stands in a mail's first row alone: in all of them it weighed down their own words. Others' addresses are
    left to the filter.
    """
    sender = f"{message.from_.name} {message.from_.address}" if message.from_ else ""
    others = [person.name or person.address for person in (*message.to, *message.cc)] if whole else []
    files = [attachment.name for attachment in message.attachments] if whole else []
    return "\n".join([sender, *dict.fromkeys(others), *files]).strip()[:MAX_HEADER]


def column_of(row: PassageRow, column: str) -> object:
    """Return what a column of the memory holds of a row."""
    if column == WORDS:
        return f"{row.header}\n{row.subject}\n{row.text}"
    value: object = getattr(row, column)
    return str(value) if isinstance(value, UUID) else value


def fingerprint_of(row: PassageRow) -> str:
    """Return the fingerprint that a row must have in the memory."""
    return fingerprint(column_of(row, column) for column in PRINTED)


def fingerprint(values: Iterable[object]) -> str:
    """Hash the values of the columns PRINTED, in their order: equal hashes are equal rows."""
    return hashlib.blake2b(repr([_plain(value) for value in values]).encode(), digest_size=16).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return list(value) if isinstance(value, tuple) else value


def _addresses(people: Iterable[Address]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(person.address.lower() for person in people if person.address))
