"""A job's graph lane in PostgreSQL: its slots, and the states it moves between by itself.

Locks are taken in the order lane, slot, job: whoever adds units and whoever finds none left meet at the lane's row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.transaction import Row, Transaction
from atom_backfill.errors import LeaseLost
from atom_backfill.identity import slot_id
from atom_backfill.jobs.job import GRAPH_KEY, GraphStatus, Lane, Lease, TenantId

SQL = load_queries(__package__, "lanes.sql")
JOBS = load_queries(__package__)
SLOTS = 4
"""So many workers can share the units of one job."""


async def lock_lane(tx: Transaction, keys: Mapping[str, Any]) -> Row | None:
    """Lock a job's graph lane (`tenant`, `job`), before its slots and the job. None where it is off."""
    return await tx.fetch_one(SQL["lock_lane"], keys)


async def open_lane(tx: Transaction, keys: Mapping[str, Any]) -> None:
    """Give a new job its lane, unless that is off; it goes on by itself if the tenant has a key."""
    if await tx.execute(SQL["insert_lane"], keys):
        await wake_lanes(tx, keys["tenant"])


async def add_units(tx: Transaction, keys: Mapping[str, Any], made: int, *, again: int = 0) -> None:
    """Count units that were made, or asked for `again`, and let claims see them. The lane is locked."""
    if made or again:
        await tx.execute(SQL["add_units"], {**keys, "total": made, "done": -again})
        await open_slots(tx, keys)


async def open_slots(tx: Transaction, keys: Mapping[str, Any]) -> None:
    """Let claims see the lane's slots, if it goes on by itself."""
    slots = [slot_id(keys["job"], number) for number in range(SLOTS)]
    await tx.execute(SQL["insert_slots"], {**keys, "slots": slots})
    await tx.execute(SQL["reopen_slots"], keys)
    if await tx.execute(SQL["open_graph_turn"], keys):
        await tx.execute(JOBS["notify_work"], {"lane": Lane.GRAPH})


async def conclude(tx: Transaction, keys: Mapping[str, Any]) -> None:
    """Count a lane's chunks (`tenant`, `job`, `lane`); end the lane and complete or fail its job when none is left."""
    lane = await lock_lane(tx, keys)
    await tx.fetch_one(JOBS["lock_job"], keys)
    if keys["lane"] == Lane.INGEST:
        chunks = await tx.fetch_one(JOBS["count_chunks"], keys)
        assert chunks is not None
        await tx.execute(JOBS["count_finished_chunks"], {**keys, **chunks})
        if chunks["unfinished_in_lane"]:
            return
        await tx.execute(JOBS["end_turn"], keys)
        if chunks["unwalked"]:
            error = "Part of the mailbox could not be walked: `failures` says why. Mend that, then `resume` this job."
            await tx.execute(JOBS["fail_job"], {**keys, "code": "not_walked", "error": error})
            return
        await tx.execute(JOBS["end_ingest"], keys)
    await _conclude_lane(tx, keys, lane)


async def move_lane(tx: Transaction, keys: Mapping[str, Any], status: GraphStatus) -> None:
    """Bring a lane into the state that a person has asked for, with all that follows. Lane and job are locked."""
    graph = {**keys, "lane": Lane.GRAPH}
    await tx.execute(JOBS["set_graph_status"], {**keys, "status": status})
    if status is GraphStatus.WAITING_FOR_KEY:
        await wake_lanes(tx, keys["tenant"])
    if status in (GraphStatus.PENDING, GraphStatus.RUNNING):
        await open_slots(tx, keys)
    elif status is not GraphStatus.WAITING_FOR_KEY:
        await tx.execute(JOBS["end_turn"], graph)
    # An old backoff is not waited out, and slots that were given up are tried again.
    await tx.execute(JOBS["hasten_job"], graph)
    await tx.execute(JOBS["reopen_chunks"], {**graph, "chunks": None})


async def retry_units(tx: Transaction, keys: Mapping[str, Any], named: Sequence[UUID]) -> set[UUID]:
    """Queue units again that were given up: those named, or all without names; returns which. The lane is locked."""
    rows = await tx.fetch_all(SQL["retry_units"], {**keys, "ids": list(named) or None})
    await add_units(tx, keys, 0, again=len(rows))
    return {row["id"] for row in rows}


