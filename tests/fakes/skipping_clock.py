"""A clock for code that waits by itself: sleeping moves its time on and takes none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta


class SkippingClock:
    """Time passes only by sleeping. `slept` lists every wait, in seconds."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds slept so far."""
        return self._elapsed

    def skip(self, seconds: float) -> None:
        """Move time on."""
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Move time on and let others run."""
        self.slept.append(seconds)
        self._elapsed += max(0.0, seconds)
        await asyncio.sleep(0)
