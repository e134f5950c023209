"""Keeps a tenant's memory true to its record: verify, what mends it, and rebuild."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from atom_backfill.app.core import App, Tenancy
from atom_backfill.app.runtime import settle_in
from atom_backfill.custody import rebuild as rebuilding
from atom_backfill.custody.postgres import PostgresCounters, PostgresRecord
from atom_backfill.custody.verify import Report, Tools, remake, sweep
from atom_backfill.custody.verify import verify as compare
from atom_backfill.jobs.duties import Duty
from atom_backfill.jobs.job import AccountId, TenantId
from atom_backfill.jobs.postgres import PostgresControl
from atom_backfill.mail.clean import CLEANER
from atom_backfill.memory.rows import naming
from atom_backfill.metrics import SWEPT, Metrics

Progress = Callable[[int, int], None]
"""Told how many messages are done, and of how many."""
REMADE_AT_ONCE = 100
SWEEP_JOBS_EVERY_S = 3600.0
SWEEP_MEMORY_EVERY_S = 6 * 3600.0
"""Reading the ids of 50,000 rows takes seconds; and in a correct system only crashes leave anything to be found."""


async def verify(tenancy: Tenancy, *, repair: bool) -> dict[str, Any]:
    """Compare a tenant's memory with its record, and return what scripts read.

    If asked to, mend it, and do at once what sweepers do now and then.
    """
    settle_in()
    app = tenancy.app
    index = await app.memories.index(tenancy.id)
    tools = await tools_of(tenancy) if repair else None
    document = report_document(await compare(index, PostgresRecord(app.database, tenancy.id), tools))
    if repair:
        document["swept"] = await sweep_jobs(app, tenancy.id)
    return document


async def sweep_jobs(app: App, tenant: TenantId) -> dict[str, int]:
    """Mend a tenant's counters and set its stuck jobs going; returns how many there were of each."""
    counters = await PostgresCounters(app.database, tenant).mend()
    return {"counters": counters, "stuck": await PostgresControl(app.database).sweep(tenant)}


async def sweep_memory(app: App, tenant: TenantId) -> dict[str, int]:
    """Mend a tenant's memory as far as ids show; returns how many rows of each kind."""
    memories = app.memories
    tools = Tools(await memories.embedder(), memories.standing(tenant).end_epoch)
    report = await sweep(await memories.index(tenant), PostgresRecord(app.database, tenant), tools)
    return {kind: report.counts[kind] for kind in ("missing", "foreign", "differs")}


def sweepers(app: App, metrics: Metrics) -> list[Duty]:
    """Return the sweepers: of all tenants' jobs, and of each memory that this process has open."""

    async def jobs() -> None:
        for tenant in await app.tenants.list():
            told(TenantId(tenant.id), await sweep_jobs(app, TenantId(tenant.id)))

    async def memory(tenant: TenantId) -> None:
        told(tenant, await sweep_memory(app, tenant))

    def told(tenant: TenantId, found: dict[str, int]) -> None:
        for kind, count in found.items():
            metrics.count(SWEPT, count, kind=kind)
        if any(found.values()):
            structlog.get_logger().warning("swept", tenant=str(tenant), **found)

    memories = [Duty(f"sweep:{each}", SWEEP_MEMORY_EVERY_S, partial(memory, each)) for each in app.memories.opened()]
    return [Duty("sweep", SWEEP_JOBS_EVERY_S, jobs), *memories]


async def rebuild(tenancy: Tenancy, progress: Progress) -> dict[str, Any]:
    """Make a tenant's memory anew beside the one in use, and put it in its place. Raises as `rebuilding.rebuild`."""
    settle_in()
    made = await rebuilding.rebuild(await rebuild_tools(tenancy, progress))
    return {"rebuilt": True, "messages": made.messages, "resumed": made.resumed}


async def rebuild_tools(tenancy: Tenancy, progress: Progress) -> rebuilding.Tools:
    """Return what a rebuild works with."""
    app, memories = tenancy.app, tenancy.app.memories
    embedder = await memories.embedder()
    return rebuilding.Tools(
        standing=memories.standing(tenancy.id),
        record=PostgresRecord(app.database, tenancy.id),
        embedder=embedder,
        naming=naming(CLEANER, embedder.identity),
        beside=partial(memories.beside, tenancy.id),
        drop_beside=partial(memories.drop_beside, tenancy.id),
        replace=partial(memories.replace, tenancy.id),
        memory=partial(memories.index, tenancy.id),
        new_name=lambda: app.outside.new_id().hex[:12],
        progress=progress,
        reached=app.outside.reached,
    )


async def remake_account(tenancy: Tenancy, account: AccountId, progress: Progress) -> dict[str, Any]:
    """Write the passages of one account anew, in place, mail by mail."""
    record = PostgresRecord(tenancy.app.database, tenancy.id)
    total = await record.count(account)

    async def messages() -> AsyncIterator[Sequence[UUID]]:
        done, after = 0, None
        while page := await record.owed(after, REMADE_AT_ONCE, account):
            after = page[-1].id
            yield [each.id for each in page]
            done += len(page)
            progress(done, max(total, done))

    index = await tenancy.app.memories.index(tenancy.id)
    made = await remake(index, record, await tools_of(tenancy), messages())
    return {"rebuilt": True, "messages": made, "account_id": account}


async def tools_of(tenancy: Tenancy) -> Tools:
    """Return what mending takes."""
    memories = tenancy.app.memories
    return Tools(await memories.embedder(), memories.standing(tenancy.id).end_epoch)


def report_document(report: Report) -> dict[str, Any]:
    """Return a comparison as scripts read it."""
    return {
        "verified": report.verified,
        "compared": report.compared,
        "differences": [
            {"kind": each.kind, "message_id": each.message_id, "passage_id": each.passage_id}
            for each in report.differences
        ],
        "counts": dict(report.counts),
        "repaired": report.repaired,
    }
