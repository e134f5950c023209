"""Mails drawn with a letter before each line that says what the line is, for tests of cleaning.

n new, q quote, a attribution, s signature, d disclaimer, f footer, b blob; a dot stands before an empty line.
"""

from __future__ import annotations

from textwrap import dedent

from atom_backfill.mail.digest import Digest, SegmentKind

KINDS = {
    "n": SegmentKind.NEW,
    "q": SegmentKind.QUOTE,
    "a": SegmentKind.ATTRIBUTION,
    "s": SegmentKind.SIGNATURE,
    "d": SegmentKind.DISCLAIMER,
    "f": SegmentKind.FOOTER,
    "b": SegmentKind.BLOB,
}
LETTERS = {kind: letter for letter, kind in KINDS.items()}


def text_of(drawing: str) -> str:
    """Take the letters off."""
    return "".join(f"{line[2:]}\n" for line in _lines(drawing))


def drawn(drawing: str) -> str:
    """Normalise a drawing, to compare with `redrawn`."""
    return "\n".join(line.rstrip() for line in _lines(drawing))


def redrawn(digest: Digest) -> str:
    """Draw what a digest says of its text."""
    lines = []
    at = 0
    for line in digest.text.splitlines():
        kind = next(segment.kind for segment in digest.segments if segment.start <= at < segment.end)
        lines.append(f"{LETTERS[kind]} {line}".rstrip() if line.strip() else ".")
        at += len(line) + 1
    return "\n".join(lines)


def _lines(drawing: str) -> list[str]:
    return dedent(drawing).strip("\n").splitlines()
