"""The one function that opens transactions: scope, commit, rollback, and what becomes of errors."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import psycopg
import pytest

from atom_backfill.db.pool import (
    Database,
    Engine,
    Operator,
    Owner,
    PoolLimits,
    RowRefusedError,
    Scope,
    Transaction,
    Work,
)
from atom_backfill.errors import BugError, NeedsOwnerError, RetryLaterError
from databases import FreshDatabase, TestServer

TENANT = UUID(int=7)


@dataclass(frozen=True, slots=True)
class Note:
    number: int
    words: str


async def _notes(database: Database) -> list[int]:
    async with database.transaction(Work(TENANT)) as transaction:
        return [note.number for note in await transaction.fetch_all("SELECT * FROM notes ORDER BY number", row=Note)]


async def _add(transaction: Transaction, number: int, words: str = "") -> int:
    return await transaction.execute(
        "INSERT INTO notes VALUES (%(number)s, %(words)s)", {"number": number, "words": words}
    )


@pytest.fixture
async def notes(database: Database, fresh_database: FreshDatabase) -> Database:
    """The database with a small table in it that the work role may use."""
    with psycopg.connect(fresh_database.owner_url) as connection:
        connection.execute("CREATE TABLE notes (number int CONSTRAINT notes_key PRIMARY KEY, words text NOT NULL)")
        connection.execute("GRANT ALL ON notes TO atom_work")
    return database


@pytest.mark.parametrize(
    ("scope", "role", "tenant"),
    [
        (Engine(), "atom_engine", ""),
        (Work(TENANT), "atom_work", str(TENANT)),
        (Operator(), "atom_operator", ""),
        (Owner(), "atom_test", ""),
    ],
)
async def test_a_transaction_has_the_role_and_tenant_of_its_scope(
    database: Database, scope: Scope, role: str, tenant: str
) -> None:
    async with database.transaction(scope, statement_timeout_s=7) as transaction:
        assert await transaction.fetch_one(
            "SELECT current_user::text AS role, current_setting('atom.tenant') AS tenant,"
            " current_setting('statement_timeout') AS statement, current_setting('TimeZone') AS zone,"
            " current_setting('idle_in_transaction_session_timeout') AS idle"
        ) == {"role": role, "tenant": tenant, "statement": "7s", "zone": "UTC", "idle": "15s"}


@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_of_a_scope_stays_on_the_connection(fresh_database: FreshDatabase, fails: bool) -> None:
    async with await Database.open(fresh_database.url, limits=PoolLimits(1, 1)) as database:
        with suppress(ZeroDivisionError):
            async with database.transaction(Work(TENANT), statement_timeout_s=7):
                _ = 1 / (not fails)
        async with database._borrowed() as connection:
            row = await (
                await connection.execute(
                    "SELECT current_user = session_user, coalesce(current_setting('atom.tenant', true), ''),"
                    " current_setting('statement_timeout')"
                )
            ).fetchone()
        assert row == (True, "", "0")


async def test_one_tenants_rows_do_not_exist_for_another(database: Database) -> None:
    mine, theirs = uuid4(), uuid4()
    async with database.transaction(Engine()) as transaction:
        await transaction.executemany(
            "INSERT INTO tenants (id, name) VALUES (%(id)s, %(name)s)",
            [{"id": mine, "name": "mine"}, {"id": theirs, "name": "theirs"}],
        )
    async with database.transaction(Work(mine)) as transaction:
        assert await transaction.fetch_value("SELECT array_agg(name) FROM tenants") == ["mine"]


async def test_leaving_the_block_commits(notes: Database) -> None:
    async with notes.transaction(Work(TENANT)) as transaction:
        assert await _add(transaction, 1) == 1
    assert await _notes(notes) == [1]


async def test_an_error_rolls_back_and_goes_on(notes: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with notes.transaction(Work(TENANT)) as transaction:
            await _add(transaction, 1)
            raise ZeroDivisionError
    assert await _notes(notes) == []


async def test_a_cancelled_task_rolls_back_and_gives_its_connection_back(fresh_database: FreshDatabase) -> None:
    async with await Database.open(fresh_database.url, limits=PoolLimits(1, 1, 5)) as database:
        asleep = asyncio.Event()

        async def sleep() -> None:
            async with database.transaction(Owner()) as transaction:
                asleep.set()
                await transaction.execute("SELECT pg_sleep(60)")

        task = asyncio.create_task(sleep())
        await asleep.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.transaction(Owner()) as transaction:
            assert await transaction.fetch_value("SELECT 1") == 1


async def test_a_swallowed_error_is_noticed_at_the_commit(notes: Database) -> None:
    with pytest.raises(BugError) as noticed:
        async with notes.transaction(Work(TENANT)) as transaction:
            await _add(transaction, 1)
            with suppress(RowRefusedError):
                await _add(transaction, 1)
    assert noticed.value.code == "transaction_lost"
    assert await _notes(notes) == []


async def test_an_error_that_leaves_a_savepoint_costs_that_alone(notes: Database) -> None:
    async with notes.transaction(Work(TENANT)) as transaction:
        await _add(transaction, 1)
        with pytest.raises(RowRefusedError):
            async with transaction.savepoint():
                await _add(transaction, 2)
                await _add(transaction, 1)
        async with transaction.savepoint():
            await _add(transaction, 3)
    assert await _notes(notes) == [1, 3]


async def test_an_error_swallowed_in_a_savepoint_is_noticed_and_costs_that_alone(notes: Database) -> None:
    async with notes.transaction(Work(TENANT)) as transaction:
        await _add(transaction, 1)
        with pytest.raises(BugError):
            async with transaction.savepoint():
                with suppress(RowRefusedError):
                    await _add(transaction, 1)
        await _add(transaction, 2)
    assert await _notes(notes) == [1, 2]


@pytest.mark.parametrize(
    ("number", "words", "constraint"),
    [
        (1, "twice", "notes_key"),
        (2, None, "words"),
        (2, "nul \x00", ""),
        (2, "half \ud800", ""),
        (2**40, "too big a number", ""),
    ],
)
async def test_a_refused_row_names_its_rule_and_quotes_nothing(
    notes: Database, number: int, words: str, constraint: str
) -> None:
    async with notes.transaction(Work(TENANT)) as transaction:
        await _add(transaction, 1)
        with pytest.raises(RowRefusedError) as refused:
            async with transaction.savepoint():
                await _add(transaction, number, words)
        assert refused.value.constraint == constraint
        told = f"{refused.value} {refused.value.detail} {refused.value.__cause__}"
        assert not words or words not in told
        await _add(transaction, 3, "its neighbour")
    assert await _notes(notes) == [1, 3]


async def test_a_refusal_that_comes_with_the_commit_is_one_too(notes: Database, fresh_database: FreshDatabase) -> None:
    with psycopg.connect(fresh_database.owner_url) as connection:
        connection.execute("ALTER TABLE notes ADD CONSTRAINT once UNIQUE (words) DEFERRABLE INITIALLY DEFERRED")
    with pytest.raises(RowRefusedError) as refused:
        async with notes.transaction(Work(TENANT)) as transaction:
            await _add(transaction, 1, "same")
            await _add(transaction, 2, "same")
    assert refused.value.constraint == "once"
    assert await _notes(notes) == []


async def test_many_rows_go_in_at_once(notes: Database) -> None:
    rows = [{"number": number, "words": str(number)} for number in range(1, 4)]
    async with notes.transaction(Work(TENANT)) as transaction:
        assert await transaction.executemany("INSERT INTO notes VALUES (%(number)s, %(words)s)", rows) == 3
    assert await _notes(notes) == [1, 2, 3]


async def test_values_keep_their_types(database: Database) -> None:
    moment = datetime(2020, 2, 29, 12, tzinfo=timezone(timedelta(hours=-8)))
    values = {"moment": moment, "id": TENANT, "words": "ünï ☃ 👩", "data": {"a": [1, None]}, "bytes": b"\x00\xff"}
    async with database.transaction(Owner()) as transaction:
        found = await transaction.fetch_one(
            "SELECT %(moment)s::timestamptz AS moment, %(id)s::uuid AS id, %(words)s::text AS words,"
            " %(data)s::jsonb AS data, %(bytes)s::bytea AS bytes, NULL AS nothing",
            values,
        )
    assert found == {**values, "nothing": None}
    assert found["moment"].tzinfo is not None
    assert found["moment"].utcoffset() == timedelta(0)
    assert found["moment"].astimezone(UTC).isoformat() == "2020-02-29T20:00:00+00:00"


async def test_no_row_is_none(notes: Database) -> None:
    async with notes.transaction(Work(TENANT)) as transaction:
        assert await transaction.fetch_one("SELECT * FROM notes", row=Note) is None
        assert await transaction.fetch_value("SELECT number FROM notes") is None
        assert await transaction.fetch_all("SELECT * FROM notes") == []


async def test_a_slow_statement_is_ended(database: Database) -> None:
    with pytest.raises(RetryLaterError) as ended:
        async with database.transaction(Owner(), statement_timeout_s=0.05) as transaction:
            await transaction.execute("SELECT pg_sleep(60)")
    assert ended.value.code == "database_slow"


async def test_two_that_lock_each_other_out_may_try_again(notes: Database) -> None:
    both_hold = asyncio.Barrier(2)

    async def update(first: int, second: int) -> None:
        async with notes.transaction(Work(TENANT)) as transaction:
            touch = "UPDATE notes SET words = 'x' WHERE number = %(number)s"
            await transaction.execute(touch, {"number": first})
            await both_hold.wait()
            await transaction.execute(touch, {"number": second})

    async with notes.transaction(Work(TENANT)) as transaction:
        await _add(transaction, 1)
        await _add(transaction, 2)
    outcomes = await asyncio.gather(update(1, 2), update(2, 1), return_exceptions=True)
    errors = [each for each in outcomes if each is not None]
    assert [getattr(each, "code", each) for each in errors] == ["database_conflict"]


async def test_without_prepared_statements_everything_still_works(fresh_database: FreshDatabase) -> None:
    async with await Database.open(fresh_database.url, prepare=False, limits=PoolLimits(1, 1)) as database:
        for _ in range(8):
            async with database.transaction(Owner()) as transaction:
                await transaction.fetch_one("SELECT %(number)s::int", {"number": 1})
        async with database.transaction(Owner()) as transaction:
            assert await transaction.fetch_value("SELECT count(*) FROM pg_prepared_statements") == 0


async def test_a_login_that_may_not_take_the_roles_is_told_so(
    postgres: TestServer, fresh_database: FreshDatabase
) -> None:
    with psycopg.connect(fresh_database.superuser_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS atom_stranger")
        connection.execute("CREATE ROLE atom_stranger LOGIN PASSWORD 'x'")
    url = psycopg.conninfo.make_conninfo(fresh_database.url, user="atom_stranger", password="x")
    async with await Database.open(url) as database:
        with pytest.raises(NeedsOwnerError, match="init") as refused:
            async with database.transaction(Engine()):
                pass
        assert refused.value.code == "database_roles_missing"
