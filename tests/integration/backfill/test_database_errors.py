"""Whatever the database fails with, wherever it does: nothing of the transaction is stored, and the same again works.

The errors are the server's own: a trigger raises them once, at a statement of the transaction or at its COMMIT.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from atom_backfill.backfill.ports import Batch, Planned
from atom_backfill.backfill.postgres import PostgresLedger
from atom_backfill.db.pool import Database, PoolLimits, RowRefusedError, Scope, Transaction
from atom_backfill.errors import AtomError, BugError, RetryLaterError
from atom_backfill.jobs.job import Again, Done, FailJob, Lane, Lease, Quarantine
from atom_backfill.jobs.postgres import PostgresJobStore
from pages import a_failed, assert_counters, some_stored
from worlds import World, a_window

KINDS = {
    "cut": "database_unavailable",
    "57P01": "database_unavailable",  # the server is being shut down
    "57P03": "database_unavailable",  # … or starting up
    "08006": "database_unavailable",  # connection failure
    "57014": "database_slow",  # statement_timeout
    "25P03": "database_unavailable",  # idle_in_transaction_session_timeout
    "40001": "database_conflict",  # serialization failure
    "40P01": "database_conflict",  # deadlock
    "55P03": "database_conflict",  # lock not available
    "53300": "database_connections_exhausted",
    "53100": "disk_full",
    "25006": "database_read_only",  # a standby, after a failover
}
SETUP = """
CREATE SEQUENCE fault_met;
CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF nextval('fault_met') = 1 THEN
        IF TG_ARGV[0] = 'cut' THEN
            PERFORM pg_terminate_backend(pg_backend_pid());
        ELSE
            RAISE EXCEPTION 'told to fail' USING ERRCODE = TG_ARGV[0];
        END IF;
    END IF;
    RETURN NEW;
