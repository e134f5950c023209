"""Accounts, their sealed secrets, their token caches and their request permits in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.clock import Clock
from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database
from atom_backfill.db.scope import Engine, Scope, Work
from atom_backfill.errors import AtomError, NotFoundError, RetryLaterError, ThrottledError
from atom_backfill.jobs.job import AccountId, TenantId
from atom_backfill.sources.accounts import Account, Connection
from atom_backfill.sources.ports import CachedTokens, Sealer

SQL = load_queries(__package__)

TOKEN_CACHE = "token_cache"  # noqa: S105 - the name of a secret, not one
_PERMIT_S = 45.0
"""Longer than a call's limit of 30 s, so that a live request never loses its slot."""
_LONGEST_WAIT_S = 5.0
"""A longer Retry-After gives the chunk back instead of holding a worker's place."""
_SLOT_POLL_S = 0.05
_REFRESH_POLL_S = 0.2
_REFRESH_POLLS = 300


class PostgresAccounts:
    """One tenant's accounts, with their secrets sealed."""

    def __init__(self, database: Database, tenant: TenantId, sealer: Sealer) -> None:
        self._database = database
        self._tenant = tenant
        self._sealer = sealer

    async def list(self) -> Sequence[Account]:
        """Return all accounts, the oldest first."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return await tx.fetch_all(SQL["list_accounts"], {"tenant": self._tenant}, row=Account)

    async def read(self, account_id: AccountId) -> Account:
        """Return one account, without its count of messages. Raises NotFoundError."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            keys = {"tenant": self._tenant, "account": account_id}
            account = await tx.fetch_one(SQL["read_account"], keys, row=Account)
        if account is None:
            raise NotFoundError("no_such_account", "There is no such account; `atom-backfill accounts` lists them.")
        return account

    async def save(self, account_id: AccountId, connection: Connection, *, moved: bool = False) -> AccountId:
        """Store a connection with its secrets; the same mailbox again resumes its account.

        `moved`: the account is there, and is of this mailbox from now on.
        """
        async with self._database.transaction(Work(self._tenant)) as tx:
            if moved:
                keys = {"tenant": self._tenant, "account": account_id, "identity": connection.mailbox.identity}
                await tx.execute(SQL["move_account"], keys)
            saved = await tx.fetch_value(
                SQL["save_account"],
                {
                    "tenant": self._tenant,
                    "account": account_id,
                    "kind": connection.kind,
                    "identity": connection.mailbox.identity,
                    "address": connection.mailbox.address,
                    "config": Jsonb(connection.config),
                },
            )
            # What an earlier sign-in of another kind left behind would be taken for this one's.
            keys = {"tenant": self._tenant, "owner": saved, "names": list(connection.secrets)}
            await tx.execute(SQL["drop_other_secrets"], keys)
            for name, secret in connection.secrets.items():
                sealed = self._sealer.seal(self._tenant, _row(saved, name), secret.encode())
                keys = {"tenant": self._tenant, "owner": saved, "name": name, "sealed": sealed}
                await tx.execute(SQL["save_secret"], keys)
        return AccountId(saved)

    async def forget_credentials(self, account_id: AccountId) -> None:
        """Erase the account's secrets and mark it disconnected."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            await tx.execute(SQL["disconnect_account"], {"tenant": self._tenant, "account": account_id})
            await tx.execute(SQL["drop_secrets"], {"tenant": self._tenant, "owner": account_id})

    async def secret(self, account_id: AccountId, name: str) -> str | None:
        """Open one of the account's secrets; None where there is none."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            keys = {"tenant": self._tenant, "owner": account_id, "name": name}
            row = await tx.fetch_one(SQL["read_secret"], keys)
        if row is None:
            return None
        return self._sealer.open(self._tenant, _row(account_id, name), row["sealed"]).decode()


