"""More requests at once than a mailbox allows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from atom_backfill.sources.ports import Permits


async def most_in_flight(permits: Sequence[Permits], requests: int, *, allowed: int) -> int:
    """Send requests, in turn through each of the permits; each lasts until as many as allowed have been in flight."""
    in_flight = peak = 0
    full = asyncio.Event()

    async def request(through: Permits) -> None:
        nonlocal in_flight, peak
        async with through.hold():
            in_flight += 1
            peak = max(peak, in_flight)
            if in_flight == allowed:
                full.set()
            await full.wait()
            in_flight -= 1

    async with asyncio.timeout(20):
        await asyncio.gather(*(request(permits[number % len(permits)]) for number in range(requests)))
    return peak
