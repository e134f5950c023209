"""What the engine needs: a store of chunks, a way to renew leases, and handlers for the work itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from typing import Protocol

from atom_backfill.jobs.job import Lane, Lease, Outcome


class Standing(StrEnum):
    """What a renewal finds: the lease holds, it is gone, or the job was paused, cancelled or has failed."""

    HELD = "held"
    LOST = "lost"
    STOPPED = "stopped"


class JobStore(Protocol):
    """Chunks of all tenants. Each call is one transaction; a fence that has moved on raises LeaseLost."""

    async def claim(self, worker: str, lanes: Sequence[Lane]) -> Lease | None:
        """Take the next chunk of the fairest job, or None when nothing is claimable now. Raises its fence.

        It may be one whose lease has lapsed: then the new one tells of that.
        """
        ...

    async def settle(self, lease: Lease, outcome: Outcome) -> None:
        """Give the chunk back with what became of it, and complete or fail its job when that was the last of it."""
        ...

    async def idle(self, lanes: Sequence[Lane]) -> bool:
        """Tell whether nothing is left to do: no unfinished chunk of a job that runs."""
        ...

    async def rescue(self) -> Sequence[Lease]:
        """Make lapsed leases ready again and tell of each, by its lapse. Never touches a live lease."""
        ...


class Renewals(Protocol):
    """Lease renewal for the heartbeat thread: blocking, on a connection of its own."""

    def renew(self, leases: Iterable[Lease]) -> dict[Lease, Standing]:
        """Extend each lease that still holds; one that is missing from the answer is lost.

        Raises RetryLaterError when the database cannot be asked.
        """
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


class Watch(Protocol):
    """How a handler learns that it should stop at the next page boundary."""

    @property
    def stopping(self) -> bool:
        """True once the worker drains."""
        ...


Handler = Callable[[Lease, Watch], Awaitable[Outcome]]
"""Does the work of one claimed chunk. Must tolerate doing again what an earlier claim did; raises LeaseLost to stop."""
