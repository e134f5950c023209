"""What happens to items between fetch and commit: read, clean, embed, remember, and then make them count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog

from atom_backfill.archive.rows import Failed, Stored
from atom_backfill.backfill.ports import Batch, Committed, FaultPoint, Ledger, Pace, Work
from atom_backfill.backfill.reading import Reading
from atom_backfill.clock import Clock
from atom_backfill.errors import SkipItemError
from atom_backfill.identity import message_id, thread_id
from atom_backfill.jobs.job import Lease, TenantId
from atom_backfill.mail.clean import CLEANER
from atom_backfill.memory.embed import embed_rows
from atom_backfill.memory.ports import Embedder, PassageIndex, PassageRow
from atom_backfill.memory.rows import generation_of, rows_of
from atom_backfill.sources.ports import MailSource, Place, RawItem, Unreadable

Read = Callable[[Lease, Sequence[RawItem]], Awaitable[Sequence[Reading | SkipItemError]]]
"""Reads and cleans items in the sandbox, in order."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the main job works with; app.py puts it together."""

    ledger: Ledger
    source: Callable[[Lease], Awaitable[MailSource]]
    read: Read
    memory: Callable[[TenantId], Awaitable[PassageIndex]]
    embedder: Embedder
    clock: Clock
    reached: FaultPoint


