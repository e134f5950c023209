"""How many chunks workers can claim and settle in a second, and whether tenants of equal weight get equal shares.

`few`: ten jobs of many chunks. `many`: 24 workers, each with a connection of its own as 24 processes have, on 200 jobs
of 20 tenants. Each claim takes a lease, each settle looks whether that was the last of its job. The clients share one
process, so the client library takes a core, and the server could do more.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from atom_backfill.app.core import App, open_app
from atom_backfill.app.outside import Outside
from atom_backfill.db.pool import Database, Owner, PoolLimits
from atom_backfill.jobs.job import AccountId, ChunkId, ChunkPlan, Done, GraphStatus, JobId, JobPlan, Lane
from atom_backfill.jobs.postgres import PostgresJobStore
from atom_backfill.settings import load_settings
from atom_backfill.sources.accounts import MBOX, Connection
from atom_backfill.sources.ports import MailboxIdentity
from bench.processes import cpu_seconds, load
from bench.world import home, median, server_of


@dataclass(frozen=True, slots=True)
class Shape:
    """What there is to do, and how many workers do it, for how long."""

    tenants: int
    mailboxes: int
    chunks: int
    workers: int
    seconds: float


@dataclass
class Did:
    """What the workers did: the seconds of each claim, and how often there was nothing to claim."""

    times: list[float] = field(default_factory=list)
    by_tenant: Counter[Any] = field(default_factory=Counter)
    empty: int = 0


FEW = [Shape(tenants=10, mailboxes=1, chunks=400, workers=workers, seconds=3.0) for workers in (1, 4, 8)]
MANY = Shape(tenants=20, mailboxes=10, chunks=40, workers=24, seconds=8.0)


def main(_: object = None) -> dict[str, Any]:
    """Run it."""
    return asyncio.run(_measure())


async def _measure() -> dict[str, Any]:
    few = {str(shape.workers): await _run(shape) for shape in FEW}
    return {"few": few, "many": await _run(MANY)}


async def _run(shape: Shape) -> dict[str, Any]:
    """Let workers claim and settle in a new database."""
    with home() as folder:
        settings, _ = load_settings({"ATOM_HOME": str(folder)}, folder)
        async with open_app(settings, Outside()) as app, AsyncExitStack() as stack:
            for number in range(shape.tenants):
                await _submit(app, f"tenant-{number}", shape)
            stores = [PostgresJobStore(await _connection(app, stack)) for _ in range(shape.workers)]
            server = await server_of(app.database)
            began, cpu, own = load().one_minute, cpu_seconds(server), time.process_time()
            did = await _work(stores, shape.seconds)
            cpu, own = cpu_seconds(server) - cpu, time.process_time() - own
            deadlocks = await _deadlocks(app.database)
    claims = len(did.times)
    mean = claims / shape.tenants
    return {
        "jobs": shape.tenants * shape.mailboxes,
        "ready_chunks": shape.tenants * shape.mailboxes * shape.chunks,
        "claims_per_s": round(claims / shape.seconds, 1),
        "claim_ms": round(1000 * median(did.times), 2),
        "nothing_claimable": did.empty,
        "server_cpu_ms_a_claim": round(1000 * cpu / claims, 2),
        "client_cpu_ms_a_claim": round(1000 * own / claims, 2),
        "least_share": round(min(did.by_tenant.values()) / mean, 3) if len(did.by_tenant) == shape.tenants else 0.0,
        "most_share": round(max(did.by_tenant.values()) / mean, 3),
        "deadlocks": deadlocks,
        "load": began,
    }


async def _connection(app: App, stack: AsyncExitStack) -> Database:
    limits = PoolLimits(least=1, most=1)
    return await stack.enter_async_context(await Database.open(app.database.url, limits=limits))


async def _submit(app: App, name: str, shape: Shape) -> None:
    """Give a tenant mailboxes with a job each."""
    await app.tenants.create(name)
    tenancy = await app.tenant(name)
    for number in range(shape.mailboxes):
        identity = MailboxIdentity(f"{name}-{number}", f"m{number}@{name}.example")
        account = await tenancy.accounts.save(AccountId(uuid4()), Connection(MBOX, identity, {"path": "none"}, {}))
        chunks = tuple(ChunkPlan(ChunkId(uuid4()), "window", 1, seq, "inbox") for seq in range(shape.chunks))
        await tenancy.control.submit(_plan(account, chunks))


def _plan(account: AccountId, chunks: tuple[ChunkPlan, ...]) -> JobPlan:
    return JobPlan(
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


async def _work(stores: list[PostgresJobStore], seconds: float) -> Did:
    did = Did()
    end = time.monotonic() + seconds

    async def worker(name: str, store: PostgresJobStore) -> None:
        while (began := time.monotonic()) < end:
            lease = await store.claim(name, [Lane.INGEST])
            if lease is None:
                did.empty += 1
                continue
            did.times.append(time.monotonic() - began)
            did.by_tenant[lease.tenant_id] += 1
            await store.settle(lease, Done())

    await asyncio.gather(*(worker(f"w-{number}", store) for number, store in enumerate(stores)))
    return did


async def _deadlocks(database: Database) -> int:
    async with database.transaction(Owner()) as tx:
        await tx.execute("SELECT pg_stat_force_next_flush()")
        found = await tx.fetch_value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return int(found)


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
