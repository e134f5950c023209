"""The nouns of the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType
from uuid import UUID

TenantId = NewType("TenantId", UUID)
AccountId = NewType("AccountId", UUID)
JobId = NewType("JobId", UUID)
ChunkId = NewType("ChunkId", UUID)
Fence = NewType("Fence", int)


GRAPH_KEY = "OPENAI_API_KEY"
"""The tenant's own key that the graph lane works with."""


class Lane(StrEnum):
    """Two lanes, each at its own pace; neither waits for the other."""

    INGEST = "ingest"
    GRAPH = "graph"


class JobStatus(StrEnum):
    """Where a job stands; docs/lifecycle.md draws the moves."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


class GraphStatus(StrEnum):
    """Where the graph lane of a job stands; the last four wait for what only the user can give, or for nothing."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    OFF = "off"
    WAITING_FOR_KEY = "waiting_for_key"
    KEY_REJECTED = "key_rejected"
    BUDGET_REACHED = "budget_reached"


@dataclass(frozen=True, slots=True)
class Lapse:
    """Whose lease had lapsed, and how many seconds ago."""

    worker: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one chunk, until it lapses or the fence moves on.

    `attempts` counts failures since the chunk last made progress; `lapse` tells of the lease that it was rescued from.
    """

    tenant_id: TenantId
    job_id: JobId
    account_id: AccountId
    chunk_id: ChunkId
    lane: Lane
    kind: str
    fence: Fence
    attempts: int
    lapse: Lapse | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Done:
    """The chunk's source has said that there is no more."""


@dataclass(frozen=True, slots=True)
class Yielded:
    """The handler stopped at a page boundary because it was told to; nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after `after` seconds. `counts`: it was a failure, not a wait that the service asked for."""

    after: float
    code: str
    error: str
    counts: bool


@dataclass(frozen=True, slots=True)
class Quarantine:
    """This chunk will not work as it is; the job goes on without it, and lists it."""

    code: str
    error: str


@dataclass(frozen=True, slots=True)
class FailJob:
    """Nothing of this job will work until its owner acts; the error says how. `sign_in`: the account needs it."""

    code: str
    error: str
    sign_in: bool


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """A chunk to be made. Lower `seq` is claimed first; `stage` waits for all chunks of a lower stage.

    The folder and window are the handler's business and pass through the engine unread.
    """

    chunk_id: ChunkId
    kind: str
    stage: int
    seq: int
    folder_id: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    messages_hint: int | None = None


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job to be made, with its first chunks. `end` None means now, by the database's clock."""

    job_id: JobId
    account_id: AccountId
    start: datetime | None
    end: datetime | None
    folders: tuple[str, ...]
    again: bool
    graph_status: GraphStatus
    budget_usd: Decimal | None
    chunk_size: int
    max_parallel: int
    chunks: tuple[ChunkPlan, ...]


Outcome = Done | Yielded | Again | Quarantine | FailJob
