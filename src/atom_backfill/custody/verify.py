"""Record and memory compared row by row, and the memory mended from the record; all of it in bounded memory.

Every row of the memory is compared, by a hash of all it holds, with what the record gives of its message; then every
message of the record is asked whether all its rows were met. A row that the record does not know may be of a page that
is about to count: while a live lease of its account may be writing, it is no difference but unsettled.

What is mended is written anew, vector included. Rows that do not belong there are taken away once the epoch has ended
in which they were seen (memory/postgres.py): then no page that wrote one of them can count any more, and what such a
page writes when it is done again has another address.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar
from uuid import UUID

from atom_backfill.custody.findings import Difference, Findings, Foreigner
from atom_backfill.custody.recorded import Recorded, rows_from
from atom_backfill.memory.ports import Embedder, Kept, PassageRow, PassageStore
from atom_backfill.memory.rows import fingerprint_of

T = TypeVar("T")
AT_ONCE = 50
"""Messages whose texts are held at a time: 20 MB where each is as long as may be."""
LOOKED_UP = 500
OWED_A_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Owed:
    """A message of the record, its generation, and how many rows the memory must have of it."""

    id: UUID
    generation: str
    content_hash: str
    rows: int


class Record(Protocol):
    """What the memory is compared with."""

    async def recorded(self, ids: Collection[UUID]) -> tuple[frozenset[UUID], Mapping[UUID, Recorded]]:
        """Return the accounts with live leases, then the messages; those that the record does not know are left out.

        In this order: the rows of a page that does not count yet belong to an account with a live lease.
        """
        ...

    async def owed(self, after: UUID | None, limit: int) -> Sequence[Owed]:
        """Return messages in the order of their ids, from behind one of them."""
        ...

    async def generations(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Return the current generation of messages; those that the record does not know are left out."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What mending takes: vectors, and the end of the memory's epoch."""

    embedder: Embedder
    end_epoch: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison found. `counts`: missing, foreign, differs, and unsettled, which is none of them.

    `compared` rows of the memory were looked at; of the differences, `repaired` are no more.
    """

    compared: int
    differences: tuple[Difference, ...]
    counts: Mapping[str, int]
    repaired: int = 0

    @property
    def verified(self) -> bool:
        """Whether memory and record agree now."""
        return sum(self.counts[kind] for kind in ("missing", "foreign", "differs")) <= self.repaired


async def verify(store: PassageStore, record: Record, tools: Tools | None = None) -> Report:
    """Compare everything; with `tools`, mend what differs. Raises what the store, the record and the embedder raise."""
    return await _run(store, record, tools, _Comparison.rows)


async def sweep(store: PassageStore, record: Record, tools: Tools) -> Report:
    """Compare by ids alone, which takes a fraction of the time, and mend what differs."""
    return await _run(store, record, tools, _Comparison.ids)


async def remake(store: PassageStore, record: Record, tools: Tools, messages: AsyncIterator[Sequence[UUID]]) -> int:
    """Write the rows of messages anew, vectors included; returns how many messages there were."""
    done = 0
    async for batch in messages:
        await _mend(store, record, tools, batch, every=True)
        done += len(batch)
    return done


async def _run(
    store: PassageStore, record: Record, tools: Tools | None, scan: Callable[[_Comparison], Awaitable[None]]
) -> Report:
    with closing(Findings()) as findings:
        comparison = _Comparison(store, record, findings)
        await scan(comparison)
        await comparison.owed()
        await comparison.suspects()
        repaired = 0 if tools is None else await _repair(store, record, tools, findings)
        counts = {kind: findings.counts[kind] for kind in ("missing", "foreign", "differs", "unsettled")}
        return Report(comparison.compared, tuple(findings.listed), counts, repaired)


@dataclass(slots=True)
class _Comparison:
    """One pass over the memory and one over the record."""

    store: PassageStore
    record: Record
    findings: Findings
    compared: int = 0

    async def rows(self) -> None:
        """Compare each row with what the record gives."""
        async for kept in self.store.rows():
            self.compared += len(kept)
            await self._judge(kept)

    async def ids(self) -> None:
        """Compare message and generation of each row; what does not fit is looked at closer."""
        async for entries in self.store.entries():
            self.compared += len(entries)
            known = await self.record.generations(list({entry.message_id for entry in entries}))
            for entry in entries:
                fits = known.get(entry.message_id) == entry.generation
                if not fits or not self.findings.see(entry.message_id, entry.id):
                    self.findings.suspect(entry.message_id)

    async def owed(self) -> None:
        """Note the messages of which too few rows were met."""
        after: UUID | None = None
        while page := await self.record.owed(after, OWED_A_PAGE):
            after = page[-1].id
            for each in page:
                if self.findings.seen(each.id) < each.rows:
                    self.findings.suspect(each.id)

    async def suspects(self) -> None:
        """Look closer at what was noted: what the memory has now of these messages, and what it lacks."""
        for messages in self.findings.suspects(LOOKED_UP):
            kept = [row async for rows in self.store.rows(messages) for row in rows]
            there = {row.id for row in kept}
            await self._judge(kept, again=True)
            for batch in _batches(messages, AT_ONCE):
                _, known = await self.record.recorded(batch)
                for message, rows in (await asyncio.to_thread(_remade, known.values())).items():
                    for passage in rows.keys() - there:
                        self.findings.wrong("missing", message, passage)

    async def _judge(self, kept: Sequence[Kept], *, again: bool = False) -> None:
        """Compare rows with the record's. `again`: rows that were met before may be met once more."""
        of_message: defaultdict[UUID | None, list[Kept]] = defaultdict(list)
        for row in kept:
            of_message[row.message_id].append(row)
        met = set[str]()
        for batch in _batches(list(of_message), AT_ONCE):
            busy, known = await self.record.recorded([message for message in batch if message])
            remade = await asyncio.to_thread(_remade, known.values())
            for message in batch:
                for row in of_message[message]:
                    self._judge_row(row, remade.get(message, {}) if message else {}, busy, met if again else None)

    def _judge_row(
        self, row: Kept, remade: Mapping[str, PassageRow], busy: Collection[UUID], met: set[str] | None
    ) -> None:
        wanted, unsettled = remade.get(row.id), row.account_id in busy
        if wanted is None or row.message_id is None:
            if unsettled:
                self.findings.counts["unsettled"] += 1
            else:
                self.findings.foreign(Foreigner(row.address, row.message_id, row.id, doubled=False))
            return
        if not self._first(row, met):
            self.findings.foreign(Foreigner(row.address, row.message_id, row.id, doubled=True))
        elif not row.sound or row.fingerprint != fingerprint_of(wanted):
            self.findings.wrong("differs", row.message_id, row.id)
        elif row.folder_ids != frozenset(wanted.folder_ids):
            if unsettled:
                self.findings.counts["unsettled"] += 1
            else:
                self.findings.wrong("differs", row.message_id, row.id)

    def _first(self, row: Kept, met: set[str] | None) -> bool:
        if met is None:
            assert row.message_id is not None
            return self.findings.see(row.message_id, row.id)
        first = row.id not in met
        met.add(row.id)
        return first


