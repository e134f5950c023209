"""The ledger: the one transaction in which a page counts, over the stores of archive, graph and jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.archive import postgres as archive
from atom_backfill.archive.rows import Failed, Stored
from atom_backfill.backfill.ports import Batch, Committed, Planned, Work
from atom_backfill.backfill.postgres_lane import make_units_of
from atom_backfill.db.faults import RowRefusedError
from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database
from atom_backfill.db.scope import Work as WorkScope
from atom_backfill.db.transaction import Transaction
from atom_backfill.errors import LeaseLost
from atom_backfill.graph import postgres as graph
from atom_backfill.graph.headers import shown_by
from atom_backfill.graph.postgres_units import forget_mails
from atom_backfill.jobs.job import Lease
from atom_backfill.jobs.postgres import add_chunks
from atom_backfill.mail.message import FolderId
from atom_backfill.memory.postgres import refuse_other_epoch
from atom_backfill.sources.accounts import ONE_PLACE_KINDS
from atom_backfill.sources.ports import Folder, Window

SQL = load_queries(__package__)


class PostgresLedger:
    """Where pages count. Raises LeaseLost wherever the lease's fence has moved on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, lease: Lease) -> Work:
        """Read what the chunk is about."""
        async with self._database.transaction(WorkScope(lease.tenant_id)) as tx:
            row = await tx.fetch_one(SQL["open_chunk"], _keys(lease))
        if row is None:
            raise LeaseLost
        return Work(
            folder_id=FolderId(row["folder_id"] or ""),
            window=Window(row["window_start"], row["window_end"]),
            position=row["position"],
            has_more=row["has_more"],
            messages_hint=row["messages_hint"],
            messages_done=row["messages_done"],
            chunk_size=row["chunk_size"],
            again=row["again"],
            job_start=row["start_date"],
            job_end=row["end_date"],
            untrue_from=row["untrue_from"],
            folders=tuple(row["folders"]),
            draft_folder=row["draft_folder"],
            one_place=row["account_kind"] in ONE_PLACE_KINDS,
            epoch=row["epoch"],
        )

    async def settled(self, lease: Lease, items: Sequence[tuple[str, str]], *, again: bool) -> frozenset[str]:
        """Return the source ids among (source id, change key) that need not be read again."""
        if not items:
            return frozenset()
        async with self._database.transaction(WorkScope(lease.tenant_id)) as tx:
            return await archive.settled(tx, lease, items, again=again)

    async def places(self, lease: Lease, ids: Collection[UUID]) -> Mapping[UUID, Collection[str]]:
        """Return the folder ids of messages that the record has."""
        if not ids:
            return {}
        async with self._database.transaction(WorkScope(lease.tenant_id)) as tx:
            return await archive.places_of(tx, lease.tenant_id, ids)

    async def commit(self, lease: Lease, batch: Batch, *, one_place: bool) -> Committed:
        """Make a page count, or nothing of it."""
        async with self._database.transaction(WorkScope(lease.tenant_id)) as tx:
            await tx.fetch_one(SQL["lock_account"], _keys(lease))
            if batch.epoch is not None:
                await refuse_other_epoch(tx, lease.tenant_id, batch.epoch)
            position = {"position": Jsonb(batch.position), "has_more": batch.has_more}
            chunk = await tx.fetch_one(SQL["hold_fence"], _keys(lease) | position)
            if chunk is None:
                raise LeaseLost
            page = _Page(tx, lease)
            await page.store({message.message_id: message for message in batch.stored})
            await page.fail({item.message_id: item for item in (*batch.failed, *page.refused)})
            await page.place(batch, one_place=one_place)
            if not batch.has_more:
                await make_units_of(tx, lease, chunk)
            await page.count(batch)
            return page.committed

    async def plan(self, lease: Lease, planned: Planned) -> None:
        """Add chunks to the lease's job and wake the workers; note the folders and what the census expects."""
        async with self._database.transaction(WorkScope(lease.tenant_id)) as tx:
            held = _keys(lease) | {"position": Jsonb(planned.position), "has_more": True}
            if await tx.fetch_one(SQL["hold_fence"], held) is None:
                raise LeaseLost
            values = [_keys(lease) | _folder_values(folder) for folder in planned.folders]
            await tx.executemany(SQL["upsert_folder"], values)
            await add_chunks(tx, lease, planned.chunks)
            await tx.execute(SQL["expect_more"], _keys(lease) | {"estimate": planned.estimate})

    async def covered(self, lease: Lease, folder: FolderId) -> Sequence[Window]:
        """Return the windows of a folder that earlier jobs have walked to their end."""
        async with self._database.transaction(WorkScope(lease.tenant_id)) as tx:
            rows = await tx.fetch_all(SQL["read_covered"], _keys(lease) | {"folder": folder})
        return [Window(row["window_start"], row["window_end"]) for row in rows]

    async def failures(
        self, lease: Lease, ids: Sequence[UUID] | None
    ) -> Sequence[tuple[str, FolderId | None, datetime | None]]:
        """Return quarantined items of the job: source id, folder, date; all of them when `ids` is None."""
        async with self._database.transaction(WorkScope(lease.tenant_id)) as tx:
            rows = await archive.failures_of(tx, lease, ids)
        return [(row["source_id"], row["folder_id"], row["received_at"]) for row in rows]


