"""The time of a schedule: the database's and every worker's, moved on by the driver alone.

It stands still while anybody waits for an answer of the database or the memory, and then goes to the next moment at
which somebody wants to wake: how fast the machine is changes nothing.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

_CALM_TURNS = 6
"""Turns of the event loop without a call under way, after which nobody has anything left to do but wait."""


class Time:
    """Seconds since the arena began, as far as the driver has moved them."""

    def __init__(self) -> None:
        self.began = datetime.now(UTC)
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._calls = 0
        self._answered = asyncio.Event()
        self._answered.set()
        self.elapsed = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Hold time while an answer is waited for."""
        self._calls += 1
        self._answered.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._answered.set()

    async def calm(self, within_s: float) -> None:
        """Return once everybody waits for time to pass. TimeoutError where that does not come in real `within_s`."""
        async with asyncio.timeout(within_s):
            turns = 0
            while turns < _CALM_TURNS:
                await self._answered.wait()
                await asyncio.sleep(0)
                turns = 0 if self._calls else turns + 1

    def until_next(self, most: float) -> float:
        """Return the seconds to when somebody wakes, at most so many."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return min(most, self._sleepers[0][0] - self.elapsed) if self._sleepers else most

    def wake(self) -> None:
        """Let those go on whose time has come."""
        while self._sleepers and self._sleepers[0][0] <= self.elapsed:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.elapsed + seconds, next(self._order), woken))
        await woken


class WorkerClock:
    """The clock of one worker's machine, which may be off by `skew` seconds."""

    def __init__(self, true: Time) -> None:
        self._true = true
        self.skew = 0.0

    def now(self) -> datetime:
        """Return what this machine takes for the present moment."""
        return self._true.began + timedelta(seconds=self._true.elapsed + self.skew)

    def monotonic(self) -> float:
        """Return seconds, for differences only."""
        return self._true.elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._true.sleep(seconds)
