"""Keeps a tenant's memory true to its record: verify, what mends it, and rebuild."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from atom_backfill.app.core import Tenancy
from atom_backfill.custody import rebuild as rebuilding
from atom_backfill.custody.postgres import PostgresRecord
from atom_backfill.custody.verify import Report, Tools, remake
from atom_backfill.custody.verify import verify as compare
from atom_backfill.jobs.job import AccountId
from atom_backfill.mail.clean import CLEANER
from atom_backfill.memory.rows import naming

Progress = Callable[[int, int], None]
"""Told how many messages are done, and of how many."""
REMADE_AT_ONCE = 100


async def verify(tenancy: Tenancy, *, repair: bool) -> dict[str, Any]:
    """Compare a tenant's memory with its record, mend it if asked to, and return what scripts read."""
    app = tenancy.app
    index = await app.memories.index(tenancy.id)
    tools = await tools_of(tenancy) if repair else None
    return report_document(await compare(index, PostgresRecord(app.database, tenancy.id), tools))


async def rebuild(tenancy: Tenancy, progress: Progress) -> dict[str, Any]:
    """Make a tenant's memory anew beside the one in use, and put it in its place. Raises as `rebuilding.rebuild`."""
    made = await rebuilding.rebuild(await rebuild_tools(tenancy, progress))
    return {"rebuilt": True, "messages": made.messages, "resumed": made.resumed, "dataset": made.dataset}


async def rebuild_tools(tenancy: Tenancy, progress: Progress) -> rebuilding.Tools:
    """Return what a rebuild works with."""
    app, memories = tenancy.app, tenancy.app.memories
    embedder = await memories.embedder()
    return rebuilding.Tools(
        datasets=memories.pointer(tenancy.id),
        record=PostgresRecord(app.database, tenancy.id),
        embedder=embedder,
        naming=naming(CLEANER, embedder.identity),
        open=partial(memories.beside, tenancy.id),
        drop=partial(memories.drop, tenancy.id),
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
    return Tools(await memories.embedder(), memories.pointer(tenancy.id).end_epoch)


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