@dataclass(frozen=True, slots=True)
class Fetched:
    """Items of a page, those that the source could not give, and how long the source took in seconds."""

    items: tuple[RawItem, ...]
    unreadable: tuple[Unreadable, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sorted:
    """A page after a look into the record: what is to be read, what is known, and what cannot be read.

    `fetch_s`: how long the source took, in seconds.
    """

    new: tuple[RawItem, ...]
    seen: tuple[RawItem | Place, ...]
    unreadable: tuple[Unreadable, ...] = ()
    fetch_s: float = 0.0


async def sort_page(lease: Lease, work: Work, fetched: Fetched, ledger: Ledger) -> Sorted:
    """Leave out what need not be read again; of an item that is listed twice, the last wins."""
    items = tuple({item.source_id: item for item in fetched.items}.values())
    wanted = [(item.source_id, item.change_key) for item in items]
    settled = await ledger.settled(lease, wanted, again=work.again)
    new = tuple(item for item in items if item.source_id not in settled)
    seen = tuple(item for item in items if item.source_id in settled)
    return Sorted(new, seen, fetched.unreadable, fetched.seconds)


async def store_page(
    lease: Lease,
    work: Work,
    page: Sorted,
    parts: Parts,
    *,
    position: dict[str, Any],
    has_more: bool,
) -> Committed:
    """Read, clean, embed and remember the new items, then make the page count.

    The memory comes first and the record second: a crash between them leaves passages that nobody is shown and that
    doing the page again writes under the same ids.
    """
    log = structlog.get_logger()
    began = parts.clock.monotonic()
    log.info(f"Fetched {len(page.new) + len(page.seen)} records", new=len(page.new), fetch_s=round(page.fetch_s, 3))
    await parts.reached("fetched")
    stored, failed = _sort_readings(lease, work, page, await parts.read(lease, page.new), parts.embedder.identity)
    await parts.reached("read")
    rows = [row for message in stored for row in _rows(lease, message)]
    index = await parts.memory(lease.tenant_id)
    embed_began = parts.clock.monotonic()
    vectors = await embed_rows(index, parts.embedder, rows)
    embed_s = parts.clock.monotonic() - embed_began
    await parts.reached("embedded")
    if rows:
        await index.upsert(rows, vectors)
    lying = [(message.message_id, message.digest.message.folder_id) for message in stored]
    seen = tuple((message_id(lease.account_id, item.source_id), item.folder_id) for item in page.seen)
    before = await parts.ledger.places(lease, {message for message, _ in (*lying, *seen)})
    await index.place(_moved((*lying, *seen), before, one_place=work.one_place))
    log.info(f"LanceDB upserted {len(rows)} passages")
    await parts.reached("remembered")
    batch = Batch(
        stored=tuple(stored),
        failed=(*failed, *(_unreadable(lease, item) for item in page.unreadable)),
        seen=seen,
        position=position,
        has_more=has_more,
        pace=Pace(page.fetch_s, embed_s, parts.clock.monotonic() - began - embed_s),
        epoch=work.epoch,
    )
    log.info(f"Persisting {len(stored)} records")
    committed = await parts.ledger.commit(lease, batch, one_place=work.one_place)
    log.info(f"{committed.entities} entities")
    log.info(f"{committed.relationships} relationships")
    if committed.failures:
        words = "Some items could not be read; `failures` lists them."
        log.warning("items failed", failures=committed.failures, error_code="items_failed", error=words)
    if committed.kept:
        words = "Messages could not be read again; the record keeps what it had of them."
        log.warning("older copies kept", messages=committed.kept, error_code="not_read_again", error=words)
    await parts.reached("committed")
    return committed


def _moved(
    lying: Sequence[tuple[UUID, str]], before: Mapping[UUID, Collection[str]], *, one_place: bool
) -> dict[UUID, set[str]]:
    """Return the folders of messages that now lie elsewhere, or in several: of those, rows are written for one.

    Two pages that bring in copies of one mail at once know nothing of each other; the check meets both again.
    """
    moved: dict[UUID, set[str]] = {}
    for message, folder in lying:
        known = set(before.get(message, ()))
        now = {folder} if one_place else {folder, *known}
        if known and (now != known or len(now) > 1):
            moved[message] = now
    return moved


def _sort_readings(
    lease: Lease, work: Work, page: Sorted, readings: Sequence[Reading | SkipItemError], embedder: str
) -> tuple[list[Stored], list[Failed]]:
    """Part the readings into messages and failures; drafts outside the drafts folder are neither."""
    stored: list[Stored] = []
    failed: list[Failed] = []
    for item, reading in zip(page.new, readings, strict=True):
        if isinstance(reading, SkipItemError):
            failed.append(_failed(lease, item, reading))
        elif not reading.digest.message.is_draft or work.draft_folder:
            stored.append(_stored(lease, item, reading, embedder))
    return stored, failed


def _stored(lease: Lease, item: RawItem, reading: Reading, embedder: str) -> Stored:
    # The source's word on identity and place wins over what the payload says of itself.
    message = replace(reading.digest.message, source_id=item.source_id, folder_id=item.folder_id)
    return Stored(
        message_id=message_id(lease.account_id, item.source_id),
        thread_id=thread_id(lease.account_id, message.conversation_id, item.source_id),
        digest=replace(reading.digest, message=message),
        source_body=reading.source_body,
        content_hash=reading.content_hash,
        change_key=item.change_key,
        generation=generation_of(CLEANER, embedder, reading.content_hash),
    )


def _rows(lease: Lease, message: Stored) -> list[PassageRow]:
    return rows_of(
        message.digest,
        message_id=message.message_id,
        account_id=lease.account_id,
        thread_id=str(message.thread_id),
        folder_ids=(message.digest.message.folder_id,),
        fence=lease.fence,
        generation=message.generation,
    )


def _failed(lease: Lease, item: RawItem, error: SkipItemError) -> Failed:
    return Failed(
        source_id=item.source_id,
        message_id=message_id(lease.account_id, item.source_id),
        folder_id=item.folder_id,
        received_at=item.received_at,
        subject="",
        stage=error.stage,
        error_code=error.code,
        error=error.message,
    )


def _unreadable(lease: Lease, item: Unreadable) -> Failed:
    return Failed(
        source_id=item.source_id,
        message_id=message_id(lease.account_id, item.source_id),
        folder_id=item.folder_id,
        received_at=item.received_at,
        subject="",
        stage="fetch",
        error_code=item.code,
        error=item.reason,
    )
