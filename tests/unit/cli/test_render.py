"""What is printed: nothing that a terminal would obey, times in UTC, JSON that any reader takes."""

from __future__ import annotations

import errno
import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stderr
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from atom_backfill.cli.command import Invocation
from atom_backfill.cli.render import (
    answer,
    duration,
    handle,
    harmless,
    headline,
    moment,
    note,
    pairs,
    shown,
    table,
    write_json,
)
from atom_backfill.jobs.job import JobStatus

NOON = datetime(2024, 1, 31, 12, 0, tzinfo=UTC)


def test_times_are_iso_8601_in_utc_with_z() -> None:
    assert moment(NOON) == "2024-01-31T12:00:00Z"
    assert moment(NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2024-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (7500, "2 h 5 min")],
)
def test_a_duration_is_told_in_two_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (12345, "12,345"),
        (NOON.replace(microsecond=123456), "2024-01-31T12:00:00Z"),
        (["Inbox", "Projects/Atlas"], "Inbox, Projects/Atlas"),
        ("two\nlines\tand tabs", "two lines and tabs"),
        ("\x1b]0;title\x07\x1b[31mred\x9b31m", "]0;title[31mred31m"),
        ("abc\u202edef\u200b", "abcdef"),
    ],
)
def test_a_value_is_one_harmless_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_text_keeps_its_lines() -> None:
    assert harmless("a\r\n\tb\x1b[2J\u2028c") == "a\n\tb[2Jc"


class _Full(io.StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_work_goes_on_where_nobody_can_read_its_progress() -> None:
    full = _Full()
    with redirect_stderr(full):
        note("completed: 4,000 of 4,000")
    assert full.getvalue() == "completed: 4,000 of 4,000\n", "it was tried"


def test_json_is_one_line_with_every_kind_of_value(capsys: pytest.CaptureFixture[str]) -> None:
    some_id = UUID(int=1)
    write_json({
        "when": NOON, "id": some_id, "path": Path("/x"), "usd": Decimal("2.50"), "status": JobStatus.RUNNING,
        "t": (1, 2), "text": "Größe 寸 \x1b",
    })  # fmt: skip
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "when": "2024-01-31T12:00:00Z", "id": str(some_id), "path": "/x", "usd": 2.5, "status": "running", "t": [1, 2],
        "text": "Größe 寸 \x1b",
    }  # fmt: skip
    assert "寸" in out
    assert "\x1b" not in out


def test_json_refuses_what_has_no_form() -> None:
    with pytest.raises(TypeError, match="object"):
        write_json({"what": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"what": float("nan")})


def test_people_and_scripts_are_answered_each_in_their_way(capsys: pytest.CaptureFixture[str]) -> None:
    answer(Invocation(), {"a": 1}, lambda: print("for people"))
    answer(Invocation(json=True), {"a": 1}, lambda: print("for people"))
    assert capsys.readouterr().out == 'for people\n{"a": 1}\n'


def test_a_table_cuts_nothing_when_it_is_not_read_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table(["NAME", "COUNT"], [["x" * 300, 5], ["[bold]y[/bold]", 12345]], right=[1])
    assert capsys.readouterr().out.splitlines() == [
        f"{'NAME':<300}  {'COUNT':>6}",
        f"{'x' * 300}  {'5':>6}",
        f"{'[bold]y[/bold]':<300}  {'12,345':>6}",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], _Terminal]:
    """A terminal of some width, as stdout."""

    def of_width(columns: int) -> _Terminal:
        screen = _Terminal()
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setattr("sys.stdout", screen)
        return screen

    return of_width


def shown_on(screen: _Terminal) -> list[str]:
    return re.sub(r"\x1b\[\d*m", "", screen.getvalue()).splitlines()


FAILURE = ["318858ad", "parse", 3, "The file holds no message: it has neither a header nor a body that could be read."]


@pytest.mark.parametrize("columns", [20, 45, 60, 80, 110, 200])
def test_a_table_cuts_nothing_on_any_terminal(terminal: Callable[[int], _Terminal], columns: int) -> None:
    screen = terminal(columns)
    table(["FAILURE", "STAGE", "ATTEMPTS", "WHY"], [FAILURE, FAILURE], right=[2])
    lines = shown_on(screen)
    assert all(str(cell) in " ".join(" ".join(lines).split()) for cell in FAILURE[:3])
    assert "".join(lines).replace(" ", "").count("couldberead.") == 2
    assert "…" not in screen.getvalue()
    if columns >= 45:
        assert max(map(len, lines)) <= columns
        assert lines[0].split() == ["FAILURE", "STAGE", "ATTEMPTS", "WHY"]
    else:
        assert lines[:2] == ["failure   318858ad", "stage     parse"]


def test_wide_letters_take_two_columns(terminal: Callable[[int], _Terminal]) -> None:
    screen = terminal(20)
    table(["A", "B"], [["寸寸寸", 1], ["x", 22]], right=[1])
    assert shown_on(screen) == ["A        B", "寸寸寸   1", "x       22"]


def test_an_id_is_short_for_people_and_whole_for_programs(
    terminal: Callable[[int], _Terminal], capsys: pytest.CaptureFixture[str]
) -> None:
    identity = UUID("2959d47a-5e8a-4b4f-812f-c4b1e37d570a")
    assert handle(identity) == str(identity)
    terminal(80)
    assert handle(identity) == "2959d47a"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_style_gets_none(
    terminal: Callable[[int], _Terminal], monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    screen = terminal(80)
    headline("In bold")
    table(["NAME"], [["x"]])
    assert screen.getvalue().count("\x1b[1m") == 2
    screen = terminal(80)
    monkeypatch.setenv(variable, value)
    headline("Plain")
    table(["NAME"], [["x"]])
    assert screen.getvalue() == "Plain\nNAME\nx\n"


def test_pairs_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    pairs([("status", "running"), ("last error", None)])
    assert capsys.readouterr().out == "status      running\nlast error  –\n"