async def leave_lane(
    tx: Transaction, keys: Mapping[str, Any], status: GraphStatus, code: str | None, error: str | None
) -> None:
    """Have a lane go on no more by itself; the job is completed if that was all it waited for."""
    left = {**keys, "status": status, "code": code, "error": error, "lane": Lane.GRAPH}
    await tx.execute(SQL["leave_lane"], left)
    await _left(tx, left)


async def refuse_lanes(tx: Transaction, tenant: TenantId, code: str, error: str) -> None:
    """Stop all lanes of a tenant whose key is refused, or has no credit."""
    about = {"tenant": tenant, "status": GraphStatus.KEY_REJECTED, "code": code, "error": error}
    for row in await tx.fetch_all(SQL["refuse_lanes"], about):
        await _left(tx, {"tenant": tenant, "job": row["id"], "lane": Lane.GRAPH})


async def wake_lanes(tx: Transaction, tenant: UUID) -> None:
    """Let lanes go on that wait for a key, where the tenant has one that may work."""
    about = {"tenant": tenant, "key": GRAPH_KEY}
    for row in await tx.fetch_all(SQL["find_waiting"], about):
        keys = {"tenant": tenant, "job": row["id"]}
        await tx.execute(SQL["insert_lane"], keys)
        await lock_lane(tx, keys)
        if await tx.execute(SQL["wake_lane"], keys):
            await open_slots(tx, keys)


async def key_has_changed(tx: Transaction, tenant: UUID) -> None:
    """Let lanes go on that wait for a key, or have those wait whose key is gone."""
    await wake_lanes(tx, tenant)
    for row in await tx.fetch_all(SQL["find_without_key"], {"tenant": tenant, "key": GRAPH_KEY}):
        keys = {"tenant": tenant, "job": row["id"]}
        await leave_lane(tx, keys, GraphStatus.WAITING_FOR_KEY, None, None)


async def hold_slot(tx: Transaction, lease: Lease) -> None:
    """Keep a slot's lease until the commit. Raises LeaseLost."""
    keys = {"tenant": lease.tenant_id, "chunk": lease.chunk_id, "fence": lease.fence}
    if await tx.fetch_one(SQL["hold_slot"], keys) is None:
        raise LeaseLost


async def begin_lane(tx: Transaction, lease: Lease) -> None:
    """Note that somebody works on a lane."""
    await tx.execute(SQL["begin_lane"], {"tenant": lease.tenant_id, "job": lease.job_id})


async def count_progress(tx: Transaction, lease: Lease, *, done: int, more: int) -> None:
    """Count units that have ended, and how many more there are since some were split. The lane is locked."""
    keys = {"tenant": lease.tenant_id, "job": lease.job_id, "chunk": lease.chunk_id, "fence": lease.fence}
    await tx.execute(SQL["count_progress"], keys | {"done": done, "more": more})
    await tx.execute(SQL["note_slot_progress"], keys)


async def _left(tx: Transaction, keys: Mapping[str, Any]) -> None:
    await tx.execute(JOBS["end_turn"], keys)
    await tx.execute(JOBS["complete_job"], keys)
    await tx.execute(JOBS["notify_control"], keys)


async def _conclude_lane(tx: Transaction, keys: Mapping[str, Any], lane: Row | None) -> None:
    """End what is over: slots without units, the lane, the job."""
    graph = {**keys, "lane": Lane.GRAPH}
    if lane is not None:
        slots = await tx.fetch_one(SQL["count_slots"], keys)
        assert slots is not None
        left = lane["units_total"] - lane["units_done"]
        if slots["unfinished"]:
            pass  # whoever settles the last of them comes here again
        elif left and slots["done"]:
            await tx.execute(SQL["reopen_slots"], keys)
        elif left:
            words = "Units of this job could not be worked on: the log of the last worker says more. Then `resume` it."
            await leave_lane(tx, keys, GraphStatus.FAILED, "worker_lost", words)
        else:
            await tx.execute(SQL["complete_lane"], keys)
            await tx.execute(JOBS["end_turn"], graph)
    await tx.execute(JOBS["complete_job"], keys)
