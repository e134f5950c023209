"""The engine's store in PostgreSQL: fenced claims and settles, operations, duties, renewals.

Locks are taken in the order account and turn, chunk of the ingest lane, graph lane, slot, job. Claims and renewals
skip what is locked and wait for nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, RowRefusedError
from atom_backfill.db.scope import Engine, Work
from atom_backfill.db.transaction import Row, Transaction
from atom_backfill.errors import LeaseLost, NotFoundError, RefusedError
from atom_backfill.jobs.heartbeat import LEASE_S
from atom_backfill.jobs.job import (
    AccountId,
    Again,
    ChunkPlan,
    Done,
    FailJob,
    Fence,
    GraphStatus,
    JobId,
    JobPlan,
    JobStatus,
    Lane,
    Lapse,
    Lease,
    Outcome,
    Quarantine,
    TenantId,
    Yielded,
)
from atom_backfill.jobs.postgres_lanes import conclude, leave_lane, lock_lane, move_lane, open_lane, retry_units
from atom_backfill.jobs.states import Operation, about_graph, after, graph_after, moves_graph_too

SQL = load_queries(__package__)

ONE_ACTIVE = "historical_sync_jobs_one_active"
"""The index that lets an account have one active job at a time."""


class PostgresJobStore:
    """Claims and settles over all tenants, as the engine role."""

    def __init__(self, database: Database, *, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._lease_s = lease_s

    async def claim(self, worker: str, lanes: Sequence[Lane]) -> Lease | None:
        """Take the next chunk of the fairest job, or None when nothing is claimable now."""
        async with self._database.transaction(Engine()) as tx:
            turn = await _turn(tx, lanes)
            if turn is None:
                return None
            keys = {"tenant": turn["tenant_id"], "job": turn["job_id"], "lane": turn["lane"]}
            taken = await tx.fetch_one(SQL["take_chunk"], {**keys, "worker": worker, "lease_s": self._lease_s})
            if taken is None:
                return None
            if turn["lane"] == Lane.INGEST:
                await tx.execute(SQL["begin_job"], keys)
            return _lease(taken)

    async def settle(self, lease: Lease, outcome: Outcome) -> None:
        """Give the chunk back with what became of it. Raises LeaseLost where the fence has moved on."""
        async with self._database.transaction(Engine()) as tx:
            if lease.lane is Lane.GRAPH:
                await lock_lane(tx, _job_keys(lease))
            if not await self._settle_chunk(tx, lease, outcome):
                raise LeaseLost
            match outcome:
                case Again() as again if again.counts:
                    await _note_error(tx, lease, again.code, again.error, retries=1)
                case Quarantine() as given_up:
                    await _note_error(tx, lease, given_up.code, given_up.error, retries=0)
                    await conclude(tx, _job_keys(lease))
                case Done():
                    await conclude(tx, _job_keys(lease))
                case FailJob() as failed:
                    await _fail_job(tx, lease, failed)

    async def idle(self, lanes: Sequence[Lane]) -> bool:
        """Tell whether no running job has an unfinished chunk."""
        async with self._database.transaction(Engine()) as tx:
            return bool(await tx.fetch_value(SQL["is_idle"], {"lanes": [str(lane) for lane in lanes]}))

    async def rescue(self) -> Sequence[Lease]:
        """Make lapsed leases ready again."""
        async with self._database.transaction(Engine()) as tx:
            rows = await tx.fetch_all(SQL["rescue_lapsed"])
            for lane in {row["lane"] for row in rows}:
                await tx.execute(SQL["notify_work"], {"lane": lane})
        return [_lease(row) for row in rows]

    async def _settle_chunk(self, tx: Transaction, lease: Lease, outcome: Outcome) -> bool:
        keys = {"tenant": lease.tenant_id, "chunk": lease.chunk_id, "fence": lease.fence}
        match outcome:
            case Done():
                row = await tx.fetch_one(SQL["settle_done"], keys)
            case Quarantine(code, error):
                row = await tx.fetch_one(SQL["settle_quarantined"], {**keys, "code": code, "error": error})
            case Yielded():
                row = await tx.fetch_one(SQL["settle_again"], {**keys, **_waiting(0.0)})
            case Again(wait, code, error, counts):
                row = await tx.fetch_one(SQL["settle_again"], {**keys, **_waiting(wait, code, error, counts)})
            case FailJob(code, error):
                row = await tx.fetch_one(SQL["settle_again"], {**keys, **_waiting(0.0, code, error)})
        return row is not None


class PostgresControl:
    """Operations on one tenant's jobs, as the work role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(self, tenant: TenantId, plan: JobPlan) -> None:
        """Store a job with its first chunks; RefusedError names the account's active job."""
        keys = {"tenant": tenant, "job": plan.job_id, "account": plan.account_id, "lane": Lane.INGEST}
        try:
            async with self._database.transaction(Work(tenant)) as tx:
                await _refuse_second(tx, keys)
                await tx.execute(SQL["insert_job"], keys | _job_values(plan))
                for chunk in plan.chunks:
                    await insert_chunk(tx, tenant, plan.job_id, plan.account_id, chunk)
                await _let_claims_see(tx, keys)
                await open_lane(tx, keys)
        except RowRefusedError as error:
            if error.constraint == ONE_ACTIVE:
                async with self._database.transaction(Work(tenant)) as tx:
                    await _refuse_second(tx, keys)
            if error.constraint == "historical_sync_jobs_tenant_id_account_id_fkey":
                raise NotFoundError(
                    "no_such_account", "There is no such account; `atom-backfill accounts` lists them."
                ) from None
            raise

    async def change(
        self, tenant: TenantId, job: JobId, operation: Operation, lane: Lane | None, budget_usd: Decimal | None
    ) -> None:
        """Move the job, or one lane, and set its budget. Raises NotFoundError, or RefusedError with the reason."""
        try:
            await self._change(tenant, job, operation, lane, budget_usd)
        except RowRefusedError as error:
            if error.constraint != ONE_ACTIVE:
                raise
            # Another job of the account was begun just now: asked again, this one is refused by its name.
            await self._change(tenant, job, operation, lane, budget_usd)

    async def _change(
        self, tenant: TenantId, job: JobId, operation: Operation, lane: Lane | None, budget_usd: Decimal | None
    ) -> None:
        async with self._database.transaction(Work(tenant)) as tx:
            keys = {"tenant": tenant, "job": job}
            await lock_lane(tx, keys)
            row = await _locked(tx, keys)
            status, graph = JobStatus(row["status"]), GraphStatus(row["graph_status"])
            graph_only = lane is None and about_graph(operation, status, graph, new_budget=budget_usd is not None)
            to_lane = graph_only or lane is Lane.GRAPH
            if not to_lane:
                after(operation, status)
            if to_lane or (lane is None and moves_graph_too(operation, graph)):
                await move_lane(tx, keys, graph_after(operation, graph, new_budget=budget_usd is not None))
            if to_lane:
                await tx.execute(SQL["complete_job"], keys)
            else:
                if operation is Operation.RESUME and status is JobStatus.FAILED:
                    await _refuse_second(tx, {**keys, "account": row["account_id"]})
                await _move(tx, keys, status, operation)
            if budget_usd is not None:
                await tx.execute(SQL["set_budget"], {**keys, "budget_usd": budget_usd})
            await tx.execute(SQL["notify_control"], keys)

    async def requeue(self, tenant: TenantId, job: JobId, chunk: ChunkPlan, failures: Sequence[UUID]) -> None:
        """Try again what was quarantined, items and whole chunks."""
        async with self._database.transaction(Work(tenant)) as tx:
            keys = {"tenant": tenant, "job": job, "lane": Lane.INGEST}
            await lock_lane(tx, keys)
            row = await _locked(tx, keys)
            after(Operation.RETRY, JobStatus(row["status"]))
            units = await retry_units(tx, keys, failures)
            if failures and units >= set(failures):
                return
            await tx.execute(SQL["reopen_chunks"], {**keys, "chunks": list(failures) or None})
            named = [str(failure) for failure in failures]
            if await tx.execute(SQL["join_retry"], {**keys, "failures": Jsonb(named)}):
                await _let_claims_see(tx, keys)
            else:
                await _add_chunk(tx, keys, row["account_id"], chunk, {"failures": named})

    async def add(self, tenant: TenantId, job: JobId, chunk: ChunkPlan, position: Mapping[str, Any]) -> None:
        """Add a chunk to a completed job. RefusedError names what the job does otherwise."""
        async with self._database.transaction(Work(tenant)) as tx:
            keys = {"tenant": tenant, "job": job, "lane": Lane.INGEST}
            row = await _locked(tx, keys)
            status = JobStatus(row["status"])
            if after(Operation.RETRY, status) is not JobStatus.COMPLETED:
                raise RefusedError("job_active", f"Job {job} is {status}: let it finish, it may read what is missing.")
            await _add_chunk(tx, keys, row["account_id"], chunk, position)

    async def sweep(self, tenant: TenantId) -> int:
        """Conclude jobs at work that have no chunk left, and let claims see those that have; returns how many."""
        async with self._database.transaction(Work(tenant)) as tx:
            stuck = await tx.fetch_all(SQL["find_stuck"], {"tenant": tenant})
            for keys in ({"tenant": tenant, "job": row["id"], "lane": Lane.INGEST} for row in stuck):
                await _let_claims_see(tx, keys)
                await conclude(tx, keys)
        return len(stuck)


