"""Opens the product: database, vault, tenants, and what works for one tenant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

from atom_backfill.access.keys import Keys
from atom_backfill.access.postgres import PostgresKeys, PostgresTenants
from atom_backfill.access.tenants import LOCAL, Tenant, Tenants
from atom_backfill.access.vault import Binding, Vault, make_master_key, parse_master_key, read_master_key
from atom_backfill.app.mailboxes import Mailboxes
from atom_backfill.app.memories import Memories
from atom_backfill.app.models import form_finder
from atom_backfill.app.outside import Outside
from atom_backfill.archive.postgres import PostgresArchive
from atom_backfill.backfill.lane import refuse_unpriced
from atom_backfill.backfill.postgres import PostgresLedger
from atom_backfill.backfill.reader import JobReader
from atom_backfill.db.embedded import EmbeddedPostgres
from atom_backfill.db.migrate import Migrator
from atom_backfill.db.pool import Database, PoolLimits
from atom_backfill.errors import NeedsOwnerError
from atom_backfill.graph.postgres import PostgresGraph
from atom_backfill.graph.postgres_identity import PostgresIdentity
from atom_backfill.graph.postgres_walks import PostgresWalks
from atom_backfill.jobs.control import Control
from atom_backfill.jobs.job import GRAPH_KEY, TenantId
from atom_backfill.jobs.postgres import PostgresControl
from atom_backfill.jobs.postgres_lanes import key_has_changed
from atom_backfill.search.postgres import PostgresReach
from atom_backfill.search.query import Searcher
from atom_backfill.settings import Settings
from atom_backfill.sources.postgres import PostgresAccounts

MASTER_KEY_FILE = "master.key"
REVIVE_S = 3.0
"""In which a server that has died is waited for; the next try goes on with that. A thread cannot be stopped earlier."""
CONNECTIONS = 12
"""Of one process: four chunks at once, their permits, and the duties beside them."""


class App:
    """The product, opened. Use `open_app`."""

    def __init__(
        self, settings: Settings, outside: Outside, database: Database, server: EmbeddedPostgres | None
    ) -> None:
        self._server = server
        self.settings = settings
        self.outside = outside
        self.database = database
        self.tenants = Tenants(PostgresTenants(database), outside.new_id)
        self.memories = Memories(settings, outside, database)
        self.ledger = PostgresLedger(database)
        self.mailboxes = Mailboxes(settings, outside, database, self.accounts, _Sealer(self))

    @cached_property
    def vault(self) -> Vault:
        """The vault, with the master key of the settings or of the home, made if there is none."""
        if self.settings.master_key is not None:
            return Vault([parse_master_key(self.settings.master_key)])
        return Vault([make_master_key(self.home_file(MASTER_KEY_FILE))])

    @property
    def filled_vault(self) -> Vault:
        """The vault, for what was sealed before. Raises NeedsOwnerError `vault_key_missing` instead of making a key."""
        if self.settings.master_key is None:
            read_master_key(self.settings.home / MASTER_KEY_FILE)
        return self.vault

    def home_file(self, name: str) -> Path:
        """Return the path of a file in the home, which is made if there is none. Raises NeedsOwnerError."""
        home = self.settings.home
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NeedsOwnerError(
                "home_not_writable",
                f"The home folder {home} cannot be made: give the one above it to this user, or set ATOM_HOME.",
                detail=str(error.strerror),
            ) from error
        return home / name

    async def revive(self) -> None:
        """Bring the embedded server back where it has died; a configured database is its operator's business."""
        if self._server is not None:
            await asyncio.to_thread(self._server.start, patience=REVIVE_S)

    async def keep_up(self) -> None:
        """Keep the embedded server up after its last user has gone, until it is told to stop."""
        if self._server is not None:
            await asyncio.to_thread(self._server.keep_up)

    def login_url(self, login: str, password: str) -> str:
        """Return the database's URL for another login."""
        if self._server is not None:
            return self._server.role_url(login, password)
        return with_login(self.database.url, login, password)

    def accounts(self, tenant: TenantId) -> PostgresAccounts:
        """Return a tenant's accounts."""
        return PostgresAccounts(self.database, tenant, _Sealer(self))

    def keys(self, tenant: TenantId) -> PostgresKeys:
        """Return a tenant's keys for models; lanes that wait for one hear of it."""
        return PostgresKeys(self.database, tenant, lambda: self.vault, key_has_changed)

    async def tenant(self, named: str | None = None) -> Tenancy:
        """Return what works for one tenant: the one named, or that of the settings. Raises NotFoundError."""
        name = named or self.settings.tenant
        # `local` is there without `init`: one mailbox and a laptop need no notion of tenants.
        found = await (self.tenants.ensure(LOCAL) if name == LOCAL else self.tenants.resolve(name))
        return Tenancy(self, found)


