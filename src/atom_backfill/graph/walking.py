"""What a walk through the graph has met: edges between groups of nodes, joined and dated. Pure.

Several nodes may be one, so edges of different nodes may be one edge: of the same ends and relation, with their weights
added up. What holds for one target at a time is dated anew over the whole group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from atom_backfill.graph.dating import Mention, periods
from atom_backfill.graph.kinds import SINGLE_VALUED

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Met:
    """A relation between two groups, named by their heads. `edges`: the stored edges that it is made of.

    `evidence`: the rows that show it, where they are known; else those of its edges do.
    """

    source: UUID
    relationship: str
    target: UUID
    weight: int
    valid_from: datetime | None
    invalid_at: datetime | None
    edges: tuple[UUID, ...]
    evidence: tuple[UUID, ...] = ()


@dataclass
class Walk:
    """What was met so far, each stored edge once."""

    rows: dict[UUID, Row] = field(default_factory=dict)

    def add(self, rows: Iterable[Row]) -> list[Row]:
        """Take edges; returns those that are new and lead from one group to another."""
        fresh = [row for row in rows if row["id"] not in self.rows and row["source"] != row["target"]]
        self.rows.update({row["id"]: row for row in fresh})
        return fresh

    def joined(self) -> list[tuple[UUID, str]]:
        """Return the sources, with their relations to one target at a time, whose periods span several nodes."""
        return sorted({_relation(row) for row in self.rows.values() if row["joined"] and _is_single(row)})

    def met(self, mentions: Sequence[Row] = ()) -> list[Met]:
        """Return the relations, the heaviest first. `mentions`: all that is said of what `joined` names."""
        anew = {_relation(row) for row in mentions}
        blocks: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in self.rows.values():
            if _relation(row) not in anew or not _is_single(row):
                period = row["id"] if _is_single(row) else None
                blocks[row["source"], row["relationship_type"], row["target"], period].append(row)
        found = [_one(rows) for rows in blocks.values()]
        for (source, relationship), said in groupby(mentions, key=_relation):
            found += _periods(source, relationship, [*said])
        return sorted(found, key=lambda met: -met.weight)


def reached(rows: Iterable[Row], known: Iterable[UUID], most: int) -> list[UUID]:
    """Return the nodes that edges lead to and that are not known yet, so many, in the order of the edges."""
    seen = set(known)
    found: list[UUID] = []
    for row in rows:
        for node in (row["source"], row["target"]):
            if node not in seen and len(found) < most:
                seen.add(node)
                found.append(node)
    return found


def _one(rows: Sequence[Row]) -> Met:
    first = rows[0]
    dates = [row["valid_from"] for row in rows if row["valid_from"] is not None]
    ends = [row["invalid_at"] for row in rows]
    return Met(
        first["source"],
        first["relationship_type"],
        first["target"],
        sum(row["weight"] for row in rows),
        min(dates, default=None),
        None if None in ends else max(ends),
        tuple(sorted(row["id"] for row in rows)),
    )


def _periods(source: UUID, relationship: str, said: Sequence[Row]) -> list[Met]:
    edge_of = {row["evidence_id"]: row["edge_id"] for row in said}
    return [
        Met(
            source,
            relationship,
            period.target,
            len(period.evidence),
            period.valid_from,
            period.invalid_at,
            tuple(sorted({edge_of[evidence] for evidence in period.evidence})),
            period.evidence,
        )
        for period in periods(Mention(row["target"], row["evidence_id"], row["at"]) for row in said)
        if period.target != source
    ]


def _relation(row: Row) -> tuple[UUID, str]:
    return row["source"], row["relationship" if "relationship" in row else "relationship_type"]


def _is_single(row: Row) -> bool:
    return row["relationship_type"] in SINGLE_VALUED
