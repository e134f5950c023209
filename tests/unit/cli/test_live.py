"""A job's progress as it happens: on a terminal, line by line, and as objects."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from rich.console import Console
from rich.live import Live

from atom_backfill.cli.command import Invocation
from atom_backfill.cli.jobs import ended
from atom_backfill.cli.live import JsonLines, Lines, LiveScreen, follow, summary
from atom_backfill.errors import RetryLaterError
from fakes.skipping_clock import SkippingClock

NOON = datetime(2024, 1, 31, 12, 0, tzinfo=UTC)
INGEST = ("messages_done", "messages_total", "percent", "rate_per_s", "eta_s", "limited_by", "held_up", "throttled_s")


def a_job(status: str = "running", phase: str = "reading", **about: Any) -> dict[str, Any]:
    ingest = {
        "status": status, "messages_done": 1200, "messages_total": 4000, "percent": 30.0, "rate_per_s": 210.4,
        "eta_s": 13, "limited_by": "embedding", "held_up": False, "throttled_s": 0.0, "chunks_done": 3,
        "chunks_total": 9,
    }  # fmt: skip
    ingest |= {name: about.pop(name) for name in INGEST if name in about}
    graph = {"status": "waiting_for_key", "units_done": 0, "units_total": 0, "percent": 0.0}
    return {
        "job_id": "1f0c", "status": status, "phase": phase, "ingest": ingest, "failures": 0,
        "graph": {**graph, **about.pop("graph", {})}, "last_heartbeat": NOON, "last_error": None, **about,
    }  # fmt: skip


def test_how_a_job_ended_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    why = "Microsoft refuses this app the mailbox: grant Mail.Read."
    assert [ended(Invocation(), job) for job in (a_job("failed", last_error=why), a_job("failed"))] == [1, 1]
    assert ended(Invocation(), a_job("cancelled")) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"The job has failed: {why}", "The job has failed.", "The job was cancelled.",
    ]  # fmt: skip


DONE = a_job(status="completed", phase="done", messages_done=4000, percent=100.0, eta_s=None, limited_by=None)


@pytest.mark.parametrize(
    ("job", "line"),
    [
        (a_job(), "running, reading: 1,200 of 4,000 · 30 % · 210 a second · 13 s left · limited by embedding"),
        (a_job(eta_s=None, limited_by=None), "running, reading: 1,200 of 4,000 · 30 % · 210 a second"),
        (
            a_job(limited_by="mailbox_throttle", throttled_s=75.0, failures=2),
            "running, reading: 1,200 of 4,000 · 30 % · 210 a second · 13 s left · limited by mailbox throttle"
            " · throttled 1 min 15 s · 2 failures",
        ),
        (
            a_job("pending", "planning", eta_s=None, limited_by="no_worker"),
            "pending, planning: 1,200 of 4,000 · 30 % · limited by no worker",
        ),
        (DONE, "completed: 4,000 of 4,000 · 100 %"),
    ],
)
def test_a_line_says_how_far_how_fast_and_what_sets_the_pace(job: dict[str, Any], line: str) -> None:
    assert summary(job) == line


def test_lines_come_at_most_every_few_seconds_and_once_at_the_end() -> None:
    written: list[str] = []
    times = iter([0.0, 1.0, 4.9, 5.0, 5.5])
    lines = Lines(written.append, lambda: next(times))
    for done in (100, 200, 300, 400):
        lines.show(a_job(messages_done=done))
    lines.show(DONE)
    assert [line.split()[2] for line in written[:2]] == ["100", "400"]
    assert written[2:] == ["completed: 4,000 of 4,000 · 100 %"]


def test_an_unchanged_job_writes_no_line() -> None:
    written: list[str] = []
    times: Iterator[float] = iter(range(0, 100, 10))
    lines = Lines(written.append, lambda: next(times))
    for _ in range(5):
        lines.show(a_job())
    assert len(written) == 1


UNFIT = "The memory folder cannot be written; check ATOM_MEMORY_URI and its permissions."


def test_why_a_job_does_not_go_on_is_written_at_once_and_once() -> None:
    written: list[str] = []
    times: Iterator[float] = iter([0.0, 0.5, 1.0, 1.5, 2.0])
    lines = Lines(written.append, lambda: next(times))
    lines.show(a_job(last_error="The database has been away."))
    for held_up in (True, False, True):
        lines.show(a_job(held_up=held_up, last_error=UNFIT))
    lines.show(a_job(held_up=True, last_error="The disk is full."))
    assert [line.partition(" It is tried again")[0] for line in written[1:]] == [UNFIT, "The disk is full."]


def test_the_display_shows_why_a_job_does_not_go_on() -> None:
    text = " ".join(drawn(a_job(held_up=True, last_error=UNFIT)).split())
    assert text.count(UNFIT) == 1
    assert "held up by an error" in text


def test_an_object_is_printed_when_more_than_the_pace_has_changed(capsys: pytest.CaptureFixture[str]) -> None:
    screen = JsonLines()
    screen.show(a_job())
    screen.show(a_job(rate_per_s=180.0, eta_s=20, last_heartbeat=NOON.replace(minute=1)))
    screen.show(a_job(messages_done=1300))
    screen.show(DONE)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["ingest"]["messages_done"] for each in printed] == [1200, 1300, 4000]
    assert printed[0]["last_heartbeat"] == "2024-01-31T12:00:00Z"


def drawn(job: dict[str, Any], title: str = "ines@lumen.example, job 1f0c") -> str:
    console = Console(file=io.StringIO(), width=100, record=True)
    with Live(console=console, auto_refresh=False) as live:
        LiveScreen(live, title).show(job)
    return console.export_text()


def test_the_display_shows_both_lanes_and_what_they_wait_for() -> None:
    text = drawn(a_job(limited_by="mailbox_throttle", throttled_s=12.0, failures=3))
    for part in (
        "ines@lumen.example, job 1f0c", "running, reading", "30 %", "1,200 of 4,000", "210 a second", "13 s left",
        "limited by mailbox throttle", "throttled 12 s", "3 failures", "graph", "waiting for key",
    ):  # fmt: skip
        assert part in text


@pytest.mark.parametrize("colours", ["standard", "256", "truecolor"])
def test_a_finished_bar_does_not_look_like_an_empty_one(colours: Literal["standard", "256", "truecolor"]) -> None:
    drawn_bars = []
    for percent in (0.0, 100.0):
        console = Console(file=io.StringIO(), width=100, color_system=colours, force_terminal=True)
        with Live(console=console, auto_refresh=False) as live:
            LiveScreen(live, "job").show(a_job(percent=percent))
        assert isinstance(console.file, io.StringIO)
        drawn_bars.append(set(re.findall(r"(\x1b\[[\d;]+m)━", console.file.getvalue())))
    assert drawn_bars[0].isdisjoint(drawn_bars[1])
    assert all(drawn_bars)


def test_the_display_shows_a_graph_lane_at_work() -> None:
    counted = {"units_done": 20, "units_total": 80, "percent": 25.0, "calls": 9, "usd": 0.0123}
    text = drawn(a_job(graph={"status": "running", **counted}))
    assert "25 %" in text
    assert "20 of 80" in text


def test_the_display_obeys_nothing_that_an_address_says() -> None:
    assert "\x1b" not in drawn(a_job(), title="\x1b[31m[bold]x[/bold]").replace("\x1b[1m", "")
    assert "[bold]x[/bold]" in drawn(a_job(), title="[bold]x[/bold]")


class _Readings:
    """A job that is read again and again; an error stands for a database that is away."""

    def __init__(self, *readings: dict[str, Any] | RetryLaterError) -> None:
        self._readings = list(readings)

    async def read(self) -> dict[str, Any]:
        reading = self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]
        if isinstance(reading, RetryLaterError):
            raise reading
        return reading


class _Kept:
    def __init__(self) -> None:
        self.shown: list[str] = []

    def show(self, job: dict[str, Any]) -> None:
        self.shown.append(job["status"])


AWAY = RetryLaterError("database_unavailable", "The database cannot be reached.")


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_following_ends_when_the_job_has_ended(status: str) -> None:
    screen = _Kept()
    last = await follow(_Readings(a_job(), a_job(), a_job(status, "done")).read, screen, SkippingClock())
    assert last["status"] == status
    assert screen.shown == ["running", "running", status]


async def test_following_outlasts_a_database_that_is_away_for_a_while() -> None:
    readings = _Readings(a_job(), *[AWAY] * 100, a_job(), DONE)
    assert (await follow(readings.read, _Kept(), SkippingClock()))["status"] == "completed"


async def test_following_gives_up_on_a_database_that_stays_away() -> None:
    with pytest.raises(RetryLaterError):
        await follow(_Readings(a_job(), AWAY).read, _Kept(), SkippingClock())


async def test_a_completed_job_is_followed_until_its_retry_is_over() -> None:
    looks = iter([a_job("completed", "retrying"), DONE])
    shown: list[dict[str, Any]] = []

    class Kept:
        def show(self, job: dict[str, Any]) -> None:
            shown.append(job)

    async def read() -> dict[str, Any]:
        return next(looks)

    assert await follow(read, Kept(), SkippingClock()) == DONE
    assert [job["phase"] for job in shown] == ["retrying", "done"]
