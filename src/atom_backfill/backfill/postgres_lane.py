"""The graph lane's ledger: units, calls, facts and counters, over the stores of access, graph and jobs.

Locks are taken in the order graph, lane, slot, job. Money is settled apart from facts: what was spent is spent, whoever
has the lease.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.access.keys import KeyStatus, KeyStore, ModelKey
from atom_backfill.backfill.lane import Back, Ended, Opened, Result, Taken
from atom_backfill.db.faults import RowRefusedError
from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database
from atom_backfill.db.scope import Work
from atom_backfill.db.transaction import Row, Transaction
from atom_backfill.errors import LeaseLost
from atom_backfill.graph import postgres as graph
from atom_backfill.graph import postgres_calls as calls
from atom_backfill.graph import postgres_units as units
from atom_backfill.graph.money import Admission, Asked, Settlement
from atom_backfill.graph.postgres_facts import FactsWritten, write_facts
from atom_backfill.graph.prompt import GENERATION
from atom_backfill.graph.units import CALL_UNITS, answer_key, build_unit
from atom_backfill.identity import generation_id
from atom_backfill.jobs import postgres_lanes as lanes
from atom_backfill.jobs.job import GRAPH_KEY, GraphStatus, Lease, TenantId
from atom_backfill.llm.form import Form

UNITS = load_queries("atom_backfill.graph", "units.sql")
SQL = load_queries(__package__, "lane.sql")
THREADS_A_STEP = 500
USABLE = (KeyStatus.UNTESTED, KeyStatus.WORKS)

Keys = Callable[[TenantId], KeyStore]


class PostgresLane:
    """The LaneLedger of the product. `keys` gives a tenant's keys."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._keys = keys

    async def open(self, lease: Lease) -> Opened | None:
        """Take the lane up; None where there is no usable key, then it waits for one."""
        found = await self._keys(lease.tenant_id).find(GRAPH_KEY)
        async with self._work(lease) as tx:
            await lanes.lock_lane(tx, units.slot_keys(lease))
            await lanes.hold_slot(tx, lease)
            # A lease that lapsed counts against what it had begun; one that was given back does not.
            await tx.execute(UNITS["requeue_lost"], units.slot_keys(lease) | {"troubles": int(lease.attempts > 0)})
            await calls.lose_calls(tx, lease)
            if found is None or found[0].status not in USABLE:
                await lanes.leave_lane(tx, units.slot_keys(lease), *_without_key(found and found[0].status))
                return None
            await lanes.begin_lane(tx, lease)
            budget: Decimal | None = await tx.fetch_value(SQL["read_budget"], units.slot_keys(lease))
        return Opened(*found, budget)

    async def make_units(self, lease: Lease) -> int:
        """Make some of the units that the job's stored mails are missing; returns how many threads had any."""
        async with self._work(lease) as tx:
            threads = await units.job_threads(tx, lease, THREADS_A_STEP)
            if threads:
                await lanes.lock_lane(tx, units.slot_keys(lease))
                made = await units.make_units(tx, lease, threads)
                await lanes.add_units(tx, units.slot_keys(lease), made)
        return len(threads)

    async def take(self, lease: Lease, model: str) -> Sequence[Taken]:
        """Take the newest waiting units that fit into one call."""
        async with self._work(lease) as tx:
            await lanes.hold_slot(tx, lease)
            claimed = await units.claim_units(tx, lease, CALL_UNITS)
            mails = await units.read_mails(tx, lease.tenant_id, [each.plan for each in claimed])
            built = [(each, build_unit(each.plan, mails)) for each in claimed]
            keyed = {each.plan.unit_id: answer_key(unit, model) for each, unit in built if unit is not None}
            said = await units.find_answers(tx, lease.tenant_id, keyed.values()) if keyed else {}
        return [
            Taken(
                each.plan, unit, key := keyed.get(each.plan.unit_id, b""), said.get(key), each.attempts, each.troubles
            )
            for each, unit in built
        ]

    async def admit(self, lease: Lease, asked: Asked) -> Admission:
        """Reserve a call's money and its place in the key's pace, or say what stands in the way."""
        async with self._work(lease) as tx:
            return await calls.admit(tx, lease, asked)

    async def settle(self, lease: Lease, asked: Asked, came: Settlement, answers: Mapping[bytes, str]) -> bool:
        """Note what a call came to, and keep the answers; False where the lane has spent more than its budget."""
        async with self._work(lease) as tx:
            spent = await calls.settle(tx, lease, asked, came)
            await units.insert_answers(tx, lease.tenant_id, answers)
            budget: Decimal | None = await tx.fetch_value(SQL["read_budget"], units.slot_keys(lease))
        return budget is None or spent <= budget

    async def store(self, lease: Lease, results: Sequence[Result], model: str) -> tuple[int, int]:
        """Make results count, each in a savepoint of its own; returns new entities and relationships."""
        made_by = generation_id(lease.tenant_id, GENERATION, model)
        async with self._work(lease) as tx:
            await graph.lock_graph(tx, lease.tenant_id)
            await lanes.lock_lane(tx, units.slot_keys(lease))
            await lanes.hold_slot(tx, lease)
            about = {"tenant": lease.tenant_id, "id": made_by, "definition": GENERATION, "model": model}
            await tx.execute(UNITS["insert_generation"], about)
            writing = _Writing(tx, lease, made_by)
            for result in results:
                await writing.end(result)
            await writing.count()
        return writing.entities, writing.relationships

    async def give_back(self, lease: Lease, given: Sequence[Back]) -> None:
        """Queue units again, if the lease still has them."""
        rows = [
            {
                "id": each.unit_id.hex,
                "alone": each.alone,
                "attempts": each.attempts,
                "troubles": each.troubles,
                "reason": each.reason,
            }
            for each in given
        ]
        ids = sorted(each.unit_id for each in given)
        async with self._work(lease) as tx:
            await tx.execute(UNITS["queue_units"], units.slot_keys(lease) | {"ids": ids, "rows": Jsonb(rows)})

    async def stop(self, lease: Lease, status: GraphStatus, code: str, error: str) -> None:
        """Have the lane go on no more by itself; of a key that is refused, all lanes of the tenant."""
        async with self._work(lease) as tx:
            await lanes.lock_lane(tx, units.slot_keys(lease))
            if status is GraphStatus.KEY_REJECTED:
                await lanes.refuse_lanes(tx, lease.tenant_id, code, error)
            else:
                await lanes.leave_lane(tx, units.slot_keys(lease), status, code, error)

    async def note_key(self, lease: Lease, key: ModelKey, status: KeyStatus, form: Form | None) -> None:
        """Store what was learnt of the key."""
        await self._keys(lease.tenant_id).note(key, status, form)

    def _work(self, lease: Lease) -> AbstractAsyncContextManager[Transaction]:
        return self._database.transaction(Work(lease.tenant_id))


