"""Relations that hold for one target at a time, cut into periods by the dates of the mails that state them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.transaction import Row, Transaction
from atom_backfill.graph.dating import Mention, periods
from atom_backfill.graph.kinds import SINGLE_VALUED
from atom_backfill.identity import edge_id
from atom_backfill.jobs.job import TenantId

SQL = load_queries(__package__, "facts.sql")

Relation = tuple[UUID, str]
"""A source and a relation that it has to one target at a time."""


async def single_valued(tx: Transaction, tenant: TenantId, edges: Collection[UUID]) -> set[Relation]:
    """Return, of the relations that these edges are of, those that hold for one target at a time."""
    asked = {"tenant": tenant, "ids": list(edges), "relations": sorted(SINGLE_VALUED)}
    return {(row["source"], row["relationship"]) for row in await tx.fetch_all(SQL["find_single_valued"], asked)}


async def date_anew(tx: Transaction, tenant: TenantId, relations: Collection[Relation]) -> None:
    """Cut all that is said of these relations into periods, by the dates of the mails; under the graph's lock."""
    if not relations:
        return
    ordered = sorted(relations)
    keys = {
        "tenant": tenant,
        "sources": [source for source, _ in ordered],
        "relations": [relationship for _, relationship in ordered],
    }
    mentions = await tx.fetch_all(SQL["read_mentions"], keys)
    edges: list[dict[str, Any]] = []
    moved: dict[UUID, UUID] = {}
    for (source, relationship), said in groupby(mentions, key=lambda row: (row["source"], row["relationship"])):
        for edge, evidence in _periods(source, relationship, [*said]):
            edges.append(edge)
            moved.update(dict.fromkeys(evidence, UUID(edge["id"])))
    changed = {row["evidence_id"]: moved[row["evidence_id"]] for row in mentions}
    changed = {row["evidence_id"]: to for row in mentions if (to := changed[row["evidence_id"]]) != row["edge_id"]}
    await tx.execute(SQL["write_periods"], keys | {"rows": Jsonb(edges)})
    if changed:
        await tx.execute(SQL["move_evidence"], keys | {"ids": [*changed], "edges": [*changed.values()]})
    await tx.execute(SQL["drop_other_periods"], keys | {"ids": [edge["id"] for edge in edges]})


def _periods(source: UUID, relationship: str, said: list[Row]) -> Iterator[tuple[dict[str, Any], tuple[UUID, ...]]]:
    """Yield the edge of each period, and its evidence."""
    for period in periods(Mention(row["target"], row["evidence_id"], row["at"]) for row in said):
        yield (
            {
                "id": edge_id(source, relationship, period.target, period.ordinal).hex,
                "source": source.hex,
                "target": period.target.hex,
                "relationship": relationship,
                "ordinal": period.ordinal,
                "weight": len(period.evidence),
                "valid_from": period.valid_from and period.valid_from.isoformat(),
                "invalid_at": period.invalid_at and period.invalid_at.isoformat(),
            },
            period.evidence,
        )
