"""A mailbox of local files that was read once for a module; each test has a copy of record, memory and files."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from atom_backfill.db.pool import Database
from atom_backfill.jobs.job import AccountId, TenantId
from atom_backfill.jobs.postgres import PostgresJobStore
from databases import FreshDatabase, TestServer
from mainjob import Office, an_office
from worlds import Row, World, a_world


@dataclass(frozen=True)
class Read:
    """Whose mail it is; and a neighbour's rows, which must stay as they are."""

    tenant: TenantId
    account: AccountId
    neighbour: TenantId
    neighbours_rows: dict[str, list[Row]]


@dataclass(frozen=True)
class Original:
    """What was read. A copy's files lie in `place`, where they were when they were read; `kept` has the original's."""

    server: TestServer
    database: FreshDatabase
    place: Path
    kept: Path
    read: Read


@dataclass(frozen=True)
class Copy:
    """An office, and the database that it has to itself."""

    world: World
    office: Office


@contextmanager
def an_original(server: TestServer, place: Path) -> Iterator[Original]:
    """Read the mail in `place`/mail into `place`/home."""
    database, kept = server.clone(), place.with_name(f"{place.name}-kept")
    read = asyncio.run(_read(database, place))
    place.rename(kept)
    yield Original(server, database, place, kept, read)
    server.drop(database)


@asynccontextmanager
async def a_copy(original: Original) -> AsyncIterator[Copy]:
    """Copy what was read, for one test at a time; see at its end that the neighbour's rows are what they were."""
    read = original.read
    shutil.copytree(original.kept, original.place)
    fresh = original.server.clone(original.database.name)
    try:
        with psycopg.connect(fresh.superuser_url, autocommit=True, row_factory=dict_row) as admin:
            # It blocks the event loop, so waiting for a transaction of the test itself would take for ever.
            admin.execute("SET lock_timeout = '5s'")
            async with (
                await Database.open(fresh.url) as database,
                _office(database, read.tenant, read.account, original.place) as office,
            ):
                world = World(fresh, database, admin, PostgresJobStore(database), read.neighbour)
                yield Copy(world, office)
                assert world.rows_of(read.neighbour) == read.neighbours_rows, "a neighbour's rows were touched"
    finally:
        original.server.drop(fresh)
        shutil.rmtree(original.place)


async def _read(fresh: FreshDatabase, place: Path) -> Read:
    async with a_world(fresh) as world:
        tenant = await world.tenant()
        account = world.account(tenant)
        async with _office(world.database, tenant, account, place) as office:
            await office.start()
            await office.work()
        return Read(tenant, account, world.neighbour, world.rows_of(world.neighbour))


@asynccontextmanager
async def _office(database: Database, tenant: TenantId, account: AccountId, place: Path) -> AsyncIterator[Office]:
    async with an_office(database, tenant, account, place / "mail", place / "home") as office:
        yield office
