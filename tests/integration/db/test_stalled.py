"""Sessions whose process was stopped in the middle of a transaction are ended, and nobody else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from atom_backfill.db.connecting import PARAMETERS
from atom_backfill.db.pool import Database
from atom_backfill.db.scope import Owner, opening
from atom_backfill.db.stalled import end_stalled
from databases import FreshDatabase

NOW = -1.0


@asynccontextmanager
async def a_session(url: str, **parameters: Any) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Open a session as the product does."""
    connection = await psycopg.AsyncConnection.connect(url, **{**PARAMETERS, **parameters})
    try:
        yield connection
    finally:
        await connection.close()


async def state_of(database: Database, session: psycopg.AsyncConnection[Any]) -> str | None:
    async with database.transaction(Owner()) as transaction:
        state: str | None = await transaction.fetch_value(
            "SELECT state FROM pg_stat_activity WHERE pid = %(pid)s", {"pid": session.info.backend_pid}
        )
    return state


async def halt_in_a_pipeline(session: psycopg.AsyncConnection[Any]) -> None:
    """Send rows and no end of them, as a process does that is stopped then. The server waits for the rest."""
    await session.execute(opening(Owner(), 60.0, 0.5))
    session.pgconn.enter_pipeline_mode()
    session.pgconn.send_query_params(b"SELECT pg_advisory_xact_lock(7)", [])
    session.pgconn.send_flush_request()
    session.pgconn.nonblocking = 0
    session.pgconn.flush()
    answer = await asyncio.to_thread(session.pgconn.get_result)
    assert answer is not None
    assert answer.status == psycopg.pq.ExecStatus.TUPLES_OK, "the statement is done, and the lock held"


async def test_the_servers_own_limits_do_not_run_within_a_pipeline(
    database: Database, fresh_database: FreshDatabase
) -> None:
    """For which this is there: after twice the limit of an idle transaction the lock is still held."""
    async with a_session(fresh_database.url) as session:
        await halt_in_a_pipeline(session)
        async with database.transaction(Owner()) as transaction:
            assert await transaction.fetch_value("SELECT pg_try_advisory_xact_lock(7) FROM pg_sleep(1.0)") is False
        assert await end_stalled(database) == 0, "it may yet go on"
        assert await end_stalled(database, NOW) == 1
        async with database.transaction(Owner()) as transaction:
            await transaction.execute("SELECT pg_advisory_xact_lock(7)")
        with pytest.raises(psycopg.OperationalError):
            session.pgconn.exec_(b"SELECT 1")


async def test_who_is_at_work_waits_or_has_no_transaction_is_left_alone(
    database: Database, fresh_database: FreshDatabase
) -> None:
    async with (
        a_session(fresh_database.url) as idle,
        a_session(fresh_database.url, application_name="psql") as another,
        a_session(fresh_database.url) as holder,
        a_session(fresh_database.url) as waiter,
    ):
        await another.execute("BEGIN")
        await holder.execute("SELECT pg_advisory_lock(8)")
        waiting = asyncio.create_task(waiter.execute("SELECT pg_advisory_lock(8)"))
        while await state_of(database, waiter) != "active":  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0)
        assert await end_stalled(database, NOW) == 0
        await holder.execute("SELECT pg_advisory_unlock(8)")
        await waiting
        assert [await state_of(database, each) for each in (idle, another)] == ["idle", "idle in transaction"]


async def test_a_failed_transaction_that_nobody_ends_is_ended(
    database: Database, fresh_database: FreshDatabase
) -> None:
    """The limit that its opening has set is gone with it."""
    async with a_session(fresh_database.url) as session:
        await session.execute(opening(Owner(), 60.0, 0.5))
        with pytest.raises(psycopg.errors.DivisionByZero):
            await session.execute("SELECT 1 / 0")
        assert await end_stalled(database, NOW) == 1
