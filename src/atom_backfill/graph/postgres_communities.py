"""The communities of a tenant's graph: found anew now and then, stored, and shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, Row, Work
from atom_backfill.errors import NotFoundError, UsageError
from atom_backfill.graph.communities import Community, Edge, Member
from atom_backfill.graph.postgres import lock_graph
from atom_backfill.graph.postgres_reviews import Purpose, evidence_count, note_review, review_if_due
from atom_backfill.identity import id_range
from atom_backfill.jobs.job import TenantId

SQL = load_queries(__package__, "communities.sql")

COMMUNITIES = Purpose("communities", pause_s=300.0, share=50)
REVIEW_S = 600.0
MEMBERS = 12
"""Members of a community that are shown."""

Earlier = Mapping[UUID, tuple[int, frozenset[UUID]]]
Divide = Callable[[Mapping[UUID, Member], Sequence[Edge], Earlier], Awaitable[list[Community]]]
"""`find_communities` where it holds up nothing else."""


class PostgresCommunities:
    """The communities of one tenant."""

    def __init__(self, database: Database, tenant: TenantId, monotonic: Callable[[], float], divide: Divide) -> None:
        self._database = database
        self._tenant = tenant
        self._keys: dict[str, Any] = {"tenant": tenant}
        self._monotonic = monotonic
        self._divide = divide

    async def review_if_due(self, *, at_once: bool = False) -> bool:
        """Review if it is due; see `postgres_reviews.review_if_due`."""
        return await review_if_due(self._database, self._tenant, COMMUNITIES, self.review, at_once=at_once)

    async def review(self) -> None:
        """Divide the graph anew."""
        began = self._monotonic()
        async with self._database.transaction(Work(self._tenant), statement_timeout_s=REVIEW_S) as tx:
            evidence = await evidence_count(tx, self._tenant)
            rows = await tx.fetch_all(SQL["read_members"], self._keys)
            members = {row["id"]: Member(row["id"], row["name"], row["person"]) for row in rows}
            ties = await tx.fetch_all(SQL["read_ties"], self._keys)
            edges = [(row["source"], row["target"], row["weight"]) for row in ties]
            del rows, ties
            known = await tx.fetch_all(SQL["read_earlier"], self._keys)
        earlier = {row["id"]: (row["level"], frozenset(row["members"])) for row in known}
        found = await self._divide(members, edges, earlier)
        lying = [(node, each.level, each.id) for each in found for node in sorted(each.members)]
        told = {
            "nodes": [node for node, _, _ in lying],
            "levels": [level for _, level, _ in lying],
            "communities": [community for _, _, community in lying],
        }
        async with self._database.transaction(Work(self._tenant), statement_timeout_s=REVIEW_S) as tx:
            await lock_graph(tx, self._tenant)
            await tx.execute(SQL["drop_other_communities"], self._keys | {"ids": [each.id for each in found]})
            await tx.execute(SQL["write_communities"], self._keys | {"rows": Jsonb([_row(each) for each in found])})
            await tx.execute(SQL["write_community_members"], self._keys | told)
            await note_review(tx, self._tenant, COMMUNITIES, evidence, self._monotonic() - began)

    async def show(self, within: str | None, most: int) -> list[Row]:
        """Return the largest communities, or one and those within it, each with a few of its members.

        Raises NotFoundError and UsageError where `within` is no id, nor the beginning of one.
        """
        async with self._database.transaction(Work(self._tenant)) as tx:
            asked: dict[str, Any] = {"within": None, "most": most, "members": MEMBERS}
            if within is not None:
                least, last = id_range(within, "community")
                found = await tx.fetch_all(SQL["find_communities"], self._keys | {"least": least, "last": last})
                if not found:
                    raise NotFoundError("no_such_community", "There is no such community: `communities` lists them.")
                if len(found) > 1:
                    raise UsageError("ambiguous", f"{within!r} names several communities: give more of the id.")
                asked["within"] = found[0]["id"]
            return await tx.fetch_all(SQL["list_communities"], self._keys | asked)


def _row(community: Community) -> dict[str, Any]:
    return {
        "id": community.id.hex,
        "level": community.level,
        "parent_id": community.parent and community.parent.hex,
        "name": community.name,
        "size": len(community.members),
    }
