"""Opens the model that a tenant's key is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from atom_backfill.access.keys import FindForm, ModelKey
from atom_backfill.app.outside import Outside
from atom_backfill.backfill.lane import LaneParts
from atom_backfill.backfill.postgres_lane import Keys, PostgresLane
from atom_backfill.clock import Clock
from atom_backfill.db.pool import Database
from atom_backfill.http import HttpClient
from atom_backfill.llm.chat import OpenAIChat
from atom_backfill.llm.endpoint import CALL_SECONDS, Endpoint
from atom_backfill.llm.form import Form, find_form
from atom_backfill.settings import Settings

MOST_ANSWER_BYTES = 4 * 2**20
"""Of one answer; what is asked for is a hundred times shorter."""


@asynccontextmanager
async def open_chat(key: ModelKey, value: str, clock: Clock) -> AsyncIterator[OpenAIChat]:
    """Open a key's model, and close the connections to it. Raises UsageError for a base URL that is none."""

    async def own_value() -> str:
        return value

    async with HttpClient(key.base_url, total_seconds=CALL_SECONDS, body_limit=MOST_ANSWER_BYTES) as http:
        fix = f"set another one with `atom-backfill key set {key.name}`"
        yield OpenAIChat(Endpoint(http, key=own_value, fix=fix, clock=clock), key.model)


def lane_parts(settings: Settings, outside: Outside, database: Database, keys: Keys) -> LaneParts:
    """Return what the graph lane of one worker is made of; `keys` gives a tenant's."""

    def chat(key: ModelKey, value: str) -> AbstractAsyncContextManager[OpenAIChat]:
        return open_chat(key, value, outside.clock)

    return LaneParts(
        ledger=PostgresLane(database, keys),
        open_chat=chat,
        prices=settings.model_prices,
        cap_usd=settings.model_cap_usd,
        calls=settings.model_calls,
        room=asyncio.Semaphore(settings.model_calls),
        clock=outside.clock,
        new_id=outside.new_id,
        reached=outside.reached,
    )


def form_finder(clock: Clock) -> FindForm:
    """Return what finds out to which form of answers a key's endpoint can be held."""

    async def find(key: ModelKey, value: str) -> Form:
        async with open_chat(key, value, clock) as chat:
            return await find_form(chat)

    return find
