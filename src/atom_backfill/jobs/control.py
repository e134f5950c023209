"""What every front end calls: submit, pause, resume, cancel, retry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from atom_backfill.jobs.job import ChunkId, ChunkPlan, JobId, JobPlan, Lane, TenantId
from atom_backfill.jobs.states import Operation

FIRST_STAGE = 1


class ControlStore(Protocol):
    """Changes of one tenant's jobs; each call is one transaction, decided under the job row's lock."""

    async def submit(self, tenant: TenantId, plan: JobPlan) -> None:
        """Store a job with its first chunks and wake the workers. RefusedError names the account's active job."""
        ...

    async def change(
        self, tenant: TenantId, job: JobId, operation: Operation, lane: Lane | None, budget_usd: Decimal | None
    ) -> None:
        """Move the job, or one lane, and set the graph lane's budget if one is given.

        Raises NotFoundError, or RefusedError with the reason; then nothing has changed.
        """
        ...

    async def requeue(self, tenant: TenantId, job: JobId, chunk: ChunkPlan, failures: Sequence[UUID]) -> None:
        """Try again what was quarantined, items and chunks by their ids: all of it when `failures` is empty."""
        ...

    async def add(self, tenant: TenantId, job: JobId, chunk: ChunkPlan, position: Mapping[str, Any]) -> None:
        """Add a chunk that begins at this position to a completed job, which stays completed meanwhile.

        RefusedError names what the job does otherwise.
        """
        ...


class Control:
    """The operations of a job, for one tenant."""

    def __init__(self, store: ControlStore, tenant: TenantId, new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._tenant = tenant
        self._new_id = new_id

    async def submit(self, plan: JobPlan) -> None:
        """Make a job. Raises RefusedError naming the active job of the same account."""
        await self._store.submit(self._tenant, plan)

    async def pause(self, job: JobId, lane: Lane | None = None) -> None:
        """Stop at the next page boundary, keeping everything stored."""
        await self._store.change(self._tenant, job, Operation.PAUSE, lane, None)

    async def resume(self, job: JobId, lane: Lane | None = None, budget_usd: Decimal | None = None) -> None:
        """Go on with a paused or failed job, at once."""
        await self._store.change(self._tenant, job, Operation.RESUME, lane, budget_usd)

    async def cancel(self, job: JobId, lane: Lane | None = None) -> None:
        """Stop for good, keeping everything stored."""
        await self._store.change(self._tenant, job, Operation.CANCEL, lane, None)

    async def retry(self, job: JobId, failures: Sequence[UUID] = ()) -> None:
        """Try again what was quarantined; a completed job stays completed meanwhile."""
        chunk = ChunkPlan(ChunkId(self._new_id()), "retry", FIRST_STAGE, 0)
        await self._store.requeue(self._tenant, job, chunk, failures)

    async def fetch(self, job: JobId, position: Mapping[str, Any]) -> ChunkId:
        """Read what a completed job has missed, as the handler's position says; returns the chunk that does it."""
        chunk = ChunkPlan(ChunkId(self._new_id()), "retry", FIRST_STAGE, 0)
        await self._store.add(self._tenant, job, chunk, position)
        return chunk.chunk_id
