"""Opens the mailbox of an account, and keeps it open for the chunks that follow; connects new ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from uuid import UUID

from atom_backfill.app.outside import Outside
from atom_backfill.db.pool import Database
from atom_backfill.errors import BugError, RetryLaterError, ThrottledError
from atom_backfill.http import HttpClient
from atom_backfill.jobs.job import AccountId, Lease, TenantId
from atom_backfill.settings import Settings
from atom_backfill.sources.accounts import OUTLOOK, Account, Connection, refuse_disconnected
from atom_backfill.sources.mbox.source import MboxSource
from atom_backfill.sources.outlook.auth import (
    Credentials,
    DeviceCode,
    MemoryTokenCache,
    OutlookTokens,
    sign_in_with_device_code,
    sign_in_with_secret,
)
from atom_backfill.sources.outlook.client import GraphClient
from atom_backfill.sources.outlook.refusals import not_signed_in
from atom_backfill.sources.outlook.source import OutlookSource
from atom_backfill.sources.ports import MailSource, Permits, Sealer, TokenCache
from atom_backfill.sources.postgres import TOKEN_CACHE, PostgresAccounts, PostgresPermits, PostgresTokenCache

INDEX_FOLDER = "mbox-index"
CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a secret, not one

Tell = Callable[[DeviceCode], Awaitable[None]]


class Mailboxes:
    """The open mailboxes of this process, one for each account."""

    def __init__(
        self,
        settings: Settings,
        outside: Outside,
        database: Database,
        accounts: Callable[[TenantId], PostgresAccounts],
        sealer: Sealer,
    ) -> None:
        self._settings = settings
        self._outside = outside
        self._database = database
        self._accounts = accounts
        self._sealer = sealer
        self._open: dict[AccountId, tuple[Account, MailSource]] = {}
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def source(self, lease: Lease) -> MailSource:
        """Return the mailbox that a chunk is about, opened anew where its connection has changed meanwhile."""
        return (await self._of(lease.tenant_id, lease.account_id))[1]

    async def kind(self, lease: Lease) -> str:
        """Return the kind of the mailbox that a chunk is about; it never changes."""
        known = self._open.get(lease.account_id) or await self._of(lease.tenant_id, lease.account_id)
        return known[0].kind

    async def open(self, tenant: TenantId, account: Account) -> MailSource:
        """Return an account's mailbox. Raises RefusedError where it is disconnected."""
        refuse_disconnected(account)
        return (await self._of(tenant, account.account_id))[1]

    def local_files(self, path: Path, address: str = "") -> MboxSource:
        """Return a mailbox of local files: an mbox file, a Maildir, or a folder of mail files."""
        return MboxSource(path, self._settings.home / INDEX_FOLDER, self._outside.clock, address=address)

    async def connect_outlook(self, credentials: Credentials, user: str, tell: Tell) -> Connection:
        """Sign in, read the mailbox to see that it can be read, and return what to keep.

        Raises SignInNeededError and NeedsOwnerError that say what to change and where.
        """
        clock = self._outside.clock
        if credentials.delegated:
            signed_in = await sign_in_with_device_code(self._login, clock, credentials, tell)
        else:
            base = self._settings.graph_base_url
            signed_in = await sign_in_with_secret(self._login, clock, credentials, graph_base_url=base)
        address = user or signed_in.address
        client = self._client(credentials, address, MemoryTokenCache(signed_in.cache), _Unlimited())
        source = OutlookSource(client, clock, address=address)
        mailbox = await source.identify()
        # By id where there is one: it survives a change of address, and keeps addresses out of URLs.
        user = mailbox.identity if _is_user_id(mailbox.identity) else address
        config = {"tenant": credentials.tenant, "client_id": credentials.client_id, "user": user}
        secrets = {TOKEN_CACHE: signed_in.cache}
        if credentials.client_secret is not None:
            secrets[CLIENT_SECRET] = credentials.client_secret
        return Connection(OUTLOOK, mailbox, config, secrets)

    async def close(self) -> None:
        """Give everything back."""
        await self._stack.aclose()
        self._open.clear()

    @cached_property
    def _graph(self) -> HttpClient:
        client = HttpClient(self._settings.graph_base_url)
        self._stack.push_async_callback(client.close)
        return client

    @cached_property
    def _login(self) -> HttpClient:
        client = HttpClient(self._settings.login_base_url)
        self._stack.push_async_callback(client.close)
        return client

    async def _of(self, tenant: TenantId, account_id: AccountId) -> tuple[Account, MailSource]:
        # One at a time: the chunks of a mailbox come at once, and its source is one, with its tokens and its index.
        async with self._opening:
            account = await self._accounts(tenant).read(account_id)
            known = self._open.get(account_id)
            if known is None or known[0].changed_at != account.changed_at:
                known = self._open[account_id] = (account, await self._make(tenant, account))
            return known

    async def _make(self, tenant: TenantId, account: Account) -> MailSource:
        if account.status == "disconnected":
            # Met by a chunk at work. It goes back and is not claimed again until the mailbox is connected.
            raise RetryLaterError("disconnected", "The mailbox has been disconnected; connect it again first.")
        match account.kind:
            case "mbox":
                return self.local_files(Path(account.config["path"]), account.address)
            case "outlook":
                secret = await self._accounts(tenant).secret(account.account_id, CLIENT_SECRET)
                config = account.config
                credentials = Credentials(config["tenant"], config["client_id"], secret)
                cache = self._token_cache(tenant, account.account_id)
                if credentials.delegated and not (await cache.load()).text:
                    raise not_signed_in()
                client = self._client(credentials, config["user"], cache, self._permits(account))
                return OutlookSource(client, self._outside.clock, address=account.address)
            case _:
                raise BugError("unknown_kind", f"An account is of the unknown kind {account.kind!r}.")

    def _client(self, credentials: Credentials, user: str, cache: TokenCache, permits: Permits) -> GraphClient:
        clock, base = self._outside.clock, self._settings.graph_base_url
        tokens = OutlookTokens(self._login, cache, clock, credentials, graph_base_url=base)
        return GraphClient(self._graph, tokens, permits, clock, user=user, jitter=self._outside.rng.random)

    def _token_cache(self, tenant: TenantId, account: AccountId) -> PostgresTokenCache:
        clock, new_id = self._outside.clock, self._outside.new_id
        return PostgresTokenCache(self._database, tenant, account, self._sealer, clock, new_id)

    def _permits(self, account: Account) -> PostgresPermits:
        by_app = self._settings.graph_concurrency_scope == "app"
        scope = f"app:{account.config['client_id']}" if by_app else f"mailbox:{account.account_id}"
        most, clock, new_id = self._settings.graph_concurrency, self._outside.clock, self._outside.new_id
        return PostgresPermits(self._database, account.account_id, scope, most, clock, new_id)


def _is_user_id(identity: str) -> bool:
    try:
        return str(UUID(identity)) == identity.lower()
    except ValueError:
        return False


class _Unlimited:
    """Permits for looking at a mailbox once, before it is an account."""

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Let the request go."""
        yield

    async def throttled(self, error: ThrottledError) -> None:
        """Nobody else is asking: the error goes to the person who connects."""
