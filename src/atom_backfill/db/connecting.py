"""Single connections on which no wait is endless: the time limit is the connection's own, not each caller's."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.types.json import JsonbDumper
from psycopg.waiting import wait_async

from atom_backfill.db.faults import translate_connecting

# A dead peer is noticed within 30 s also when it sends no goodbye; ignored on Unix sockets.
PARAMETERS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "client_encoding": "utf8",
    "application_name": "atom-backfill",
    "autocommit": True,  # BEGIN goes along with the scope, in one round trip
}
# Beyond the server's own statement_timeout, which a server that hangs does not keep.
GRACE_S = 10.0
CANCEL_S = 0.5
"""In which a server ends a cancelled statement, and says so."""


class BoundedAsyncConnection(AsyncConnection[Any]):
    """Closes itself when an answer takes longer than `patience_s`; the statement fails with OperationalError.

    Who is cancelled waits for `CANCEL_S` at most.
    """

    patience_s = 60.0 + GRACE_S

    async def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """Wait for the server, within the limit."""
        limit = self.patience_s if timeout is None else timeout
        try:
            # Not the library's own `wait`, which gives a server that hangs ten seconds when the task is cancelled.
            return await wait_async(gen, self.pgconn.socket, interval=interval, timeout=limit)
        except asyncio.CancelledError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._leave(gen)
            raise
        except psycopg.OperationalError:
            if timeout is None and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise

    async def _leave(self, gen: PQGen[Any]) -> None:
        """Have the server end a statement that nobody waits for any more, or close the connection."""
        try:
            async with asyncio.timeout(CANCEL_S):
                await self.cancel_safe()
                await wait_async(gen, self.pgconn.socket)
        except psycopg.errors.QueryCanceled:
            pass  # the connection is as good as before
        except (psycopg.Error, TimeoutError, asyncio.CancelledError):
            self.pgconn.finish()


class BoundedConnection(Connection[Any]):
    """The same for a thread."""

    patience_s = 60.0 + GRACE_S

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server, within the limit."""
        try:
            return super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if timeout is None and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


async def connect(url: str) -> BoundedAsyncConnection:
    """Open one connection. Raises NeedsOwnerError, RetryLaterError with the reason."""
    try:
        connection = await BoundedAsyncConnection.connect(url, **PARAMETERS)
    except psycopg.Error as error:
        raise translate_connecting(error, url) from None
    await configure(connection)
    return connection


async def configure(connection: BoundedAsyncConnection) -> None:
    """Let a dict be a value: it goes as jsonb."""
    connection.adapters.register_dumper(dict, JsonbDumper)
