"""A database that goes away, comes back, is full, hangs or refuses: each said in its own way, and none for ever."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from atom_backfill.db.embedded import EmbeddedPostgres
from atom_backfill.db.pool import Database, Engine, Owner, PoolLimits, RenewalConnection
from atom_backfill.errors import AtomError, BugError, NeedsOwnerError, RetryLaterError
from databases import FreshDatabase, TestServer

ONE = PoolLimits(least=1, most=1, wait_s=0.3, grace_s=0.3)


@pytest.fixture(scope="module")
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that tests may stop."""
    home = Path(tempfile.mkdtemp(prefix="atom-home-"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home, durable=False)
    server.start()
    yield server
    server.destroy()
    shutil.rmtree(home)


def _with(url: str, **changes: str | int) -> str:
    return psycopg.conninfo.make_conninfo(url, **changes)


async def _answer(database: Database) -> object:
    async with database.transaction(Owner()) as transaction:
        return await transaction.fetch_value("SELECT 1")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": "wrong-secret"}, "database_login_refused"),
        ({"user": "stranger"}, "database_login_refused"),
        ({"dbname": "elsewhere"}, "database_missing"),
        ({"host": "no-such-host.test"}, "database_host_unknown"),
    ],
)
async def test_what_only_the_owner_can_mend_is_said_when_opening(
    fresh_database: FreshDatabase, changes: dict[str, str | int], code: str
) -> None:
    with pytest.raises(NeedsOwnerError, match="DATABASE_URL") as refused:
        await Database.open(_with(fresh_database.url, **changes))
    assert refused.value.code == code
    assert "wrong-secret" not in f"{refused.value} {refused.value.detail}"


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@localhost:port/x", "nonsense", "postgresql://h/x?no_such=option"]
)
async def test_a_malformed_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(NeedsOwnerError) as refused:
        await Database.open(url)
    assert refused.value.code == "database_url_invalid"
    assert "secret" not in f"{refused.value} {refused.value.detail}"


@pytest.mark.parametrize("host", ["/nowhere", "127.0.0.1"])
async def test_a_server_that_does_not_answer_may_do_so_later(host: str) -> None:
    with pytest.raises(RetryLaterError) as away:
        await Database.open(f"host={host} port=1 user=x dbname=x")
    assert away.value.code == "database_unavailable"


