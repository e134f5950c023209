"""The clock of the tests does what a clock does."""

from __future__ import annotations

import asyncio

import pytest

from atom_backfill.clock import Clock
from fakes.clock import FakeClock


async def _sleeper(clock: Clock, seconds: float, log: list[float], times: int = 1) -> None:
    for _ in range(times):
        await clock.sleep(seconds)
        log.append(clock.monotonic())


async def test_sleepers_wake_in_the_order_of_their_time_each_at_its_own() -> None:
    clock, log = FakeClock(), list[float]()
    async with asyncio.TaskGroup() as group:
        for seconds in (3, 1, 2):
            group.create_task(_sleeper(clock, seconds, log))
        await clock.advance(2.5)
        assert log == [1, 2]
        assert clock.sleepers == 1
        await clock.advance(1)
    assert log == [1, 2, 3]
    assert clock.monotonic() == 3.5


async def test_who_sleeps_again_is_woken_again_within_one_advance() -> None:
    clock, log = FakeClock(), list[float]()
    task = asyncio.create_task(_sleeper(clock, 1, log, times=5))
    await clock.advance(4)
    assert log == [1, 2, 3, 4]
    await clock.advance(1)
    await task


async def test_now_moves_with_the_clock() -> None:
    clock = FakeClock()
    before = clock.now()
    await clock.advance(90)
    assert (clock.now() - before).total_seconds() == 90


async def test_no_time_to_wait_is_no_wait() -> None:
    await FakeClock().sleep(0)
    await FakeClock().sleep(-1)


async def test_a_cancelled_sleeper_is_no_sleeper() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.until_sleeping()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.sleepers == 0
    await clock.advance(2)


async def test_waiting_for_a_sleeper_that_never_comes_ends() -> None:
    with pytest.raises(TimeoutError):
        await FakeClock().until_sleeping(within_s=0.01)
