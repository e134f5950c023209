"""Ids: derived message ids, user ids, and opaque sealed words (tokens, delta states).

A message has one immutable id, that of its file, and one derived id that changes with each move. The derived id
is reversible, so that no table of them is kept: a place in the mailbox, a tag of the folder, a check.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import uuid
from typing import Any

# Signs what the service hands out. No secret: a simulator's tokens outlive its restarts, as the real ones do.
_SEAL_KEY = b"atom graph simulator"
_USERS = uuid.UUID("5d1f2a34-8a1c-4d0e-9a39-61a1b5b8a0e7")
_EXCHANGE_ID = re.compile(r"[A-Za-z0-9_\-+/]{40,}={0,2}")
_PREFIX = bytes.fromhex("000324")  # reads AAMk


def user_guid(name: str) -> str:
    """The directory id of a user."""
    return str(uuid.uuid5(_USERS, name.lower()))


def looks_like_an_id(text: str) -> bool:
    """Whether this could be an id that Exchange made, of anything."""
    return _EXCHANGE_ID.fullmatch(text) is not None


def alternatives(item_id: str) -> tuple[str, ...]:
    """The spellings under which the service also finds an id: `/` as `-` and `+` as `_`."""
    mapped = item_id.replace("/", "-").replace("+", "_")
    return (item_id,) if mapped == item_id else (item_id, mapped)


def rest_id(mailbox: str, ordinal: int, folder: str, moves: int) -> str:
    """The derived id of a message: 152 characters, one prefix for the whole mailbox, new after each move."""
    head = _PREFIX + hashlib.shake_256(mailbox.encode()).digest(82)
    place = ordinal.to_bytes(8, "big") + _folder_tag(folder, moves)
    check = hashlib.blake2b(head + place, digest_size=8, key=_SEAL_KEY).digest()
    return base64.urlsafe_b64encode(head + place + check + b"\0\0\0\0").decode()


def ordinal_of(mailbox: str, item_id: str) -> int | None:
    """The place that a derived id names, whether the message still is there or not; None for no such id."""
    try:
        raw = base64.urlsafe_b64decode(item_id)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != 113 or raw[:85] != _PREFIX + hashlib.shake_256(mailbox.encode()).digest(82):
        return None
    check = hashlib.blake2b(raw[:101], digest_size=8, key=_SEAL_KEY).digest()
    return int.from_bytes(raw[85:93], "big") if raw[101:109] == check else None


def folder_id(material: bytes) -> str:
    """A folder id (120 characters) made from 87 bytes."""
    return base64.urlsafe_b64encode(_PREFIX + material).decode()


def seal(kind: str, content: Any) -> str:
    """Pack content into an opaque word that only this service can make."""
    body = json.dumps([kind, content], separators=(",", ":")).encode()
    mac = hmac.digest(_SEAL_KEY, body, "sha256")[:16]
    return base64.urlsafe_b64encode(mac + body).decode().rstrip("=")


def unseal(kind: str, word: str) -> Any:
    """The content of a sealed word, or None where it is not one of this kind."""
    try:
        raw = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
        body = raw[16:]
        if not hmac.compare_digest(hmac.digest(_SEAL_KEY, body, "sha256")[:16], raw[:16]):
            return None
        found, content = json.loads(body)
    except (binascii.Error, ValueError):
        return None
    return content if found == kind else None


def _folder_tag(folder: str, moves: int) -> bytes:
    return hashlib.blake2b(f"{moves}:{folder}".encode(), digest_size=8).digest()
