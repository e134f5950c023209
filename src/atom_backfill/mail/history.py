"""Where the mails stand that this one answers or passes on, and which lines are theirs.

What an answer quotes is history. What a forward passes on counts as new, because it is new to whoever received it: its
own header blocks do not, nor does what was already quoted in it by marks.
"""

from __future__ import annotations

import re

from atom_backfill.mail.attributions import attribution_at
from atom_backfill.mail.digest import SegmentKind
from atom_backfill.mail.header_blocks import HeaderBlocks
from atom_backfill.mail.lines import Line, Run, next_filled


def mark_history(lines: list[Line], *, forward: bool) -> None:
    """Mark quoted lines and what introduces them; `forward`: the subject says that another mail is passed on."""
    for line in lines:
        if line.depth:
            line.kind = SegmentKind.QUOTE
    _mark_wrapped(lines)
    blocks = HeaderBlocks(lines)
    at = introductions = 0
    tail = passed_on = False
    while at < len(lines):
        found = _introduction(lines, blocks, at) if introductions < _MOST_INTRODUCTIONS else None
        if found is None:
            if tail and not lines[at].depth:
                lines[at].kind = SegmentKind.QUOTE
            at += 1
            continue
        run, passes_on = found
        introductions += 1
        for line in lines[run.first : run.last + 1]:
            line.kind = SegmentKind.ATTRIBUTION
        at = run.last + 1
        passed_on = passed_on or (not tail and (passes_on is True or (passes_on is False and forward)))
        # Nothing shows where an old mail without marks ends, so that it is taken to go on to the end.
        tail = tail or not (passed_on or _is_marked(lines, at))


def _introduction(lines: list[Line], blocks: HeaderBlocks, at: int) -> tuple[Run, bool | None] | None:
    """Recognise what introduces another mail at this line; the flag: True for a forward, None for an attribution."""
    line = lines[at]
    if line.depth or not line.bare or line.kind is SegmentKind.BLOB:
        return None
    if block := blocks.at(at):
        return Run(block.first, block.last), block.forward
    if (attribution := attribution_at(lines, at)) and (attribution.strong or _is_marked(lines, at + 1)):
        return Run(attribution.first, attribution.last), None
    return None


def _is_marked(lines: list[Line], at: int) -> bool:
    """Tell whether the next words carry quote marks; marks of another kind than `>` are recognised on the way."""
    after = next_filled(lines, at)
    if after < len(lines) and _LEFT_OUT.fullmatch(lines[after].bare):
        after = next_filled(lines, after + 1)
    if after >= len(lines):
        return False
    if lines[after].depth:
        return True
    if _mark_indented(lines, after, beyond=lines[at - 1].indent):
        return True
    match = _FOREIGN_MARK.match(lines[after].bare)
    if not match:
        return False
    mark = match[0].rstrip()
    reach = min(len(lines), after + _LONGEST_QUOTATION)
    marked = [line for line in lines[after:reach] if line.bare.startswith(mark) and not line.depth]
    # One line that begins with such a sign is an item of a list, or a heading.
    if len(marked) < 2:
        return False
    for line in marked:
        line.depth, line.kind = 1, SegmentKind.QUOTE
    return True


def _mark_indented(lines: list[Line], at: int, *, beyond: int) -> bool:
    """Mark a quotation that is set off by its indentation alone; after it words at the margin must follow."""
    end = at
    reach = min(len(lines), at + _LONGEST_QUOTATION)
    while end < reach and (not lines[end].bare or lines[end].indent >= beyond + 2) and not lines[end].depth:
        end += 1
    # Indented to the very end it may be the author's own: a listing, an address.
    if end in (at, reach) or lines[end].depth:
        return False
    for line in lines[at:end]:
        line.kind = SegmentKind.QUOTE
    return True


def _mark_wrapped(lines: list[Line]) -> None:
    """Mark the ends of long quoted lines that a mail program broke and left without a mark."""
    at = 1
    while at < len(lines):
        above = lines[at - 1]
        line = lines[at]
        if above.depth and not line.depth and line.bare and _breaks(above, line):
            end = at
            while end < len(lines) and end - at < 4 and lines[end].bare and not lines[end].depth:
                end += 1
            # Only between marked lines: below the last of them it may as well be an answer.
            if end < len(lines) and lines[end].depth:
                for wrapped in lines[at:end]:
                    wrapped.kind, wrapped.depth = SegmentKind.QUOTE, above.depth
            at = end
        at += 1


def _breaks(above: Line, line: Line) -> bool:
    """Tell a broken line from an answer: the line above is long and ends inside a sentence, which goes on here."""
    if len(above.bare) + above.depth < 50 or above.bare[-1] in ".!?:":
        return False
    return line.bare[0].islower() or len(line.bare) < 16


_MOST_INTRODUCTIONS = 1_000
_LONGEST_QUOTATION = 1_000
_LEFT_OUT = re.compile(r"[\[(<]?\s?(?:\.{2,}|…|snip\w*|cut)\s?[\])>]?", re.IGNORECASE)
_FOREIGN_MARK = re.compile(r"(?:\||\]|\}|--\]|%|:|#|[A-Z][A-Za-z]{0,3}[>|\]])(?:\s|(?=\w))")