async def make_units_of(tx: Transaction, lease: Lease, chunk: Row) -> None:
    """Make units of what a chunk of the ingest lane has read to its end; `chunk` has its kind, folder and window."""
    keys = {"tenant": lease.tenant_id, "job": lease.job_id}
    if await lanes.lock_lane(tx, keys) is None:
        return
    if chunk["kind"] == "window":
        window = chunk["folder_id"], chunk["window_start"], chunk["window_end"]
        threads = await units.window_threads(tx, lease, *window)
    else:
        threads = await units.job_threads(tx, lease, THREADS_A_STEP)
    if threads:
        await lanes.add_units(tx, keys, await units.make_units(tx, lease, threads))


def _without_key(status: KeyStatus | None) -> tuple[GraphStatus, str | None, str | None]:
    """Tell what a lane waits for without a key that may work, with code and sentence."""
    if status is None:
        return GraphStatus.WAITING_FOR_KEY, None, None
    if status is KeyStatus.QUOTA_USED_UP:
        return GraphStatus.KEY_REJECTED, "quota_used_up", "The account behind the key has no credit left."
    words = f"The key is refused: set another one with `atom-backfill key set {GRAPH_KEY}`."
    return GraphStatus.KEY_REJECTED, "key_rejected", words


class _Writing:
    """Results inside their transaction: what they have added so far."""

    def __init__(self, tx: Transaction, lease: Lease, made_by: UUID) -> None:
        self._tx = tx
        self._lease = lease
        self._made_by = made_by
        self._ended = 0
        self._more = 0
        self.entities = 0
        self.relationships = 0

    async def end(self, result: Result) -> None:
        """Write a unit's facts and note how it ended; what the database refuses of it is no harm to the others."""
        if result.ended is Ended.SPLIT:
            # The parts stand for the whole, which is counted no more.
            self._more += await units.insert_plans(self._tx, self._lease, result.parts, alone=True) - 1
            await self._note(result, Ended.SPLIT, result.reason)
            return
        self._ended += 1
        try:
            async with self._tx.savepoint():
                written = await self._write(result)
                await self._note(result, result.ended, result.reason)
        except RowRefusedError as error:
            await self._note(result, Ended.FAILED, error.code)
        else:
            self.entities += written.entities
            self.relationships += written.relationships

    async def count(self) -> None:
        """Bring the counters to what the tables hold; the job's row last."""
        await lanes.count_progress(self._tx, self._lease, done=self._ended, more=self._more)
        counted = {"entities": self.entities, "relationships": self.relationships}
        await self._tx.execute(SQL["raise_extracted"], units.slot_keys(self._lease) | counted)

    async def _write(self, result: Result) -> FactsWritten:
        unit = result.taken.unit
        if unit is None or result.facts.empty:
            return FactsWritten(0, 0)
        about: dict[str, Any] = {"tenant_id": self._lease.tenant_id, "job_id": self._lease.job_id}
        return await write_facts(self._tx, **about, unit=unit, facts=result.facts, generation_id=self._made_by)

    async def _note(self, result: Result, ended: Ended, reason: str) -> None:
        about = {
            "id": result.taken.plan.unit_id,
            "state": ended,
            "reason": reason or None,
            "dropped": Jsonb(dict(result.facts.dropped)),
            "attempts": result.attempts,
            "answer_key": result.taken.key or None,
            "generation": self._made_by,
        }
        if await self._tx.fetch_one(UNITS["end_unit"], units.slot_keys(self._lease) | about) is None:
            raise LeaseLost