@dataclass(frozen=True, slots=True)
class _Written:
    """What a write added, and by how much it lowers the counters of other jobs: job → (entities, relationships)."""

    messages: int = 0
    entities: int = 0
    relationships: int = 0
    failures: int = 0
    kept: int = 0
    done: int = 0
    lowered: Mapping[UUID, tuple[int, int]] = field(default_factory=dict)


class _Page:
    """One page inside its transaction: what it has written so far."""

    def __init__(self, tx: Transaction, lease: Lease) -> None:
        self._tx = tx
        self._lease = lease
        self.refused: list[Failed] = []
        self._done = 0
        self._lowered: dict[UUID, tuple[int, int]] = {}
        self.committed = Committed(0, 0, 0, 0)

    async def store(self, messages: Mapping[UUID, Stored]) -> None:
        """Write messages together, after some were refused without those."""
        try:
            async with self._tx.savepoint():
                written = await _write(self._tx, self._lease, [*messages.values()])
        except RowRefusedError:
            fit = [message for message in messages.values() if await self._fits(message)]
            written = await _write(self._tx, self._lease, fit)
        self._add(written)

    async def _fits(self, message: Stored) -> bool:
        """Tell whether a message goes in alone, and leave no trace of the trial, locks included."""
        try:
            async with self._tx.trial():
                await _write(self._tx, self._lease, [message])
        except RowRefusedError as error:
            self.refused.append(_refused(message, error))
            return False
        return True

    async def fail(self, failed: Mapping[UUID, Failed]) -> None:
        """Note what could not be read. What the record has from before stays as it is, and is met."""
        if not failed:
            return
        new = await archive.write_failures(self._tx, self._lease, [*failed.values()])
        met = await self._tx.execute(SQL["mark_seen"], _keys(self._lease) | {"ids": sorted(failed)})
        self._add(_Written(done=new + met, failures=new, kept=met))

    async def place(self, batch: Batch, *, one_place: bool) -> None:
        """Note where messages lie, also those that needed no reading."""
        stored = [(item.message_id, item.digest.message.folder_id) for item in batch.stored]
        await archive.write_places(self._tx, self._lease, (*stored, *batch.seen), one_place=one_place)
        if batch.seen:
            keys = _keys(self._lease) | {"ids": sorted({message for message, _ in batch.seen})}
            met = await self._tx.execute(SQL["mark_seen"], keys)
            # The census counts what the windows hold; a check meets all that earlier jobs have read.
            self._add(_Written(done=met if self._lease.kind == "window" else 0))

    async def count(self, batch: Batch) -> None:
        """Bring the counters to what the tables hold; last, so that the job's row is locked for a moment only."""
        keys = _keys(self._lease)
        if self._lowered:
            await self._tx.execute(SQL["lock_jobs"], keys | {"jobs": sorted({*self._lowered, self._lease.job_id})})
        for job, (entities, relationships) in sorted(self._lowered.items()):
            lowered = {"job": job, "entities": entities, "relationships": relationships}
            await self._tx.execute(SQL["lower_counters"], keys | lowered)
        counted = {
            "messages": self.committed.messages,
            "entities": self.committed.entities,
            "relationships": self.committed.relationships,
            "done": self._done,
            "fetch": batch.pace.fetch,
            "embed": batch.pace.embed,
            "store": batch.pace.store,
        }
        await self._tx.execute(SQL["raise_counters"], keys | counted)
        await self._tx.execute(SQL["raise_chunk"], keys | {"done": self._done})

    def _add(self, written: _Written) -> None:
        self._done += written.done
        for job, (entities, relationships) in written.lowered.items():
            before = self._lowered.get(job, (0, 0))
            self._lowered[job] = (before[0] + entities, before[1] + relationships)
        so_far = self.committed
        self.committed = Committed(
            so_far.messages + written.messages,
            so_far.entities + written.entities,
            so_far.relationships + written.relationships,
            so_far.failures + written.failures,
            so_far.kept + written.kept,
        )


