"""Which lines of a rendering are new, and which are history, signature or boilerplate."""

from __future__ import annotations

import re

from atom_backfill.mail.digest import Segment, SegmentKind
from atom_backfill.mail.writer import Rendering

CUTTER = 1


def cut_quotes(rendering: Rendering, subject: str) -> tuple[Segment, ...]:
    """Tell segments apart, in order, covering the text without gaps."""
    text = rendering.text
    lines = text.splitlines(keepends=True) if "\x0b" not in text else text.split("\n")
    kinds: list[SegmentKind] = []
    tail = False
    for index, line in enumerate(lines):
        if not tail and (_HEADER_BLOCK.match("".join(lines[index : index + 6]))):
            tail = True
        if tail or line.lstrip().startswith(">"):
            kinds.append(SegmentKind.QUOTE)
        else:
            kinds.append(SegmentKind.NEW)
    return _segments(lines, kinds)


def _segments(lines: list[str], kinds: list[SegmentKind]) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    at = 0
    for line, kind in zip(lines, kinds, strict=True):
        end = at + len(line)
        if segments and segments[-1].kind is kind:
            segments[-1] = Segment(kind, segments[-1].start, end)
        else:
            segments.append(Segment(kind, at, end))
        at = end
    return tuple(segments)


_HEADER_BLOCK = re.compile(
    r"(?:From|Von|De):[^\n]*\n(?:Sent|Date|Gesendet|Datum|Envoyé)[ \t]*:[^\n]*\n(?:To|An|À|Cc)[ \t]*:"
)
