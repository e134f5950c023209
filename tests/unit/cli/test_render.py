"""What is printed: nothing that a terminal would obey, times in UTC, JSON that any reader takes."""

from __future__ import annotations

import errno
import io
import json
from contextlib import redirect_stderr
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from atom_backfill.cli.command import Invocation
from atom_backfill.cli.render import answer, duration, harmless, moment, note, pairs, shown, table, write_json
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
        (NOON, "2024-01-31T12:00:00Z"),
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
    with redirect_stderr(_Full()):
        note("completed: 4,000 of 4,000")


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


def test_pairs_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    pairs([("status", "running"), ("last error", None)])
    assert capsys.readouterr().out == "status      running\nlast error  –\n"
