"""Long work within a transaction that ends when nothing happens in it, as a swap's does (memory/postgres.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Still = Callable[[], Awaitable[object]]
"""Raises where the swap may not go on."""
STILL_EVERY_S = 5.0


async def while_allowed(work: Coroutine[Any, Any, T], still: Still) -> T:
    """Await work, and ask now and then whether it may go on; where it may not, it is cancelled.

    A thread cannot be: what it writes does not count yet, and it runs out alone.
    """
    working = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({working}, timeout=STILL_EVERY_S))[0]:
            await still()
        return working.result()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
