"""How many chunks workers can claim and settle in a second, with thousands ready: tenants and mailboxes in plenty.

Each claim takes a lease, each settle looks whether that was the last of its job. The clients share this process and its
core with the client library, so the server could do more.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from uuid import uuid4

from atom_backfill.app.core import App, open_app
from atom_backfill.app.outside import Outside
from atom_backfill.jobs.job import AccountId, ChunkId, ChunkPlan, Done, GraphStatus, JobId, JobPlan, Lane
from atom_backfill.jobs.postgres import PostgresJobStore
from atom_backfill.settings import load_settings
from atom_backfill.sources.accounts import MBOX, Connection
from atom_backfill.sources.ports import MailboxIdentity
from bench.processes import cpu_seconds, load
from bench.world import home, median, server_of

TENANTS, CHUNKS = 10, 400
CLIENTS = (1, 4, 8)
SECONDS = 3.0


def main(_: object = None) -> dict[str, Any]:
    """Run it; claims with their settles, a second, by the number of clients."""
    return asyncio.run(_measure())


async def _measure() -> dict[str, Any]:
    with home() as folder:
        settings, _ = load_settings({"ATOM_HOME": str(folder)}, folder)
        async with open_app(settings, Outside()) as app:
            for number in range(TENANTS):
                await _submit(app, f"tenant-{number}")
            store = PostgresJobStore(app.database)
            server = await server_of(app.database)
            before = cpu_seconds(server)
            figures = {str(clients): await _rate(store, clients) for clients in CLIENTS}
            server_s = cpu_seconds(server) - before
    claims = sum(len(times) for _, times in figures.values())
    per_second = {clients: round(rate, 1) for clients, (rate, _) in figures.items()}
    claim_ms = {clients: round(1000 * median(times), 2) for clients, (_, times) in figures.items()}
    return {
        "ready_chunks": TENANTS * CHUNKS,
        "claims_per_s_by_clients": per_second,
        "claims_per_s": max(per_second.values()),
        "claim_ms_by_clients": claim_ms,
        "server_cpu_ms_a_claim": round(1000 * server_s / claims, 2),
        "load": load().one_minute,
    }


async def _submit(app: App, name: str) -> None:
    """Give a tenant a mailbox with a job of many chunks."""
    await app.tenants.create(name)
    tenancy = await app.tenant(name)
    connection = Connection(MBOX, MailboxIdentity(name, f"{name}@example.com"), {"path": "none"}, {})
    account = await tenancy.accounts.save(AccountId(uuid4()), connection)
    chunks = tuple(ChunkPlan(ChunkId(uuid4()), "window", 1, number, "inbox") for number in range(CHUNKS))
    await tenancy.control.submit(
        JobPlan(
            job_id=JobId(uuid4()),
            account_id=account,
            start=None,
            end=None,
            folders=(),
            again=False,
            graph_status=GraphStatus.OFF,
            budget_usd=None,
            chunk_size=100,
            max_parallel=4,
            chunks=chunks,
        )
    )


async def _rate(store: PostgresJobStore, clients: int) -> tuple[float, list[float]]:
    """Let so many clients claim and settle for a while; returns claims a second, and the seconds of each claim."""
    times: list[float] = []
    end = time.monotonic() + SECONDS

    async def client(name: str) -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            lease = await store.claim(name, [Lane.INGEST])
            if lease is None:
                raise RuntimeError("nothing is left to claim: there must be more chunks")
            times.append(time.monotonic() - began)
            await store.settle(lease, Done())

    await asyncio.gather(*(client(f"w-{number}") for number in range(clients)))
    return len(times) / SECONDS, times


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