class PostgresDuties:
    """Who does which duty, as the engine role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, name: str, worker: str, lease_s: float) -> Fence | None:
        """Take a duty that is due and held by nobody."""
        async with self._database.transaction(Engine()) as tx:
            await tx.execute(SQL["add_duty"], {"name": name})
            fence = await tx.fetch_value(SQL["take_duty"], {"name": name, "worker": worker, "lease_s": lease_s})
            return None if fence is None else Fence(fence)

    async def renew(self, name: str, fence: Fence, lease_s: float) -> bool:
        """Hold it longer; False when it is lost."""
        async with self._database.transaction(Engine()) as tx:
            keys = {"name": name, "fence": fence, "lease_s": lease_s}
            return await tx.fetch_value(SQL["renew_duty"], keys) is not None

    async def end(self, name: str, fence: Fence, every_s: float) -> None:
        """Give it back as done."""
        async with self._database.transaction(Engine()) as tx:
            await tx.execute(SQL["end_duty"], {"name": name, "fence": fence, "every_s": every_s})


async def _turn(tx: Transaction, lanes: Sequence[Lane]) -> Row | None:
    """Lock the turn of the fairest job; where every tenant is just being served, of one that is."""
    for one_each in (True, False):
        turn = await tx.fetch_one(SQL["pick_turn"], {"lanes": [str(lane) for lane in lanes], "one_each": one_each})
        if turn is not None:
            return turn
    return None


async def add_chunks(tx: Transaction, lease: Lease, chunks: Sequence[ChunkPlan]) -> None:
    """Add chunks to the lease's job, once each, and wake the workers."""
    for chunk in chunks:
        await insert_chunk(tx, lease.tenant_id, lease.job_id, lease.account_id, chunk)
    if chunks:
        await tx.execute(SQL["notify_work"], {"lane": Lane.INGEST})


