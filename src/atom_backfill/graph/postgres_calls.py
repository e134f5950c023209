"""The ledger of calls in PostgreSQL: what may be spent, what was, and how fast a key is used.

Locks: the lane's row and the tenant's spending, then the call, then the key's pace.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.transaction import Row, Transaction
from atom_backfill.graph.money import Admission, Asked, Refusal, Settlement, Wait
from atom_backfill.graph.postgres_units import slot_keys
from atom_backfill.jobs.job import Lease
from atom_backfill.jobs.postgres_lanes import lock_lane
from atom_backfill.llm.pace import Pace, after_answer, after_refusal, first_pace, give_back, take

SQL = load_queries(__package__, "calls.sql")
MONEY_WAIT_S = 0.5
"""Between two looks whether calls in flight have cost less than was set aside for them."""
_ZERO = Decimal(0)


async def admit(tx: Transaction, lease: Lease, asked: Asked) -> Admission:
    """Reserve a call's money and take its place in the key's pace, or take nothing and say why.

    Call it in a transaction of its own.
    """
    await tx.execute(SQL["add_purse"], {"tenant": lease.tenant_id})
    values = {
        "call": asked.call_id,
        "units": list(asked.units),
        "attempt": asked.attempt,
        "model": asked.model,
        "usd": asked.most_usd,
        "cap": asked.cap_usd,
        "key_name": asked.key_name,
        "key_version": asked.key_version,
    }
    try:
        async with tx.savepoint():
            return await _admit(tx, lease, asked, slot_keys(lease) | values)
    except _NotYetError as wait:
        return Wait(wait.seconds, rate=True)


async def settle(tx: Transaction, lease: Lease, asked: Asked, came: Settlement) -> Decimal:
    """Note what a call came to, whoever has the lease by now. Returns what the lane has spent in all."""
    await lock_lane(tx, slot_keys(lease))
    keys = slot_keys(lease) | {"call": asked.call_id}
    call = await tx.fetch_one(SQL["lock_call"], keys)
    assert call is not None
    reserved = call["usd_reserved"] or _ZERO
    tokens = {"input_tokens": came.input_tokens, "output_tokens": came.output_tokens}
    about = {"outcome": came.outcome, "usd": came.usd, "latency_ms": round(came.latency_s * 1000)}
    await tx.execute(SQL["settle_call"], keys | about | tokens)
    usd = came.usd or _ZERO
    lost = call["state"] == "lost"
    spent: Decimal = await tx.fetch_value(
        SQL["spend"],
        keys
        | {
            "usd": usd - reserved if lost else usd,
            "released": _ZERO if lost else reserved,
            "input_tokens": came.input_tokens or 0,
            "output_tokens": came.output_tokens or 0,
            "unpriced": came.usd is None,
        },
    )
    if usd:
        part = (usd / len(asked.units)).quantize(Decimal("0.000001"))
        await tx.execute(SQL["spread_cost"], keys | {"usd": part, "units": sorted(asked.units)})
    await _learn(tx, lease, asked, came)
    return spent


async def lose_calls(tx: Transaction, lease: Lease) -> int:
    """Count what earlier leases of the slot left in flight as spent; the lane's row is locked. Returns how many."""
    lost = await tx.fetch_all(SQL["find_lost_calls"], slot_keys(lease))
    if lost:
        await tx.execute(SQL["lose_calls"], slot_keys(lease) | {"ids": [row["id"] for row in lost]})
        usd = sum((row["usd"] for row in lost), _ZERO)
        values = {"usd": usd, "released": usd, "input_tokens": 0, "output_tokens": 0}
        await tx.execute(SQL["spend"], slot_keys(lease) | values | {"unpriced": any(row["unpriced"] for row in lost)})
    return len(lost)


class _NotYetError(Exception):
    """The key's pace asks to wait; leaves the savepoint, so that no money is reserved meanwhile."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


async def _admit(tx: Transaction, lease: Lease, asked: Asked, values: dict[str, Any]) -> Admission:
    if await tx.fetch_one(SQL["reserve"], values) is None:
        return _refusal(await tx.fetch_one(SQL["why_not_reserved"], values), asked)
    pace, now = await _pace(tx, lease, asked.key_name, asked.key_version)
    taken, wait = take(pace, now, asked.tokens)
    if wait > 0:
        raise _NotYetError(wait)
    await _save(tx, lease, asked.key_name, asked.key_version, taken)
    return None


async def _learn(tx: Transaction, lease: Lease, asked: Asked, came: Settlement) -> None:
    """Let the key's pace learn from an answer, or from a refusal."""
    row = await tx.fetch_one(SQL["lock_pace"], {"tenant": lease.tenant_id, "name": asked.key_name})
    if row is None or row["version"] != asked.key_version:
        return
    now = row["now"]
    pace = _read(row)
    if came.refused_s is not None:
        pace = after_refusal(give_back(pace, now, asked.tokens), now, came.refused_s)
    else:
        # Of what an answer did not use nothing is given back: servers count what it might have used.
        pace = after_answer(pace, now, came.headers)
    await _save(tx, lease, asked.key_name, asked.key_version, pace)


async def _pace(tx: Transaction, lease: Lease, name: str, version: int) -> tuple[Pace, datetime]:
    """Lock and read the pace of a key; of one that was set anew nothing is known."""
    keys = {"tenant": lease.tenant_id, "name": name}
    row = await tx.fetch_one(SQL["lock_pace"], keys)
    if row is None:
        await tx.execute(SQL["add_pace"], keys)
        row = await tx.fetch_one(SQL["lock_pace"], keys)
    assert row is not None, "the key's row is there: it was looked at in this transaction"
    return (_read(row) if row["version"] == version else first_pace(row["now"])), row["now"]


def _read(row: Row) -> Pace:
    return Pace(**{each.name: row[each.name] for each in fields(Pace)})


async def _save(tx: Transaction, lease: Lease, name: str, version: int, pace: Pace) -> None:
    values: dict[str, Any] = {each.name: getattr(pace, each.name) for each in fields(Pace)}
    keys = {"tenant": lease.tenant_id, "name": name, "version": version}
    await tx.execute(SQL["save_pace"], keys | values)


def _refusal(row: Row | None, asked: Asked) -> Admission:
    if row is None or not row["held"]:
        return Refusal.LEASE_LOST
    if row["graph_status"] not in ("pending", "running", "completed"):
        return Refusal.STOPPED
    if row["key_version"] != asked.key_version or row["key_status"] not in ("untested", "works"):
        return Refusal.KEY_CHANGED
    return Wait(MONEY_WAIT_S, rate=False) if row["in_flight"] else Refusal.BUDGET
