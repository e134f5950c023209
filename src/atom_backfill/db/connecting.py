"""Single connections on which no wait is endless: the time limit is the connection's own, not each caller's."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.types.json import JsonbDumper

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


class BoundedAsyncConnection(AsyncConnection[Any]):
    """Closes itself when an answer takes longer than `patience_s`; the statement fails with OperationalError."""

    patience_s = 60.0 + GRACE_S

    async def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """Wait for the server, within the limit."""
        try:
            return await super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if timeout is None and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


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
