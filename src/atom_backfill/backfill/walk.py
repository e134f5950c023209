"""Walks a window newest first and never trusts a link: lost, looping or foreign links cost one page, not the window.

The position is the date of the oldest item reached. When a link cannot be followed, the walk asks again from that date,
its second included, since more of the same second may be left; when that brings nothing new, it reads that one second
alone, and then goes on beyond it. An end that comes before the census's count is asked about once more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from atom_backfill.sources.ports import Link, Window

DEEPEST_SKIP = 5000
"""Links page by skipping from the window's start, which the service does slowly when deep; then the walk asks anew."""

_SECOND = timedelta(seconds=1)


class Walk:
    """Where a walk through one window stands. Ask `request`, fetch it, then tell `learn`; `over` when there is no more."""

    def __init__(self, window: Window, position: dict[str, Any], expected: int | None) -> None:
        at = position.get("at")
        self._window = window
        self._at = datetime.fromisoformat(at) if at else None
        self._expected = expected
        self._link: Link | None = None
        self._within = self._from(self._at)
        self._through_links = 0
        self._listed = 0
        self._asked_again_at: datetime | None = None
        self._narrowed = False
        self.over = False

    @property
    def position(self) -> dict[str, Any]:
        """What to store so that a later claim goes on from here."""
        return {} if self._at is None else {"at": self._at.isoformat()}

    @property
    def request(self) -> tuple[Window, Link | None]:
        """The next page to ask for."""
        return self._within, self._link

    def learn(self, listed: int, new: int, oldest: datetime | None, link: Link | None, broken: bool) -> None:
        """Take in a page: how many items it listed, how many were new, the oldest date among them, its link."""
        self._listed += listed
        self._through_links += listed
        before = self._at
        if oldest is not None:
            second = oldest.replace(microsecond=0)
            self._at = second if self._at is None else min(self._at, second)
        if link is not None and not broken and (self._narrowed or self._through_links < DEEPEST_SKIP):
            self._link = link
            return
        if link is None and not broken:
            self._at_an_end(new)
            return
        self._ask_anew(stuck=new == 0 and self._at == before)

    def _at_an_end(self, new: int) -> None:
        """The source says there is no more: believe it unless the census expected more and this place was not asked."""
        if self._narrowed:
            self._beyond()
        elif self._at is None or self._asked_again_at == self._at or not self._short():
            self.over = True
        else:
            self._asked_again_at = self._at
            self._ask_anew(stuck=False)

    def _short(self) -> bool:
        return self._expected is None or self._listed < self._expected

    def _ask_anew(self, *, stuck: bool) -> None:
        self._link = None
        self._through_links = 0
        if not stuck or self._at is None:
            self._narrowed = False
            self._within = self._from(self._at)
        elif self._narrowed:
            self._beyond()
        else:
            self._narrowed = True
            self._within = Window(self._at, self._at + _SECOND)

    def _beyond(self) -> None:
        """That second has been read; go on with what is older."""
        assert self._at is not None
        self._narrowed = False
        self._link = None
        self._through_links = 0
        self._within = Window(self._window.start, self._at)
        if self._window.start is not None and self._window.start >= self._at:
            self.over = True

    def _from(self, at: datetime | None) -> Window:
        """The window from its start up to and including the second `at`."""
        if at is None:
            return self._window
        end = at + _SECOND
        return Window(self._window.start, end if self._window.end is None else min(end, self._window.end))