async def test_a_database_that_cannot_hold_all_text_is_refused(postgres: TestServer) -> None:
    latin = postgres.clone("template0")
    with psycopg.connect(latin.superuser_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS latin")
        connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'")
    with pytest.raises(NeedsOwnerError, match="UTF8"):
        await Database.open(_with(latin.superuser_url, dbname="latin"))
    postgres.drop(latin)


async def test_a_lost_connection_is_replaced(fresh_database: FreshDatabase) -> None:
    async with await Database.open(fresh_database.url, limits=ONE) as database:
        with pytest.raises(RetryLaterError) as lost:
            async with database.transaction(Owner()) as transaction:
                pid = await transaction.fetch_value("SELECT pg_backend_pid()")
                with psycopg.connect(fresh_database.superuser_url) as admin:
                    admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
                await transaction.fetch_value("SELECT 1")
        assert lost.value.code == "database_unavailable"
        assert await _answer(database) == 1


async def test_a_connection_lost_before_the_commit_is_no_success(fresh_database: FreshDatabase) -> None:
    async with await Database.open(fresh_database.url, limits=ONE) as database:
        with pytest.raises(RetryLaterError):
            async with database.transaction(Owner()) as transaction:
                pid = await transaction.fetch_value("SELECT pg_backend_pid()")
                with psycopg.connect(fresh_database.superuser_url) as admin:
                    admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


async def test_a_pool_in_full_use_is_not_a_database_that_is_away(fresh_database: FreshDatabase) -> None:
    async with await Database.open(fresh_database.url, limits=ONE) as database, database.transaction(Owner()):
        with pytest.raises(RetryLaterError) as full:
            await _answer(database)
    assert full.value.code == "pool_exhausted"


async def test_a_stopped_server_is_away_until_it_is_back(own_server: EmbeddedPostgres) -> None:
    async with await Database.open(own_server.start(), limits=ONE) as database:
        assert await _answer(database) == 1
        own_server.stop(even_if_used=True)
        with pytest.raises(RetryLaterError) as away:
            await _answer(database)
        assert away.value.code == "database_unavailable"
        own_server.start()
        assert await _eventually(database) == 1


@pytest.mark.long
async def test_a_longer_outage_does_not_make_the_way_back_longer(own_server: EmbeddedPostgres) -> None:
    async with await Database.open(own_server.start(), limits=ONE) as database:
        own_server.stop(even_if_used=True)
        for _ in range(13):
            with pytest.raises(RetryLaterError):
                await _answer(database)
        own_server.start()
        back = monotonic()
        assert await _eventually(database) == 1
        assert monotonic() - back < 2


async def _eventually(database: Database) -> object:
    # The pool is connecting again by itself, at growing intervals of real time.
    async with asyncio.timeout(20):
        while True:
            try:
                return await _answer(database)
            except RetryLaterError:
                continue


async def test_a_server_without_free_connections_says_so(postgres: TestServer, fresh_database: FreshDatabase) -> None:
    name = fresh_database.name
    with psycopg.connect(fresh_database.superuser_url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 2")
        with psycopg.connect(fresh_database.url), pytest.raises(RetryLaterError) as full:
            await Database.open(fresh_database.url)
    assert full.value.code == "database_connections_exhausted"


async def test_a_database_that_takes_no_writes_is_said_plainly(fresh_database: FreshDatabase) -> None:
    async with await Database.open(fresh_database.owner_url, limits=ONE) as database:
        with pytest.raises(NeedsOwnerError) as refused:
            async with database.transaction(Owner()) as transaction:
                await transaction.execute("SET TRANSACTION READ ONLY")
                await transaction.execute("CREATE TABLE x ()")
    assert refused.value.code == "database_read_only"


async def test_a_closed_database_is_a_mistake_to_use(fresh_database: FreshDatabase) -> None:
    database = await Database.open(fresh_database.url)
    await database.close()
    with pytest.raises(BugError):
        await _answer(database)


async def test_a_server_that_hangs_does_not_hold_anyone_for_ever(fresh_database: FreshDatabase) -> None:
    async with await Database.open(fresh_database.url, limits=ONE) as database:
        begun = monotonic()
        stopped = 0
        try:
            with pytest.raises(RetryLaterError):
                async with database.transaction(Owner(), statement_timeout_s=0.5) as transaction:
                    stopped = await transaction.fetch_value("SELECT pg_backend_pid()")
                    os.kill(stopped, signal.SIGSTOP)
                    await transaction.execute("SELECT 1")
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert monotonic() - begun < 10
        assert await _answer(database) == 1


def test_a_renewal_acts_as_the_engine_and_commits(fresh_database: FreshDatabase) -> None:
    renewal = RenewalConnection(fresh_database.url)
    added = renewal.fetch_one("INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'x') RETURNING name")
    assert added == {"name": "x"}
    renewal.close()
    assert renewal.fetch_all("SELECT name, current_user::text AS role FROM tenants") == [
        {"name": "x", "role": "atom_engine"}
    ]
    assert renewal.fetch_one("SELECT 1 AS one WHERE %(yes)s", {"yes": False}) is None
    renewal.close()


def test_a_renewal_outlives_its_connection(fresh_database: FreshDatabase) -> None:
    renewal = RenewalConnection(fresh_database.url)
    first = renewal.fetch_one("SELECT pg_backend_pid() AS pid")
    assert first
    with psycopg.connect(fresh_database.superuser_url) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [first["pid"]])
    second = renewal.fetch_one("SELECT pg_backend_pid() AS pid")
    assert second
    assert second != first
    renewal.close()


def test_a_renewal_at_a_stopped_server_fails_at_once_and_works_later(own_server: EmbeddedPostgres) -> None:
    renewal = RenewalConnection(own_server.start(), scope=Owner())
    assert renewal.fetch_one("SELECT 1 AS one") == {"one": 1}
    own_server.stop(even_if_used=True)
    with pytest.raises(RetryLaterError):
        renewal.fetch_one("SELECT 1 AS one")
    own_server.start()
    assert renewal.fetch_one("SELECT 1 AS one") == {"one": 1}
    renewal.close()


def test_a_renewal_at_a_server_that_hangs_gives_up_in_time(fresh_database: FreshDatabase) -> None:
    renewal = RenewalConnection(fresh_database.url, patience_s=0.5)
    row = renewal.fetch_one("SELECT pg_backend_pid() AS pid")
    assert row
    os.kill(row["pid"], signal.SIGSTOP)
    try:
        begun = monotonic()
        # The hanging connection is given up, and a new one answers.
        assert renewal.fetch_one("SELECT 1 AS one") == {"one": 1}
        assert monotonic() - begun < 5
    finally:
        os.kill(row["pid"], signal.SIGCONT)
    renewal.close()


@pytest.mark.parametrize("statement", ["SELECT * FROM messages", "nonsense", "SELECT 'x'::uuid"])
def test_a_renewal_raises_errors_of_ours_and_goes_on(fresh_database: FreshDatabase, statement: str) -> None:
    renewal = RenewalConnection(fresh_database.url)
    with pytest.raises(AtomError):
        renewal.fetch_all(statement)  # type: ignore[arg-type]
    assert renewal.fetch_one("SELECT 1 AS one") == {"one": 1}
    renewal.close()


async def test_who_is_cancelled_does_not_wait_for_a_server_that_hangs(fresh_database: FreshDatabase) -> None:
    """Each task of a worker that ends is cancelled, some of them last of all: a drain has ten seconds in all."""
    async with await Database.open(fresh_database.url, limits=ONE) as database:
        async with database.transaction(Owner()) as transaction:
            backend = await transaction.fetch_value("SELECT pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)
        try:
            asking = asyncio.create_task(_answer(database))
            done, _ = await asyncio.wait({asking}, timeout=0.1)
            assert not done, "the server hangs"
            began = monotonic()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert monotonic() - began < 2
        finally:
            os.kill(backend, signal.SIGCONT)
        assert await _answer(database) == 1


async def test_engine_work_goes_on_beside_a_renewal_thread(fresh_database: FreshDatabase) -> None:
    renewal = RenewalConnection(fresh_database.url)
    async with await Database.open(fresh_database.url, limits=ONE) as database, database.transaction(Engine()):
        assert await asyncio.to_thread(renewal.fetch_one, "SELECT 1 AS one") == {"one": 1}
    renewal.close()
