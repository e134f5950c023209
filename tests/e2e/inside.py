"""The product inside the test's own process: real stores, the simulator over HTTP, no waits and no model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from atom_backfill.app.connecting import Registration, connect_outlook
from atom_backfill.app.core import App, Tenancy, open_app
from atom_backfill.app.outside import Outside
from atom_backfill.app.work import run_worker
from atom_backfill.backfill.start import Request, start
from atom_backfill.jobs.job import AccountId, JobId
from atom_backfill.jobs.worker import WorkerOptions
from atom_backfill.settings import load_settings
from atom_backfill.telemetry import configure
from databases import FreshDatabase
from e2e.checker import differences
from e2e.stored import read_store
from e2e.truth import Wanted, read_truth
from fakes.embedder import HashEmbedder
from fakes.hurried_clock import HurriedClock
from graph_world import GraphWorld

Json = dict[str, Any]
_HASTEN = """UPDATE sync_chunks SET run_at = atom_now() WHERE state = 'ready' AND run_at > atom_now();
UPDATE accounts SET throttled_until = '-infinity' WHERE throttled_until > atom_now()"""


@dataclass
class Inside:
    """An opened product with a simulator before it."""

    app: App
    tenancy: Tenancy
    world: GraphWorld
    database: FreshDatabase
    data: Path

    async def connect(self, name: str) -> AccountId:
        """Connect a mailbox by an app's own sign-in."""
        registration = Registration("example.com", "app-1", "right")
        account = await connect_outlook(self.tenancy, registration, f"{name}@example.com", lambda _: None)
        return account.account_id

    async def backfill(self, account: AccountId, **about: Any) -> Json:
        """Read a mailbox to its end; returns the JOB."""
        job = await self.start(account, **about)
        await self.drain()
        return await self.tenancy.jobs.job(job)

    async def start(self, account: AccountId, **about: Any) -> JobId:
        """Make a job."""
        found = await self.tenancy.accounts.read(account)
        source = await self.app.mailboxes.open(self.tenancy.id, found)
        chunk_size = about.pop("chunk_size", self.app.settings.page_size)
        request = Request(account, chunk_size=chunk_size, **about)
        return await start(request, source, self.tenancy.control, self.app.outside.new_id)

    async def drain(self) -> None:
        """Be a worker until nothing is left to do. No backoff is waited out."""
        hastening = asyncio.create_task(self._hasten())
        try:
            async with asyncio.timeout(60):
                await run_worker(self.app, asyncio.Event(), WorkerOptions("w-1", drain=True))
        finally:
            hastening.cancel()

    def differences(self, name: str, **about: Any) -> list[str]:
        """Compare all that is stored of a mailbox with its files."""
        store = read_store(self.database.superuser_url, Path(self.app.settings.memory_uri), f"{name}@example.com")
        return differences(read_truth(self.data, name), store, Wanted(**about))

    async def _hasten(self) -> None:
        async with await psycopg.AsyncConnection.connect(self.database.superuser_url, autocommit=True) as connection:
            while True:
                await connection.execute(_HASTEN)
                await asyncio.sleep(0.05)


@asynccontextmanager
async def opened(
    home: Path, database: FreshDatabase, world: GraphWorld, data: Path, **settings: str
) -> AsyncIterator[Inside]:
    """Open the product on a test's database, in front of a simulator."""
    environment = {
        "ATOM_HOME": str(home),
        "DATABASE_URL": database.owner_url,
        "ATOM_GRAPH_BASE_URL": f"{world.url}/v1.0",
        "ATOM_LOGIN_BASE_URL": world.url,
        **{f"ATOM_{name.upper()}": value for name, value in settings.items()},
    }
    home.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a test waits for nothing else
    configure("text", "error")
    loaded, _ = load_settings(environment, home)
    outside = Outside(clock=HurriedClock(), embedder=HashEmbedder())
    async with open_app(loaded, outside) as app:
        yield Inside(app, await app.tenant(), world, database, data)
