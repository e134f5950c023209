"""What a file is, told from its first bytes, and what the lines between messages look like. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

HEAD_BYTES = 65536


class FileKind(StrEnum):
    """What a file holds."""

    MBOX = "mbox"
    EML = "eml"
    OTHER = "other"


def recognise(head: bytes, name: str) -> FileKind:
    """Tell what a file is from its first 64 KB; the name decides only where the bytes do not."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    extension = name.rpartition(".")[2].lower()
    if extension == "eml":
        return FileKind.EML
    if text.startswith(b"From ") and is_separator(first_line(text), after_blank=True, before=_second_line(text)):
        return FileKind.MBOX
    header = _BLANK_LINE.split(text, maxsplit=1)[0]
    # Two, because a text file may well begin with "Date:"; a name that is only given to mail needs one.
    needed = 1 if extension in ("msg", "mail", "mime") else 2
    if _HEADERS.match(text) and len({name.lower() for name in _MAIL_HEADER.findall(header)}) >= needed:
        return FileKind.EML
    # An mbox whose beginning was damaged.
    if extension in ("mbox", "mbx") and any(map(is_dated, _FROM_LINE.findall(text))):
        return FileKind.MBOX
    return FileKind.OTHER


def describe(head: bytes, name: str) -> str:
    """Say in words what a file is that is no mail, for the person who named it."""
    if not head.strip(b"\x00\r\n\t "):
        return "an empty file"
    for magic, words in _MAGICS:
        if head.startswith(magic):
            return words
    if re.search(rb"[\x00-\x08\x0e-\x1f]", head[:4096]):
        return "a binary file"
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    return f"a text file (.{extension})" if re.fullmatch(r"[a-z0-9]{1,8}", extension) else "a text file"


def is_separator(line: bytes, *, after_blank: bool, before: bytes) -> bool:
    """Tell whether a line that begins with `From ` starts a message; `before` is the line that it stands before.

    One that carries a date counts where either neighbour is as it should be; any other needs both.
    """
    header_follows = bool(_HEADER.match(before))
    if is_dated(line):
        return after_blank or header_follows
    return after_blank and header_follows


def is_dated(line: bytes) -> bool:
    """Tell whether a `From ` line ends in a date as delivery agents write it."""
    return bool(_DATED.match(line[:400]))


def first_line(data: bytes) -> bytes:
    """Return the first line, without its end."""
    return data.partition(b"\n")[0].rstrip(b"\r")


def _second_line(data: bytes) -> bytes:
    return first_line(data.partition(b"\n")[2])


_FROM_LINE = re.compile(rb"^From [^\r\n]*", re.MULTILINE)
_HEADER = re.compile(rb"[!-9;-~]{1,80}[ \t]{0,4}:|>From ")
_HEADERS = re.compile(rb"(?:From [^\n]{0,400}\n)?[!-9;-~]{1,80}[ \t]{0,4}:[^\n]{0,60000}\n")
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")
_MAIL_HEADER = re.compile(
    rb"^(From|Date|Subject|To|Cc|Sender|Received|Message-ID|Return-Path|Delivered-To|MIME-Version|Content-Type"
    rb"|Content-Transfer-Encoding)[ \t]{0,4}:",
    re.IGNORECASE | re.MULTILINE,
)
_DATED = re.compile(
    rb"From .{0,300}?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? (?:"
    rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}\d{1,2}|"
    rb"\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?: \d{4})?"
    rb") \d\d:\d\d(?::\d\d)?(?: [A-Z]{1,5}| [+-]\d{4}){0,2}(?: \d{4})?(?: [A-Z]{1,5}| [+-]\d{4})?"
    rb"(?: remote from .{0,80})?[ \t]*\Z"
)
_MAGICS = (
    (b"!BDN", "an Outlook data file (.pst): export it as mbox or .eml first, for example with readpst"),
    (b"\xd0\xcf\x11\xe0", "an Outlook or Office file (.msg, .doc): save the mail as .eml first"),
    (b"PK\x03\x04", "a zip archive (.zip, .olm): unpack it first"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ\x00", "an xz archive: unpack it first"),
    (b"%PDF", "a PDF file"),
    (b"SQLite format 3\x00", "an SQLite database"),
)
