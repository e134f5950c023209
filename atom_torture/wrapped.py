"""The product's parts with points in them: its store, database and memory, each in the hands of one life at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from atom_backfill.db.connecting import BoundedAsyncConnection, connect
from atom_backfill.db.pool import Database, PoolLimits, Scope, Transaction
from atom_backfill.errors import AtomError, RetryLaterError
from atom_backfill.jobs.job import Lane, Lease, Outcome
from atom_backfill.jobs.ports import Standing
from atom_backfill.jobs.postgres import PostgresJobStore
from atom_backfill.jobs.postgres_renewals import PostgresRenewals
from atom_backfill.memory.lance import LancePassages
from atom_backfill.memory.ports import PassageRow, Vectors
from atom_torture.life import CURRENT, Life


class TorturedDatabase(Database):
    """Opens transactions whose statements and commits are points of the life that runs them."""

    _wake: Callable[[], None]
    _idle: list[BoundedAsyncConnection]
    _named: WeakKeyDictionary[AsyncConnection[Any], str]
    """Whose transaction each connection has last committed: the database knows that name."""

    @classmethod
    async def open_in_arena(cls, url: str, wake: Callable[[], None]) -> Self:
        """Open one; `wake` is called when a commit tells of new work."""
        database = await cls.open(url, limits=PoolLimits(least=0))
        database._wake, database._idle, database._named = wake, [], WeakKeyDictionary()
        return database

    async def close(self) -> None:
        """Give all connections back."""
        for connection in self._idle:
            await connection.close()
        await super().close()

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[BoundedAsyncConnection]:
        """Lend the connection that was used last, whose statements are prepared: the pool would go round them all."""
        connection = self._idle.pop() if self._idle else await _connected(self.url)
        try:
            yield connection
        finally:
            if connection.info.transaction_status is TransactionStatus.IDLE:
                self._idle.append(connection)
            else:
                await connection.close()

    @asynccontextmanager
    async def transaction(self, scope: Scope, *, statement_timeout_s: float = 60.0) -> AsyncIterator[Transaction]:
        """Open a transaction, as the product does."""
        life = _life()
        life.alive()
        with life.time.call():
            async with super().transaction(scope, statement_timeout_s=statement_timeout_s) as plain:
                tx = TorturedTransaction(plain._connection)
                if self._named.get(plain._connection) != life.name:
                    self._named.pop(plain._connection, None)
                    await plain.execute("SELECT set_config('torture.worker', %(name)s, false)", {"name": life.name})
                yield tx
                await tx.reach("commit")
            self._named[plain._connection] = life.name
            if tx.notified:
                self._wake()
        await life.reach("answered")


@dataclass(frozen=True, slots=True)
class TorturedTransaction(Transaction):
    """A transaction each of whose statements can fail for real."""

    notified: list[object] = field(default_factory=list)
    """Statements that tell the workers of new work."""

    async def reach(self, point: str) -> None:
        """Reach a point of the life whose transaction this is."""
        await _life().reach_inside(point, self._fail)

    async def execute(self, statement: Any, params: Any = None) -> int:
        """Run a statement and return the number of rows it touched."""
        await self.reach("statement")
        if "pg_notify('atom_work'" in str(statement):
            self.notified.append(statement)
        return await Transaction.execute(self, statement, params)

    async def fetch_one(self, statement: Any, params: Any = None, *, row: Any = None) -> Any:
        """Return the first row, or None."""
        await self.reach("statement")
        return await Transaction.fetch_one(self, statement, params, row=row)

    async def fetch_all(self, statement: Any, params: Any = None, *, row: Any = None) -> Any:
        """Return all rows."""
        await self.reach("statement")
        return await Transaction.fetch_all(self, statement, params, row=row)

    async def executemany(self, statement: Any, params: Any) -> int:
        """Run a statement for each set of values."""
        await self.reach("statement")
        return await Transaction.executemany(self, statement, params)

    async def _fail(self, kind: str) -> None:
        if kind == "cut":
            await Transaction.execute(self, "SELECT torture_cut()")
        await Transaction.execute(self, "SELECT torture_fail(%(state)s)", {"state": kind})


class TorturedStore(PostgresJobStore):
    """The engine's store, with points after a claim and around a settle."""

    async def claim(self, worker: str, lanes: Sequence[Lane]) -> Lease | None:
        """Take the next chunk."""
        lease = await super().claim(worker, lanes)
        if lease is not None:
            await _life().reach("leased")
        return lease

    async def settle(self, lease: Lease, outcome: Outcome) -> None:
        """Give the chunk back."""
        await _life().reach("settling")
        try:
            await super().settle(lease, outcome)
        except AtomError:
            _life().sound = False  # what it could not give back lapses
            raise
        await _life().reach("settled")


class TorturedPassages(LancePassages):
    """The memory, with points around its write. `plain` is the same without them."""

    def __init__(self, plain: LancePassages) -> None:
        super().__init__(plain._database, plain._schema)
        self.plain = plain

    async def known_vectors(self, content_hashes: Sequence[str]) -> dict[str, Vectors]:
        """Find vectors already made for these hashes."""
        with _life().time.call():
            return await super().known_vectors(content_hashes)

    async def upsert(self, rows: Sequence[PassageRow], vectors: Vectors) -> None:
        """Write rows by id."""
        await _life().reach("remembering")
        with _life().time.call():
            await super().upsert(rows, vectors)
        await _life().reach("upserted")

    async def place(self, folders: Mapping[UUID, Collection[str]]) -> None:
        """Note in which folders messages lie now."""
        with _life().time.call():
            await super().place(folders)


class TorturedRenewals:
    """Renewals that do not get through while a life is cut off."""

    def __init__(self, inner: PostgresRenewals, life: Life) -> None:
        self._inner = inner
        self._life = life

    def renew(self, leases: Iterable[Lease]) -> dict[Lease, Standing]:
        """Extend leases."""
        if self._life.cut_off:
            raise RetryLaterError("torture", "The database does not answer.")
        standings = self._inner.renew(leases)
        for lease, standing in standings.items():
            if lease in self._life.handling and standing is Standing.HELD:
                self._life.handling[lease] = self._life.time.elapsed
        return standings

    def close(self) -> None:
        """Leave the slot's connection to whoever comes next."""


async def _connected(url: str) -> BoundedAsyncConnection:
    connection = await connect(url)
    connection.prepare_threshold = 1
    return connection


def _life() -> Life:
    life = CURRENT.get()
    assert life is not None, "only workers come here"
    return life
