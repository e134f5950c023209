"""Who is who in a tenant's graph: merges as rows beside it, made by rules and corrected by persons.

A review reads all that rules look at, decides, and writes what differs. Nodes, edges, evidence and counters stay as
they are. Two reviews at once do no harm: the evidence that each has seen is noted, and where more has come since, the
next one is due; and what a person has said since makes it begin anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, Transaction, Work
from atom_backfill.errors import NotFoundError, RefusedError, RetryLaterError, UsageError
from atom_backfill.graph.kinds import ORGANIZATION, PERSON, SHARED
from atom_backfill.graph.merging import (
    Joined,
    Mentioned,
    Merging,
    Pin,
    Seen,
    family,
    has_address,
    identities_of,
    merge_organizations,
    merge_people,
    merge_things,
)
from atom_backfill.graph.postgres import lock_graph
from atom_backfill.graph.postgres_reviews import Purpose, evidence_count, note_review, review_if_due
from atom_backfill.graph.resolve import NO_SIGHTINGS, Sightings, in_order, taken_out, worth_a_look
from atom_backfill.identity import id_range, merge_id
from atom_backfill.jobs.job import TenantId

SQL = load_queries(__package__, "identity.sql")

MOST_MENTIONS = 32
"""Mails of a name without an address that are looked at."""
WITH_EVERYBODY = 200
"""Correspondents of one who writes with everybody: to share them says nothing."""
IDENTITY = Purpose("identity", pause_s=15.0, share=20)
MOST_TRIES = 3
REVIEW_S = 600.0
"""In which each statement of a review has to end."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What a review decides by."""

    evidence: int
    pins: tuple[Pin, ...]
    people: Sequence[Seen]
    mentioned: Sequence[Mentioned]
    organizations: Sequence[Seen]
    things: Sequence[Seen]
    sightings: Sightings


