"""What is printed: JSON for scripts, tables and lines for people; nothing that a terminal would obey."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from io import StringIO
from pathlib import Path
from shutil import get_terminal_size
from typing import Any
from uuid import UUID

from atom_backfill.cli.command import Invocation
from atom_backfill.errors import NeedsOwnerError

NOTHING = "–"
# Control, format (invisible, or reversing what follows), surrogate, private, unassigned; separators of lines.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_NO_TERMINAL_WIDTH = 10_000
_GAP = 2
_NARROWEST = 12
"""Characters to which a column may be folded; below that no word fits."""
_HANDLE = 8
"""Of 32 digits: a tenant would need thousands of jobs for two that begin alike, and then it is told."""


def answer(call: Invocation, document: Mapping[str, Any], show: Callable[[], None]) -> None:
    """Print a document as JSON, or let it be shown to people."""
    if call.json:
        write_json(document)
    else:
        show()


def write_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on a line of its own."""
    plain = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "") != "utf8"
    # Letters that stdout's encoding lacks have to be escaped as JSON does it, or the line would be no JSON.
    text = json.dumps(document, ensure_ascii=plain, default=_jsonable, allow_nan=False)
    line(text)
    flush()


def line(text: str = "") -> None:
    """Print a line of data. Raises NeedsOwnerError where it cannot be written."""
    with _writing():
        sys.stdout.write(text + "\n")


def headline(text: str) -> None:
    """Print a line that stands out on a terminal."""
    line(f"\x1b[1m{text}\x1b[0m" if _styled() else text)


def flush() -> None:
    """Have everything printed so far written. Raises NeedsOwnerError where it cannot be."""
    if sys.stdout:
        with _writing():
            sys.stdout.flush()


def note(text: str) -> None:
    """Print a line of progress or advice, on stderr; where nobody can read it the work goes on."""
    with suppress(OSError):
        sys.stderr.write(harmless(text) + "\n")
        sys.stderr.flush()


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()) -> None:
    """Print a table; columns in `right` are numbers. Nothing is ever cut.

    Where a terminal is too narrow, the widest column is folded; where that is not enough, each row is written as names
    and values.
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = _fitting(headings, cells)
    if widths:
        _draw(headings, cells, widths, right)
        return
    for number, row in enumerate(cells):
        if number:
            line()
        pairs(zip(map(str.lower, headings), row, strict=True))


def handle(identity: object) -> str:
    """Write an id so that it can be typed: its beginning on a terminal, which commands take; whole for programs."""
    return str(identity)[:_HANDLE] if _on_terminal() else str(identity)


def pairs(rows: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line, aligned."""
    listed = [(name, shown(value)) for name, value in rows]
    width = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        line(f"{name:<{width}}  {value}")


def shown(value: object) -> str:
    """Write a value for people: one line, nothing that a terminal would obey."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case datetime():
            return moment(value.replace(microsecond=0))
        case list() | tuple():
            return ", ".join(map(shown, value))
        case _:
            return harmless(" ".join(str(value).split()))


def harmless(text: str) -> str:
    """Drop what a terminal would obey or hide; line ends and tabs stay."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _UNSEEN)


def moment(when: datetime) -> str:
    """Write a moment as ISO 8601 in UTC with Z."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def duration(seconds: float | None) -> str:
    """Write a stretch of time for people: 8 s, 3 min, 2 h 5 min."""
    if seconds is None:
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def _on_terminal() -> bool:
    return bool(sys.stdout) and sys.stdout.isatty()


def _styled() -> bool:
    """Tell whether what is printed may be styled: on a terminal that can, unless its owner has said no."""
    return _on_terminal() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def _fitting(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """Return the widths of columns at which a table fits the terminal; nothing where it does not."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(headings, *cells, strict=True)]
    widest = widths.index(max(widths))
    others = sum(widths) - widths[widest] + _GAP * (len(widths) - 1)
    there = get_terminal_size().columns if _on_terminal() else _NO_TERMINAL_WIDTH
    widths[widest], wanted = min(widths[widest], there - others), widths[widest]
    return widths if widths[widest] >= min(wanted, _NARROWEST) else []


def _draw(headings: Sequence[str], cells: Iterable[Sequence[str]], widths: Sequence[int], right: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shape = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for number, (heading, width) in enumerate(zip(headings, widths, strict=True)):
        shape.add_column(heading, justify="right" if number in right else "left", width=width, overflow="fold")
    for row in cells:
        shape.add_row(*map(Text, row))
    drawn = StringIO()
    # Drawn first and printed by `line`: Rich itself ends the process when a pipe is closed.
    Console(file=drawn, width=_NO_TERMINAL_WIDTH, force_terminal=_styled(), highlight=False).print(shape)
    for each in drawn.getvalue().splitlines():
        line(each.rstrip())


@contextmanager
def _writing() -> Iterator[None]:
    if not sys.stdout:
        raise NeedsOwnerError("stdout_unwritable", "The answer could not be written: stdout is closed.")
    try:
        yield
    except OSError as error:
        # What is left in the buffer must not be tried again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise NeedsOwnerError("stdout_unwritable", f"The answer could not be written: {error.strerror}.") from error


def _jsonable(value: object) -> object:
    match value:
        case datetime():
            return moment(value)
        case UUID() | Path():
            return str(value)
        case Decimal():
            return float(value)
        case Enum():
            return value.value
        case set() | frozenset() | tuple():
            return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
