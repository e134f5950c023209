"""One blocking connection for the thread that renews leases, which must not depend on the event loop."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from atom_backfill.db.connecting import PARAMETERS, BoundedConnection
from atom_backfill.db.faults import translate, translate_connecting
from atom_backfill.db.scope import Engine, Scope, opening


class RenewalConnection:
    """Runs one statement a transaction, in `scope`; connects when needed, and again after an error.

    `patience_s` bounds connecting and each answer: a renewal that takes longer than a lease is of no use.
    """

    def __init__(self, url: str, *, scope: Scope | None = None, patience_s: float = 5.0) -> None:
        self._url = url
        self._scope = scope or Engine()
        self._patience_s = patience_s
        self._connection: BoundedConnection | None = None

    def fetch_one(self, statement: LiteralString, params: Mapping[str, object] | None = None) -> dict[str, Any] | None:
        """Run a statement, commit, and return its first row. Raises RetryLaterError, NeedsOwnerError, BugError."""
        return next(iter(self.fetch_all(statement, params)), None)

    def fetch_all(self, statement: LiteralString, params: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Run a statement, commit, and return its rows. Raises RetryLaterError, NeedsOwnerError, BugError."""
        if self._connection is not None:
            try:
                return self._run(self._connection, statement, params)
            except psycopg.OperationalError:
                self.close()  # it may have died while it lay idle: try once more on a new one
            except psycopg.Error as error:
                self.close()
                raise translate(error) from None
        self._connection = self._connect()
        try:
            return self._run(self._connection, statement, params)
        except psycopg.Error as error:
            self.close()
            raise translate(error) from None

    def close(self) -> None:
        """Give the connection back; the next statement opens another."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _connect(self) -> BoundedConnection:
        parameters = PARAMETERS | {"connect_timeout": max(2, int(self._patience_s)), "prepare_threshold": None}
        try:
            connection = BoundedConnection.connect(self._url, **parameters)
        except psycopg.Error as error:
            raise translate_connecting(error) from None
        connection.patience_s = self._patience_s
        connection.row_factory = dict_row
        return connection

    def _run(
        self, connection: BoundedConnection, statement: LiteralString, params: Mapping[str, object] | None
    ) -> list[dict[str, Any]]:
        connection.execute(opening(self._scope, self._patience_s))
        rows: list[dict[str, Any]] = connection.execute(statement, params).fetchall()
        connection.commit()
        return rows