class Tenancy:
    """What works for one tenant."""

    def __init__(self, app: App, tenant: Tenant) -> None:
        self.app = app
        self.id = TenantId(tenant.id)
        self.name = tenant.name
        self.accounts = app.accounts(self.id)
        self.archive = PostgresArchive(app.database, self.id)
        self.graph = PostgresGraph(app.database, self.id)
        self.walks = PostgresWalks(app.database, self.id)
        self.identity = PostgresIdentity(app.database, self.id, app.outside.clock.monotonic)
        self.jobs = JobReader(app.database, self.id)
        self.control = Control(PostgresControl(app.database), self.id, app.outside.new_id)
        self.keys = Keys(app.keys(self.id), form_finder(app.outside.clock))

    async def refuse_unpriced(self, budget: Decimal | None) -> None:
        """Refuse a budget where nobody knows what the tenant's model costs. Raises UsageError."""
        if budget is not None:
            refuse_unpriced(await self.model(), self.app.settings.model_prices)

    async def model(self) -> str:
        """Name the model that the graph lane asks: that of the tenant's key, or what a new key would be for."""
        named = {key.name: key.model for key in await self.keys.list()}
        return named.get(GRAPH_KEY, self.app.settings.openai_model)

    async def searcher(self) -> Searcher:
        """Return what answers questions about this tenant's mail. Raises what opening its memory raises."""
        memories, database = self.app.memories, self.app.database
        reach, monotonic = PostgresReach(database, self.id), self.app.outside.clock.monotonic
        return Searcher(self.archive, reach, await memories.index(self.id), memories.embedder, monotonic)


@asynccontextmanager
async def open_app(settings: Settings, outside: Outside | None = None) -> AsyncIterator[App]:
    """Open the product with its schema brought up to date, and close what was opened.

    Raises NeedsOwnerError and RetryLaterError with what to do where the home, the database or the schema is unfit.
    """
    async with AsyncExitStack() as stack:
        server = None if settings.database_url else embedded_server(settings)
        url = settings.database_url or await _started(server, stack)
        database = await stack.enter_async_context(
            await Database.open(
                url,
                limits=PoolLimits(most=CONNECTIONS),
                prepare=settings.direct_url is None,  # a pooler may hand each statement to another connection
                direct_url=settings.direct_url,
            )
        )
        # By every command, since a person who updates the program should not have to know of schemas.
        await Migrator(database).ensure_current()
        app = App(settings, outside or Outside(), database, server)
        stack.push_async_callback(app.mailboxes.close)
        stack.push_async_callback(app.memories.close)
        yield app


def with_login(url: str, login: str, password: str) -> str:
    """Return a database URL with another login, and nothing left of its own."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    own = ("user", "password", "passfile")  # they would win over those before the host
    kept = [each for each in parts.query.split("&") if each.partition("=")[0] not in own]
    netloc = f"{quote(login, safe='')}:{quote(password, safe='')}@{host}"
    return urlunsplit(parts._replace(netloc=netloc, query="&".join(kept)))


def embedded_server(settings: Settings) -> EmbeddedPostgres:
    """Return the embedded server of the home, not started; it makes the home where there is none."""
    return EmbeddedPostgres(settings.home, bin_dir=settings.postgres_bin)


async def _started(server: EmbeddedPostgres | None, stack: AsyncExitStack) -> str:
    assert server is not None
    starting = asyncio.get_running_loop().run_in_executor(None, server.start)
    stack.push_async_callback(_closed, server, starting)
    return await asyncio.shield(starting)


async def _closed(server: EmbeddedPostgres, starting: asyncio.Future[str]) -> None:
    # Its thread goes on when whoever waits for it is cancelled, and what it has started would then be nobody's.
    await asyncio.wait({starting})
    await asyncio.to_thread(server.close)


class _Sealer:
    """The vault, for rows of the table `secrets`; opened only when there is a secret."""

    def __init__(self, app: App) -> None:
        self._app = app

    def seal(self, tenant: UUID, row: str, plain: bytes) -> bytes:
        return self._app.vault.seal(Binding(tenant, "secrets", row, "sealed"), plain)

    def open(self, tenant: UUID, row: str, sealed: bytes) -> bytes:
        return self._app.filled_vault.open(Binding(tenant, "secrets", row, "sealed"), sealed)
