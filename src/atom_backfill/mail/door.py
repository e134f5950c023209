"""Repair at the door: what comes from outside is bounded in size and made storable, visible and unambiguous.

After the door a string holds no NUL, no lone surrogate, no control but tab and newline, no bidirectional override,
no Unicode tag characters outside a flag, no invisible joiner inside a Latin word, and is in NFC.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

DOOR = 1
"""Raised whenever the same text would be repaired differently."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one message is kept; every cut leaves a word in the message's notes.

    Characters are code points. `recipients` counts to, cc, bcc and reply_to together.
    """

    message_bytes: int = 64_000_000
    header_bytes: int = 256_000
    header_lines: int = 400
    mime_parts: int = 300
    mime_depth: int = 24
    body_characters: int = 400_000
    subject_characters: int = 16_000
    name_characters: int = 200
    address_characters: int = 320
    recipients: int = 1_000
    attachments: int = 300
    references: int = 100
    html_nodes: int = 200_000
    html_depth: int = 1_000
    passages: int = 400
    findings: int = 400
    links: int = 100


def repair(text: str) -> str:
    """Make a text of several lines storable and readable as it is: line ends become newlines, the unsafe goes."""
    if text.isascii() and text.isprintable():
        # Most pieces of most mails; told apart at a tenth of what the checks below cost.
        return text
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not _is_plain(text):
        text = _mend(text)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def repair_line(text: str) -> str:
    """Make a text fit for one line (a subject, a name): repaired, white space folded to single spaces."""
    return " ".join(repair(text).split())


def cut(text: str, limit: int) -> str:
    """Cut to `limit` characters, never between a letter and the marks that belong to it."""
    if len(text) <= limit:
        return text
    end = limit
    while end > max(0, limit - 32) and (unicodedata.combining(text[end]) or text[end] in "\u200d\ufe0f"):
        end -= 1
    return text[:end]


def _is_plain(text: str) -> bool:
    """Tell whether there is nothing to mend, which is so of nearly all text, at a tenth of the cost of mending it."""
    rest = text.encode("utf-8", "surrogatepass").translate(None, _PLAIN_ASCII)
    return not rest or not _ODD.search(rest.decode("utf-8", "surrogatepass"))


def _mend(text: str) -> str:
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _JOINER_IN_LATIN.sub("", _UNSAFE.sub(_substitute, text))


_PLAIN_ASCII = bytes([0x09, 0x0A, *range(0x20, 0x7F)])
# Whatever any of the patterns below may begin with.
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u180e\u200b-\u200d\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufe00-\ufe0f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U0001f3f4\U000e0000-\U000e01ef]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
# A black flag, tags and a cancel tag spell a region's flag; any other tag character only hides text.
_UNSAFE = re.compile(
    "(?P<flag>\U0001f3f4[\U000e0030-\U000e007a]{1,6}\U000e007f)"
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u180e\u200b\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f]|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}"
)
_JOINER_IN_LATIN = re.compile("(?<=[A-Za-z\u00c0-\u024f])[\u200c\u200d]+(?=[A-Za-z\u00c0-\u024f])")
_NEWLINES = dict.fromkeys("\x0b\x0c\u2028\u2029", "\n")
# C1 controls are Windows-1252 read as Latin-1; browsers read them the same way (HTML standard, numeric references).
_C1 = {chr(code): bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}


def _substitute(found: re.Match[str]) -> str:
    character = found[0]
    if len(character) > 1:
        return character if character[0] == "\U0001f3f4" else ""
    return _NEWLINES.get(character) or _C1.get(character, "")
