"""PostgreSQL for tests: one embedded server a run, shared by the xdist workers, and a fresh database for each test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from os import getpid
from pathlib import Path
from shutil import disk_usage
from tempfile import gettempdir

import psycopg
from psycopg import sql

from atom_backfill.db.embedded import EmbeddedPostgres
from atom_backfill.db.migrate import Migrator
from atom_backfill.db.pool import Database, Owner

ROOM_BYTES = 2_000_000_000
TEMPLATE = "atom_template"
# NOINHERIT: a store that forgets its scope can do nothing.
LOGIN, PASSWORD = "atom_test", "atom-test"
_ROLES = """
DO $$ BEGIN
    CREATE ROLE atom_test LOGIN NOINHERIT PASSWORD 'atom-test';
    GRANT atom_engine, atom_work, atom_operator TO atom_test;
END $$
"""


@dataclass(frozen=True)
class FreshDatabase:
    """A database of one test. `url` is the store's login: no superuser, owner of nothing, member of the three roles."""

    name: str
    url: str
    owner_url: str
    superuser_url: str


class TestServer:
    """A running embedded server with a migrated template."""

    __test__ = False

    def __init__(self, embedded: EmbeddedPostgres) -> None:
        self._embedded = embedded
        self._numbers = count()
        self._admin = psycopg.connect(embedded.superuser_url("postgres"), autocommit=True)
        self._make_template()

    def clone(self, template: str = TEMPLATE) -> FreshDatabase:
        """Make a database with the product's schema (or an empty one: `template0`)."""
        name = f"test_{getpid()}_{next(self._numbers)}"
        self._admin.execute(
            # Copying files is half the work of logging every page.
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy OWNER atom").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return FreshDatabase(
            name,
            url=self._embedded.role_url(LOGIN, PASSWORD, name),
            owner_url=self._embedded.owner_url(name),
            superuser_url=self._embedded.superuser_url(name),
        )

    def drop(self, database: FreshDatabase) -> None:
        """Remove a database, whoever is connected."""
        self._admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name)))

    def close(self) -> None:
        """Give the connection back."""
        self._admin.close()

    def _make_template(self) -> None:
        # Two workers of a run begin at once; the lock is the server's, whichever comes first makes it.
        self._admin.execute("SELECT pg_advisory_lock(1)")
        try:
            if self._admin.execute("SELECT FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone() is None:
                half_made = f"{TEMPLATE}_new"
                self._admin.execute(f"CREATE DATABASE {half_made} TEMPLATE template0 OWNER atom")
                asyncio.run(_migrate(self._embedded.owner_url(half_made)))
                self._admin.execute(_ROLES)
                self._admin.execute(f"ALTER DATABASE {half_made} RENAME TO {TEMPLATE}")
        finally:
            self._admin.execute("SELECT pg_advisory_unlock(1)")


@contextmanager
def running_server(home: Path) -> Iterator[TestServer]:
    """Use the run's server, starting it if this worker is the first; the last worker removes it."""
    embedded = EmbeddedPostgres(home, elsewhere=[_quick_folder()], durable=False)
    embedded.start()
    try:
        server = TestServer(embedded)
        try:
            yield server
        finally:
            server.close()
    finally:
        embedded.destroy()


def _quick_folder() -> Path:
    """Return where files are made soonest: in memory, where there is room. A database is 300 files."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and disk_usage(memory).free > ROOM_BYTES
    return memory if roomy else Path(gettempdir())


async def refuse_without_row_security(database: Database) -> None:
    """Fail where row-level security would not bind: as superuser, or where a table of a tenant does not force it."""
    async with database.transaction(Owner()) as transaction:
        role = await transaction.fetch_one(
            "SELECT rolsuper OR rolbypassrls AS free FROM pg_roles WHERE rolname = session_user"
        )
        assert role == {"free": False}, "stores are tested as a role that row-level security binds"
        loose = await transaction.fetch_all(
            "SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant_id'"
            " WHERE relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)"
        )
        assert loose == [], "every table with a tenant_id forces row-level security"


async def _migrate(url: str) -> None:
    async with await Database.open(url) as database:
        await Migrator(database).apply()
