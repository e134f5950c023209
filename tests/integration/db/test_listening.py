"""Notifications wake up listeners, and their loss is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import psycopg
import pytest

from atom_backfill.db.pool import Database, Engine, Heard, Listening, Lost, Notified
from databases import FreshDatabase
from fakes.clock import FakeClock

CHANNELS = ["work", "Odd channel; --"]


@pytest.fixture
async def heard(database: Database, clock: FakeClock) -> AsyncIterator[AsyncIterator[Heard]]:
    events = database.listen(CHANNELS, clock)
    yield events
    await events.aclose()  # type: ignore[attr-defined]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def _next(events: AsyncIterator[Heard]) -> Heard:
    async with asyncio.timeout(10):
        return await anext(events)


def _break(fresh_database: FreshDatabase) -> None:
    with psycopg.connect(fresh_database.superuser_url) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )


async def test_a_notification_of_a_committed_transaction_arrives(
    database: Database, heard: AsyncIterator[Heard]
) -> None:
    assert await _next(heard) == Listening()
    async with database.transaction(Engine()) as transaction:
        for channel, payload in (("work", "ingest"), (CHANNELS[1], ""), ("other", "not for us"), ("work", "graph")):
            await transaction.execute(
                "SELECT pg_notify(%(channel)s, %(payload)s)", {"channel": channel, "payload": payload}
            )
    assert [await _next(heard) for _ in range(3)] == [
        Notified("work", "ingest"),
        Notified(CHANNELS[1], ""),
        Notified("work", "graph"),
    ]


async def test_a_lost_connection_is_told_and_comes_back(
    database: Database, fresh_database: FreshDatabase, heard: AsyncIterator[Heard], clock: FakeClock
) -> None:
    assert await _next(heard) == Listening()
    _break(fresh_database)
    lost = await _next(heard)
    assert isinstance(lost, Lost)
    assert lost.error.code == "database_unavailable"
    again = asyncio.create_task(_next(heard))
    await clock.until_sleeping()
    await clock.advance(0.2)
    assert await again == Listening()
    async with database.transaction(Engine()) as transaction:
        await transaction.execute("SELECT pg_notify('work', 'after')")
    assert await _next(heard) == Notified("work", "after")


async def test_tries_get_rarer_while_the_database_is_away(database: Database, clock: FakeClock) -> None:
    database.direct_url = "host=/nowhere user=x dbname=x"
    events = database.listen(CHANNELS, clock)
    moments = []
    for _ in range(9):
        task = asyncio.create_task(_next(events))
        while not task.done():
            await clock.advance(0.1)
            await asyncio.sleep(0)
        assert isinstance(await task, Lost)
        moments.append(clock.monotonic())
    waits = [later - earlier for earlier, later in pairwise(moments)]
    assert waits[0] < 1
    assert 9 < waits[-1] < 12
    await events.aclose()  # type: ignore[attr-defined]


async def test_a_listener_can_be_cancelled_and_leaves_no_connection(
    database: Database, fresh_database: FreshDatabase, clock: FakeClock
) -> None:
    ready = asyncio.Event()

    async def listen() -> None:
        async for _ in database.listen(CHANNELS, clock):
            ready.set()

    task = asyncio.create_task(listen())
    await ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    with psycopg.connect(fresh_database.superuser_url) as admin:
        left = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        ).fetchone()
    assert left == (0,)
