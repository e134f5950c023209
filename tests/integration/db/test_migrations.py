"""Migrations go in once and in order, whoever applies them, and what does not fit is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from atom_backfill.db.migrate import Migrator, load_migrations
from atom_backfill.db.pool import Database, Engine, Operator, Owner, PoolLimits
from atom_backfill.db.roles import make_roles, operator_login, roles_sql, set_operator_password
from atom_backfill.errors import AtomError, BugError, NeedsOwnerError
from databases import FreshDatabase, TestServer

FIRST, SECOND, THIRD = "0001_pre_first.sql", "0002_post_second.sql", "0010_pre_third.sql"


@pytest.fixture
def empty(postgres: TestServer) -> Iterator[FreshDatabase]:
    database = postgres.clone("template0")
    yield database
    postgres.drop(database)


@pytest.fixture
async def owner(empty: FreshDatabase) -> AsyncIterator[Database]:
    """An empty database, as its owner."""
    async with await Database.open(empty.owner_url, limits=PoolLimits(most=4)) as database:
        yield database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / FIRST).write_text("CREATE TABLE log (what text);\nINSERT INTO log VALUES ('100 % first');\n")
    (tmp_path / SECOND).write_text("-- Says second.\nINSERT INTO log VALUES ('second');\n")
    (tmp_path / "README.md").write_text("no migration")
    return tmp_path


async def _log(database: Database) -> list[str]:
    async with database.transaction(Owner()) as transaction:
        return [row["what"] for row in await transaction.fetch_all("SELECT what FROM log")]


async def test_migrations_go_in_once_and_in_order(owner: Database, folder: Path) -> None:
    migrator = Migrator(owner, folder)
    assert (await migrator.status()).pending == ["0001_pre_first", "0002_post_second"]
    assert await migrator.apply() == ["0001_pre_first", "0002_post_second"]
    assert await migrator.apply() == []
    assert await migrator.ensure_current() == []
    assert await _log(owner) == ["100 % first", "second"]
    status = await migrator.status()
    assert (status.applied, status.pending) == (["0001_pre_first", "0002_post_second"], [])


async def test_a_later_version_adds_what_is_new(owner: Database, folder: Path) -> None:
    await Migrator(owner, folder).apply()
    (folder / THIRD).write_text("INSERT INTO log VALUES ('third');")
    assert await Migrator(owner, folder).ensure_current() == ["0010_pre_third"]
    assert await _log(owner) == ["100 % first", "second", "third"]


async def test_many_at_once_apply_each_migration_once(empty: FreshDatabase, folder: Path) -> None:
    async def apply() -> list[str]:
        async with await Database.open(empty.owner_url) as database:
            return await Migrator(database, folder).ensure_current()

    applied = await asyncio.gather(*(apply() for _ in range(6)))
    assert sorted(name for names in applied for name in names) == ["0001_pre_first", "0002_post_second"]
    async with await Database.open(empty.owner_url) as database:
        assert await _log(database) == ["100 % first", "second"]


async def test_a_failed_migration_leaves_nothing_and_those_before_it_stay(owner: Database, folder: Path) -> None:
    (folder / SECOND).write_text("INSERT INTO log VALUES ('second'); SELECT 1/0;")
    with pytest.raises(AtomError):
        await Migrator(owner, folder).apply()
    assert await _log(owner) == ["100 % first"]
    (folder / SECOND).write_text("INSERT INTO log VALUES ('second');")
    assert await Migrator(owner, folder).apply() == ["0002_post_second"]


async def test_a_migration_that_was_changed_afterwards_is_refused(owner: Database, folder: Path) -> None:
    await Migrator(owner, folder).apply()
    (folder / SECOND).write_text("INSERT INTO log VALUES ('another second');")
    for attempt in (Migrator(owner, folder).apply, Migrator(owner, folder).ensure_current):
        with pytest.raises(NeedsOwnerError, match="0002_post_second") as refused:
            await attempt()
        assert refused.value.code == "schema_changed"
    assert await _log(owner) == ["100 % first", "second"]


async def test_line_ends_are_no_change(owner: Database, folder: Path) -> None:
    await Migrator(owner, folder).apply()
    (folder / FIRST).write_bytes((folder / FIRST).read_bytes().replace(b"\n", b"\r\n"))
    assert await Migrator(owner, folder).ensure_current() == []


async def test_a_database_newer_than_the_code_is_refused(owner: Database, folder: Path) -> None:
    await Migrator(owner, folder).apply()
    (folder / SECOND).unlink()
    with pytest.raises(NeedsOwnerError, match="update atom-backfill") as refused:
        await Migrator(owner, folder).ensure_current()
    assert refused.value.code == "schema_newer"


@pytest.mark.parametrize("name", ["1_pre_x.sql", "0003_x.sql", "0003_pre_X.sql", "0002_pre_again.sql"])
def test_a_misnamed_migration_is_a_mistake(folder: Path, name: str) -> None:
    (folder / name).write_text("SELECT 1;")
    with pytest.raises(BugError, match=name):
        load_migrations(folder)


async def test_the_products_migrations_make_an_empty_database_current(owner: Database) -> None:
    migrator = Migrator(owner)
    assert await migrator.ensure_current()
    assert (await migrator.status()).pending == []


async def test_the_owner_may_take_the_roles_and_several_databases_share_them(
    owner: Database, postgres: TestServer
) -> None:
    other = postgres.clone("template0")
    async with await Database.open(other.owner_url) as second:
        await asyncio.gather(make_roles(owner), make_roles(second), make_roles(owner))
        for database in (owner, second):
            async with database.transaction(Engine()) as transaction:
                assert await transaction.fetch_value("SELECT current_user::text") == "atom_engine"
    postgres.drop(other)


async def test_the_operators_login_reads_and_writes_nothing(
    fresh_database: FreshDatabase, postgres: TestServer
) -> None:
    other = postgres.clone()
    async with await Database.open(fresh_database.owner_url) as first, await Database.open(other.owner_url) as second:
        login = await set_operator_password(first, 'it\'s a "password"')
        assert login == operator_login(fresh_database.name)
        assert await set_operator_password(second, "another") != login
    url = psycopg.conninfo.make_conninfo(fresh_database.url, user=login, password='it\'s a "password"')
    async with await Database.open(url) as operator:
        async with operator.transaction(Owner()) as transaction:
            assert await transaction.fetch_value("SELECT count(*) FROM tenants") == 0
        async with operator.transaction(Operator()) as transaction:
            assert await transaction.fetch_value("SELECT count(*) FROM historical_sync_jobs") == 0
        for statement in ("INSERT INTO tenants VALUES (gen_random_uuid(), 'x')", "SELECT * FROM secrets"):
            with pytest.raises(NeedsOwnerError):
                async with operator.transaction(Owner()) as transaction:
                    await transaction.execute(statement)
    postgres.drop(other)


async def test_the_operators_password_can_be_changed(fresh_database: FreshDatabase) -> None:
    async with await Database.open(fresh_database.owner_url) as database:
        login = await set_operator_password(database, "old")
        assert await set_operator_password(database, "new") == login
    with pytest.raises(NeedsOwnerError):
        await Database.open(psycopg.conninfo.make_conninfo(fresh_database.url, user=login, password="old"))
    url = psycopg.conninfo.make_conninfo(fresh_database.url, user=login, password="new")
    async with await Database.open(url):
        pass


async def test_an_account_that_may_not_make_roles_is_given_the_sql_and_it_works(
    empty: FreshDatabase, folder: Path
) -> None:
    with psycopg.connect(empty.superuser_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS \"plain 'owner'\"")
        admin.execute("CREATE ROLE \"plain 'owner'\" LOGIN PASSWORD 'x'")
        admin.execute(f"ALTER DATABASE {empty.name} OWNER TO \"plain 'owner'\"")
        url = psycopg.conninfo.make_conninfo(empty.owner_url, user="plain 'owner'", password="x")
        async with await Database.open(url) as database:
            with pytest.raises(NeedsOwnerError, match="doctor") as refused:
                await Migrator(database, folder).ensure_current()
            assert refused.value.code == "database_roles_missing"
            async with database.transaction(Owner()) as transaction:
                assert refused.value.detail == await roles_sql(transaction)
            for statement in refused.value.detail.splitlines():
                if "CREATE ROLE atom_" not in statement or "LOGIN PASSWORD" in statement:  # the groups are there
                    admin.execute(statement)  # type: ignore[call-overload]
            assert await Migrator(database, folder).ensure_current() == ["0001_pre_first", "0002_post_second"]
        admin.execute(f"ALTER DATABASE {empty.name} OWNER TO atom")
        admin.execute("REASSIGN OWNED BY \"plain 'owner'\" TO atom; DROP OWNED BY \"plain 'owner'\"")
