"""The parts of a MIME body, split in bounded depth and number before the standard library decodes one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message as Decoder
from functools import cached_property

from atom_backfill.mail.door import Limits, cut, repair
from atom_backfill.mail.mime_headers import Fields, decode_charset, decode_words, split_headers


@dataclass(frozen=True)
class Part:
    """A part with its fields and undecoded body. `parents` are the content types around it, outermost first.

    `choice` numbers the outermost multipart/alternative that it stands in, from 1; 0 outside of any.
    """

    fields: Fields
    body: bytes
    parents: tuple[str, ...]
    default_type: str = "text/plain"
    choice: int = 0

    @cached_property
    def decoder(self) -> Decoder:
        """The standard library's message of this part's content fields alone."""
        decoder = Decoder()
        decoder.set_default_type(self.default_type)
        for name, value in self.fields:
            if name.lower().startswith("content-") and name.lower() not in decoder:
                decoder[name] = cut(value, 4_000)
        return decoder

    @property
    def content_type(self) -> str:
        """The type and subtype, lower-case."""
        return self.decoder.get_content_type()

    @property
    def filename(self) -> str:
        """The attachment's name, "" where it has none."""
        try:
            name = self.decoder.get_filename("")
        except (ValueError, LookupError):
            name = ""
        return cut(decode_words(name), 200)

    @property
    def boundary(self) -> str:
        """What parts its parts, "" where it does not say; a charset that cannot be read is as if it did not."""
        try:
            return self.decoder.get_boundary("") or ""
        except (ValueError, LookupError):
            return ""

    @property
    def attached(self) -> bool:
        """Whether the sender meant it to stand beside the text rather than in it."""
        disposition = (self.decoder.get("content-disposition") or "").strip().lower()
        return disposition.startswith("attachment") or bool(self.filename)

    def text(self, limit: int) -> str:
        """Decode a text part, at most about `limit` characters of it."""
        encoding = str(self.decoder.get("content-transfer-encoding") or "").strip().lower()
        # Bounded before it is decoded: six bytes are what quoted-printable takes for an accented letter.
        self.decoder.set_payload(self.body[: limit * 6].decode("ascii", "surrogateescape"))
        if encoding.startswith(("quoted-printable", "base64", "x-uue", "uue")):
            data = self.decoder.get_payload(decode=True)
        else:
            data = self.body[: limit * 4]
        charset = self.decoder.get_param("charset") or ""
        if isinstance(charset, tuple):
            charset = charset[2]
        return cut(repair(decode_charset(data if isinstance(data, bytes) else b"", str(charset))), limit)


def leaves(fields: Fields, body: bytes, limits: Limits) -> tuple[list[Part], bool]:
    """Split a mail into its leaves, in order; the flag tells that parts or depth passed the limits."""
    walk = _Walk(limits)
    found = list(walk.parts(Part(fields, body, ()), 0))
    return found, walk.truncated


class _Walk:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._room = limits.mime_parts
        self._choices = 0
        self.truncated = False

    def parts(self, part: Part, depth: int) -> Iterator[Part]:
        kind = part.content_type
        if not kind.startswith("multipart/"):
            yield part
            return
        if depth >= self._limits.mime_depth:
            self.truncated = True
            return
        default = "message/rfc822" if kind == "multipart/digest" else "text/plain"
        choice = part.choice
        if kind == "multipart/alternative" and not choice:
            choice = self._choices = self._choices + 1
        boundary = part.boundary
        pieces = list(_split(part.body, boundary, self._room)) if boundary else []
        if not pieces and (guess := _FIRST_DELIMITER.search(part.body)):
            pieces = list(_split(part.body, guess[1].decode("latin-1"), self._room))
        if not pieces:
            # The boundary never comes: what is there is the text.
            yield Part((), part.body, (*part.parents, kind), choice=choice)
        for piece in pieces:
            if self._room <= 0:
                self.truncated = True
                return
            self._room -= 1
            fields, body = _open(piece, self._limits)
            yield from self.parts(Part(fields, body, (*part.parents, kind), default, choice), depth + 1)


def _open(piece: bytes, limits: Limits) -> tuple[Fields, bytes]:
    # Without fields: split_headers would skip the blank line and take a text like "Note: …" for a field.
    if piece.startswith((b"\n", b"\r\n")):
        return (), piece[2 if piece[0] == 13 else 1 :]
    fields, body, _ = split_headers(piece, limits)
    return fields, body


def _split(body: bytes, boundary: str, room: int) -> Iterator[bytes]:
    # Found as plain bytes, at a tenth of what a regular expression takes to walk a large attachment.
    mark = b"--" + boundary.encode("utf-8", "surrogateescape").rstrip()
    start, at = -1, body.find(mark)
    while at >= 0:
        after = at + len(mark)
        end = _REST_OF_DELIMITER.match(body, after) if not at or body[at - 1] == _NEWLINE else None
        if end:
            if start >= 0:
                yield body[start:at]
                room -= 1
            if end[1] or room < 0:
                return
            start = after = end.end()
        at = body.find(mark, after)
    if start >= 0:
        yield body[start:]


_NEWLINE = 10
_REST_OF_DELIMITER = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
# What a delimiter looks like where the declared boundary never comes.
_FIRST_DELIMITER = re.compile(rb"^--(\S{1,200})[ \t]*\r?\nContent-", re.IGNORECASE | re.MULTILINE)
