"""Which lines of a rendering are new, and which are history, signature, boilerplate or data."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from atom_backfill.mail.blobs import mark_blobs
from atom_backfill.mail.boilerplate import mark_boilerplate, mark_warning
from atom_backfill.mail.digest import Segment, SegmentKind
from atom_backfill.mail.history import mark_history
from atom_backfill.mail.lines import Line, new_runs, next_filled, split_lines
from atom_backfill.mail.message import Address
from atom_backfill.mail.signatures import author_names, mark_signature
from atom_backfill.mail.writer import MarkKind, Rendering

CUTTER = 2
"""Raised whenever the same rendering would be cut differently."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a mail besides its text: who wrote it, and whether it answers or passes on another."""

    author: Address | None = None
    reply: bool = False
    forward: bool = False


def cut_quotes(rendering: Rendering, about: Circumstances) -> tuple[Segment, ...]:
    """Tell segments apart, in order, covering the text without gaps. Never leaves nothing new of a mail's own words."""
    lines = split_lines(rendering.text)
    # Data first: its lines look like anything. Ends last: a signature is sought above history, which must be known.
    mark_blobs(rendering.text, lines)
    # Where nothing is answered, a mail put below is passed on, whatever the subject says.
    mark_history(lines, forward=about.forward or not about.reply)
    _mark_by_structure(lines, rendering)
    _mark_ends(lines, author_names(about.author))
    _rescue(lines, reply=about.reply)
    return _segments(lines)


def _mark_by_structure(lines: list[Line], rendering: Rendering) -> None:
    """Believe what the mail program's own HTML says, where the words did not say it already."""
    for mark in rendering.marks:
        kind = _STRUCTURE[mark.kind]
        # Some people write their whole mail inside the signature's element.
        if mark.kind is MarkKind.SIGNATURE and mark.end - mark.start > _LONGEST_SIGNATURE:
            continue
        first = bisect_left(lines, mark.start, key=_start)
        for line in lines[first : bisect_left(lines, mark.end, key=_start)]:
            if line.kind is SegmentKind.NEW and line.end <= mark.end + 1:
                line.kind = kind


def _start(line: Line) -> int:
    return line.start


def _mark_ends(lines: list[Line], names: frozenset[str]) -> None:
    """Look at the end of each run of new lines for footers, disclaimers and signatures."""
    runs = new_runs(lines)
    if not runs:
        return
    mark_warning(lines, runs[0])
    for number, run in enumerate(runs):
        left = mark_boilerplate(lines, run)
        ends = number == len(runs) - 1 or _closes(lines, run.last)
        mark_signature(lines, left, names, last=ends)


def _closes(lines: list[Line], at: int) -> bool:
    """Tell whether the author's words end at a line: unmarked history, or a mail passed on, follows."""
    if any(line.kind is SegmentKind.QUOTE and not line.depth and line.bare for line in lines[at + 1 : at + 12]):
        return True
    below = next_filled(lines, at + 1)
    introduced = below < len(lines) and lines[below].kind is SegmentKind.ATTRIBUTION
    while below < len(lines) and (lines[below].kind is SegmentKind.ATTRIBUTION or not lines[below].bare):
        below += 1
    return introduced and below < len(lines) and lines[below].kind is SegmentKind.NEW


def _rescue(lines: list[Line], *, reply: bool) -> None:
    """Give words back where nothing new would be left.

    First a signature, then what no mark shows to be quoted (an answer written under it, say), then everything, but
    never in an answer what carries quote marks.
    """
    if any(line.kind is SegmentKind.NEW and _has_words(line) for line in lines):
        return
    for wanted in (_is_signature, _is_unmarked, _is_outermost(lines)):
        if wanted is not _is_unmarked and reply and wanted is not _is_signature:
            return
        back = [line for line in lines if wanted(line)]
        if any(map(_has_words, back)):
            for line in back:
                line.kind = SegmentKind.NEW
            return


def _is_signature(line: Line) -> bool:
    return line.kind is SegmentKind.SIGNATURE


def _is_unmarked(line: Line) -> bool:
    return line.kind is SegmentKind.QUOTE and not line.depth


def _is_outermost(lines: list[Line]) -> Callable[[Line], bool]:
    depth = min((line.depth for line in lines if line.kind in _BORROWED and _has_words(line)), default=0)
    return lambda line: line.kind in _BORROWED and (line.depth == depth or not line.bare)


def _has_words(line: Line) -> bool:
    return any(map(str.isalnum, line.bare))


def _segments(lines: list[Line]) -> tuple[Segment, ...]:
    """Join lines of one kind; an empty line is of the kind of the line before it."""
    if not lines:
        return ()
    segments: list[Segment] = []
    kind = next((line.kind for line in lines if line.bare or line.depth), SegmentKind.NEW)
    start = lines[0].start
    for line in lines:
        if line.kind is not kind and (line.bare or line.depth):
            if line.start > start:
                segments.append(Segment(kind, start, line.start))
            kind, start = line.kind, line.start
    segments.append(Segment(kind, start, lines[-1].end))
    return tuple(segments)


_LONGEST_SIGNATURE = 1_500
_BORROWED = frozenset([SegmentKind.QUOTE, SegmentKind.FOOTER, SegmentKind.DISCLAIMER])
_STRUCTURE = {
    MarkKind.ATTRIBUTION: SegmentKind.ATTRIBUTION,
    MarkKind.QUOTE: SegmentKind.QUOTE,
    MarkKind.SIGNATURE: SegmentKind.SIGNATURE,
}
