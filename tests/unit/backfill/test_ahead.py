"""The page that is fetched ahead, and what becomes of it when it is not wanted any more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from atom_backfill.backfill.chunk import _Ahead
from atom_backfill.clock import SystemClock
from atom_backfill.sources.ports import Link, Page, Window

EVER = Window(None, None)


@dataclass
class Reluctant:
    """A source whose second page is being fetched for ever, and which takes its time to stop."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    may_stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def page(self, folder: str, window: Window, *, size: int, link: Link | None = None) -> Page:
        if link != "second":
            return Page((), Link("second"))
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopping.set()
            await self.may_stop.wait()
        raise AssertionError("it was never wanted")


async def test_a_pause_that_comes_while_a_page_is_dropped_still_stops_the_chunk() -> None:
    source = Reluctant()
    about: Any = SimpleNamespace(folder_id="inbox", chunk_size=7, clock=SystemClock())
    ahead = _Ahead(source, about, about)  # type: ignore[arg-type]
    _, first = await ahead.fetch(EVER, None)
    ahead.prefetch(EVER, first)
    await source.begun.wait()
    going_on = asyncio.create_task(ahead.fetch(EVER, Link("another")))
    await source.stopping.wait()
    going_on.cancel()
    source.may_stop.set()
    with pytest.raises(asyncio.CancelledError):
        await going_on
