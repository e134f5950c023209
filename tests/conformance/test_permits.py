"""What every Permits promises: the database's, and the one that stands in for it in tests of the Graph client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from atom_backfill.clock import SystemClock
from atom_backfill.errors import ThrottledError
from atom_backfill.sources.ports import Permits
from atom_backfill.sources.postgres import PostgresPermits
from crowd import most_in_flight
from fakes.permits import MemoryPermits
from worlds import World

MOST = 3
Maker = Callable[[], Permits]


@pytest.fixture(params=["memory", "postgres"])
async def make(request: pytest.FixtureRequest, world: World) -> Maker:
    """Makes permits of one mailbox that give up where a wait is longer than five seconds."""
    if request.param == "memory":
        return lambda: MemoryPermits(SystemClock(), most=MOST, patience=5.0)
    account = world.account(await world.tenant())
    return lambda: PostgresPermits(world.database, account, "mailbox:1", MOST, SystemClock(), uuid4)


async def test_no_more_requests_are_in_flight_than_allowed(make: Maker) -> None:
    assert await most_in_flight([make()], 10, allowed=MOST) == MOST


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
async def test_a_request_that_does_not_end_well_gives_its_place_back(make: Maker, how: str) -> None:
    permits = make()

    async def request(begun: asyncio.Event) -> None:
        async with permits.hold():
            begun.set()
            if how == "fails":
                raise ZeroDivisionError
            await asyncio.Event().wait()

    for _ in range(MOST + 1):
        begun = asyncio.Event()
        task = asyncio.create_task(request(begun))
        async with asyncio.timeout(20):
            await begun.wait()
        task.cancel()
        with pytest.raises((ZeroDivisionError, asyncio.CancelledError)):
            await task
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        for _ in range(MOST):
            await stack.enter_async_context(permits.hold())


async def test_a_short_wait_that_was_asked_for_is_waited_out(make: Maker) -> None:
    permits, clock = make(), SystemClock()
    await permits.throttled(ThrottledError("throttled", "Wait.", after=0.2))
    began = clock.monotonic()
    async with permits.hold():
        assert clock.monotonic() - began > 0.1


async def test_a_long_wait_is_raised_with_the_time_that_is_left_and_holds_no_place(make: Maker) -> None:
    permits = make()
    await permits.throttled(ThrottledError("throttled", "Wait.", after=120.0))
    for _ in range(MOST + 1):
        with pytest.raises(ThrottledError) as raised:
            async with permits.hold():
                raise AssertionError("it was asked to wait")
        assert raised.value.after is not None
        assert 115 < raised.value.after <= 120


async def test_an_earlier_and_longer_wait_stands(make: Maker) -> None:
    permits = make()
    for seconds in (120.0, 0.1):
        await permits.throttled(ThrottledError("throttled", "Wait.", after=seconds))
    with pytest.raises(ThrottledError):
        async with permits.hold():
            raise AssertionError("it was asked to wait")
