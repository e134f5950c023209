"""Puts a worker together: heartbeat, handlers, duties, and ears for notifications."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import structlog

from atom_backfill.app.core import App
from atom_backfill.app.keeping import sweepers
from atom_backfill.app.models import lane_parts
from atom_backfill.app.reading import read_items
from atom_backfill.app.reviewing import reviewers
from atom_backfill.app.runtime import settle_in
from atom_backfill.backfill.extract import extract_handler
from atom_backfill.backfill.handler import ingest_handler
from atom_backfill.backfill.page import Parts
from atom_backfill.backfill.reading import Reading
from atom_backfill.db.listening import Listening, Notified
from atom_backfill.db.renewal import RenewalConnection
from atom_backfill.db.stalled import end_stalled
from atom_backfill.errors import RetryLaterError, SkipItemError
from atom_backfill.jobs.duties import Duty, do_duties, reaper
from atom_backfill.jobs.heartbeat import Heartbeat
from atom_backfill.jobs.job import Lane, Lease, TenantId
from atom_backfill.jobs.postgres import PostgresDuties, PostgresJobStore
from atom_backfill.jobs.postgres_renewals import PostgresRenewals
from atom_backfill.jobs.worker import Worker, WorkerOptions
from atom_backfill.mail.door import Limits
from atom_backfill.memory.allocator import give_back
from atom_backfill.memory.upkeep import upkeep
from atom_backfill.metrics import Metrics
from atom_backfill.sandbox.process import Sandbox, SandboxLimits
from atom_backfill.sources.ports import RawItem

END_STALLED_EVERY_S = 5.0
UPKEEP_EVERY_S = 5.0
"""Looking costs next to nothing; the less has gathered, the less memory it takes to fold it in."""
PAGE_S = 4.0
"""In which pages at hand may end after `stop`; of the ten seconds of a drain, the rest is for a database that hangs."""
LAST_CLAIM_S = 1.0
"""In which a claim that is under way when the worker is told to stop may end; what it claims later lapses."""
GIVE_UP_S = 0.5


def worker_name(app: App) -> str:
    """Name a worker for people: where it runs, and something that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{app.outside.new_id().hex[:6]}"


async def run_worker(app: App, stop: asyncio.Event, options: WorkerOptions) -> None:
    """Work until `stop` is set, or with `options.drain` until nothing is left to do."""
    settle_in()
    settings, outside = app.settings, app.outside
    memory = settings.parse_memory_mb * 1_000_000
    sandbox = Sandbox(SandboxLimits(memory_bytes=memory))
    store = _ClaimingStore(app, stop)
    wake = asyncio.Event()
    renewals = PostgresRenewals(RenewalConnection(app.database.url))
    with Heartbeat(renewals, outside.clock) as heartbeat:
        ingest, extract = (
            ingest_handler(await _parts(app, sandbox)),
            extract_handler(lane_parts(settings, outside, app.database, app.keys)),
        )
        handlers = {Lane.INGEST: ingest, Lane.GRAPH: extract}
        options = replace(options, grace_s=min(options.grace_s, PAGE_S))
        metrics = Metrics()
        worker = Worker(store, handlers, heartbeat, wake, outside.clock, outside.rng, options, metrics)
        reaping = reaper(store, metrics)
        reviewing = reviewers(app)

        ending = _end_stalled(app)

        def duties() -> list[Duty]:
            upkeeps = [_upkeep(app, tenant) for tenant in app.memories.opened()]
            return [reaping, *upkeeps, *sweepers(app, metrics), *reviewing]

        others = (
            asyncio.create_task(_listen(app, wake, heartbeat)),
            asyncio.create_task(do_duties(duties, PostgresDuties(app.database), options.name, outside.clock)),
            # By itself, since every other duty may be waiting for what such a session has locked.
            asyncio.create_task(do_duties(lambda: [ending], PostgresDuties(app.database), options.name, outside.clock)),
        )
        try:
            await worker.run(stop)
        finally:
            await _end(others)
            await sandbox.aclose()
            structlog.get_logger().info("totals", worker=options.name, **metrics.totals())


async def _parts(app: App, sandbox: Sandbox) -> Parts:
    limits = Limits(body_characters=app.settings.body_characters)

    async def read(lease: Lease, items: Sequence[RawItem]) -> Sequence[Reading | SkipItemError]:
        kind = await app.mailboxes.kind(lease)
        return await read_items(sandbox, kind, limits, items)

    return Parts(
        ledger=app.ledger,
        source=app.mailboxes.source,
        read=read,
        memory=app.memories.index,
        embedder=await app.memories.embedder(),
        clock=app.outside.clock,
        reached=app.outside.reached,
    )


async def _listen(app: App, wake: asyncio.Event, heartbeat: Heartbeat) -> None:
    """Wake the worker for new work, and the heartbeat for a pause or a cancellation; polling covers what is missed."""
    async for heard in app.database.listen(("atom_work", "atom_control"), app.outside.clock):
        match heard:
            case Notified(channel="atom_control"):
                heartbeat.poke()
            case Notified() | Listening():
                wake.set()
            case _:
                pass


async def _end(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Cancel tasks; what still waits for an answer of the database after a moment is cancelled without one."""
    pending = set(tasks)
    for _ in range(2):
        for task in pending:
            task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=GIVE_UP_S)


class _ClaimingStore(PostgresJobStore):
    """A store whose claims bring a dead embedded server back, since an idle worker stays, and end soon after `stop`."""

    def __init__(self, app: App, stop: asyncio.Event) -> None:
        super().__init__(app.database)
        self._app = app
        self._stop = stop

    async def claim(self, worker: str, lanes: Sequence[Lane]) -> Lease | None:
        claiming = asyncio.ensure_future(self._claim(worker, lanes))
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({claiming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not claiming.done():
                await asyncio.wait({claiming}, timeout=LAST_CLAIM_S)
            return claiming.result() if claiming.done() else None
        finally:
            await _end({claiming, stopped})

    async def _claim(self, worker: str, lanes: Sequence[Lane]) -> Lease | None:
        try:
            return await super().claim(worker, lanes)
        except RetryLaterError:
            await self._app.revive()
            raise


def _end_stalled(app: App) -> Duty:
    """End the sessions of processes that were stopped in the middle of a transaction."""

    async def run() -> None:
        if ended := await end_stalled(app.database):
            structlog.get_logger().warning("stalled sessions ended", sessions=ended)

    return Duty("sessions", END_STALLED_EVERY_S, run)


def _upkeep(app: App, tenant: TenantId) -> Duty:
    """Keep one tenant's memory compact and its indexes complete, by one worker at a time."""

    async def run() -> None:
        if (await upkeep(await app.memories.index(tenant))).due:
            await asyncio.to_thread(give_back)

    return Duty(f"upkeep:{tenant}", UPKEEP_EVERY_S, run)
