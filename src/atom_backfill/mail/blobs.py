"""Stretches that no person reads: base64, uuencode, yEnc, PGP armour, embedded data."""

from __future__ import annotations

import re

from atom_backfill.mail.digest import SegmentKind
from atom_backfill.mail.lines import Line


def mark_blobs(text: str, lines: list[Line]) -> None:
    """Mark lines that hold encoded data. Lines that are quoted stay quoted."""
    if "-----BEGIN " in text:
        _mark_armour(lines)
    if "begin " in text:
        _mark_between(lines, _UU_BEGIN, _UU_END, 90)
    if "=ybegin" in text:
        _mark_between(lines, _YENC_BEGIN, _YENC_END, 10_000)
    _mark_runs(lines)


def _mark_armour(lines: list[Line]) -> None:
    """Mark PGP and PEM blocks; of a signed message only the frame, its text is a person's."""
    inside = frame = False
    for line in lines:
        bare = line.bare
        if bare.startswith("-----BEGIN ") and _ARMOUR_BEGIN.match(bare):
            inside, frame = True, "SIGNED MESSAGE" in bare
            _mark(line)
        elif inside:
            # Armour has no spaces: a line with some is a person's again, even where the END was cut off.
            ends = bare.startswith("-----END ") or (frame and not bare)
            if ends or not bare or " " not in bare or _ARMOUR_HEADER.match(bare):
                _mark(line)
                inside = not ends
            else:
                inside = False


def _mark_between(lines: list[Line], begin: re.Pattern[str], end: re.Pattern[str], widest: int) -> None:
    inside = False
    for line in lines:
        if not inside:
            inside = bool(begin.match(line.bare))
        # Encoders write short lines; a longer one means that the end was lost.
        elif end.match(line.bare) or len(line.bare) > widest:
            inside = False
            if len(line.bare) <= widest:
                _mark(line)
        if inside:
            _mark(line)


def _mark_runs(lines: list[Line]) -> None:
    """Mark runs of at least three lines of nothing but encoded letters, with the short line that ends them."""
    run: list[Line] = []
    for line in lines:
        bare = line.bare
        if len(bare) >= _ENCODED_LINE and " " not in bare and _is_encoded(bare):
            run.append(line)
            if len(bare) >= _ENCODED_ALONE:
                _mark(line)
            continue
        if run:
            # One or two such lines may be a token or a hash that somebody will look for.
            if len(run) >= 3:
                for member in run:
                    _mark(member)
                if bare and _ENCODED.fullmatch(bare):
                    _mark(line)
            run = []
    if len(run) >= 3:
        for member in run:
            _mark(member)


def _is_encoded(bare: str) -> bool:
    """Tell base64 from a long word, a path or an address: the whole alphabet is used, evenly enough."""
    if bare.startswith("data:"):
        return ";base64," in bare[:120]
    if not _ENCODED.fullmatch(bare):
        return False
    sample = bare[:200]
    upper = sum(map(str.isupper, sample))
    lower = sum(map(str.islower, sample))
    digits = sum(map(str.isdigit, sample))
    if upper + lower + digits < len(sample) * 0.8:
        return False
    # Encoded bytes mix capitals, small letters and digits; paths and names do not. One letter alone is padding.
    return (min(upper, lower) * 6 >= len(sample) and digits > 0) or len(set(sample)) <= 2


def _mark(line: Line) -> None:
    # What is quoted is not embedded anyway, and it must still be known as history.
    if not line.depth:
        line.kind = SegmentKind.BLOB


_ENCODED_LINE = 56
_ENCODED_ALONE = 400
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]+={0,3}")
_ARMOUR_BEGIN = re.compile(
    r"-----BEGIN (?:PGP (?:MESSAGE|SIGNATURE|SIGNED MESSAGE)|[A-Z ]{0,30}(?:KEY|KEY BLOCK|CERTIFICATE|PKCS7))"
)
_ARMOUR_HEADER = re.compile(r"(?:Version|Comment|Hash|Charset|MessageID):", re.IGNORECASE)
_UU_BEGIN = re.compile(r"begin(?:-base64)? [0-7]{3,4} \S")
_UU_END = re.compile(r"end$|====$")
_YENC_BEGIN = re.compile(r"=ybegin ")
_YENC_END = re.compile(r"=yend")
