"""The progress of a job as it happens: a display in a terminal, a line now and then elsewhere, objects for scripts."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from atom_backfill.cli.render import duration, harmless, note, shown, write_json
from atom_backfill.errors import RetryLaterError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from atom_backfill.clock import Clock

LOOK_EVERY_S = 0.5
LINE_EVERY_S = 5.0
LONGEST_SILENCE_S = 60.0
_AT_WORK = ("pending", "running", "paused")
_DONE = "green"
"""Of sixteen colours, in which a terminal with few draws rich's own for what is finished like the empty track."""
_PASSING = ("rate_per_s", "eta_s", "last_heartbeat")
"""What changes by itself while nothing happens."""

Document = dict[str, Any]


class Screen(Protocol):
    """Where a job's progress goes."""

    def show(self, job: Document) -> None:
        """Take in the job as it is now."""
        ...


async def follow(read: Callable[[], Awaitable[Document]], screen: Screen, clock: Clock) -> Document:
    """Show a job until it has ended; returns it as it is then. `read` looks at the job.

    Raises RetryLaterError where the database has not answered for a minute.
    """
    seen_at = clock.monotonic()
    while True:
        try:
            now = await read()
        except RetryLaterError:
            # The job goes on in workers that outlast such a time themselves.
            if clock.monotonic() - seen_at > LONGEST_SILENCE_S:
                raise
        else:
            seen_at = clock.monotonic()
            screen.show(now)
            if has_ended(now):
                return now
        await clock.sleep(LOOK_EVERY_S)


def has_ended(job: Document) -> bool:
    """Tell whether nothing of a job is left to do: a completed one may be reading again what it could not read."""
    return job["status"] not in _AT_WORK and job["phase"] == "done"


@contextmanager
def display(*, as_json: bool, title: str) -> Iterator[Screen]:
    """Open the display that fits: JSON on stdout, a live one on a terminal's stderr, lines elsewhere."""
    if as_json:
        yield JsonLines()
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _live() as live:
            yield LiveScreen(live, title)
    else:
        yield Lines(note, time.monotonic)


