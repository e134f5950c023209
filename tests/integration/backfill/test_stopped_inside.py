"""A process that is stopped inside a transaction holds its locks for less than a lease."""

from __future__ import annotations

import asyncio

import pytest

from atom_backfill.backfill.postgres import SQL
from atom_backfill.db.pool import Database, PoolLimits, Work
from atom_backfill.db.scope import IDLE_LIMIT_S
from atom_backfill.errors import RetryLaterError
from atom_backfill.jobs.heartbeat import LEASE_S
from pages import a_stored, commit
from worlds import World


async def test_the_locks_of_a_stopped_transaction_are_given_up_and_it_cannot_go_on(world: World) -> None:
    lease = await world.lease(chunks=2)
    other = await world.claim()
    keys = {"tenant": lease.tenant_id, "account": lease.account_id, "id": lease.job_id}
    async with await Database.open(world.fresh.url, limits=PoolLimits(idle_s=0.3)) as database:
        with pytest.raises(RetryLaterError):
            async with database.transaction(Work(lease.tenant_id)) as tx:
                await tx.fetch_one(SQL["lock_account"], keys)
                async with asyncio.timeout(10):
                    await commit(world, other, a_stored(other))
                await tx.execute("SELECT 1")


def test_a_transaction_may_idle_for_less_than_a_lease() -> None:
    assert IDLE_LIMIT_S < LEASE_S
