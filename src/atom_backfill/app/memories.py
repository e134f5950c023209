"""Opens the embedder and each tenant's passages, when first needed: their libraries take a second to import."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import cast

from atom_backfill.app.outside import Outside
from atom_backfill.errors import SignInNeededError
from atom_backfill.http import HttpClient
from atom_backfill.jobs.job import TenantId
from atom_backfill.llm.client import OpenAIEmbedder
from atom_backfill.memory.ports import Embedder, PassageIndex
from atom_backfill.settings import Settings

MODEL_SECONDS = 90.0
OPENAI = "https://api.openai.com/v1"


class Memories:
    """The one embedder of the process, and an open index for each tenant."""

    def __init__(self, settings: Settings, outside: Outside) -> None:
        self._settings = settings
        self._clock = outside.clock
        self._close: Callable[[], None] | None = None
        self._embedder = outside.embedder
        self._indexes: dict[TenantId, PassageIndex] = {}
        self._opening = asyncio.Lock()

    async def embedder(self) -> Embedder:
        """Return the embedder that the settings name. Raises SignInNeededError where its key is missing."""
        async with self._opening:
            if self._embedder is None:
                self._embedder = await self._make_embedder()
            return self._embedder

    async def index(self, tenant: TenantId) -> PassageIndex:
        """Return the tenant's passages. Raises NeedsOwnerError where another embedder made them."""
        embedder = await self.embedder()
        async with self._opening:
            if tenant not in self._indexes:
                # In a thread: the library takes seconds to load, and the event loop has other work.
                lance = await asyncio.to_thread(import_module, "atom_backfill.memory.lance")
                self._indexes[tenant] = await lance.open_index(
                    self._settings.memory_uri, tenant, embedder.identity, embedder.dim
                )
            return self._indexes[tenant]

    def opened(self) -> tuple[TenantId, ...]:
        """Return the tenants whose memory this process has open."""
        return tuple(self._indexes)

    def close(self) -> None:
        """End the embedder's threads."""
        if self._close is not None:
            self._close()

    async def _make_embedder(self) -> Embedder:
        if self._settings.embedder == "openai":
            return await self._openai()
        minilm = await asyncio.to_thread(import_module, "atom_backfill.memory.minilm")
        embedder = minilm.MiniLM(threads=self._settings.threads or None)
        self._close = embedder.close
        return cast(Embedder, embedder)

    async def _openai(self) -> Embedder:
        key, base = self._settings.openai_api_key, self._settings.openai_base_url
        if key is None and base == OPENAI:
            raise SignInNeededError(
                "key_missing", "ATOM_EMBEDDER=openai needs a key: set ATOM_OPENAI_API_KEY, or use ATOM_EMBEDDER=minilm."
            )

        async def own_key() -> str:
            return key or ""

        http = HttpClient(base, total_seconds=MODEL_SECONDS)
        make = partial(
            OpenAIEmbedder, http, model=self._settings.openai_embedding_model, key=own_key, clock=self._clock
        )
        return make(dim=await make(dim=0).probe_dim())
