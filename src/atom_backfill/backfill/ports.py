"""What the main job needs: a ledger in which pages count, and a place to name the steps between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from atom_backfill.archive.rows import Failed, Stored
from atom_backfill.jobs.job import ChunkPlan, Lease
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.ports import Folder, Window


@dataclass(frozen=True, slots=True)
class Work:
    """What a chunk is about, as the ledger has it: its folder and window, and how far an earlier claim came.

    `position` is the handler's own; `job_start` and `job_end` bound the job, `folders` are those asked for by name.
    `untrue_from`: a job without an end of its own also reads what is dated from here on, which cannot be new mail.
    `epoch` is the memory's: what is written to it in this epoch counts in this epoch, or is written again.
    """

    folder_id: FolderId
    window: Window
    position: dict[str, Any]
    has_more: bool
    messages_hint: int | None
    messages_done: int
    chunk_size: int
    again: bool
    job_start: datetime | None
    job_end: datetime
    untrue_from: datetime | None
    folders: tuple[str, ...]
    draft_folder: bool
    one_place: bool
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that a page spent in each step, to tell what sets the pace."""

    fetch: float = 0.0
    embed: float = 0.0
    store: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """A page that is about to count. `seen`: (message, folder) of items that needed no reading.

    `epoch`: in which its passages were written; None where it has none.
    """

    stored: tuple[Stored, ...] = ()
    failed: tuple[Failed, ...] = ()
    seen: tuple[tuple[UUID, str], ...] = ()
    position: dict[str, Any] = field(default_factory=dict)
    has_more: bool = True
    pace: Pace = field(default=Pace())
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """What a page added: messages new to the record, findings and node evidence, edge evidence, failures.

    `kept`: messages that the record has from before and that cannot be read any more: they stay as they were.
    """

    messages: int
    entities: int
    relationships: int
    failures: int
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """A step of the planning. `estimate`: what the census expects in all; `position`: the folders planned so far."""

    folders: tuple[Folder, ...]
    chunks: tuple[ChunkPlan, ...]
    estimate: int | None
    position: dict[str, Any]


class Ledger(Protocol):
    """Where pages count. Every method that changes anything checks the lease's fence and raises LeaseLost."""

    async def open(self, lease: Lease) -> Work:
        """Read what the chunk is about."""
        ...

    async def settled(self, lease: Lease, items: Sequence[tuple[str, str]], *, again: bool) -> frozenset[str]:
        """Return the source ids among (source id, change key) that need not be read again."""
        ...

    async def places(self, lease: Lease, ids: Collection[UUID]) -> Mapping[UUID, Collection[str]]:
        """Return the folder ids of messages that the record has."""
        ...

    async def commit(self, lease: Lease, batch: Batch, *, one_place: bool) -> Committed:
        """Make a page count: messages, places, findings, evidence, failures, counters and position, or nothing.

        Raises RetryLaterError `memory_changed` where its passages may be gone from the memory since they were written.
        """
        ...

    async def plan(self, lease: Lease, planned: Planned) -> None:
        """Add chunks to the lease's job and wake the workers; note the folders and what the census expects."""
        ...

    async def covered(self, lease: Lease, folder: FolderId) -> Sequence[Window]:
        """Return the windows of a folder that earlier jobs of the account have walked to their end."""
        ...

    async def failures(
        self, lease: Lease, ids: Sequence[UUID] | None
    ) -> Sequence[tuple[str, FolderId | None, datetime | None]]:
        """Return quarantined items of the job: source id, folder, date; all of them when `ids` is None."""
        ...


FaultPoint = Callable[[str], Awaitable[None]]
"""Called by name between any two steps of a page; does nothing in the product, kills, waits or raises in tests."""


async def no_faults(name: str) -> None:
    """Let the step named `name` go on."""
