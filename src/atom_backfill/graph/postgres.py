"""The graph in PostgreSQL: nodes, edges and evidence, written inside the page's transaction, and read for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, Work
from atom_backfill.db.transaction import Row, Transaction
from atom_backfill.graph.headers import Shown
from atom_backfill.graph.postgres_periods import date_anew, single_valued
from atom_backfill.jobs.job import Lease, TenantId

SQL = load_queries(__package__)


async def lock_graph(tx: Transaction, tenant: TenantId) -> None:
    """Wait until no other transaction writes this tenant's graph, and keep it until the transaction ends.

    Nearly every page shows the mailbox's owner, so pages of a tenant would queue at that row anyway, or deadlock.
    """
    await tx.fetch_one(SQL["lock_graph"], {"tenant": tenant})


async def write_shown(
    tx: Transaction, lease: Lease, shown: Shown, dates: Mapping[UUID, datetime | None]
) -> tuple[int, int]:
    """Write what messages show, under the graph's lock; returns the new evidence of nodes and of edges.

    `dates` gives each message's date, for the edges' `valid_from`.
    """
    keys = {"tenant": lease.tenant_id, "job": lease.job_id}
    await tx.execute(SQL["insert_nodes"], keys | {"rows": Jsonb(_node_rows(shown))})
    await tx.execute(SQL["insert_edges"], keys | {"rows": Jsonb(_edge_rows(shown, dates))})
    added = await tx.fetch_one(SQL["insert_evidence"], keys | {"rows": Jsonb(_evidence_rows(shown))})
    return (0, 0) if added is None else (added["nodes"], added["edges"])


async def drop_evidence(tx: Transaction, tenant: TenantId, ids: Collection[UUID]) -> list[Row]:
    """Forget what changed messages showed: (job_id, entities, relationships, shown: nodes and edges it was about)."""
    return await tx.fetch_all(SQL["drop_evidence"], {"tenant": tenant, "ids": list(ids)})


async def drop_bare(tx: Transaction, tenant: TenantId, ids: Collection[UUID]) -> None:
    """Remove those of these nodes and edges that nothing shows any more, and date anew what is left of relations."""
    if ids:
        keys = {"tenant": tenant, "ids": list(ids)}
        relations = await single_valued(tx, tenant, ids)
        ends = await tx.fetch_all(SQL["drop_bare_edges"], keys)
        await date_anew(tx, tenant, relations)
        await tx.execute(SQL["drop_bare_nodes"], keys | {"ids": [*ids, *(end["id"] for end in ends)]})


class PostgresGraph:
    """Reads of one tenant's graph, for people."""

    def __init__(self, database: Database, tenant: TenantId) -> None:
        self._database = database
        self._tenant = tenant

    async def facts(self, message: UUID) -> list[Row]:
        """Return the relations that a message is evidence of, as docs/reference/answers.md has them."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return await tx.fetch_all(SQL["read_facts"], {"tenant": self._tenant, "message": message})


def _node_rows(shown: Shown) -> list[dict[str, Any]]:
    return [{"id": node.id.hex, "type": node.type, "key": node.key, "name": node.name} for node in shown.nodes.values()]


def _edge_rows(shown: Shown, dates: Mapping[UUID, datetime | None]) -> list[dict[str, Any]]:
    first: dict[UUID, datetime] = {}
    for item in shown.evidence.values():
        date = dates.get(item.message_id)
        if item.edge_id is not None and date is not None:
            first[item.edge_id] = min(date, first.get(item.edge_id, date))
    return [
        {
            "id": edge.id.hex,
            "source": edge.source.hex,
            "relationship": edge.relationship,
            "target": edge.target.hex,
            "valid_from": first[edge.id].isoformat() if edge.id in first else None,
        }
        for edge in shown.edges.values()
    ]


def _evidence_rows(shown: Shown) -> list[dict[str, Any]]:
    return [
        {
            "id": item.id.hex,
            "message_id": item.message_id.hex,
            "node_id": item.node_id and item.node_id.hex,
            "edge_id": item.edge_id and item.edge_id.hex,
            "quote": item.quote,
        }
        for item in shown.evidence.values()
    ]
