"""A worker at work, and handlers that do what a test wants."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from atom_backfill.clock import Clock, SystemClock
from atom_backfill.db.renewal import RenewalConnection
from atom_backfill.jobs.heartbeat import Heartbeat
from atom_backfill.jobs.job import Done, Lane, Lease, Outcome, Yielded
from atom_backfill.jobs.ports import JobStore, Watch
from atom_backfill.jobs.postgres_renewals import PostgresRenewals
from atom_backfill.jobs.worker import Worker, WorkerOptions
from atom_backfill.metrics import Metrics
from worlds import World

Handle = Callable[[Lease, Watch], Awaitable[Outcome]]


@dataclass
class Scene:
    """A worker whose heartbeat is beaten by hand. `handled`: what its handler was called with."""

    world: World
    handle: Handle
    store: JobStore | None = None
    clock: Clock = field(default_factory=SystemClock)
    options: dict[str, Any] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    handled: list[Lease] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.renewals = PostgresRenewals(RenewalConnection(self.world.fresh.url))
        self.heartbeat = Heartbeat(self.renewals, self.clock)
        handlers = {Lane.INGEST: self._handle}
        self.worker = Worker(
            self.store or self.world.store,
            handlers,
            self.heartbeat,
            self.wake,
            self.clock,
            random.Random(1),
            WorkerOptions(**({"name": "w-1", "poll_s": 0.05, "grace_s": 0.2} | self.options)),
            self.metrics,
        )

    async def _handle(self, lease: Lease, watch: Watch) -> Outcome:
        self.handled.append(lease)
        self.begun.set()
        return await self.handle(lease, watch)

    async def beat(self) -> None:
        await asyncio.to_thread(self.heartbeat.beat)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the worker; at the end of the block it is told to stop, and has to."""
        task = asyncio.create_task(self.worker.run(self.stop))
        try:
            yield
            self.stop.set()
            await asyncio.wait_for(task, 10)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.renewals.close()

    async def drain(self) -> None:
        """Run the worker until nothing is left to do."""
        await asyncio.wait_for(self.worker.run(self.stop), 20)
        self.renewals.close()


async def done(lease: Lease, watch: Watch) -> Outcome:
    return Done()


async def until_told(lease: Lease, watch: Watch) -> Outcome:
    while not watch.stopping:  # noqa: ASYNC110 - as a page boundary does
        await asyncio.sleep(0.001)
    return Yielded()


async def never(lease: Lease, watch: Watch) -> Outcome:
    await asyncio.Event().wait()
    return Done()


def raising(*errors: Exception) -> Handle:
    """Raise these errors, one a call, and then be done."""
    left = list(errors)

    async def handle(lease: Lease, watch: Watch) -> Outcome:
        if left:
            raise left.pop(0)
        return Done()

    return handle


def draining(world: World, handle: Handle, **about: Any) -> Scene:
    options = {"drain": True} | about.pop("options", {})
    return Scene(world, handle, options=options, **about)
