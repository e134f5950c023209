"""When a tenant's graph was last looked over as a whole, and whether it has changed since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, Engine, Transaction, Work
from atom_backfill.jobs.job import TenantId

SQL = load_queries(__package__, "reviews.sql")


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a review is for. Between two of them are `pause_s`, and `share` times as long as the last one took."""

    name: str
    pause_s: float
    share: int


@dataclass(frozen=True, slots=True)
class Standing:
    """`reviewed`: nothing has come since the last review. `rested`: the pause after it is over."""

    reviewed: bool
    rested: bool


async def review_if_due(
    database: Database, tenant: TenantId, purpose: Purpose, review: Callable[[], Awaitable[None]], *, at_once: bool
) -> bool:
    """Review if the graph has changed and the last review is some time ago; tell whether all of it is reviewed.

    `at_once`: somebody waits, so only the length of the last review makes for a pause.
    """
    now = await standing(database, tenant, replace(purpose, pause_s=0.0) if at_once else purpose)
    if now.reviewed or not now.rested:
        return now.reviewed
    await review()
    return True


async def standing(database: Database, tenant: TenantId, purpose: Purpose) -> Standing:
    """Tell how a tenant's graph stands."""
    asked = {"tenant": tenant, "purpose": purpose.name, "pause_s": purpose.pause_s, "share": purpose.share}
    async with database.transaction(Work(tenant)) as tx:
        evidence = await evidence_count(tx, tenant)
        last = await tx.fetch_one(SQL["read_review"], asked)
    if last is None:
        return Standing(reviewed=False, rested=True)
    return Standing(last["evidence"] == evidence, last["rested"])


async def evidence_count(tx: Transaction, tenant: TenantId) -> int:
    """Return how much evidence a graph has: what its jobs have counted, so it differs when the graph does."""
    count: int = await tx.fetch_value(SQL["read_evidence_count"], {"tenant": tenant})
    return count


async def evidence_counts(database: Database) -> dict[TenantId, int]:
    """Return the same of all tenants."""
    async with database.transaction(Engine()) as tx:
        rows = await tx.fetch_all(SQL["read_evidence_counts"])
    return {TenantId(row["tenant_id"]): row["evidence"] for row in rows}


async def note_review(tx: Transaction, tenant: TenantId, purpose: Purpose, evidence: int, took_s: float) -> None:
    """Note that a graph with so much evidence was looked over."""
    told = {"tenant": tenant, "purpose": purpose.name, "evidence": evidence, "took_s": took_s}
    await tx.execute(SQL["write_review"], told)
