"""Leases renewed over the heartbeat's own connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from atom_backfill.clock import SystemClock
from atom_backfill.db.renewal import RenewalConnection
from atom_backfill.errors import RetryLaterError
from atom_backfill.jobs.heartbeat import Heartbeat
from atom_backfill.jobs.job import Lease
from atom_backfill.jobs.ports import Standing
from atom_backfill.jobs.postgres_renewals import PostgresRenewals
from worlds import World


@pytest.fixture
def renewals(world: World) -> Iterator[PostgresRenewals]:
    renewals = PostgresRenewals(RenewalConnection(world.fresh.url, patience_s=2.0), lease_s=20.0)
    yield renewals
    renewals.close()


def left(world: World, lease: Lease) -> timedelta:
    found = world.value("SELECT lease_until - atom_now() FROM sync_chunks WHERE id = %(id)s", id=lease.chunk_id)
    assert isinstance(found, timedelta)
    return found


async def test_a_lease_is_extended_by_the_databases_clock(world: World, renewals: PostgresRenewals) -> None:
    lease = await world.lease()
    world.run("UPDATE sync_chunks SET lease_until = atom_now() + interval '1 second' WHERE state = 'leased'")
    assert renewals.renew([lease]) == {lease: Standing.HELD}
    assert timedelta(seconds=15) < left(world, lease) <= timedelta(seconds=20)


async def test_a_lapsed_lease_that_nobody_took_is_good_again(world: World, renewals: PostgresRenewals) -> None:
    lease = await world.lease()
    world.lapse(lease)
    assert renewals.renew([lease]) == {lease: Standing.HELD}
    assert await world.nothing_to_claim()


async def test_a_lease_that_was_taken_over_is_lost_and_its_heirs_stands(
    world: World, renewals: PostgresRenewals
) -> None:
    zombie = await world.lease()
    world.lapse(zombie)
    heir = await world.claim("w-2")
    world.run("UPDATE sync_chunks SET lease_until = atom_now() + interval '1 second' WHERE state = 'leased'")
    assert renewals.renew([zombie]) == {}
    assert left(world, heir) <= timedelta(seconds=1), "a zombie extends nobody's lease"
    assert renewals.renew([heir]) == {heir: Standing.HELD}


async def test_a_rescued_lease_is_lost(world: World, renewals: PostgresRenewals) -> None:
    lease = await world.lease()
    world.lapse(lease)
    await world.store.rescue()
    assert renewals.renew([lease]) == {}


@pytest.mark.parametrize("status", ["paused", "cancelled", "failed"])
async def test_a_job_that_is_not_to_run_stops_its_chunks(world: World, renewals: PostgresRenewals, status: str) -> None:
    lease = await world.lease()
    world.run("UPDATE historical_sync_jobs SET status = %(status)s WHERE id = %(id)s", status=status, id=lease.job_id)
    assert renewals.renew([lease]) == {lease: Standing.STOPPED}


async def test_a_disconnected_mailbox_stops_its_chunks(world: World, renewals: PostgresRenewals) -> None:
    lease = await world.lease()
    world.run("UPDATE accounts SET status = 'disconnected' WHERE id = %(id)s", id=lease.account_id)
    assert renewals.renew([lease]) == {lease: Standing.STOPPED}


@pytest.mark.parametrize("kind", ["retry", "window"])
async def test_what_a_retry_reopened_runs_on_a_completed_job(
    world: World, renewals: PostgresRenewals, kind: str
) -> None:
    lease = await world.lease()
    world.run("UPDATE historical_sync_jobs SET status = 'completed' WHERE id = %(id)s", id=lease.job_id)
    world.run("UPDATE sync_chunks SET kind = %(kind)s WHERE id = %(id)s", kind=kind, id=lease.chunk_id)
    assert renewals.renew([lease]) == {lease: Standing.HELD}


async def test_people_see_that_somebody_is_at_work(world: World, renewals: PostgresRenewals) -> None:
    lease = await world.lease()
    pending = "UPDATE historical_sync_jobs SET status = 'pending', started_at = NULL, last_heartbeat = NULL"
    world.run(pending + " WHERE id = %(id)s", id=lease.job_id)
    renewals.renew([lease])
    row = world.job_row(lease.job_id)
    assert row["status"] == "running", "a claim that met a locked job row left it to the heartbeat"
    assert row["last_heartbeat"] is not None
    assert row["started_at"] is not None


async def test_a_long_commit_of_one_chunk_keeps_no_other_lease_from_being_renewed(
    world: World, renewals: PostgresRenewals
) -> None:
    busy = await world.lease(chunks=2)
    other = await world.claim()
    world.run("UPDATE sync_chunks SET lease_until = atom_now() + interval '1 second' WHERE state = 'leased'")
    with world.holding("SELECT FROM sync_chunks WHERE id = %(id)s FOR UPDATE", id=busy.chunk_id):
        began = time.monotonic()
        assert renewals.renew([busy, other]) == {busy: Standing.HELD, other: Standing.HELD}
        assert time.monotonic() - began < 1.0
        assert left(world, other) > timedelta(seconds=15)
        world.lapse(other, by=timedelta(0))
        world.run("UPDATE sync_chunks SET lease_until = atom_now() WHERE id = %(id)s", id=other.chunk_id)
        claimed = await world.store.claim("w-2", [other.lane])
        assert claimed is not None
        assert claimed.chunk_id == other.chunk_id, "a chunk in the middle of a commit cannot be taken, lapsed or not"


async def test_a_locked_job_row_keeps_no_lease_from_being_renewed(world: World, renewals: PostgresRenewals) -> None:
    lease = await world.lease()
    with world.holding("SELECT FROM historical_sync_jobs WHERE id = %(id)s FOR UPDATE", id=lease.job_id):
        began = time.monotonic()
        assert renewals.renew([lease]) == {lease: Standing.HELD}
        assert time.monotonic() - began < 1.0


async def test_a_connection_that_was_cut_is_made_again(world: World, renewals: PostgresRenewals) -> None:
    lease = await world.lease()
    assert renewals.renew([lease])
    world.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert renewals.renew([lease]) == {lease: Standing.HELD}


async def test_a_database_that_is_away_is_told_within_bounds(world: World) -> None:
    lease = await world.lease()
    away = PostgresRenewals(RenewalConnection("postgresql://nobody@127.0.0.1:1/none", patience_s=1.0))
    began = time.monotonic()
    with pytest.raises(RetryLaterError):
        away.renew([lease])
    assert time.monotonic() - began < 5


async def test_the_heartbeat_keeps_a_lease_while_the_event_loop_is_blocked(world: World) -> None:
    """The predecessor's reaper killed jobs that were alive and slow."""
    lease = await world.lease()
    told: list[Standing] = []
    beats = threading.Event()
    connection = RenewalConnection(world.fresh.url)
    with Heartbeat(PostgresRenewals(connection, lease_s=0.4), SystemClock(), every_s=0.05, lease_s=0.4) as heartbeat:
        heartbeat.add(lease, told.append)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:  # neither awaits nor sleeps: the interpreter is busy
            beats.is_set()
        assert left(world, lease) > timedelta(0)
    assert told == []
    assert world.chunk_row(lease.chunk_id)["claims"] == 1
