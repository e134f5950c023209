"""Connections, and the one function that opens transactions: `database.transaction(scope)`.

Leaving the block commits, unless an error passes through it. A transaction that PostgreSQL has already given up,
because an error in it was swallowed, is an error too: its COMMIT would be a silent ROLLBACK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self

import psycopg
import psycopg_pool
from psycopg import sql

from atom_backfill.clock import Clock
from atom_backfill.db.connecting import GRACE_S, PARAMETERS, BoundedAsyncConnection, configure, connect
from atom_backfill.db.faults import RowRefusedError, translated
from atom_backfill.db.listening import Heard, Listening, Lost, Notified, listen
from atom_backfill.db.renewal import RenewalConnection
from atom_backfill.db.scope import IDLE_LIMIT_S, Engine, Operator, Owner, Scope, Work, opening
from atom_backfill.db.transaction import Params, Row, Transaction
from atom_backfill.errors import AtomError, BugError, NeedsOwnerError, RetryLaterError

# What a store needs of this room comes from here.
__all__ = [
    "Database", "Engine", "Heard", "Listening", "Lost", "Notified", "Operator", "Owner", "Params", "PoolLimits",
    "RenewalConnection", "Row", "RowRefusedError", "Scope", "Transaction", "Work",
]  # fmt: skip


CLOSING_S = 1.0
"""For which closing waits for connections that are just being made."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Connections kept and allowed; seconds to wait for a free one, and for an answer beyond `statement_timeout`.

    `idle_s`: seconds after which the server ends a transaction in which nothing happens.
    """

    least: int = 1
    most: int = 10
    wait_s: float = 15.0
    grace_s: float = GRACE_S
    idle_s: float = IDLE_LIMIT_S


class Database:
    """A pool of connections to one database: `async with await Database.open(url) as database:`."""

    def __init__(
        self,
        url: str,
        direct_url: str,
        pool: psycopg_pool.AsyncConnectionPool[BoundedAsyncConnection],
        limits: PoolLimits,
    ) -> None:
        self.url = url
        self.direct_url = direct_url
        self._pool = pool
        self._limits = limits

    @classmethod
    async def open(
        cls, url: str, *, limits: PoolLimits = PoolLimits(), prepare: bool = True, direct_url: str | None = None
    ) -> Self:
        """Connect once to see that it works, then keep a pool.

        Where `url` leads through a pooler in transaction mode: `prepare=False` if that loses prepared statements, and
        `direct_url` for notifications. Raises NeedsOwnerError, RetryLaterError.
        """
        await _try(url)
        pool = psycopg_pool.AsyncConnectionPool(
            url,
            connection_class=BoundedAsyncConnection,
            kwargs=PARAMETERS | {"prepare_threshold": 5 if prepare else None},
            min_size=limits.least,
            max_size=limits.most,
            timeout=limits.wait_s,
            max_lifetime=3600,
            max_idle=300,
            # Tries come twice as far apart each time: the next one in need begins anew, or a long outage is doubled.
            reconnect_timeout=limits.wait_s,
            configure=configure,
            check=psycopg_pool.AsyncConnectionPool.check_connection,
            open=False,
            name="atom-backfill",
        )
        await pool.open()
        return cls(url, direct_url or url, pool, limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give all connections back."""
        await self._pool.close(timeout=CLOSING_S)

    @asynccontextmanager
    async def transaction(self, scope: Scope, *, statement_timeout_s: float = 60.0) -> AsyncIterator[Transaction]:
        """Open a transaction of `scope`; commit at the end of the block, roll back when an error leaves it.

        Raises RetryLaterError `database_unavailable`, `pool_exhausted`, …: nothing was stored, unless the connection
        was lost during the COMMIT itself, when it may have been. Raises BugError when an error was swallowed inside.
        """
        async with self._borrowed() as connection:
            connection.patience_s = statement_timeout_s + self._limits.grace_s
            try:
                await _begin(connection, opening(scope, statement_timeout_s, self._limits.idle_s))
                transaction = Transaction(connection)
                yield transaction
                transaction.refuse_if_lost()
            except BaseException:
                with suppress(psycopg.Error):
                    await connection.rollback()
                raise
            with translated():
                await connection.commit()

    def listen(self, channels: Sequence[str], clock: Clock) -> AsyncIterator[Heard]:
        """Yield notifications of `channels`, and when they are lost, for ever; see listening.py."""
        return listen(self.direct_url, channels, clock)

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[BoundedAsyncConnection]:
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
    connection = await connect(url)
    try:
        encoding = connection.info.parameter_status("server_encoding")
    finally:
        await connection.close()
    if encoding != "UTF8":
        raise NeedsOwnerError(
            "database_encoding",
            f"The database's encoding is {encoding}, which cannot hold all mail: create one with ENCODING 'UTF8'.",
        )


async def _begin(connection: BoundedAsyncConnection, opening_it: sql.Composed) -> None:
    try:
        await connection.execute(opening_it)
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege):
        raise NeedsOwnerError(
            "database_roles_missing",
            "The database lacks the roles of atom-backfill, or this account may not take them: run atom-backfill init; "
            "where the account may not create roles, atom-backfill doctor prints the SQL to run.",
        ) from None
    except psycopg.Error:
        with translated():
            raise