async def _write(tx: Transaction, lease: Lease, messages: Sequence[Stored]) -> _Written:
    """Write messages that are new or changed, and note those that are the same."""
    if not messages:
        return _Written()
    known = await archive.known_messages(tx, lease.tenant_id, [message.message_id for message in messages])
    fresh = [message for message in messages if message.message_id not in known]
    met = [message for message in messages if message.message_id in known]
    changed = [message for message in met if _differs(message, known[message.message_id])]
    same = [message for message in met if not _differs(message, known[message.message_id])]
    written = _Written()
    if fresh or changed:
        written = await _write_anew(tx, lease, fresh, changed)
    if same:
        await archive.touch_messages(tx, lease, same)
    mended = await archive.drop_failures(tx, lease, [message.digest.message.source_id for message in messages])
    first_met = sum(known[message.message_id]["last_job_id"] != lease.job_id for message in met)
    return replace(written, messages=len(fresh), done=len(fresh) + first_met - mended)


async def _write_anew(tx: Transaction, lease: Lease, fresh: Sequence[Stored], changed: Sequence[Stored]) -> _Written:
    """Write messages with what they show; of those that have changed, forget first what they had shown."""
    await graph.lock_graph(tx, lease.tenant_id)
    lowered, bare = await _forget(tx, lease, [message.message_id for message in changed])
    writing = [*fresh, *changed]
    findings = await archive.write_messages(tx, lease, writing)
    shown = shown_by(lease.tenant_id, [(message.message_id, message.digest) for message in writing])
    dates = {message.message_id: message.digest.message.received_at for message in writing}
    nodes, edges = await graph.write_shown(tx, lease, shown, dates)
    await graph.drop_bare(tx, lease.tenant_id, bare)
    return _Written(entities=findings + nodes, relationships=edges, lowered=lowered)


async def _forget(
    tx: Transaction, lease: Lease, ids: Sequence[UUID]
) -> tuple[Mapping[UUID, tuple[int, int]], Collection[UUID]]:
    """Forget what changed messages had shown: the counters to lower, and nodes and edges that may be bare now."""
    if not ids:
        return {}, ()
    findings = await archive.drop_findings(tx, lease.tenant_id, ids)
    evidence = await graph.drop_evidence(tx, lease.tenant_id, ids)
    await forget_mails(tx, lease.tenant_id, ids)
    lowered = {row["job_id"]: (row["entities"], row["relationships"]) for row in evidence}
    for row in findings:
        entities, relationships = lowered.get(row["job_id"], (0, 0))
        lowered[row["job_id"]] = (entities + row["entities"], relationships)
    return lowered, {shown for row in evidence for shown in row["shown"]}


def _differs(message: Stored, row: Mapping[str, Any]) -> bool:
    return (message.content_hash, message.generation) != (row["content_hash"], row["generation"])


def _refused(message: Stored, error: RowRefusedError) -> Failed:
    mail = message.digest.message
    return Failed(
        mail.source_id, message.message_id, mail.folder_id, mail.received_at, "", "store", error.code, error.message
    )


def _keys(lease: Lease) -> dict[str, Any]:
    return {
        "tenant": lease.tenant_id,
        "account": lease.account_id,
        "job": lease.job_id,
        "chunk": lease.chunk_id,
        "fence": lease.fence,
    }


def _folder_values(folder: Folder) -> dict[str, Any]:
    return {
        "folder": folder.folder_id,
        "path": folder.path,
        "well_known": folder.well_known,
        "hidden": folder.hidden,
        "search": folder.search,
        "hint": folder.messages_hint,
    }