async def insert_chunk(tx: Transaction, tenant: TenantId, job: JobId, account: AccountId, chunk: ChunkPlan) -> None:
    """Add a chunk to a job, once: the same chunk id again changes nothing."""
    await tx.execute(
        SQL["insert_chunk"],
        {
            "tenant": tenant,
            "chunk": chunk.chunk_id,
            "job": job,
            "account": account,
            "lane": Lane.INGEST,
            "kind": chunk.kind,
            "stage": chunk.stage,
            "seq": chunk.seq,
            "folder": chunk.folder_id,
            "start": chunk.window_start,
            "end": chunk.window_end,
            "hint": chunk.messages_hint,
        },
    )


def _lease(row: Mapping[str, Any]) -> Lease:
    return Lease(
        tenant_id=row["tenant_id"],
        job_id=row["job_id"],
        account_id=row["account_id"],
        chunk_id=row["chunk_id"],
        lane=Lane(row["lane"]),
        kind=row["kind"],
        fence=Fence(row["fence"]),
        attempts=row["attempts"],
        lapse=None if row["lapsed_s"] is None else Lapse(row["lapsed_from"] or "", row["lapsed_s"]),
    )


def _waiting(wait: float, code: str | None = None, error: str | None = None, counts: bool = False) -> dict[str, Any]:
    return {"after": wait, "code": code, "error": error, "failures": int(counts)}


