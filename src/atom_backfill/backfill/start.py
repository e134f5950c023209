"""Start a backfill: check what was asked for, and submit a job whose first chunk plans the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from atom_backfill.backfill.plan import on_seconds, unknown_names
from atom_backfill.errors import NotFoundError, UsageError
from atom_backfill.jobs.control import FIRST_STAGE, Control
from atom_backfill.jobs.job import AccountId, ChunkId, ChunkPlan, GraphStatus, JobId, JobPlan
from atom_backfill.sources.ports import MailSource

MAX_PARALLEL = 4
"""Chunks of one mailbox at once: as many as it allows requests in flight."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to read. No `since`: from the beginning; no `until`: up to now; no folders: all but the excluded ones."""

    account: AccountId
    since: datetime | None = None
    until: datetime | None = None
    folders: tuple[str, ...] = ()
    again: bool = False
    graph: Literal["auto", "on", "off"] = "auto"
    budget_usd: Decimal | None = None
    chunk_size: int = 100


async def start(request: Request, source: MailSource, control: Control, new_id: Callable[[], UUID]) -> JobId:
    """Submit a job. Raises UsageError, NotFoundError for an unknown folder, RefusedError naming an active job."""
    asked = on_seconds(request.since, request.until)
    if asked.start and asked.end and asked.start >= asked.end:
        raise UsageError("empty_range", "The range is empty: --since must be earlier than --until.")
    if request.folders:
        missing = unknown_names(await source.folders(), request.folders)
        if missing:
            names = ", ".join(repr(name) for name in missing)
            raise NotFoundError("no_such_folder", f"The mailbox has no folder {names}: `estimate` lists those it has.")
    job = JobId(new_id())
    await control.submit(
        JobPlan(
            job_id=job,
            account_id=request.account,
            start=asked.start,
            end=asked.end,
            folders=request.folders,
            again=request.again,
            graph_status=GraphStatus.OFF if request.graph == "off" else GraphStatus.WAITING_FOR_KEY,
            budget_usd=request.budget_usd,
            chunk_size=request.chunk_size,
            max_parallel=MAX_PARALLEL,
            chunks=(ChunkPlan(ChunkId(new_id()), "plan", FIRST_STAGE, 0),),
        )
    )
    return job
