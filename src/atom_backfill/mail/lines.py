"""The lines of a rendering, each with its place and its depth of quoting."""

from __future__ import annotations

import re
from dataclasses import dataclass

from atom_backfill.mail.digest import SegmentKind


@dataclass(slots=True)
class Line:
    """A line [start, end), its line end included; `bare` is its text without quote marks and outer white space.

    `depth` counts quote marks, `indent` the spaces before anything; `kind` is what it has been found to be so far.
    """

    start: int
    end: int
    bare: str
    depth: int
    indent: int
    kind: SegmentKind = SegmentKind.NEW


@dataclass(frozen=True, slots=True)
class Run:
    """Lines [first, last] in a row, by index; empty where last < first."""

    first: int
    last: int


def split_lines(text: str) -> list[Line]:
    """Split a rendering at its newlines; the lines cover it without gaps."""
    lines: list[Line] = []
    at = 0
    for raw in text.split("\n"):
        end = at + len(raw) + 1
        bare = raw.strip()
        indent = raw.find(bare[0]) if bare else 0
        depth = 0
        if bare[:1] == ">" and (marks := _MARKS.match(bare)):
            depth = marks[0].count(">")
            bare = bare[marks.end() :].strip()
        lines.append(Line(at, end, bare, depth, indent))
        at = end
    # The last line has no line end of its own.
    lines[-1].end -= 1
    if lines[-1].start == lines[-1].end:
        lines.pop()
    return lines


def next_filled(lines: list[Line], at: int) -> int:
    """Find the first line from `at` that is not blank; len(lines) where there is none."""
    while at < len(lines) and not lines[at].bare:
        at += 1
    return at


def new_runs(lines: list[Line]) -> list[Run]:
    """Find the runs of lines that are new so far, blank ones included; runs without a word are left out."""
    runs: list[Run] = []
    first, filled = -1, False
    for index, line in enumerate(lines):
        if line.kind is SegmentKind.NEW:
            if first < 0:
                first, filled = index, False
            filled = filled or bool(line.bare)
        elif first >= 0:
            if filled:
                runs.append(Run(first, index - 1))
            first = -1
    if first >= 0 and filled:
        runs.append(Run(first, len(lines) - 1))
    return runs


_MARKS = re.compile(r">(?:[ \t]?[>|])*")
