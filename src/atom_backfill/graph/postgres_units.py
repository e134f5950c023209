"""Units in PostgreSQL: made of the record inside somebody's transaction, claimed under a slot's lease, and ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.transaction import Row, Transaction
from atom_backfill.graph.units import MailText, UnitPlan, new_spans, pack, plan_units, too_short
from atom_backfill.jobs.job import Lease, TenantId

SQL = load_queries(__package__, "units.sql")
THREADS_AT_ONCE = 200
"""So much text is held in memory, a few megabytes."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A unit that belongs to the slot's lease now."""

    plan: UnitPlan
    attempts: int
    troubles: int


async def window_threads(tx: Transaction, lease: Lease, folder: str, start: Any, end: Any) -> list[UUID]:
    """Return the threads of a window's mails that nobody has looked at for units."""
    keys = {"tenant": lease.tenant_id, "account": lease.account_id, "folder": folder, "start": start, "end": end}
    return [row["thread_id"] for row in await tx.fetch_all(SQL["find_window_threads"], keys)]


async def job_threads(tx: Transaction, lease: Lease, limit: int) -> list[UUID]:
    """Return threads of the job's mails that nobody has looked at for units, so many at most."""
    keys = {"tenant": lease.tenant_id, "job": lease.job_id, "limit": limit}
    return [row["thread_id"] for row in await tx.fetch_all(SQL["find_job_threads"], keys)]


async def make_units(tx: Transaction, lease: Lease, threads: Sequence[UUID]) -> int:
    """Make units of what is new in threads; returns how many. Doing it again makes none."""
    made = 0
    for at in range(0, len(threads), THREADS_AT_ONCE):
        made += await _make_some(tx, lease, sorted(threads)[at : at + THREADS_AT_ONCE])
    return made


async def insert_plans(tx: Transaction, lease: Lease, plans: Iterable[UnitPlan], *, alone: bool = False) -> int:
    """Store units, once each; returns how many are new."""
    rows = [_plan_row(plan, alone) for plan in plans]
    keys = {"tenant": lease.tenant_id, "account": lease.account_id, "job": lease.job_id}
    return await tx.execute(SQL["insert_units"], keys | {"rows": Jsonb(rows)}) if rows else 0


async def claim_units(tx: Transaction, lease: Lease, most: int) -> list[Claimed]:
    """Take as many of the newest waiting units as fit into one call."""
    keys = {"tenant": lease.tenant_id, "job": lease.job_id}
    rows = await tx.fetch_all(SQL["pick_units"], keys | {"limit": most})
    if not rows:
        return []
    taken = rows[: pack([(row["characters"], row["alone"]) for row in rows])]
    ids = [row["id"] for row in taken]
    await tx.execute(SQL["begin_units"], slot_keys(lease) | {"ids": ids})
    return [Claimed(_plan(row), row["attempts"], row["troubles"]) for row in taken]


async def read_mails(tx: Transaction, tenant: TenantId, plans: Iterable[UnitPlan]) -> dict[UUID, MailText]:
    """Read the mails that units are made of; those that are gone are missing."""
    ids = sorted({message for plan in plans for message, _, _ in plan.mails})
    rows = await tx.fetch_all(SQL["read_unit_mails"], {"tenant": tenant, "ids": ids})
    return {row["id"]: _mail(row) for row in rows}


async def find_answers(tx: Transaction, tenant: TenantId, keys: Collection[bytes]) -> dict[bytes, str]:
    """Return what a model has said before of these questions."""
    rows = await tx.fetch_all(SQL["find_answers"], {"tenant": tenant, "keys": list(keys)})
    return {bytes(row["key"]): row["answer"] for row in rows}


async def insert_answers(tx: Transaction, tenant: TenantId, answers: Mapping[bytes, str]) -> None:
    """Keep what a model has said, so that it is not bought again."""
    if answers:
        keys = {"tenant": tenant, "keys": [*answers], "answers": [*answers.values()]}
        await tx.execute(SQL["insert_answers"], keys)


async def forget_mails(tx: Transaction, tenant: TenantId, ids: Collection[UUID]) -> None:
    """Have changed mails looked at anew."""
    if ids:
        await tx.execute(SQL["forget_mails"], {"tenant": tenant, "ids": list(ids)})


