"""Units of mail and what they state, for tests of the graph's stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from atom_backfill.db.pool import Work
from atom_backfill.graph.facts import End, Entity, Evidence, Facts, Participant, Relation, Unit, UnitMail
from atom_backfill.graph.postgres_facts import FactsWritten, write_facts
from atom_backfill.identity import message_id
from atom_backfill.jobs.job import Lease
from worlds import World

GENERATION = UUID(int=77)
INES = Participant("ines@lumen.example", "Ines Halloran")
TOMASZ = Participant("tomasz@lumen.example", "Tomasz Reyl")
P0, P1 = End(0, participant=True), End(1, participant=True)


@dataclass
class Stated:
    """What one mail states: facts are added line by line, as a checked answer has them."""

    message: UUID
    participants: tuple[Participant, ...] = (INES, TOMASZ)
    entities: list[Entity] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)

    def entity(self, kind: str, name: str, start: int = 0) -> End:
        """Name something."""
        self.entities.append(Entity(kind, name, (self._evidence(name, start),)))
        return End(len(self.entities) - 1, participant=False)

    def relation(self, kind: str, source: End, target: End, quote: str = "so it is", start: int = 50) -> Stated:
        """State how two are related."""
        self.relations.append(Relation(kind, source, target, self._evidence(quote, start)))
        return self

    def unit(self) -> Unit:
        """Return the unit of this one mail."""
        mail = UnitMail(self.message, None, 0, (1,), ())
        return Unit(self.message, "Lease", self.participants, (mail,))

    def facts(self) -> Facts:
        """Return what it states."""
        return Facts(tuple(self.entities), tuple(self.relations))

    def _evidence(self, quote: str, start: int) -> Evidence:
        return Evidence(self.message, quote, start, start + len(quote))


def mail_of(lease: Lease, source_id: str) -> UUID:
    """Return the id of a stored mail."""
    return message_id(lease.account_id, source_id)


async def tell(world: World, lease: Lease, *stated: Stated, generation: UUID = GENERATION) -> list[FactsWritten]:
    """Write what mails state, each as the lane does it: in a savepoint, and counted in the same transaction."""
    written = []
    for each in stated:
        async with world.database.transaction(Work(lease.tenant_id)) as tx:
            async with tx.savepoint():
                done = await write_facts(
                    tx,
                    tenant_id=lease.tenant_id,
                    job_id=lease.job_id,
                    unit=each.unit(),
                    facts=each.facts(),
                    generation_id=generation,
                )
            await tx.execute(
                "UPDATE historical_sync_jobs SET entities_extracted = entities_extracted + %(e)s,"
                " relationships_extracted = relationships_extracted + %(r)s WHERE id = %(j)s",
                {"e": done.entities, "r": done.relationships, "j": lease.job_id},
            )
        written.append(done)
    return written


def graph_of(world: World, lease: Lease, *left_out: str) -> dict[str, list[dict[str, Any]]]:
    """Read the whole graph of a tenant, without the times at which rows were made."""
    drop = ["created_at", "updated_at", "made_at", *left_out]
    rows = world.rows_of(lease.tenant_id)
    return {
        table: [{name: value for name, value in row["row"].items() if name not in drop} for row in rows[table]]
        for table in ("graph_nodes", "graph_edges", "graph_evidence")
    }


def empty_graph(world: World, lease: Lease) -> None:
    """Take a tenant's graph away, and what it adds to the counters."""
    for table in ("graph_evidence", "graph_edges", "graph_nodes"):
        world.run(f"DELETE FROM {table} WHERE tenant_id = %(t)s", t=lease.tenant_id)  # type: ignore[arg-type]


def edges_named(world: World, lease: Lease, relationship: str) -> Sequence[dict[str, Any]]:
    """Read the edges of one relation with the names of their ends, by date."""
    return world.rows(
        "SELECT source.name AS source, target.name AS target, edge.weight, edge.ordinal,"
        " edge.valid_from::date::text AS since, edge.invalid_at::date::text AS until FROM graph_edges edge"
        " JOIN graph_nodes source ON source.id = edge.source_node_id"
        " JOIN graph_nodes target ON target.id = edge.target_node_id"
        " WHERE edge.tenant_id = %(t)s AND relationship_type = %(r)s ORDER BY edge.valid_from, target.name",
        t=lease.tenant_id,
        r=relationship,
    )
