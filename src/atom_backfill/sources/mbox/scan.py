"""Finds the messages of a file, in memory that does not grow with it: where each starts and ends, its hash, its date.

An mbox has no standard; guessed are mboxrd and mboxo (a body's `From ` lines quoted by `>`), and mboxcl and mboxcl2 (a
Content-Length that is believed where it leads to the next message).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from atom_backfill.mail.bulk import header_map
from atom_backfill.mail.dates import read_rfc5322
from atom_backfill.mail.door import Limits
from atom_backfill.mail.mime_headers import split_headers
from atom_backfill.sources.mbox.formats import FileKind, first_line, is_dated, is_separator
from atom_backfill.sources.mbox.view import BLOCK, FileView

HEADER_BYTES = 65536
LINE_BYTES = 4096
_HEADER_LIMITS = Limits(header_bytes=HEADER_BYTES)


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in a file: its bytes are [start, start + length), unquoted where `quoted`; `size` counts them unquoted.

    `digest` is the SHA-256 of the unquoted bytes. `next_start`: where scanning goes on.
    """

    start: int
    length: int
    quoted: bool
    size: int
    digest: bytes
    received_at: datetime | None
    next_start: int


def scan(view: FileView, kind: FileKind, start: int = 0) -> Iterator[Entry]:
    """Yield the messages of a file in order, from the `next_start` of an earlier one on."""
    if kind is FileKind.EML:
        if not start:
            yield _entry(view, _after_envelope(view, 0), view.size, may_quote=False, next_start=max(view.size, 1))
        return
    at = start or _first_message(view)
    while at < view.size:
        begin = _after_envelope(view, at)
        end, at, may_quote = _extent(view, begin)
        yield _entry(view, begin, end, may_quote=may_quote, next_start=at)


def read_bytes(view: FileView, start: int, length: int, *, quoted: bool) -> bytes:
    """Read a message's bytes, unquoted."""
    return b"".join(_blocks(view, start, start + length, may_quote=quoted))


def received_at(header: bytes) -> datetime | None:
    """Read when a message came from its header: as mail.mime does, from the last relay where plausible, else Date."""
    header = header[:HEADER_BYTES]
    if _ORDERLY.fullmatch(header):  # twice as fast: what is orderly can be cut to the two fields that count
        header = b"".join(found[0] for found in (_DATE.search(header), _RECEIVED.search(header)) if found)
    fields, _, _ = split_headers(header, _HEADER_LIMITS)
    named = header_map(fields)
    sent = read_rfc5322(named.get("date", ""))
    trace = named.get("received", "")
    received = read_rfc5322(trace.rpartition(";")[2]) if ";" in trace else None
    if received is None or sent is None:
        return sent or received
    return received if timedelta(days=-1) < received - sent < timedelta(days=3) else sent


def _entry(view: FileView, start: int, end: int, *, may_quote: bool, next_start: int) -> Entry:
    digest = hashlib.sha256()
    size, header = 0, b""
    for block in _blocks(view, start, end, may_quote=may_quote):
        digest.update(block)
        header = header or block[:HEADER_BYTES]
        size += len(block)
    blank = _BLANK_LINE.search(header)
    date = received_at(header[: blank.end()] if blank else header)
    return Entry(start, end - start, may_quote and size != end - start, size, digest.digest(), date, next_start)


def _blocks(view: FileView, start: int, end: int, *, may_quote: bool) -> Iterator[bytes]:
    fresh_line = True
    while start < end:
        block = view.at(start, min(BLOCK, end - start))
        if not block:
            return
        if may_quote and start + len(block) < end:
            # Whole lines, so that no quoted line is cut in two; a line longer than a block is no quoted one.
            block = block[: block.rfind(b"\n") + 1 or len(block)]
        start += len(block)
        yield _unquoted(block, fresh_line=fresh_line) if may_quote else block
        fresh_line = block.endswith(b"\n")


def _unquoted(block: bytes, *, fresh_line: bool) -> bytes:
    if fresh_line and _QUOTED_FROM.match(block):
        block = block[1:]
    return _QUOTED_FROM_LATER.sub(rb"\n\1", block) if b"\n>" in block else block


def _first_message(view: FileView) -> int:
    """Skip blank lines and a byte order mark; whatever else stands before the first separator is read as a message."""
    head = view.at(0, LINE_BYTES)
    return len(head) - len(head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n"))


def _after_envelope(view: FileView, at: int) -> int:
    line = view.at(at, LINE_BYTES)
    if not line.startswith(b"From "):
        return at
    end = line.find(b"\n")
    return at + (end + 1 if end >= 0 else len(line))


def _extent(view: FileView, begin: int) -> tuple[int, int, bool]:
    """Find where the message ends, where the next separator stands, and whether its `From ` lines may be quoted."""
    if declared := _declared_end(view, begin):
        end, landing = declared
        return end, landing, view.find(b"\nFrom ", begin, end) < 0
    at = _next_separator(view, begin)
    tail = view.at(max(begin, at - 4), at - max(begin, at - 4))
    blank = 2 if tail.endswith(b"\n\r\n") else 1 if tail.endswith(b"\n\n") else 0
    return at - blank, at, True


def _declared_end(view: FileView, begin: int) -> tuple[int, int] | None:
    """Follow a Content-Length; None where there is none or it does not lead to a separator or the end of the file."""
    head = view.at(begin, HEADER_BYTES)
    blank = _BLANK_LINE.search(head)
    length = _CONTENT_LENGTH.search(head, 0, blank.start() + 1) if blank else None
    if not blank or not length:
        return None
    end = begin + blank.end() + int(length[1])
    following = view.at(end, LINE_BYTES)
    text = following.lstrip(b"\r\n")
    landing = end + len(following) - len(text)
    at_end = landing == view.size
    if end > view.size or not (at_end or (text.startswith(b"From ") and is_dated(first_line(text)))):
        return None
    return end, landing


def _next_separator(view: FileView, begin: int) -> int:
    at = begin - 1 if begin else 0
    while (at := view.find(b"\nFrom ", at, view.size)) >= 0:
        at += 1
        line, _, rest = view.at(at, 2 * LINE_BYTES).partition(b"\n")
        after_blank = view.at(at - 3, 3).endswith((b"\n\n", b"\n\r\n"))
        if is_separator(line.rstrip(b"\r"), after_blank=after_blank, before=first_line(rest)):
            return at
    return view.size


_FIELD = rb"[ \t]{0,4}:[^\n]*\n(?:[ \t]+[^ \t\r\n][^\n]*\n)*"
_ORDERLY = re.compile(rb"(?:[!-9;-~]{1,80}" + _FIELD + rb")+\r?\n")
_DATE = re.compile(rb"^Date" + _FIELD, re.IGNORECASE | re.MULTILINE)
_RECEIVED = re.compile(rb"^Received" + _FIELD, re.IGNORECASE | re.MULTILINE)
_BLANK_LINE = re.compile(rb"(?:\A|\n)\r?\n")
_CONTENT_LENGTH = re.compile(rb"^Content-Length:[ \t]*(\d{1,12})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_QUOTED_FROM = re.compile(rb">+From ")
_QUOTED_FROM_LATER = re.compile(rb"\n>(>*From )")