def slot_keys(lease: Lease) -> dict[str, Any]:
    """Name a slot under its lease."""
    return {"tenant": lease.tenant_id, "job": lease.job_id, "chunk": lease.chunk_id, "fence": lease.fence}


async def _make_some(tx: Transaction, lease: Lease, threads: Sequence[UUID]) -> int:
    keys = {"tenant": lease.tenant_id, "threads": threads}
    rows = await tx.fetch_all(SQL["read_new_mails"], keys)
    mails = {row["id"]: _mail(row) for row in rows}
    hashes = {row["id"]: mails[row["id"]].text_hash for row in rows if not row["bulk"]}
    known = {"tenant": lease.tenant_id, "hashes": [*hashes.values()]}
    same = {bytes(row["text_hash"]) for row in await tx.fetch_all(SQL["find_same_texts"], known)}
    left_out: dict[UUID, str] = {}
    for row in sorted(rows, key=_by_date):
        mail = row["id"]
        if row["bulk"] or too_short(mails[mail]):
            left_out[mail] = "bulk" if row["bulk"] else "short"
        elif hashes[mail] in same:
            left_out[mail] = "duplicate"
        else:
            same.add(hashes[mail])
    seen = {
        "tenant": lease.tenant_id,
        "ids": [*mails],
        "left_out": [left_out.get(mail) for mail in mails],
        "hashes": [None if mail in left_out else hashes[mail] for mail in mails],
    }
    plans = await _plans(tx, lease, [row for row in rows if row["id"] not in left_out], mails)
    await tx.execute(SQL["insert_mails"], seen)
    return await insert_plans(tx, lease, plans)


async def _plans(tx: Transaction, lease: Lease, rows: Sequence[Row], mails: Mapping[UUID, MailText]) -> list[UnitPlan]:
    if not rows:
        return []
    keys = {"tenant": lease.tenant_id, "threads": sorted({row["thread_id"] for row in rows})}
    earlier: dict[UUID, list[MailText]] = {}
    for row in await tx.fetch_all(SQL["read_earlier_mails"], keys):
        earlier.setdefault(row["thread_id"], []).append(_mail(row))
    counts = {row["thread_id"]: row["units"] for row in await tx.fetch_all(SQL["count_thread_units"], keys)}
    plans: list[UnitPlan] = []
    for thread, group in groupby(sorted(rows, key=_by_thread), key=_by_thread):
        new = [mails[row["id"]] for row in group]
        plans += plan_units(thread, new, earlier=earlier.get(thread, ()), first=counts.get(thread, 0))
    return plans


def _by_thread(row: Row) -> UUID:
    thread: UUID = row["thread_id"]
    return thread


def _by_date(row: Row) -> tuple[bool, Any, UUID]:
    """The oldest first: of mails that say the same, the one that said it first counts."""
    return row["dated"] is None, row["dated"], row["id"]


def _mail(row: Row) -> MailText:
    return MailText(
        message_id=row["id"],
        content_hash=row["content_hash"],
        subject=row["subject"],
        dated=row["dated"],
        people=tuple((one["role"], one["name"], one["address"]) for one in row["participants"]),
        text=row["text"],
        spans=new_spans(row["text"], row["segments"]),
    )


def _plan_row(plan: UnitPlan, alone: bool) -> dict[str, Any]:
    return {
        "id": plan.unit_id.hex,
        "thread_id": plan.thread_id.hex,
        "ordinal": plan.ordinal,
        "latest_at": plan.latest_at.isoformat(),
        "characters": plan.characters,
        "mails": [[message.hex, known, [list(span) for span in spans]] for message, known, spans in plan.mails],
        "carried": [list(person) for person in plan.carried],
        "alone": alone,
    }


def _plan(row: Row) -> UnitPlan:
    return UnitPlan(
        unit_id=row["id"],
        thread_id=row["thread_id"],
        ordinal=row["ordinal"],
        latest_at=row["latest_at"],
        characters=row["characters"],
        mails=tuple(
            (UUID(message), known, tuple((start, end) for start, end in spans))
            for message, known, spans in row["mails"]
        ),
        carried=tuple((key, name, shared) for key, name, shared in row["carried"]),
    )
