"""Message ids and threads: which ids a mail refers to, and which conversation a local mail belongs to."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Literal


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
    # Bounded, since a subject may be nothing but prefixes.
    for _ in range(8):
        match = _PREFIX.match(subject)
        if not match:
            break
        subject = subject[match.end() :]
    return subject.strip()


def subject_purpose(subject: str) -> Literal["reply", "forward", ""]:
    """Tell what the outermost prefix of a subject says about the mail."""
    for _ in range(4):
        match = _PREFIX.match(subject)
        if not match:
            break
        if match["reply"] or match["forward"]:
            return "reply" if match["reply"] else "forward"
        subject = subject[match.end() :]
    return ""


_ID = re.compile(r"<[^<>\s]{1,300}>")
_REPLY = "re|aw|antw|antwort|sv|vs|res|rif|r|odp|ynt|ilt|atb|bls|回复|答复|返信|回覆|отв|на|απ"
_FORWARD = "fwd?|wg|tr|rv|enc|i|pd|vl|vb|vidarebefordrat|doorst|doorgestuurd|转发|転送|轉寄|пер|プ|πρ|továbbítás|ilet"
_PREFIX = re.compile(
    rf"\s*(?:(?:(?P<reply>{_REPLY})|(?P<forward>{_FORWARD}))\s*(?:\[\d{{1,3}}\]|\(\d{{1,3}}\)|\^\d{{1,3}})?\s*[:：]|\[[^\]\n]{{1,40}}\])\s*",
    re.IGNORECASE,
)
