"""Header blocks of RFC 5322 read in linear time and bounded before anything parses them: fields, words, addresses."""

from __future__ import annotations

import binascii
import codecs
import quopri
import re
from collections.abc import Iterator

from atom_backfill.mail.door import Limits, cut, repair_line
from atom_backfill.mail.message import Address
from atom_backfill.mail.vocabulary import words

Fields = tuple[tuple[str, str], ...]


def split_headers(payload: bytes, limits: Limits) -> tuple[Fields, bytes, bool]:
    """Split a mail or part into its fields (name, unfolded value), its body, and whether fields were cut.

    Tolerates an mbox envelope line, blank lines before the first field, and stray lines between fields.
    """
    fields: list[tuple[str, list[bytes]]] = []
    begin = at = _after_blank(payload)
    room, truncated = limits.header_bytes, False
    while at < len(payload):
        end = payload.find(b"\n", at)
        end = len(payload) if end < 0 else end + 1
        line = payload[at:end].rstrip(b"\r\n")
        if not line.strip():
            at = end
            break
        # Bytes by hand: the standard library takes 92 s for an address header of a megabyte.
        match = _FIELD.match(line)
        continuation = line[:1] in b" \t" and bool(fields)
        if (
            not match
            and not continuation
            and not _goes_on(payload, end)
            and not (at == begin and _ENVELOPE.match(line))
        ):
            break
        at = end
        # Cut and counted here, but walked to the end of the block, or the rest of it would be read as the body.
        kept = line[: max(0, room)]
        room -= len(line)
        truncated = truncated or len(kept) < len(line) or len(fields) >= limits.header_lines
        if continuation:
            fields[-1][1].append(kept)
        elif match and len(fields) < limits.header_lines:
            fields.append((match[1].decode("ascii"), [kept[match.end() :]]))
    return (
        tuple((name, decode_raw(b" ".join(map(bytes.strip, lines)))) for name, lines in fields),
        payload[at:],
        truncated,
    )


