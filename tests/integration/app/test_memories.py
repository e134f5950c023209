"""The memory as the product opens it: made by one process at a time, and everything closed at the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from atom_backfill.app.memories import Memories
from atom_backfill.app.outside import Outside
from atom_backfill.errors import AtomError
from atom_backfill.jobs.job import TenantId
from atom_backfill.jobs.postgres import PostgresDuties
from atom_backfill.settings import load_settings
from fakes.clock import FakeClock
from fakes.embedding_server import KEY, MODEL, embedding_server
from integration.app.conftest import Opened


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[httpx.AsyncClient]:
    """Every HTTP client that is made from now on."""
    made: list[httpx.AsyncClient] = []
    init = httpx.AsyncClient.__init__

    def noted(self: httpx.AsyncClient, *given: Any, **about: Any) -> None:
        init(self, *given, **about)
        made.append(self)

    monkeypatch.setattr(httpx.AsyncClient, "__init__", noted)
    return made


async def test_a_dataset_on_an_object_store_is_made_by_one_process_at_a_time(opened: Opened, tmp_path: Path) -> None:
    """Of two that make one at once, the second overwrites what the first has written."""
    async with opened() as app:
        tenant = (await app.tenant()).id
        clock = FakeClock()
        elsewhere = replace(app.settings, memory_uri=f"file://{tmp_path}/store")
        memories = Memories(elsewhere, replace(app.outside, clock=clock), app.database)
        duties = PostgresDuties(app.database)
        fence = await duties.take(f"memory:{tenant}", "another process", 60)
        assert fence is not None
        opening = asyncio.create_task(memories.index(tenant))
        await clock.until_sleeping(within_s=60)  # the library takes seconds to load
        assert not (tmp_path / "store").exists()
        await duties.end(f"memory:{tenant}", fence, 0)
        await clock.advance(1)
        index = await opening
        assert (await index.condition()).rows == 0
        assert await duties.take(f"memory:{tenant}", "another process", 60) is not None, "it was given back"
        await memories.close()


async def test_an_open_memory_waits_for_no_other_that_is_being_made(opened: Opened, tmp_path: Path) -> None:
    async with opened() as app:
        clock = FakeClock()
        elsewhere = replace(app.settings, memory_uri=f"file://{tmp_path}/store")
        memories = Memories(elsewhere, replace(app.outside, clock=clock), app.database)
        one, other = (await app.tenant()).id, TenantId((await app.tenants.create("other")).id)
        index = await memories.index(one)
        assert await PostgresDuties(app.database).take(f"memory:{other}", "another process", 60) is not None
        opening = asyncio.create_task(memories.index(other))
        await clock.until_sleeping(within_s=60)
        async with asyncio.timeout(5):
            assert await memories.index(one) is index
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await memories.close()


@pytest.mark.parametrize("key", [KEY, "sk-wrong"])
async def test_the_endpoints_connections_are_closed(tmp_path: Path, clients: list[httpx.AsyncClient], key: str) -> None:
    with embedding_server() as server:
        about = {"ATOM_EMBEDDER": "openai", "ATOM_OPENAI_API_KEY": key, "ATOM_OPENAI_EMBEDDING_MODEL": MODEL}
        settings, _ = load_settings(about | {"ATOM_OPENAI_BASE_URL": server.url}, tmp_path)
        memories = Memories(settings, Outside())
        try:
            await memories.embedder()
        except AtomError:
            assert key != KEY
        await memories.close()
    assert [client.is_closed for client in clients] == [True]
