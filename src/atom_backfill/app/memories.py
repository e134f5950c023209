"""Opens the embedder and each tenant's passages, when first needed: their libraries take a second to import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Any, cast

from atom_backfill.app.outside import Outside
from atom_backfill.db.pool import Database
from atom_backfill.errors import KeyNeededError
from atom_backfill.http import HttpClient
from atom_backfill.jobs.job import TenantId
from atom_backfill.jobs.postgres import PostgresDuties
from atom_backfill.llm.embeddings import OpenAIEmbedder
from atom_backfill.llm.endpoint import CALL_SECONDS
from atom_backfill.memory.ports import Embedder, PassageStore
from atom_backfill.memory.postgres import PostgresMemories, Standing
from atom_backfill.settings import Settings

OPENAI = "https://api.openai.com/v1"
MAKING_S = 60.0
"""For which a process that makes a dataset keeps the others from it, should it die meanwhile."""
_POLL_S = 0.5


class Memories:
    """The one embedder of the process, and an open index for each tenant; without a database the embedder alone."""

    def __init__(self, settings: Settings, outside: Outside, database: Database | None = None) -> None:
        self._settings = settings
        self._outside = outside
        self._database = database
        self._stack = AsyncExitStack()
        self._embedder = outside.embedder
        self._indexes: dict[TenantId, tuple[int, PassageStore]] = {}
        self._opening = asyncio.Lock()
        self._session: object = None

    async def embedder(self) -> Embedder:
        """Return the embedder that the settings name. Raises KeyNeededError where its key is missing."""
        async with self._opening:
            if self._embedder is None:
                self._embedder = await self._make_embedder()
            return self._embedder

    async def index(self, tenant: TenantId) -> PassageStore:
        """Return the tenant's passages, opened anew in each epoch: a rebuild may have replaced them.

        Raises NeedsOwnerError where another embedder made them.
        """
        epoch = (await self._standing(tenant)).epoch
        if (known := self._indexes.get(tenant)) and known[0] == epoch:  # what is open waits for nobody who opens
            return known[1]
        await self.embedder()
        async with self._opening:
            known = self._indexes.get(tenant)
            if known is None or known[0] != epoch:
                known = self._indexes[tenant] = epoch, await self._open(tenant)
            return known[1]

    async def beside(self, tenant: TenantId, name: str) -> PassageStore:
        """Return what a rebuild makes beside the tenant's memory, made if there is none. Raises as `index` does."""
        await self.embedder()
        async with self._opening:
            return await self._open(tenant, name)

    async def drop_beside(self, tenant: TenantId) -> None:
        """Delete what lies beside the tenant's memory."""
        await (await self._lance()).drop_beside(self._settings.memory_uri, tenant)

    async def replace(self, tenant: TenantId, still: Callable[[], Awaitable[object]]) -> None:
        """Put what lies beside the tenant's memory in its place; see `memory.lance.replace`."""
        await (await self._lance()).replace(self._settings.memory_uri, tenant, still, self._alone(tenant))

    async def is_made(self, tenant: TenantId) -> bool:
        """Tell whether the tenant has passages, without making any."""
        return cast(bool, await (await self._lance()).is_made(self._settings.memory_uri, tenant))

    def standing(self, tenant: TenantId) -> PostgresMemories:
        """Return how the tenant's memory stands."""
        assert self._database is not None
        return PostgresMemories(self._database, tenant)

    def opened(self) -> tuple[TenantId, ...]:
        """Return the tenants whose memory this process has open."""
        return tuple(self._indexes)

    async def close(self) -> None:
        """End the embedder's threads or connections."""
        await self._stack.aclose()

    async def _standing(self, tenant: TenantId) -> Standing:
        """Tell how the memory stands; a swap whose process has died is ended first."""
        standing = self.standing(tenant)
        found = await standing.standing()
        if not found.swapping:
            return found
        lance = await self._lance()
        settle = partial(lance.settle, self._settings.memory_uri, tenant)
        await standing.end_dead_swap(settle, partial(self.drop_beside, tenant))
        return await standing.standing()

    async def _open(self, tenant: TenantId, beside: str = "") -> PassageStore:
        assert self._embedder is not None
        lance = await self._lance()
        self._session = self._session or lance.new_session()
        uri, made_by, dim = self._settings.memory_uri, self._embedder.identity, self._embedder.dim
        alone, session = self._alone(tenant), self._session
        opened = await lance.open_index(uri, tenant, made_by, dim, beside=beside, creation=alone, session=session)
        return cast(PassageStore, opened)

    async def _lance(self) -> Any:
        # In a thread: the library takes seconds to load, and the event loop has other work.
        return await asyncio.to_thread(import_module, "atom_backfill.memory.lance")

    @asynccontextmanager
    async def _alone(self, tenant: TenantId) -> AsyncIterator[None]:
        """Let one process at a time make a dataset; see `open_index`."""
        assert self._database is not None
        duties, name, clock = PostgresDuties(self._database), f"memory:{tenant}", self._outside.clock
        while (fence := await duties.take(name, "opening", MAKING_S)) is None:
            await clock.sleep(_POLL_S)
        try:
            yield
        finally:
            await duties.end(name, fence, 0.0)

    async def _make_embedder(self) -> Embedder:
        if self._settings.embedder == "openai":
            return await self._openai()
        minilm = await asyncio.to_thread(import_module, "atom_backfill.memory.minilm")
        embedder = minilm.MiniLM(threads=self._settings.threads or None)
        self._stack.callback(embedder.close)
        return cast(Embedder, embedder)

    async def _openai(self) -> Embedder:
        key, base = self._settings.openai_api_key, self._settings.openai_base_url
        if key is None and base == OPENAI:
            raise KeyNeededError(
                "key_missing", "ATOM_EMBEDDER=openai needs a key: set ATOM_OPENAI_API_KEY, or use ATOM_EMBEDDER=minilm."
            )

        async def own_key() -> str:
            return key or ""

        async with AsyncExitStack() as opening:
            http = await opening.enter_async_context(HttpClient(base, total_seconds=CALL_SECONDS))
            model, clock = self._settings.openai_embedding_model, self._outside.clock
            make = partial(OpenAIEmbedder, http, model=model, key=own_key, clock=clock)
            embedder = make(dim=await make(dim=0).probe_dim())
            self._stack.push_async_exit(opening.pop_all())
            return embedder
