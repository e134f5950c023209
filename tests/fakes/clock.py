"""A clock that tests move by hand."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

# Turns of the event loop that a woken task gets before time goes on; enough for anything that awaits no I/O.
_TURNS = 20


class FakeClock:
    """Stands still until `advance`; sleepers wake in the order of their time, each at its own."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has passed the moment; at once for zero and below."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), wake))
        await wake

    @property
    def sleepers(self) -> int:
        """How many tasks wait."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Move time on, waking sleepers on the way; those that sleep again are woken again if their time comes too."""
        end = self._elapsed + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, wake = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, due)
            if not wake.done():
                wake.set_result(None)
                await self._settle()
        self._elapsed = end

    async def until_sleeping(self, tasks: int = 1, *, within_s: float = 10.0) -> None:
        """Return once `tasks` tasks wait, however much real I/O they do before; TimeoutError after real `within_s`."""
        async with asyncio.timeout(within_s):
            while self.sleepers < tasks:  # noqa: ASYNC110 - what sets the event would be the code under test
                await asyncio.sleep(0.001)

    async def _settle(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