@contextmanager
def counting(*, silent: bool, title: str, what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what shows progress, told how much is done and of how much: a bar on a terminal, lines elsewhere."""
    if silent:
        yield lambda done, total: None
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        bar_column = BarColumn(complete_style=_DONE, finished_style=_DONE)
        columns = (TextColumn("{task.description}"), bar_column, TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), redirect_stdout=False, redirect_stderr=False) as bar:
            task = bar.add_task(title)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        last = [-LINE_EVERY_S]

        def told(done: int, total: int) -> None:
            now = time.monotonic()
            if now - last[0] >= LINE_EVERY_S or done == total:
                last[0] = now
                note(f"{title}: {shown(done)} of {shown(total)} {what}")

        yield told


class JsonLines:
    """One object a line when the job has changed."""

    def __init__(self) -> None:
        self._before: Document | None = None

    def show(self, job: Document) -> None:
        """Print the job unless only its pace is another."""
        known = {**_settled(job), "ingest": _settled(job["ingest"]), "graph": _settled(job["graph"])}
        if known != self._before:
            self._before = known
            write_json(job)


class Reasons:
    """Why a job does not go on, each reason once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def new(self, job: Document) -> str:
        """Return the sentence about the error that a job's work waits after, "" where there is none not told before."""
        reason = shown(job["last_error"]) if job["ingest"]["held_up"] and job["last_error"] else ""
        if not reason or reason in self._told:
            return ""
        self._told.add(reason)
        return f"{reason} It is tried again by itself for about a quarter of an hour."


class Lines:
    """A line for each change, at most one every few seconds, and one at the end."""

    def __init__(self, write: Callable[[str], None], monotonic: Callable[[], float]) -> None:
        self._write = write
        self._monotonic = monotonic
        self._reasons = Reasons()
        self._before = ""
        self._at = -LINE_EVERY_S

    def show(self, job: Document) -> None:
        """Write the job's progress when it is another, and when the last line was not just now; a reason at once."""
        if reason := self._reasons.new(job):
            self._write(reason)
        text = summary(job)
        now = self._monotonic()
        due = now - self._at >= LINE_EVERY_S or has_ended(job)
        if due and text != self._before:
            self._before, self._at = text, now
            self._write(text)


class LiveScreen:
    """A display that stays in place."""

    def __init__(self, live: Live, title: str) -> None:
        self._live = live
        self._title = title
        self._reasons = Reasons()

    def show(self, job: Document) -> None:
        """Draw the job, and above it why it does not go on."""
        if reason := self._reasons.new(job):
            self._live.console.print(reason, markup=False)
        self._live.update(_drawn(job, self._title), refresh=True)


def summary(job: Document) -> str:
    """Tell a job's progress in one line."""
    ingest = job["ingest"]
    state = job["status"] if job["phase"] == "done" else f"{job['status']}, {job['phase']}"
    parts = [
        f"{state}: {shown(ingest['messages_done'])} of {shown(ingest['messages_total'])}",
        f"{ingest['percent']:g} %",
    ]
    graph = job["graph"]
    if graph["units_done"]:
        parts.append(f"graph: {shown(graph['units_done'])} of {shown(graph['units_total'])} units")
    return " · ".join([*parts, *_pace(job)])


def _pace(job: Document) -> list[str]:
    ingest = job["ingest"]
    parts = []
    if job["status"] == "running":
        parts.append(f"{ingest['rate_per_s']:,.0f} a second")
    if ingest["eta_s"] is not None:
        parts.append(f"{duration(ingest['eta_s'])} left")
    if ingest["limited_by"]:
        parts.append(f"limited by {ingest['limited_by'].replace('_', ' ')}")
    if ingest["held_up"]:
        parts.append("held up by an error")
    if ingest["throttled_s"]:
        parts.append(f"throttled {duration(ingest['throttled_s'])}")
    if job["failures"]:
        parts.append(f"{shown(job['failures'])} failure{'s' if job['failures'] > 1 else ''}")
    return parts


def _settled(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in _PASSING}


@contextmanager
def _live() -> Iterator[Live]:
    from rich.console import Console
    from rich.live import Live

    # No thread that draws by itself, as nothing changes between two looks; and stdout is for data alone.
    with Live(console=Console(stderr=True, highlight=False), auto_refresh=False, redirect_stdout=False) as live:
        yield live


def _bar(percent: float) -> RenderableType:
    from rich.progress_bar import ProgressBar

    return ProgressBar(100, percent, width=30, complete_style=_DONE, finished_style=_DONE)


def _drawn(job: Document, title: str) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    ingest, graph = job["ingest"], job["graph"]
    state = job["status"] if job["phase"] == "done" else f"{job['status']}, {job['phase']}"
    lanes = Table.grid(padding=(0, 2, 0, 0))
    done = f"{shown(ingest['messages_done'])} of {shown(ingest['messages_total'])}"
    lanes.add_row("ingest", _bar(ingest["percent"]), f"{ingest['percent']:g} %", done)
    if graph["units_total"]:
        units = f"{shown(graph['units_done'])} of {shown(graph['units_total'])}"
        spent = "" if not graph["calls"] else " · cost unknown" if graph["usd"] is None else f" · ${graph['usd']:.4f}"
        lanes.add_row("graph", _bar(graph["percent"]), f"{graph['percent']:g} %", f"{units}{spent}")
    else:
        lanes.add_row("graph", Text(graph["status"].replace("_", " "), style="dim"))
    head = Text.assemble((harmless(title), "bold"), f"  {state}")
    return Group(head, lanes, Text(" · ".join(_pace(job)), style="dim", overflow="ellipsis", no_wrap=True))
