"""Opens the mailbox of an account, and keeps it open for the chunks that follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from atom_backfill.app.outside import Outside
from atom_backfill.db.pool import Database
from atom_backfill.errors import BugError
from atom_backfill.jobs.job import AccountId, Lease, TenantId
from atom_backfill.settings import Settings
from atom_backfill.sources.accounts import Account, refuse_disconnected
from atom_backfill.sources.mbox.source import MboxSource
from atom_backfill.sources.ports import MailSource
from atom_backfill.sources.postgres import PostgresAccounts

INDEX_FOLDER = "mbox-index"


class Mailboxes:
    """The open mailboxes of this process, one for each account."""

    def __init__(
        self, settings: Settings, outside: Outside, database: Database, accounts: Callable[[TenantId], PostgresAccounts]
    ) -> None:
        self._settings = settings
        self._outside = outside
        self._database = database
        self._accounts = accounts
        self._open: dict[AccountId, tuple[Account, MailSource]] = {}
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def source(self, lease: Lease) -> MailSource:
        """Return the mailbox that a chunk is about."""
        return (await self._of(lease.tenant_id, lease.account_id))[1]

    async def kind(self, lease: Lease) -> str:
        """Return the kind of the mailbox that a chunk is about."""
        return (await self._of(lease.tenant_id, lease.account_id))[0].kind

    async def open(self, tenant: TenantId, account: Account) -> MailSource:
        """Return an account's mailbox. Raises RefusedError where it is disconnected."""
        refuse_disconnected(account)
        return (await self._of(tenant, account.account_id))[1]

    async def close(self) -> None:
        """Give everything back."""
        await self._stack.aclose()
        self._open.clear()

    async def _of(self, tenant: TenantId, account_id: AccountId) -> tuple[Account, MailSource]:
        async with self._opening:
            if account_id not in self._open:
                account = await self._accounts(tenant).read(account_id)
                self._open[account_id] = (account, await self._make(tenant, account))
            return self._open[account_id]

    async def _make(self, tenant: TenantId, account: Account) -> MailSource:
        match account.kind:
            case "mbox":
                return self.local_files(Path(account.config["path"]), account.address)
            case _:
                raise BugError("unknown_kind", f"An account is of the unknown kind {account.kind!r}.")

    def local_files(self, path: Path, address: str = "") -> MboxSource:
        """Return a mailbox of local files: an mbox file, a Maildir, or a folder of mail files."""
        folder = self._settings.home / INDEX_FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return MboxSource(path, folder, self._outside.clock, address=address)