def _job_values(plan: JobPlan) -> dict[str, Any]:
    return {
        "graph_status": plan.graph_status,
        "start": plan.start,
        "end": plan.end,
        "folders": list(plan.folders),
        "again": plan.again,
        "budget_usd": plan.budget_usd,
        "chunk_size": plan.chunk_size,
        "max_parallel": plan.max_parallel,
    }


async def _refuse_second(tx: Transaction, keys: Mapping[str, Any]) -> None:
    active = await tx.fetch_one(SQL["find_active_job"], keys)
    if active is not None:
        words = f"Job {active['id']} of this account is {active['status']}: cancel it, or let it finish."
        raise RefusedError("job_active", words)


async def _locked(tx: Transaction, keys: Mapping[str, Any]) -> Mapping[str, Any]:
    row = await tx.fetch_one(SQL["read_status"], keys)
    if row is None:
        raise NotFoundError("no_such_job", "There is no such job; `atom-backfill jobs` lists them.")
    return row


async def _add_chunk(
    tx: Transaction, keys: Mapping[str, Any], account: AccountId, chunk: ChunkPlan, position: Mapping[str, Any]
) -> None:
    """Add a chunk that begins at a position, and let claims see its job."""
    await insert_chunk(tx, keys["tenant"], keys["job"], account, chunk)
    await tx.execute(SQL["set_position"], {**keys, "chunk": chunk.chunk_id, "position": Jsonb(dict(position))})
    await _let_claims_see(tx, keys)


async def _let_claims_see(tx: Transaction, keys: Mapping[str, Any]) -> None:
    await tx.execute(SQL["open_turn"], keys)
    await tx.execute(SQL["notify_work"], keys)


async def _move(tx: Transaction, keys: Mapping[str, Any], status: JobStatus, operation: Operation) -> None:
    """Make the move under the job's lock, with all that follows from it."""
    ingest = {**keys, "lane": Lane.INGEST}
    await tx.execute(SQL["set_status"], {**keys, "status": after(operation, status)})
    if operation is Operation.CANCEL:
        await tx.execute(SQL["end_turn"], ingest)
    if operation is Operation.RESUME:
        if status is JobStatus.FAILED:
            await tx.execute(SQL["reopen_chunks"], {**ingest, "chunks": None})
        await tx.execute(SQL["hasten_job"], ingest)
        await _let_claims_see(tx, ingest)
        # Its last chunk may have been finished while it was paused.
        await conclude(tx, ingest)


async def _note_error(tx: Transaction, lease: Lease, code: str, error: str, *, retries: int) -> None:
    await tx.execute(SQL["note_error"], _job_keys(lease) | {"code": code, "error": error, "retries": retries})


async def _fail_job(tx: Transaction, lease: Lease, failed: FailJob) -> None:
    keys = _job_keys(lease) | {"code": failed.code, "error": failed.error}
    await tx.execute(SQL["note_error"], keys | {"retries": 0})
    if lease.lane is Lane.GRAPH:
        await leave_lane(tx, keys, GraphStatus.FAILED, None, failed.error)
        return
    await tx.execute(SQL["fail_job"], keys)
    await tx.execute(SQL["end_turn"], keys)
    if failed.sign_in:
        await tx.execute(SQL["fail_account"], keys | {"account": lease.account_id})


def _job_keys(lease: Lease) -> dict[str, Any]:
    return {"tenant": lease.tenant_id, "job": lease.job_id, "lane": lease.lane}