async def _repair(store: PassageStore, record: Record, tools: Tools, findings: Findings) -> int:
    repaired = 0
    # What does not belong there goes first: a row under a wrong message would keep the right one out by its id.
    if findings.counts["foreign"]:
        await tools.end_epoch()
    for foreigners in findings.to_erase(LOOKED_UP):
        repaired += await store.erase(await _still_foreign(record, foreigners))
    for messages in findings.to_mend(AT_ONCE):
        await _mend(store, record, tools, messages)
        repaired += findings.wrong_rows(messages)
    return repaired


async def _still_foreign(record: Record, foreigners: Sequence[Foreigner]) -> list[int]:
    """Return the addresses of what the record does not know to this day; no page can make it count any more."""
    addresses: list[int] = []
    for batch in _batches(foreigners, AT_ONCE):
        _, known = await record.recorded([each.message for each in batch if each.message])
        remade = await asyncio.to_thread(_remade, known.values())
        addresses += [
            each.address
            for each in batch
            if each.doubled or not each.message or each.passage not in remade.get(each.message, {})
        ]
    return addresses


async def _mend(
    store: PassageStore, record: Record, tools: Tools, messages: Sequence[UUID], *, every: bool = False
) -> None:
    """Write the rows of messages that are missing or differ, or all of them, as the record gives them now."""
    for batch in _batches(messages, AT_ONCE):
        _, known = await record.recorded(batch)
        kept = {row.id: row async for rows in store.rows(batch) for row in rows}
        wanted = [row for rows in (await asyncio.to_thread(_remade, known.values())).values() for row in rows.values()]
        # With the fence that is there, since a lower one would not overwrite it.
        fenced = [replace(row, fence=kept[row.id].fence if row.id in kept else 0) for row in wanted]
        wrong = [row for row in fenced if every or not _is_right(kept.get(row.id), row)]
        if wrong:
            # Not the vectors that the memory has: one of them may be what is wrong.
            await store.upsert(wrong, await tools.embedder.embed([row.embedded for row in wrong]))


def _is_right(kept: Kept | None, wanted: PassageRow) -> bool:
    return (
        kept is not None
        and kept.sound
        and kept.fingerprint == fingerprint_of(wanted)
        and kept.folder_ids == frozenset(wanted.folder_ids)
    )


def _remade(recorded: Iterable[Recorded]) -> dict[UUID, dict[str, PassageRow]]:
    return {each.id: {row.id: row for row in rows_from(each)} for each in recorded}


def _batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
