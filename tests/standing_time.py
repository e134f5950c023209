"""A database in which time stands still but for what a test moves it on, and connections that are lost when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import dict_row

from atom_backfill.db.pool import Database, PoolLimits, Scope, Transaction
from atom_backfill.db.renewal import RenewalConnection
from atom_backfill.jobs.postgres_renewals import PostgresRenewals
from databases import FreshDatabase

T = TypeVar("T")
STANDING_TIME = """
CREATE TABLE rules_clock (now timestamptz NOT NULL);
INSERT INTO rules_clock VALUES ('2030-01-01 00:00:00+00');
GRANT SELECT ON rules_clock TO PUBLIC;
CREATE OR REPLACE FUNCTION atom_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
    'SELECT now FROM rules_clock';
"""
CUT: LiteralString = """
CREATE FUNCTION rules_cut() RETURNS void LANGUAGE sql SECURITY DEFINER AS
    'SELECT pg_terminate_backend(pg_backend_pid())'
"""


class CutDatabase:
    """A database whose connection is lost at the end of every transaction, when all is said and nothing is stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[Transaction]:
        async with self._database.transaction(scope) as tx:
            yield tx
            await tx.execute("SELECT rules_cut()")


@dataclass
class Engine:
    """The engine on a database in which time stands still. `admin` is a superuser's, for looking and for the time."""

    runner: asyncio.Runner
    database: Database
    admin: psycopg.Connection[dict[str, Any]]
    renewals: PostgresRenewals

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(what)

    def set_time(self, seconds: float) -> None:
        self.admin.execute("UPDATE rules_clock SET now = '2030-01-01+00'::timestamptz + %s * interval '1 s'", [seconds])

    def empty(self) -> None:
        with self.admin.transaction():
            self.admin.execute("SET LOCAL session_replication_role = replica")
            for table in ("tenants", "accounts", "historical_sync_jobs", "job_turns", "sync_chunks", "request_permits"):
                self.admin.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]


@contextmanager
def an_engine(fresh: FreshDatabase) -> Iterator[Engine]:
    """Make time stand still in a database, for good, and open it."""
    with psycopg.connect(fresh.superuser_url, autocommit=True, row_factory=dict_row) as admin:
        admin.execute(STANDING_TIME)  # type: ignore[arg-type]
        admin.execute(CUT)
        renewals = PostgresRenewals(RenewalConnection(fresh.url))
        with asyncio.Runner() as runner:
            database = runner.run(Database.open(fresh.url, limits=PoolLimits(least=2, most=2)))
            yield Engine(runner, database, admin, renewals)
            renewals.close()
            runner.run(database.close())
