"""What a store can do inside a transaction. Rows come as dicts, or as the dataclass asked for; errors come as ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar, overload

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import class_row, dict_row
from psycopg.sql import SQL, Composed

from atom_backfill.db.faults import translated
from atom_backfill.errors import BugError

Row = dict[str, Any]
Statement = LiteralString | SQL | Composed
Params = Mapping[str, object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction of one scope. Statements are literals of the package, values are bound: `%(name)s`.

    Every method raises RowRefusedError for a row that the database refuses, RetryLaterError, NeedsOwnerError or
    BugError. After any of them the transaction is lost, unless a savepoint around the statement is left by the error.
    """

    _connection: AsyncConnection[Any]

    async def execute(self, statement: Statement, params: Params | None = None) -> int:
        """Run a statement and return the number of rows it touched."""
        with translated():
            return (await self._connection.execute(statement, params)).rowcount

    @overload
    async def fetch_one(self, statement: Statement, params: Params | None = None) -> Row | None: ...
    @overload
    async def fetch_one(self, statement: Statement, params: Params | None = None, *, row: type[T]) -> T | None: ...
    async def fetch_one(
        self, statement: Statement, params: Params | None = None, *, row: type[Any] | None = None
    ) -> Any:
        """Return the first row, or None."""
        with translated():
            async with self._cursor(row) as cursor:
                await cursor.execute(statement, params)
                return await cursor.fetchone()

    @overload
    async def fetch_all(self, statement: Statement, params: Params | None = None) -> list[Row]: ...
    @overload
    async def fetch_all(self, statement: Statement, params: Params | None = None, *, row: type[T]) -> list[T]: ...
    async def fetch_all(
        self, statement: Statement, params: Params | None = None, *, row: type[Any] | None = None
    ) -> list[Any]:
        """Return all rows, in the statement's order."""
        with translated():
            async with self._cursor(row) as cursor:
                await cursor.execute(statement, params)
                return await cursor.fetchall()

    async def fetch_value(self, statement: Statement, params: Params | None = None) -> Any:
        """Return the first column of the first row, or None without a row."""
        found = await self.fetch_one(statement, params)
        return next(iter(found.values())) if found else None

    async def executemany(self, statement: Statement, params: Sequence[Params]) -> int:
        """Run a statement for each set of values, in one go; return the number of rows touched in all."""
        with translated():
            async with self._connection.cursor() as cursor:
                await cursor.executemany(statement, params)
                return cursor.rowcount

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what happens inside, and that alone, when an error leaves the block; the error goes on.

        Raises BugError when an error was swallowed inside, since then nothing of the block would count.
        """
        with translated():
            async with self._connection.transaction():
                yield
                self.refuse_if_lost()

    @asynccontextmanager
    async def trial(self) -> AsyncIterator[None]:
        """Undo what happens inside, whether or not an error leaves the block; the error goes on."""
        with translated():
            async with self._connection.transaction(force_rollback=True):
                yield

    def hashed_password(self, role: str, password: str) -> str:
        """Return what PostgreSQL stores of a password, so that the password itself is in no statement and no log."""
        return self._connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()

    def refuse_if_lost(self) -> None:
        """Raise BugError when an error was swallowed: PostgreSQL has given up the transaction and ignores the rest."""
        if self._connection.info.transaction_status.name == "INERROR":
            raise BugError(
                "transaction_lost",
                "An error inside a transaction was swallowed, so nothing of it would have been stored.",
            )

    def _cursor(self, row: type[Any] | None) -> AsyncCursor[Any]:
        return self._connection.cursor(row_factory=class_row(row) if row else dict_row)