def decode_raw(data: bytes) -> str:
    """Decode bytes that declare nothing: UTF-8, even with some damage, else Windows-1252."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        text = data.decode(errors="replace")
        damaged = text.count("\ufffd")
        sound = sum(character > "\x7f" for character in text) - damaged
        return text if sound > 2 * damaged else data.decode("cp1252", "replace")


def decode_charset(data: bytes, charset: str) -> str:
    """Decode bytes by their declared charset, believing UTF-8 bytes over a wrong or unknown declaration."""
    name = charset.strip().strip("\"'").lower()
    codec = _text_codec(_ALIASES.get(name, name))
    if codec in _OFTEN_WRONG:
        # Western bytes are hardly ever UTF-8 by chance.
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("cp1252", "replace") if codec == "cp1252" else decode_raw(data)
    try:
        return data.decode(codec)
    except (UnicodeError, ValueError):
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(codec, "replace")


def decode_words(value: str) -> str:
    """Decode the encoded words of RFC 2047 in a field; a broken word stays as written."""
    if "=?" not in value:
        return repair_line(value)
    value = _BETWEEN_WORDS.sub("?==?", value)
    parts: list[str] = []
    at, pending, charset = 0, b"", ""
    for match in _ENCODED.finditer(value):
        data = _decode_word(match[2], match[3])
        if data is None:
            continue
        if match.start() > at or match[1].lower() != charset:
            parts.append(decode_charset(pending, charset))
            parts.append(value[at : match.start()])
            pending, charset = b"", match[1].lower()
        # Joined before they are decoded: programs cut words in the middle of a character.
        pending += data
        at = match.end()
    return repair_line("".join(parts) + decode_charset(pending, charset) + value[at:])


def read_addresses(value: str, limits: Limits, room: int) -> tuple[tuple[Address, ...], bool]:
    """Read an address list, at most `room` addresses; the flag tells that there were more. Linear in its length.

    Groups give their members; comments count as names where nothing else does.
    """
    addresses: list[Address] = []
    for raw in _split_addresses(value):
        if not raw or raw.isspace():
            continue
        if len(addresses) >= room:
            return tuple(addresses), True
        address = _read_address(raw, limits)
        if address.name or address.address:
            addresses.append(address)
    return tuple(addresses), False


def _after_blank(payload: bytes) -> int:
    """Find the line that the first character stands on; a regular expression would walk all of a large mail."""
    first = _CHARACTER.search(payload)
    return payload.rfind(b"\n", 0, first.start()) + 1 if first else len(payload)


def _goes_on(payload: bytes, at: int) -> bool:
    end = payload.find(b"\n", at)
    return bool(_FIELD.match(payload[at : end if end >= 0 else None][:200]))


def _decode_word(encoding: str, text: str) -> bytes | None:
    raw = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return quopri.decodestring(raw, header=True)
    try:
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))
    except binascii.Error:
        return None


def _text_codec(name: str) -> str:
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    # Some codecs are no charsets, and idna and punycode take quadratic time.
    is_text = getattr(codec, "_is_text_encoding", True) and codec.name not in _NO_CHARSETS
    return codec.name if is_text else ""


def _split_addresses(value: str) -> Iterator[str]:
    start = depth = 0
    quoted = angled = False
    for match in _ADDRESS_SIGN.finditer(value):
        sign = match[0]
        # One pass with a flag each for quotes, angles and comments: nested brackets cost no more than others.
        if sign == '"' and not depth:
            quoted = not quoted
        elif quoted or len(sign) > 1:
            continue
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth = max(0, depth - 1)
        elif depth:
            continue
        elif sign in "<>":
            angled = sign == "<"
        elif not angled:
            if sign != ":":
                yield value[start : match.start()]
            start = match.end()
    yield value[start:]


def _read_address(raw: str, limits: Limits) -> Address:
    raw = raw.strip()
    name, address = "", raw
    if match := _ANGLE.search(raw):
        name, address = raw[: match.start()], match[1]
    elif match := _COMMENT.search(raw):
        name, address = match[1], raw[: match.start()]
    name = decode_words(name.strip().strip('"').replace('\\"', '"').replace("\\\\", "\\"))
    address = _INNER_COMMENT.sub("", address)
    address = decode_words(address) if "=?" in address else repair_line(address)
    if "@" not in address and not name:
        name, address = address, ""
    return Address(cut(name.strip("\"' "), limits.name_characters), cut(address, limits.address_characters))


_CHARACTER = re.compile(rb"[^ \t\r\n]")
_OFTEN_WRONG = frozenset(["", "ascii", "utf-8", "cp1252", "iso8859-15"])
_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]*:")
_ENVELOPE = re.compile(rb">?From ")
_ENCODED = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,20})?\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"\?=\s{1,80}=\?")
_ADDRESS_SIGN = re.compile(r'\\.|["(),;:<>]')
_ANGLE = re.compile(r"<([^<>]*)>[^<>]*$")
_COMMENT = re.compile(r"\(([^()]*)\)\s*$")
_INNER_COMMENT = re.compile(r"\([^()]*\)")
_NO_CHARSETS = words(
    """
    idna punycode unicode_escape raw_unicode_escape undefined mbcs oem utf-7
    """
)
_ALIASES = {
    "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "ansi": "cp1252", "us-ascii": "ascii",
    "iso-8859-9": "cp1254", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "shift-jis": "cp932",
    "x-sjis": "cp932", "ks_c_5601-1987": "cp949", "euc-kr": "cp949", "iso-8859-8-i": "iso-8859-8", "big5": "big5hkscs",
    "iso-8859-11": "cp874", "tis-620": "cp874", "utf8": "utf-8", "unicode-1-1-utf-7": "", "x-mac-roman": "mac_roman",
    "windows-31j": "cp932", "x-gbk": "gb18030", "macintosh": "mac_roman", "iso-2022-jp": "iso2022_jp_ext",
}  # fmt: skip
