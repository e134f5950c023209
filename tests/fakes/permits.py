"""Permits for one process: the same promises as the database's, without a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from atom_backfill.clock import Clock
from atom_backfill.errors import ThrottledError


class MemoryPermits:
    """At most `most` requests at once; `told` lists what the service asked for, `peak` the most that were in flight."""

    def __init__(self, clock: Clock, *, most: int = 4, patience: float = 60.0) -> None:
        self._clock = clock
        self._slots = asyncio.Semaphore(most)
        self._patience = patience
        self._closed_until = 0.0
        self._in_flight = 0
        self.peak = 0
        self.told: list[ThrottledError] = []

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        async with self._slots:
            wait = self._closed_until - self._clock.monotonic()
            if wait > self._patience:
                raise ThrottledError("throttled", "The mailbox's service asked to wait.", after=wait)
            if wait > 0:
                await self._clock.sleep(wait)
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
            try:
                yield
            finally:
                self._in_flight -= 1

    async def throttled(self, error: ThrottledError) -> None:
        self.told.append(error)
        self._closed_until = max(self._closed_until, self._clock.monotonic() + (error.after or 0.0))
