"""Keeps a tenant's memory true to its record: verify, and what mends it."""

from __future__ import annotations

from typing import Any

from atom_backfill.app.core import Tenancy
from atom_backfill.custody.postgres import PostgresRecord
from atom_backfill.custody.verify import Report, Tools
from atom_backfill.custody.verify import verify as compare


async def verify(tenancy: Tenancy, *, repair: bool) -> dict[str, Any]:
    """Compare a tenant's memory with its record, mend it if asked to, and return what scripts read."""
    app = tenancy.app
    index = await app.memories.index(tenancy.id)
    tools = await tools_of(tenancy) if repair else None
    return report_document(await compare(index, PostgresRecord(app.database, tenancy.id), tools))


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
