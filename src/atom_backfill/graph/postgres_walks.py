"""Looking at a tenant's graph: an entity, its neighbours, its facts by date, and how two people are connected.

Every walk follows merges and takes the heaviest edges of a node first, so many and no more, so that it costs the same
however many a node has. Documents are those of docs/reference/answers.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, Row, Transaction, Work
from atom_backfill.errors import NotFoundError, UsageError
from atom_backfill.graph.folding import fold
from atom_backfill.graph.headers import BELONGS_TO, COPIES, WRITES_TO
from atom_backfill.graph.walking import Met, Walk, reached
from atom_backfill.identity import id_range
from atom_backfill.jobs.job import TenantId

SQL = load_queries(__package__, "walks.sql")
HEADERS = [WRITES_TO, COPIES, BELONGS_TO]

FIRST_STEP, NEXT_STEP = 25, 4
"""Edges of a node in each direction, at the first step and at those after it."""
FRONTIER = 32
"""Nodes from which a walk goes on."""
MOST_EDGES = 300
"""Relations of an answer."""
EVIDENCE_EACH = 3
"""Places that are shown of a relation; farther than one step away it is one."""
EVIDENCE_OF_NODE = 20
PATH_STEPS = 3
"""Steps from either end of a path; it has twice as many at most."""
PATH_FRONTIER = 200
MOST_OTHERS = 10
SHORTEST_ID = 4
"""Digits from which a word may be the beginning of an id."""


class PostgresWalks:
    """Reads of one tenant's graph, for people. Raises NotFoundError where a node is not there."""

    def __init__(self, database: Database, tenant: TenantId) -> None:
        self._database = database
        self._tenant = tenant
        self._keys: dict[str, Any] = {"tenant": tenant}

    async def find(self, named: str) -> list[UUID]:
        """Return what an id, its beginning, a name or an address may mean, the likeliest first.

        Raises NotFoundError where it is nothing.
        """
        async with self._database.transaction(Work(self._tenant)) as tx:
            rows = await self._by_id(tx, named)
            if not rows:
                asked = {"name": fold(named).casefold(), "most": MOST_OTHERS + 1}
                rows = await tx.fetch_all(SQL["find_by_name"], self._keys | asked) if named.strip() else []
        if not rows:
            raise NotFoundError("no_such_entity", "Nothing in the graph has this id or name.")
        whole = [row["id"] for row in rows if row.get("whole", True)]
        return whole or [row["id"] for row in rows]

    async def one(self, named: str) -> UUID:
        """Return the one node that an id or a name means. Raises UsageError where it may mean several."""
        found = await self.find(named)
        if len(found) > 1:
            raise UsageError("ambiguous", "Several have this name: `entity` shows them with their ids.")
        return found[0]

    async def node(self, node: UUID) -> Row:
        """Return a node itself: id, type, key, name."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            row = await tx.fetch_one(SQL["read_nodes"], self._keys | {"ids": [node]})
        if row is None:
            raise NotFoundError("no_such_entity", "Nothing in the graph has this id.")
        return row

    async def entity(self, found: Sequence[UUID]) -> dict[str, Any]:
        """Return the first of what `find` has found, with all that is one with it and the mails that show it."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            group = await tx.fetch_all(SQL["read_group"], self._keys | {"node": found[0]})
            ids = {"ids": [row["id"] for row in group]}
            merges = await tx.fetch_all(SQL["read_group_merges"], self._keys | ids)
            evidence = await tx.fetch_all(SQL["read_group_evidence"], self._keys | ids | {"most": EVIDENCE_OF_NODE})
            suggestions = await self._suggestions(tx, ids["ids"])
            others = await self._nodes(tx, found[1:])
        head = group[0]
        names = {text for row in group for text in (row["name"], row["key"])}
        return _node(head) | {
            "aliases": sorted(names - {head["name"]}),
            "mentions": sum(row["mentions"] for row in group),
            "members": [_node(row) | {"mentions": row["mentions"]} for row in group],
            "merges": merges,
            "evidence": [_place(row) for row in evidence],
            "suggestions": suggestions,
            "others": [others[each] for each in found[1:] if each in others],
        }

    async def suggestions(self, most: int) -> list[dict[str, Any]]:
        """Return pairs that may be one, the surest first."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return await self._suggestions(tx, None, most)

    async def neighbors(self, node: UUID, depth: int) -> dict[str, Any]:
        """Return what is within `depth` steps (1 to 3) of a node, the heaviest relations first."""
        walk = Walk()
        async with self._database.transaction(Work(self._tenant)) as tx:
            head = await self._head(tx, node)
            depths, frontier = {head: 0}, [head]
            for step in range(1, depth + 1):
                fresh = walk.add(await self._step(tx, frontier, FIRST_STEP if step == 1 else NEXT_STEP))
                ends = reached(fresh, depths, len(fresh) * 2)
                depths.update(dict.fromkeys(ends, step))
                frontier = ends[:FRONTIER]
                if not frontier:
                    break
            met = await self._met(tx, walk)
            shown = _reachable(met, head, MOST_EDGES)
            nodes = await self._nodes(tx, {head, *(end for each in shown for end in (each.source, each.target))})
            edges = await self._edges(tx, shown, EVIDENCE_EACH if depth == 1 else 1)
        ordered = sorted(nodes, key=lambda each: (depths.get(each, depth), str(each)))
        return {
            "nodes": [nodes[each] | {"depth": depths.get(each, depth)} for each in ordered],
            "edges": edges,
            "truncated": len(shown) < len(met),
        }

    async def timeline(self, node: UUID, most: int) -> dict[str, Any]:
        """Return dated facts about a node, the earliest first; what a model read before what headers show."""
        walk = Walk()
        async with self._database.transaction(Work(self._tenant)) as tx:
            group = await tx.fetch_all(SQL["read_group"], self._keys | {"node": await self._head(tx, node)})
            asked = {"ids": [row["id"] for row in group], "headers": HEADERS, "most": most}
            walk.add(await tx.fetch_all(SQL["read_dated"], self._keys | asked))
            met = sorted(await self._met(tx, walk), key=_by_date)
            nodes = await self._nodes(tx, {end for each in met for end in (each.source, each.target)})
            edges = await self._edges(tx, met)
        named = [edge | {side: nodes[edge[side]] for side in ("source", "target")} for edge in edges]
        return {"node": _node(group[0]), "facts": named}

    async def path(self, start: UUID, end: UUID) -> dict[str, Any]:
        """Return a shortest way between two, over what people do with one another; empty lists where none is short.

        That both belong to one organisation is no way: it would connect everybody.
        """
        async with self._database.transaction(Work(self._tenant)) as tx:
            ends = [await self._head(tx, start), await self._head(tx, end)]
            way = await self._way(tx, *ends)
            order = _in_order(way, ends[0])
            walk = Walk()
            walk.add(way)
            place = {row["id"]: number for number, row in enumerate(way)}
            met = sorted(walk.met(), key=lambda each: min(place[edge] for edge in each.edges))
            nodes = await self._nodes(tx, order)
            edges = await self._edges(tx, met)
        return {"nodes": [nodes[each] for each in order] if way or ends[0] == ends[1] else [], "edges": edges}

    async def told_entities(self, message: UUID) -> list[Row]:
        """Return what a model found in a message: id, type, name, places."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return await tx.fetch_all(SQL["read_told_entities"], self._keys | {"message": message})

    async def _by_id(self, tx: Transaction, named: str) -> list[Row]:
        digits = named.strip()
        try:
            least, most = id_range(digits, "entity")
        except NotFoundError:
            return []
        if len(digits) < SHORTEST_ID:
            return []
        rows = await tx.fetch_all(SQL["find_by_id"], self._keys | {"least": least, "most": most})
        if len(rows) > 1:
            raise UsageError("ambiguous", f"{digits!r} names several entities: give more of the id.")
        return rows

    async def _head(self, tx: Transaction, node: UUID) -> UUID:
        group = await tx.fetch_all(SQL["read_group"], self._keys | {"node": node})
        if not group:
            raise NotFoundError("no_such_entity", "Nothing in the graph has this id.")
        head: UUID = group[0]["id"]
        return head

    async def _step(self, tx: Transaction, nodes: Sequence[UUID], most: int) -> list[Row]:
        return await tx.fetch_all(SQL["step"], self._keys | {"ids": list(nodes), "most": most})

    async def _met(self, tx: Transaction, walk: Walk) -> list[Met]:
        joined = walk.joined()
        if not joined:
            return walk.met()
        sides = {"sources": [source for source, _ in joined], "relations": [each for _, each in joined]}
        return walk.met(await tx.fetch_all(SQL["read_group_mentions"], self._keys | sides))

    async def _nodes(self, tx: Transaction, ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
        rows = await tx.fetch_all(SQL["read_nodes"], self._keys | {"ids": list(ids)}) if ids else []
        return {row["id"]: _node(row) for row in rows}

    async def _edges(self, tx: Transaction, met: Sequence[Met], most: int = EVIDENCE_EACH) -> list[dict[str, Any]]:
        """Return relations as documents, each with some of the places that show it."""
        asked = {"ids": [edge for each in met if not each.evidence for edge in each.edges], "most": most}
        named = {"ids": [one for each in met for one in each.evidence[:most]]}
        places: defaultdict[UUID, list[dict[str, Any]]] = defaultdict(list)
        for row in await tx.fetch_all(SQL["read_edge_evidence"], self._keys | asked) if asked["ids"] else []:
            places[row["edge_id"]].append(_place(row))
        for row in await tx.fetch_all(SQL["read_named_evidence"], self._keys | named) if named["ids"] else []:
            places[row["id"]].append(_place(row))
        return [
            {
                "edge_id": each.edges[0],
                "source": each.source,
                "relationship_type": each.relationship,
                "target": each.target,
                "weight": each.weight,
                "valid_from": each.valid_from,
                "invalid_at": each.invalid_at,
                "evidence": [place for one in each.evidence or each.edges for place in places[one]][:most],
            }
            for each in met
        ]

    async def _suggestions(
        self, tx: Transaction, ids: Sequence[UUID] | None, most: int = MOST_OTHERS
    ) -> list[dict[str, Any]]:
        rows = await tx.fetch_all(SQL["read_suggestions"], self._keys | {"ids": ids, "most": most})
        nodes = await self._nodes(tx, {row[side] for row in rows for side in ("node_id", "other_id")})
        return [
            {
                "node": nodes[row["node_id"]],
                "other": nodes[row["other_id"]],
                "rule": row["rule"],
                "score": row["score"],
                "evidence": row["evidence"],
            }
            for row in rows
        ]

    async def _way(self, tx: Transaction, start: UUID, end: UUID) -> list[Row]:
        """Walk from both ends in turn until they meet; returns the edges between them, one a step."""
        sides: tuple[dict[UUID, Row | None], ...] = ({start: None}, {end: None})
        frontiers = [[start], [end]]
        if start == end:
            return []
        for _ in range(PATH_STEPS):
            for side in (0, 1):
                known, across = sides[side], sides[1 - side]
                rows = await self._step(tx, frontiers[side], FIRST_STEP)
                ways = [row for row in rows if row["relationship_type"] != BELONGS_TO]
                here = set(frontiers[side])
                frontiers[side] = reached(ways, known, PATH_FRONTIER)
                for row in ways:
                    for near, far in ((row["source"], row["target"]), (row["target"], row["source"])):
                        if near in here and far not in known:
                            known[far] = row
                met = [node for node in (*frontiers[side], *known) if node in across]
                if met:
                    return [*reversed(_back(sides[0], met[0])), *_back(sides[1], met[0])]
        return []


def _reachable(met: Iterable[Met], start: UUID, most: int) -> list[Met]:
    """Leave so many relations, the heaviest, in a way that each hangs together with the start."""
    shown: list[Met] = []
    left, known = list(met), {start}
    while len(shown) < most:
        near = [each.source in known or each.target in known for each in left]
        ring = [each for each, touches in zip(left, near, strict=True) if touches][: most - len(shown)]
        if not ring:
            break
        shown += ring
        known.update(end for each in ring for end in (each.source, each.target))
        left = [each for each, touches in zip(left, near, strict=True) if not touches]
    return shown


def _by_date(met: Met) -> tuple[bool, float, tuple[UUID, ...]]:
    date = met.valid_from
    return date is None, 0.0 if date is None else date.timestamp(), met.edges


def _back(known: dict[UUID, Row | None], node: UUID) -> list[Row]:
    """Return the edges from a node back to where a walk began."""
    way: list[Row] = []
    while (row := known[node]) is not None:
        way.append(row)
        node = row["source"] if row["target"] == node else row["target"]
    return way


def _in_order(way: Iterable[Row], start: UUID) -> list[UUID]:
    order = [start]
    for row in way:
        order.append(row["source"] if row["target"] == order[-1] else row["target"])
    return order


def _node(row: Row) -> dict[str, Any]:
    return {"node_id": row["id"], "type": row["type"], "name": row["name"], "key": row["key"]}


def _place(row: Row) -> dict[str, Any]:
    return {
        "message_id": row["message_id"],
        "quote": row["quote"],
        "start": row["start_offset"],
        "end": row["end_offset"],
    }
