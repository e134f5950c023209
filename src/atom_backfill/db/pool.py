"""Connections, and the one function that opens transactions: `database.transaction(scope)`.

Leaving the block commits, unless an error passes through it. A transaction that PostgreSQL has already given up,
because an error in it was swallowed, is an error too: its COMMIT would be a silent ROLLBACK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import psycopg
import psycopg_pool
from psycopg import AsyncConnection, conninfo
from psycopg.abc import PQGen
from psycopg.types.json import JsonbDumper

from atom_backfill.db.faults import translate_connecting, translated
from atom_backfill.db.scope import Scope, opening
from atom_backfill.db.transaction import Transaction
from atom_backfill.errors import AtomError, BugError, NeedsOwnerError, RetryLaterError

# A dead peer is noticed within 30 s also when it sends no goodbye; ignored on Unix sockets.
CONNECTING: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "client_encoding": "utf8",
    "application_name": "atom-backfill",
}
# Beyond the server's own statement_timeout: a server that hangs does not keep it.
GRACE_S = 10.0


class _Connection(AsyncConnection[Any]):
    """A connection on which no wait is endless: the time limit is the connection's, not each caller's."""

    patience_s = 60.0 + GRACE_S

    async def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        try:
            return await super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if timeout is None and self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


@dataclass(frozen=True, slots=True)
class PoolSize:
    """Connections kept and allowed, and seconds to wait for a free one."""

    least: int = 1
    most: int = 10
    patience_s: float = 15.0


class Database:
    """A pool of connections to one database: `async with await Database.open(url) as database:`."""

    def __init__(self, url: str, pool: psycopg_pool.AsyncConnectionPool[_Connection]) -> None:
        self.url = url
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, size: PoolSize = PoolSize(), prepare: bool = True) -> Self:
        """Connect once to see that it works, then keep a pool.

        `prepare=False` where a pooler in transaction mode loses prepared statements. Raises NeedsOwnerError,
        RetryLaterError.
        """
        connecting = CONNECTING | {"prepare_threshold": 5 if prepare else None}
        await _try(url)
        pool = psycopg_pool.AsyncConnectionPool(
            url,
            connection_class=_Connection,
            kwargs=connecting | {"autocommit": True},  # BEGIN goes along with the scope, in one round trip
            min_size=size.least,
            max_size=size.most,
            timeout=size.patience_s,
            max_lifetime=3600,
            max_idle=300,
            configure=_configure,
            check=psycopg_pool.AsyncConnectionPool.check_connection,
            open=False,
            name="atom-backfill",
        )
        await pool.open()
        return cls(url, pool)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give all connections back."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self, scope: Scope, *, statement_timeout_s: float = 60.0) -> AsyncIterator[Transaction]:
        """Open a transaction of `scope`; commit at the end of the block, roll back when an error leaves it.

        Raises RetryLaterError `database_unavailable`, `pool_exhausted`, …: nothing was stored, unless the connection
        was lost during the COMMIT itself, when it may have been. Raises BugError when an error was swallowed inside.
        """
        async with self._borrowed() as connection:
            connection.patience_s = statement_timeout_s + GRACE_S
            try:
                await _begin(connection, scope, statement_timeout_s)
                transaction = Transaction(connection)
                yield transaction
                transaction.refuse_if_lost()
            except BaseException:
                with suppress(psycopg.Error):
                    await connection.rollback()
                raise
            with translated():
                await connection.commit()

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[_Connection]:
        try:
            connection = await self._pool.getconn()
        except psycopg_pool.PoolTimeout:
            raise await self._why_none() from None
        except psycopg_pool.PoolClosed:
            raise BugError("database_closed", "The database was used after it had been closed.") from None
        try:
            yield connection
        finally:
            await self._pool.putconn(connection)

    async def _why_none(self) -> AtomError:
        """Tell a pool in full use from a database that is away, by trying to connect."""
        try:
            await _try(self.url)
        except AtomError as error:
            return error
        return RetryLaterError("pool_exhausted", "All database connections of this process are in use.")


async def _try(url: str) -> None:
    try:
        conninfo.conninfo_to_dict(url)
        async with await AsyncConnection.connect(url, **CONNECTING, autocommit=True) as connection:
            encoding = connection.info.parameter_status("server_encoding")
    except psycopg.Error as error:
        raise translate_connecting(error) from None
    if encoding != "UTF8":
        raise NeedsOwnerError(
            "database_encoding",
            f"The database's encoding is {encoding}, which cannot hold all mail: create one with ENCODING 'UTF8'.",
        )


async def _configure(connection: _Connection) -> None:
    connection.adapters.register_dumper(dict, JsonbDumper)


async def _begin(connection: _Connection, scope: Scope, statement_timeout_s: float) -> None:
    try:
        await connection.execute(opening(scope, statement_timeout_s))
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege):
        raise NeedsOwnerError(
            "database_roles_missing",
            "The database lacks the roles of atom-backfill, or this account may not take them: run atom-backfill init; "
            "where the account may not create roles, atom-backfill doctor prints the SQL to run.",
        ) from None
    except psycopg.Error:
        with translated():
            raise
