"""Message ids and threads: which ids a mail refers to, and which conversation a local mail belongs to."""

from __future__ import annotations

import re
from hashlib import blake2b


def message_ids(text: str) -> tuple[str, ...]:
    """Read the message ids of a References or In-Reply-To header, in order, each once."""
    return tuple(dict.fromkeys(_ID.findall(text)))


def conversation_of(own_id: str, references: tuple[str, ...], subject: str) -> str:
    """Name the conversation of a mail whose source names none: hex derived from the thread's root message id.

    The root is the first reference, else the mail's own id, else its subject without reply prefixes.
    """
    root = references[0] if references else own_id or base_subject(subject).casefold()
    return blake2b(root.encode(), digest_size=16).hexdigest()


def base_subject(subject: str) -> str:
    """Strip reply, forward and list prefixes: `Re: [team] AW: x` is `x`."""
    for _ in range(8):
        stripped = _PREFIX.sub("", subject, count=1)
        if stripped == subject:
            break
        subject = stripped
    return subject.strip()


_ID = re.compile(r"<[^<>\s]{1,300}>")
_PREFIX = re.compile(
    r"^\s*(?:(?:re|fwd?|aw|wg|sv|vs|vl|vb|tr|rv|res|enc|rif|i|odp|pd|ynt|ilt|antw|doorst|antwort|回复|答复|转发|返信|転送|回覆|轉寄|отв|на)"
    r"\s*(?:\[\d{1,3}\]|\(\d{1,3}\)|\^\d{1,3})?\s*[:：]|\[[^\]\n]{1,40}\])\s*",
    re.IGNORECASE,
)
