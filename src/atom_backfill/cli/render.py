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
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_NO_TERMINAL_WIDTH = 10_000


def answer(call: Invocation, document: Mapping[str, Any], show: Callable[[], None]) -> None:
    """Print a document as JSON, or let it be shown to people."""
    if call.json:
        write_json(document)
    else:
        show()


def write_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on a line of its own."""
    plain = (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"
    text = json.dumps(document, ensure_ascii=plain, default=_jsonable, allow_nan=False)
    line(text)
    flush()


def line(text: str = "") -> None:
    """Print a line of data. Raises NeedsOwnerError where it cannot be written."""
    with _writing():
        sys.stdout.write(text + "\n")


def headline(text: str) -> None:
    """Print a line that stands out on a terminal."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    line(text if plain else f"\x1b[1m{text}\x1b[0m")


def flush() -> None:
    """Have everything printed so far written. Raises NeedsOwnerError where it cannot be."""
    with _writing():
        sys.stdout.flush()


def note(text: str) -> None:
    """Print a line of progress or advice, on stderr; where nobody can read it the work goes on."""
    with suppress(OSError):
        sys.stderr.write(harmless(text) + "\n")
        sys.stderr.flush()


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()) -> None:
    """Print a table; columns in `right` are numbers. On a terminal long cells are cut, elsewhere nothing is."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    shape = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        shape.add_column(heading, justify="right" if number in right else "left", no_wrap=True)
    for row in rows:
        shape.add_row(*(Text(shown(cell)) for cell in row))
    width = get_terminal_size().columns if terminal else _NO_TERMINAL_WIDTH
    drawn = StringIO()
    Console(file=drawn, width=width, force_terminal=terminal, highlight=False).print(shape)
    for each in drawn.getvalue().splitlines():
        line(each.rstrip())


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
            return moment(value)
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


@contextmanager
def _writing() -> Iterator[None]:
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
