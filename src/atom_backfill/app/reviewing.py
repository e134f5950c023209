"""Keeps the graphs of all tenants reviewed: who is who, and what belongs together, wherever something has come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from atom_backfill.app.core import App
from atom_backfill.errors import AtomError
from atom_backfill.graph.communities import Community, Edge, Member, find_communities
from atom_backfill.graph.postgres_communities import PostgresCommunities
from atom_backfill.graph.postgres_identity import PostgresIdentity
from atom_backfill.graph.postgres_reviews import evidence_counts
from atom_backfill.jobs.duties import Duty
from atom_backfill.jobs.job import TenantId

LOOK_EVERY_S = 15.0


def communities_of(app: App, tenant: TenantId) -> PostgresCommunities:
    """Return a tenant's communities. Leiden runs in a thread, and lets others run meanwhile."""

    async def divide(
        members: Mapping[UUID, Member],
        edges: Sequence[Edge],
        earlier: Mapping[UUID, tuple[int, frozenset[UUID]]],
    ) -> list[Community]:
        return await asyncio.to_thread(find_communities, members, edges, earlier, app.outside.new_id)

    return PostgresCommunities(app.database, tenant, app.outside.clock.monotonic, divide)


def reviewers(app: App) -> list[Duty]:
    """Return the duties of one worker at a time. Make them once: each remembers what it knows to be reviewed."""

    def identity(tenant: TenantId) -> Awaitable[bool]:
        return PostgresIdentity(app.database, tenant, app.outside.clock.monotonic).review_if_due()

    def communities(tenant: TenantId) -> Awaitable[bool]:
        return communities_of(app, tenant).review_if_due()

    return [_reviewer(app, "identity", identity), _reviewer(app, "communities", communities)]


def _reviewer(app: App, name: str, review: Callable[[TenantId], Awaitable[bool]]) -> Duty:
    """Review the tenants whose graph has changed. One's trouble holds up no other; the last is raised at the end."""
    reviewed: dict[TenantId, int] = {}

    async def action() -> None:
        trouble: AtomError | None = None
        for tenant, evidence in (await evidence_counts(app.database)).items():
            if reviewed.get(tenant) == evidence:
                continue
            try:
                if await review(tenant):
                    reviewed[tenant] = evidence
            except AtomError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    return Duty(name, LOOK_EVERY_S, action)
