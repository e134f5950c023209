"""Walks a window newest first and never trusts a link: lost, looping or foreign links cost one page, not the window.

The position is the second of the oldest item reached. Where a link cannot be followed, the walk asks again from that
second, itself included, since more of it may be left; where that brings nothing but that second, it reads that one
second alone; where that gets no further, it goes on below it. Each step gets further or is the last of its kind, so a
walk ends. An end is asked about once more while the census expects more, and believed when it stays where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Protocol

from atom_backfill.errors import RetryLaterError
from atom_backfill.mail.message import SourceId
from atom_backfill.sources.ports import Link, Window

DEEPEST_SKIP = 5000
"""Links page by skipping from the window's start, which the service does slowly when deep; then the walk asks anew."""
MOST_IDLE_PAGES = 50
"""Pages in a row that list nothing new; a link that leads on for longer leads nowhere."""

_SECOND = timedelta(seconds=1)


class Listed(Protocol):
    """What a page lists, as far as a walk cares."""

    @property
    def source_id(self) -> SourceId:
        """Name the item."""
        ...

    @property
    def received_at(self) -> datetime | None:
        """Date it."""
        ...


class _Scope(Enum):
    DOWN = auto()
    """From the second reached, itself included, down to the window's start."""
    SECOND = auto()
    """The second reached, alone."""
    BELOW = auto()
    """What is older than the second reached."""


@dataclass(slots=True)
class _Run:
    """One request and the links that follow from it. `here`: ids listed at the second reached; `newest`: first date."""

    scope: _Scope
    within: Window
    link: Link | None = None
    newest: datetime | None = None
    here: set[SourceId] = field(default_factory=set)
    listed: int = 0
    idle_pages: int = 0


class Walk:
    """Where a walk through one window stands. Ask `request`, fetch it, then tell `learn`; `over` when there is no more.

    `expected`: how many items the census still expects, None where it cannot tell. `thorough`: where a second cannot be
    read to its end, the walk raises instead of going on below it. `trusting`: an empty page that claims more is an end,
    since this is not the first walk to meet it, and a thorough one follows. Not `dated`: the walk is for items without
    a date, which no position can name: it follows links however deep, and begins anew when it is taken up again.
    """

    def __init__(
        self,
        window: Window,
        position: dict[str, Any],
        expected: int | None,
        *,
        thorough: bool = False,
        trusting: bool = False,
        dated: bool = True,
    ) -> None:
        at = position.get("at")
        self._window = window
        self._expected = expected
        self._thorough = thorough
        self._trusting = trusting
        self._dated = dated
        self._at = datetime.fromisoformat(at) if at else None
        self._found = 0
        self._furthest = 0
        self._asked_again_at: tuple[object, ...] = ()
        self._nothing_at: tuple[object, ...] = ()
        self._run = _Run(_Scope.DOWN, self._window_of(_Scope.DOWN))
        self.over = False

    @property
    def position(self) -> dict[str, Any]:
        """What to store so that a later claim goes on from here."""
        return {} if self._at is None else {"at": self._at.isoformat()}

    @property
    def request(self) -> tuple[Window, Link | None]:
        """The next page to ask for."""
        return self._run.within, self._run.link

    def learn(self, listed: Sequence[Listed], found: int, link: Link | None, *, broken: bool) -> None:
        """Take in a page: what it lists, newest first; how much of that the census had expected; its link.

        Raises RetryLaterError `walk_stuck` where no link leads on from a page without items though the census expects
        more, and, if `thorough`, from a second that was not read to its end.
        """
        run = self._run
        further = self._descend(run, listed) if self._dated else self._note(run, listed)
        run.idle_pages = 0 if further else run.idle_pages + 1
        run.listed += len(listed)
        self._found += found
        if broken or (link is not None and self._exhausted(run)):
            self._cut_off(run)
        elif link is None:
            self._at_an_end(run)
        else:
            run.link = link

    def _descend(self, run: _Run, listed: Sequence[Listed]) -> bool:
        """Go down to the oldest date listed; tell whether the page lists anything that this run had not listed."""
        before, known = self._at, len(run.here)
        for item in listed:
            second = item.received_at and item.received_at.replace(microsecond=0)
            # A date outside what was asked for would lead the walk astray.
            if second is None or not _holds(run.within, second):
                continue
            run.newest = run.newest or second
            if self._at is None or second < self._at:
                self._at, self._furthest, run.here = second, 0, set()
            if second == self._at:
                run.here.add(item.source_id)
        return self._at != before or len(run.here) > known

    def _note(self, run: _Run, listed: Sequence[Listed]) -> bool:
        """Tell whether the page lists anything that the one before did not."""
        page = {item.source_id for item in listed}
        further = not page <= run.here
        run.here = page
        return further

    def _exhausted(self, run: _Run) -> bool:
        """Tell whether a link has been followed far enough."""
        deep = self._dated and run.scope is not _Scope.SECOND and run.listed >= DEEPEST_SKIP
        return deep or run.idle_pages >= MOST_IDLE_PAGES

    def _at_an_end(self, run: _Run) -> None:
        """The source says that there is no more."""
        here = (run.scope, self._at, len(run.here))
        short = self._expected is None or self._found < self._expected
        if short and self._asked_again_at != here:
            self._asked_again_at = here
            self._ask(run.scope)
        elif run.scope is _Scope.SECOND:
            self._ask(_Scope.BELOW)
        else:
            self.over = True

    def _cut_off(self, run: _Run) -> None:
        """There is more, and no link that leads to it."""
        if self._at is None or (run.scope is _Scope.BELOW and run.newest is None):
            self._at_nothing(run)
            return
        further = len(run.here) > self._furthest
        self._furthest = max(self._furthest, len(run.here))
        if run.newest is not None and run.newest > self._at and len(run.here) < DEEPEST_SKIP // 2:
            self._ask(_Scope.DOWN)
        elif run.scope is not _Scope.SECOND or further:
            self._ask(_Scope.SECOND)
        elif self._thorough:
            raise RetryLaterError("walk_stuck", "The mailbox holds more in one second than it lets anybody read.")
        else:
            self._ask(_Scope.BELOW)

    def _at_nothing(self, run: _Run) -> None:
        """The source lists nothing and says that there is more: it is asked again, and believed to list nothing where
        the census expects no more either, where it had said before that there is no more, or where others have been
        stuck here.
        """
        here = (run.scope, self._at, len(run.here))
        expects_no_more = self._trusting or (self._expected is not None and self._found >= self._expected)
        if self._nothing_at != here:
            self._nothing_at = here
            self._ask(run.scope)
        elif run.listed == 0 and (expects_no_more or self._asked_again_at == here):
            self.over = True
        else:
            raise RetryLaterError("walk_stuck", "The mailbox lists nothing, and says that there is more.")

    def _ask(self, scope: _Scope) -> None:
        self._run = _Run(scope, self._window_of(scope))
        start, end = self._run.within.start, self._run.within.end
        self.over = start is not None and end is not None and start >= end

    def _window_of(self, scope: _Scope) -> Window:
        at, window = self._at, self._window
        if at is None:
            return window
        if scope is _Scope.BELOW:
            return Window(window.start, at)
        end = at + _SECOND if window.end is None else min(at + _SECOND, window.end)
        return Window(at if scope is _Scope.SECOND else window.start, end)


def _holds(window: Window, second: datetime) -> bool:
    after_start = window.start is None or second >= window.start.replace(microsecond=0)
    return after_start and (window.end is None or second < window.end)