@dataclass(frozen=True, slots=True)
class PostgresTokenCache:
    """One account's sign-in cache, sealed; the TokenCache of sources/ports.py."""

    database: Database
    tenant: TenantId
    account: AccountId
    sealer: Sealer
    clock: Clock
    new_id: Callable[[], UUID]

    async def load(self) -> CachedTokens:
        """Read the newest cache."""
        async with self.database.transaction(Work(self.tenant)) as tx:
            row = await tx.fetch_one(SQL["read_secret"], self._keys())
        return self._opened(row)

    @asynccontextmanager
    async def refreshing(self) -> AsyncIterator[CachedTokens]:
        """Hold the account's only right to refresh."""
        keys = self._keys() | {"holder": self.new_id()}
        try:
            yield self._opened(await self._hold(keys))
        finally:
            await _give_back(self.database, Work(self.tenant), SQL["release_secret"], keys)

    async def store(self, text: str, *, version: int) -> bool:
        """Replace the cache of that version."""
        sealed = {"sealed": self._seal(text), "version": version}
        async with self.database.transaction(Work(self.tenant)) as tx:
            query = SQL["replace_secret"] if version else SQL["add_secret"]
            return await tx.fetch_one(query, self._keys() | sealed) is not None

    async def _hold(self, keys: dict[str, Any]) -> dict[str, Any]:
        """Take the right, which is held on the row of the cache."""
        async with self.database.transaction(Work(self.tenant)) as tx:
            await tx.execute(SQL["add_secret"], keys | {"sealed": self._seal("")})
            if await tx.fetch_one(SQL["read_secret"], keys) is None:
                raise RetryLaterError("disconnected", "The mailbox has been disconnected; connect it again first.")
        for _ in range(_REFRESH_POLLS):
            async with self.database.transaction(Work(self.tenant)) as tx:
                if row := await tx.fetch_one(SQL["hold_secret"], keys):
                    return row
            await self.clock.sleep(_REFRESH_POLL_S)
        raise RetryLaterError("refresh_busy", "Another worker is renewing this account's sign-in.", after=5.0)

    def _opened(self, row: dict[str, Any] | None) -> CachedTokens:
        if row is None:
            return CachedTokens("", 0)
        return CachedTokens(
            self.sealer.open(self.tenant, _row(self.account, TOKEN_CACHE), row["sealed"]).decode(), row["version"]
        )

    def _keys(self) -> dict[str, Any]:
        return {"tenant": self.tenant, "owner": self.account, "name": TOKEN_CACHE}

    def _seal(self, text: str) -> bytes:
        return self.sealer.seal(self.tenant, _row(self.account, TOKEN_CACHE), text.encode())


class PostgresPermits:
    """Requests in flight, counted over all workers; the Permits of sources/ports.py.

    `scope` is what the limit is for: a mailbox, or the app registration with `ATOM_GRAPH_CONCURRENCY_SCOPE=app`. The
    wait that a service asks for is always the mailbox's.
    """

    def __init__(
        self, database: Database, account: AccountId, scope: str, most: int, clock: Clock, new_id: Callable[[], UUID]
    ) -> None:
        self._database = database
        self._account = account
        self._scope = scope
        self._most = most
        self._clock = clock
        self._new_id = new_id
        # Of one process, no more poll the database than there can be slots; the others wait here, in turn.
        self._turn = asyncio.Semaphore(most)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Take a slot for one request; waits for room and for the mailbox's Retry-After, within limits."""
        holder = {"scope": self._scope, "holder": self._new_id()}
        async with self._turn:
            try:
                await self._take(holder)
                yield
            finally:
                await _give_back(self._database, Engine(), SQL["free_permit"], holder)

    async def throttled(self, error: ThrottledError) -> None:
        """Store for the whole mailbox that the service asked to wait, and use a slot less where it said so."""
        async with self._database.transaction(Engine()) as tx:
            await tx.execute(SQL["throttle_account"], {"account": self._account, "wait_s": error.after or 1.0})
            if error.concurrency:
                await tx.execute(SQL["drop_slot"], {"scope": self._scope, "most": self._most})

    async def _take(self, holder: dict[str, Any]) -> None:
        keys = {**holder, "most": self._most, "held_s": _PERMIT_S, "account": self._account}
        made = False
        while True:
            async with self._database.transaction(Engine()) as tx:
                wait_s = await tx.fetch_value(SQL["read_throttle"], keys) or 0.0
                if wait_s == 0:
                    if await tx.execute(SQL["take_permit"], keys):
                        return
                    if not made:
                        made = True
                        if await tx.execute(SQL["add_permits"], keys):
                            continue
            if wait_s > _LONGEST_WAIT_S:
                raise ThrottledError("throttled", "The mailbox's service asked to wait.", after=wait_s)
            await self._clock.sleep(wait_s or _SLOT_POLL_S)


async def _give_back(database: Database, scope: Scope, statement: LiteralString, keys: dict[str, Any]) -> None:
    """Give back a slot or a right, also where the caller is cancelled meanwhile. What cannot be given back lapses."""

    async def give() -> None:
        with suppress(AtomError):
            async with database.transaction(scope) as tx:
                await tx.execute(statement, keys)

    await asyncio.shield(asyncio.ensure_future(give()))


def _row(owner: UUID, name: str) -> str:
    return f"{owner}/{name}"
