"""Facts that a model read, written into the graph inside the transaction in which their unit counts.

The graph depends on the facts alone, never on the order in which they came: names, ids, weights and dates are the same
whichever unit was first. Relations that hold for one target at a time are dated anew when something is said of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.transaction import Transaction
from atom_backfill.graph.facts import End, Entity, Evidence, Facts, Participant, Unit
from atom_backfill.graph.folding import fold
from atom_backfill.graph.kinds import PERSON, SHARED, SINGLE_VALUED
from atom_backfill.graph.postgres import SQL as GRAPH
from atom_backfill.graph.postgres import lock_graph
from atom_backfill.graph.postgres_periods import Relation, date_anew
from atom_backfill.identity import edge_id, evidence_id, node_id
from atom_backfill.jobs.job import JobId, TenantId
from atom_backfill.mail.people import address_key, is_role

SQL = load_queries(__package__, "facts.sql")


@dataclass(frozen=True, slots=True)
class FactsWritten:
    """The evidence rows that are new: of nodes, and of edges; by so much the job's counters rise."""

    entities: int
    relationships: int


async def write_facts(
    tx: Transaction, *, tenant_id: TenantId, job_id: JobId, unit: Unit, facts: Facts, generation_id: UUID
) -> FactsWritten:
    """Write what a unit states; what is there already stays as it is. Takes the tenant's graph lock.

    The unit's messages must be in the record. Raises RowRefusedError where one is gone, and whatever a transaction
    raises: write inside a savepoint of the unit's own.
    """
    if facts.empty:
        return FactsWritten(0, 0)
    await lock_graph(tx, tenant_id)
    keys = {"tenant": tenant_id, "job": job_id}
    rows = _Rows(tenant_id, unit, facts, generation_id)
    dates = await _dates(tx, tenant_id, {row["message_id"] for row in rows.evidence.values()})
    await tx.execute(GRAPH["insert_nodes"], keys | {"rows": Jsonb([*rows.people.values()])})
    await tx.execute(SQL["insert_entities"], keys | {"rows": Jsonb([*rows.entities.values()])})
    await tx.execute(GRAPH["insert_edges"], keys | {"rows": Jsonb([*rows.dated_edges(dates)])})
    added = await tx.fetch_one(GRAPH["insert_evidence"], keys | {"rows": Jsonb([*rows.evidence.values()])})
    assert added is not None
    if added["edges"]:
        await date_anew(tx, tenant_id, rows.single_valued)
    return FactsWritten(added["nodes"], added["edges"])


def entity_key(entity: Entity) -> tuple[str, str]:
    """Return the type and key of an entity's node: an address is the person, or shared address, of the headers."""
    address = address_key(entity.name) if entity.type == PERSON else ""
    if address:
        return _person_type(address), address
    return entity.type, fold(entity.name).casefold()


@dataclass
class _Rows:
    """What is to be inserted, each row once, under its id."""

    tenant: TenantId
    unit: Unit
    facts: Facts
    generation: UUID
    people: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    entities: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    edges: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    evidence: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    single_valued: set[Relation] = field(default_factory=set)

    def __post_init__(self) -> None:
        places = [self._entity(entity) for entity in self.facts.entities]
        for relation in self.facts.relations:
            source, target = (self._end(end, places) for end in (relation.source, relation.target))
            if source == target:
                continue
            edge = edge_id(source, relation.type, target)
            self.edges[edge] = {
                "id": edge.hex,
                "source": source.hex,
                "relationship": relation.type,
                "target": target.hex,
            }
            self._evidence(None, edge, relation.evidence)
            if relation.type in SINGLE_VALUED:
                self.single_valued.add((source, relation.type))

    def dated_edges(self, dates: Mapping[UUID, datetime]) -> Iterator[dict[str, Any]]:
        """Give each edge the date of its first mail; those of one target at a time get theirs from all that is said."""
        first: dict[str, datetime] = {}
        for row in self.evidence.values():
            if row["edge_id"] and (date := dates.get(UUID(row["message_id"]))):
                first[row["edge_id"]] = min(date, first.get(row["edge_id"], date))
        for edge in self.edges.values():
            date = None if edge["relationship"] in SINGLE_VALUED else first.get(edge["id"])
            yield edge | {"valid_from": date and date.isoformat()}

    def _entity(self, entity: Entity) -> UUID:
        kind, key = entity_key(entity)
        node = node_id(self.tenant, kind, key)
        known = self.entities.get(node)
        name = max(entity.name, known["name"]) if known else entity.name
        self.entities[node] = {"id": node.hex, "type": kind, "key": key, "name": name}
        for evidence in entity.evidence:
            self._evidence(node, None, evidence)
        return node

    def _end(self, end: End, places: list[UUID]) -> UUID:
        return self._participant(self.unit.participants[end.place]) if end.participant else places[end.place]

    def _participant(self, person: Participant) -> UUID:
        """Return the node that headers make of an address."""
        kind = _person_type(person.key)
        node = node_id(self.tenant, kind, person.key)
        self.people[node] = {"id": node.hex, "type": kind, "key": person.key, "name": person.name or person.key}
        return node

    def _evidence(self, node: UUID | None, edge: UUID | None, shown: Evidence) -> None:
        about = node or edge
        assert about is not None
        place = f"{self.generation.hex} {shown.start} {shown.end}"
        identity = evidence_id(shown.message_id, about, place)
        self.evidence[identity] = {
            "id": identity.hex,
            "message_id": shown.message_id.hex,
            "node_id": node and node.hex,
            "edge_id": edge and edge.hex,
            "quote": shown.quote,
            "start_offset": shown.start,
            "end_offset": shown.end,
            "generation_id": self.generation.hex,
        }


async def _dates(tx: Transaction, tenant: TenantId, messages: Collection[str]) -> dict[UUID, datetime]:
    rows = await tx.fetch_all(SQL["date_messages"], {"tenant": tenant, "ids": sorted(messages)})
    return {row["id"]: row["at"] for row in rows if row["at"] is not None}


def _person_type(address: str) -> str:
    return SHARED if is_role(address) else PERSON