END $$;
"""
COMMIT = "COMMIT"
Act = Callable[[World, Lease], Awaitable[object]]


async def commit_a_page(world: World, lease: Lease) -> None:
    batch = Batch(stored=some_stored(lease, 1, 6), failed=(a_failed(lease),), position={"at": "2024-06-01"})
    await PostgresLedger(world.database).commit(lease, batch, one_place=True)
    assert_counters(world, lease.job_id)


async def plan_more(world: World, lease: Lease) -> None:
    await PostgresLedger(world.database).plan(lease, Planned((), (a_window(7), a_window(8)), 99, {"folders": ["a"]}))


async def claim_another(world: World, lease: Lease) -> None:
    await world.claim("w-2")


async def settle_done(world: World, lease: Lease) -> None:
    await world.store.settle(lease, Done())


async def settle_again(world: World, lease: Lease) -> None:
    await world.store.settle(lease, Again(0.0, "away", "Away.", counts=True))


async def give_up(world: World, lease: Lease) -> None:
    await world.store.settle(lease, Quarantine("gone", "Gone."))


async def fail_the_job(world: World, lease: Lease) -> None:
    await world.store.settle(lease, FailJob("expired", "Sign in again.", sign_in=True))


async def rescue(world: World, lease: Lease) -> None:
    assert len(await world.store.rescue()) == 1


async def pause(world: World, lease: Lease) -> None:
    await world.control(lease.tenant_id).pause(lease.job_id)


async def cancel(world: World, lease: Lease) -> None:
    await world.control(lease.tenant_id).cancel(lease.job_id)


async def retry(world: World, lease: Lease) -> None:
    await world.control(lease.tenant_id).retry(lease.job_id)


# Where each transaction fails: at one of its writes (operation, table), or at its end.
PLACES: list[tuple[Act, list[str]]] = [
    (
        commit_a_page,
        [
            "UPDATE sync_chunks", "INSERT messages", "INSERT graph_evidence", "INSERT failures",
            "INSERT message_places", "UPDATE historical_sync_jobs", f"{COMMIT} messages",
        ],
    ),
    (plan_more, ["INSERT sync_chunks", "UPDATE historical_sync_jobs", f"{COMMIT} sync_chunks"]),
    (claim_another, ["UPDATE job_turns", "UPDATE sync_chunks", f"{COMMIT} sync_chunks"]),
    (settle_done, ["UPDATE sync_chunks", "UPDATE historical_sync_jobs", f"{COMMIT} sync_chunks"]),
    (settle_again, ["UPDATE historical_sync_jobs", f"{COMMIT} sync_chunks"]),
    (give_up, ["UPDATE historical_sync_jobs", f"{COMMIT} sync_chunks"]),
    (fail_the_job, ["UPDATE accounts", f"{COMMIT} sync_chunks"]),
    (rescue, [f"{COMMIT} sync_chunks"]),
    (pause, [f"{COMMIT} historical_sync_jobs"]),
    (cancel, [f"{COMMIT} historical_sync_jobs"]),
    (retry, ["INSERT sync_chunks", f"{COMMIT} sync_chunks"]),
]  # fmt: skip
CASES = [
    pytest.param(act, place, kind, id=f"{act.__name__}-{place.replace(' ', '_')}-{kind}")
    for act, places in PLACES
    for place in places
    # Every kind inside a page and at its COMMIT; elsewhere one that ends the connection and one that does not.
    for kind in (KINDS if place in ("INSERT messages", f"{COMMIT} messages") else ("cut", "40001"))
]


@pytest.fixture
def faulty(world: World) -> Iterator[Callable[[str, str], None]]:
    """Let the next write to a table, or the COMMIT after one, fail once."""
    world.run(SETUP)

    def at(place: str, kind: str) -> None:
        event, table = place.split()
        if event == COMMIT:
            made = f"CREATE CONSTRAINT TRIGGER fault AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED"
        else:
            made = f"CREATE TRIGGER fault BEFORE {event} ON {table}"
        world.run(f"{made} FOR EACH ROW EXECUTE FUNCTION fault('{kind}')")  # type: ignore[arg-type]

    yield at
    world.run("DROP FUNCTION fault CASCADE")
    world.run("DROP SEQUENCE fault_met")


@pytest.mark.parametrize(("act", "place", "kind"), CASES)
async def test_an_error_of_the_database_leaves_nothing_half_done_and_the_same_again_works(
    world: World, faulty: Callable[[str, str], None], act: Act, place: str, kind: str
) -> None:
    lease = await world.lease(chunks=3)
    if act is rescue:
        world.lapse(lease)
    before = world.rows_of(lease.tenant_id)
    faulty(place, kind)
    with pytest.raises(AtomError) as failed:
        await act(world, lease)
    assert failed.value.code == KINDS[kind]
    assert not isinstance(failed.value, BugError | RowRefusedError), "it is nobody's mistake, and no message's fault"
    assert world.rows_of(lease.tenant_id) == before
    assert world.chunk_row(lease.chunk_id)["fence"] == lease.fence
    await act(world, lease)


@dataclass
class Swallowing:
    """A database in whose transactions an error is swallowed, as a careless `except` would: COMMIT raises nothing."""

    database: Database

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[Transaction]:
        async with self.database.transaction(scope) as tx:
            yield tx
            with suppress(RowRefusedError):
                await tx.execute("SELECT 'x'::uuid")


async def test_a_page_in_an_aborted_transaction_is_no_success(world: World) -> None:
    lease = await world.lease()
    before = world.rows_of(lease.tenant_id)
    swallowing = Swallowing(world.database)
    batch = Batch(stored=some_stored(lease, 1, 6))
    for act in (
        PostgresLedger(swallowing).commit(lease, batch, one_place=True),  # type: ignore[arg-type]
        PostgresJobStore(swallowing).settle(lease, Done()),  # type: ignore[arg-type]
    ):
        with pytest.raises(BugError) as noticed:
            await act
        assert noticed.value.code == "transaction_lost"
        assert world.rows_of(lease.tenant_id) == before


async def test_a_pool_in_full_use_costs_a_page_some_time(world: World) -> None:
    lease = await world.lease()
    before = world.rows_of(lease.tenant_id)
    async with await Database.open(world.fresh.url, limits=PoolLimits(least=1, most=1, wait_s=0.1)) as small:
        batch = Batch(stored=some_stored(lease, 1, 6))
        async with small._borrowed():
            with pytest.raises(RetryLaterError) as full:
                await PostgresLedger(small).commit(lease, batch, one_place=True)
            with pytest.raises(RetryLaterError):
                await PostgresJobStore(small).claim("w-2", [Lane.INGEST])
        assert full.value.code == "pool_exhausted"
        assert world.rows_of(lease.tenant_id) == before
        assert (await PostgresLedger(small).commit(lease, batch, one_place=True)).messages == 6


@dataclass
class Address:
    """A way to the server that can be closed for good. `streams`: the ends of what goes through it."""

    host: str
    port: str
    streams: list[asyncio.StreamWriter] = field(default_factory=list)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Pass on what comes; gives the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield self._server.sockets[0].getsockname()[1]
        finally:
            self.close()

    def close(self) -> None:
        """Be no way to the server any more."""
        self._server.close()
        for stream in self.streams:
            stream.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.host.startswith("/"):
            back, on = await asyncio.open_unix_connection(f"{self.host}/.s.PGSQL.{self.port}")
        else:
            back, on = await asyncio.open_connection(self.host, int(self.port))
        self.streams += [writer, on]
        await asyncio.gather(_pass(reader, on), _pass(back, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_after_a_failover_to_another_address_the_page_is_done_again(world: World) -> None:
    """The URL names two addresses; the first one ends in the middle of a page."""
    lease = await world.lease()
    found = conninfo_to_dict(world.fresh.url)
    first, second = (Address(str(found["host"]), str(found["port"])) for _ in range(2))
    batch = Batch(stored=some_stored(lease, 1, 6))
    async with first.listening() as one, second.listening() as other:
        url = make_conninfo(world.fresh.url, host="127.0.0.1,127.0.0.1", port=f"{one},{other}", sslmode="disable")
        async with await Database.open(url, limits=PoolLimits(least=1, most=1)) as database:
            assert first.streams
            assert not second.streams
            before = world.rows_of(lease.tenant_id)
            with world.holding("SELECT FROM messages FOR UPDATE; LOCK messages IN SHARE MODE"):
                committing = asyncio.create_task(PostgresLedger(database).commit(lease, batch, one_place=True))
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %(d)s"
                await world.until(lambda: world.value(waiting, d=world.fresh.name) > 0)
                first.close()
                with pytest.raises(RetryLaterError) as lost:
                    await committing
            assert lost.value.code == "database_unavailable"
            await world.until(lambda: world.value(waiting, d=world.fresh.name) == 0)
            assert world.rows_of(lease.tenant_id) == before
            async with asyncio.timeout(30):
                assert (await PostgresLedger(database).commit(lease, batch, one_place=True)).messages == 6
            assert second.streams
    assert_counters(world, lease.job_id)