class PostgresIdentity:
    """The merges of one tenant. `monotonic`: the clock by which a review's length is told."""

    def __init__(self, database: Database, tenant: TenantId, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._tenant = tenant
        self._keys: dict[str, Any] = {"tenant": tenant}
        self._monotonic = monotonic

    async def review_if_due(self, *, at_once: bool = False) -> bool:
        """Review if it is due; see `postgres_reviews.review_if_due`."""
        return await review_if_due(self._database, self._tenant, IDENTITY, self.review, at_once=at_once)

    async def review(self) -> None:
        """Look at names and pins, and bring the merges up to them. Raises RetryLaterError where pins keep coming."""
        for _ in range(MOST_TRIES):
            began = self._monotonic()
            read = await self._read()
            merging = await asyncio.to_thread(_decide, read)
            async with self._database.transaction(Work(self._tenant), statement_timeout_s=REVIEW_S) as tx:
                await lock_graph(tx, self._tenant)
                if await _pins(tx, self._keys) == read.pins:
                    await self._write(tx, merging)
                    took = self._monotonic() - began
                    await note_review(tx, self._tenant, IDENTITY, read.evidence, took)
                    return
        raise RetryLaterError("graph_corrected", "The graph is being corrected by somebody else: try again.", after=5.0)

    async def merge(self, node: UUID, into: UUID) -> UUID:
        """Say that two nodes are one, of which `into` stands for both; returns the merge's id.

        Raises UsageError where they are no two that can be one, and RefusedError where they are one already.
        """
        async with self._database.transaction(Work(self._tenant)) as tx:
            await lock_graph(tx, self._tenant)
            ours = await self._group(tx, node)
            theirs = await self._group(tx, into)
            if node in theirs:
                raise RefusedError("merged_already", "They are one already: `entity` shows by which merges.")
            await self._refuse_unlike(tx, node, into)
            await tx.execute(SQL["drop_pins_between"], self._keys | {"a": ours, "b": theirs})
            await self._pin(tx, [Pin(node, into, same=True)])
        await self.review()
        return merge_id(node, into)

    async def differ(self, node: UUID, other: UUID) -> None:
        """Say that two nodes are not one. Raises RefusedError where they are one by a merge."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            await lock_graph(tx, self._tenant)
            if node in await self._group(tx, other):
                raise RefusedError("merged_already", "They are one by a merge: `unmerge` takes it out.")
            await self._refuse_unlike(tx, node, other)
            await self._pin(tx, [Pin(node, other, same=False)])
        await self.review()

    async def unmerge(self, named: str) -> dict[str, Any]:
        """Take a merge out for ever; the two parts that it had joined stay as they are. Raises NotFoundError."""
        least, most = id_range(named, "merge")
        async with self._database.transaction(Work(self._tenant)) as tx:
            await lock_graph(tx, self._tenant)
            found = await tx.fetch_all(SQL["find_merges"], self._keys | {"least": least, "most": most})
            if not found:
                raise NotFoundError("no_such_merge", f"There is no merge {named!r}: `entity` shows those there are.")
            if len(found) > 1:
                raise UsageError("ambiguous", f"{named!r} names several merges: give more of the id.")
            [gone] = found
            merges = await tx.fetch_all(SQL["read_merges"], self._keys)
            pairs = [(str(merge["node_id"]), str(merge["into_id"])) for merge in merges]
            said = taken_out(pairs, (str(gone["node_id"]), str(gone["into_id"])))
            # Directed as the merges are, so that the same node stands for a part as before.
            pins = [
                Pin(UUID(node), UUID(into), same=True) for node, into in pairs if in_order((node, into)) in said.same
            ]
            await self._pin(tx, [*pins, Pin(gone["node_id"], gone["into_id"], same=False)])
        await self.review()
        return {"merge_id": gone["id"], "node_id": gone["node_id"], "into_id": gone["into_id"]}

    async def _refuse_unlike(self, tx: Transaction, node: UUID, other: UUID) -> None:
        rows = await tx.fetch_all(SQL["read_types"], self._keys | {"ids": [node, other]})
        if len(rows) < 2:
            raise UsageError("not_two", "Name two entities that are there: `entity` shows them.")
        if len({family(row["type"]) for row in rows}) > 1:
            types = " and a ".join(sorted(row["type"] for row in rows))
            raise UsageError("not_alike", f"A {types} cannot be one.")

    async def _pin(self, tx: Transaction, pins: Sequence[Pin]) -> None:
        pairs = {"a": [pin.node for pin in pins], "b": [pin.into for pin in pins], "kinds": [True, False]}
        await tx.execute(SQL["drop_pins"], self._keys | pairs)
        rows = [{"node_id": pin.node.hex, "into_id": pin.into.hex, "same": pin.same} for pin in pins]
        await tx.execute(SQL["write_pins"], self._keys | {"rows": Jsonb(rows)})

    async def _group(self, tx: Transaction, node: UUID) -> list[UUID]:
        rows = await tx.fetch_all(SQL["read_group"], self._keys | {"node": node})
        return [row["id"] for row in rows]

    async def _read(self) -> _Read:
        async with self._database.transaction(Work(self._tenant), statement_timeout_s=REVIEW_S) as tx:
            evidence = await evidence_count(tx, self._tenant)
            pins = await _pins(tx, self._keys)
            nodes = await self._nodes(tx, "read_nodes", types=[PERSON, SHARED, ORGANIZATION])
            ids = sorted({each for pin in pins for each in (pin.node, pin.into)})
            things = await self._nodes(tx, "read_pinned", ids=ids, types=[PERSON, SHARED, ORGANIZATION])
        people = [node for node in nodes if node.type != ORGANIZATION and has_address(node.key)]
        named = [node for node in nodes if node.type == PERSON and not has_address(node.key)]
        asked = await asyncio.to_thread(worth_a_look, identities_of(people))
        return _Read(
            evidence,
            pins,
            people,
            await self._mentioned(named),
            [_with_its_name(node) for node in nodes if node.type == ORGANIZATION],
            things,
            await self._sightings(people, asked),
        )

    async def _nodes(self, tx: Transaction, query: str, **asked: Any) -> list[Seen]:
        rows = await tx.fetch_all(SQL[query], self._keys | asked)
        return [
            Seen(row["id"], row["type"], row["key"], row["name"], row["uses"], _names(row["names"])) for row in rows
        ]

    async def _mentioned(self, named: Sequence[Seen]) -> list[Mentioned]:
        if not named:
            return []
        async with self._database.transaction(Work(self._tenant), statement_timeout_s=REVIEW_S) as tx:
            asked = {"ids": [node.id for node in named], "most": MOST_MENTIONS}
            rows = await tx.fetch_all(SQL["read_mentioned"], self._keys | asked)
            threads = sorted({thread for row in rows for thread in row["threads"]})
            found = await tx.fetch_all(SQL["read_thread_people"], self._keys | {"threads": threads})
        people = {row["thread_id"]: frozenset(row["people"]) for row in found}
        stands = {row["id"]: [people.get(thread, frozenset()) for thread in row["threads"]] for row in rows}
        return [Mentioned(node, stands.get(node.id, [])) for node in named]

    async def _sightings(self, people: Sequence[Seen], asked: Sightings) -> Sightings:
        if asked == NO_SIGHTINGS:
            return asked
        ids = {node.key: node.id for node in people}
        keys = {node.id: node.key for node in people}
        pairs = sorted(asked.side_by_side)
        async with self._database.transaction(Work(self._tenant), statement_timeout_s=REVIEW_S) as tx:
            sides = {"a": [ids[a] for a, _ in pairs], "b": [ids[b] for _, b in pairs]}
            met = await tx.fetch_all(SQL["read_side_by_side"], self._keys | sides)
            whom = await self._correspondents(tx, {ids[key] for pair in asked.acquainted for key in pair})
            common = {pair: whom(ids[pair[0]]) & whom(ids[pair[1]]) for pair in asked.acquainted}
            few = await self._correspondents(tx, set().union(*common.values()))
        acquainted = {
            pair for pair, others in common.items() if sum(len(few(other)) <= WITH_EVERYBODY for other in others) > 1
        }
        return Sightings(frozenset((keys[row["a"]], keys[row["b"]]) for row in met), frozenset(acquainted))

    async def _correspondents(self, tx: Transaction, nodes: Collection[UUID]) -> Callable[[UUID], frozenset[UUID]]:
        """Read with whom these write; one who writes with everybody is known by having too many."""
        asked = self._keys | {"ids": sorted(nodes), "most": WITH_EVERYBODY * 10}
        rows = await tx.fetch_all(SQL["read_correspondents"], asked) if nodes else []
        known = {row["id"]: frozenset(row["ids"]) for row in rows}
        return lambda node: known.get(node, frozenset())

    async def _write(self, tx: Transaction, merging: Merging) -> None:
        merges = [_row(merge) | {"id": merge_id(merge.node, merge.into).hex} for merge in merging.merges]
        await tx.execute(SQL["drop_other_merges"], self._keys | {"ids": [row["id"] for row in merges]})
        await tx.execute(SQL["write_merges"], self._keys | {"rows": Jsonb(merges)})
        heads = {"nodes": [*merging.heads], "heads": [*merging.heads.values()]}
        await tx.execute(SQL["write_heads"], self._keys | heads)
        suggestions = [_row(pair) for pair in merging.suggestions]
        await tx.execute(SQL["write_suggestions"], self._keys | {"rows": Jsonb(suggestions)})


def _decide(read: _Read) -> Merging:
    parts = (
        merge_people(read.people, read.mentioned, read.pins, read.sightings),
        merge_organizations(read.organizations, read.pins),
        merge_things(read.things, read.pins),
    )
    return Merging(
        tuple(merge for part in parts for merge in part.merges),
        {node: head for part in parts for node, head in part.heads.items()},
        tuple(pair for part in parts for pair in part.suggestions),
    )


async def _pins(tx: Transaction, keys: dict[str, Any]) -> tuple[Pin, ...]:
    rows = await tx.fetch_all(SQL["read_pins"], keys)
    return tuple(Pin(row["node_id"], row["into_id"], row["same"]) for row in rows)


def _names(written: dict[str, int]) -> dict[str, int]:
    """Read header evidence, `Ines Halloran <ines@lumen.example>`: the names, with how often each is written."""
    names: dict[str, int] = {}
    for quote, uses in written.items():
        name, bracket, _ = quote.rpartition(" <")
        if bracket and quote.endswith(">"):
            names[name] = names.get(name, 0) + uses
    return names


def _with_its_name(node: Seen) -> Seen:
    """Headers know an organisation by its domain alone; its name is what a model has read."""
    names = {} if node.name == node.key else {node.name: max(1, node.uses)}
    return Seen(node.id, node.type, node.key, node.name, node.uses, names)


def _row(pair: Joined) -> dict[str, Any]:
    return {
        "node_id": pair.node.hex,
        "into_id": pair.into.hex,
        "rule": pair.rule,
        "score": pair.score,
        "evidence": pair.evidence,
    }
