"""A clock whose waits are shorter than they say, for tests of the whole that would wait for retries."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class HurriedClock:
    """Tells the real time; sleeping takes the `times`th part."""

    def __init__(self, times: float = 50.0) -> None:
        self._times = times

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds, for differences only."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait, but not for long."""
        await asyncio.sleep(seconds / self._times)
