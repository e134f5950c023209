"""Claim a chunk, run its handler, settle it; again, until told to stop. An idle worker stays.

So does one whose database cannot be asked, whatever the reason: it says so once and asks less and less often. Stopping
drains: no more claims, handlers finish the page they are at, and what is not done in time is given back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from atom_backfill.clock import Clock
from atom_backfill.errors import AtomError, LeaseLost
from atom_backfill.jobs.heartbeat import Heartbeat
from atom_backfill.jobs.job import Again, Done, FailJob, Lane, Lease, Outcome, Quarantine, Yielded
from atom_backfill.jobs.ports import Handler, JobStore, Standing
from atom_backfill.jobs.rescues import tell_rescue
from atom_backfill.jobs.retry import given_up, outcome_of
from atom_backfill.jobs.trouble import Trouble
from atom_backfill.metrics import Metrics

LONGEST_POLL_S = 30.0
"""Between two claims while they fail; a database that is back is heard of earlier."""
SETTLE_S = 0.9
"""Seconds that giving a chunk back may take at the end of a drain."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How one worker works: at once so many chunks of the ingest lane, and `slots` of the graph lane.

    `poll_s` is the fallback when no notification arrives; `grace_s` bounds a drain.
    """

    name: str
    lanes: tuple[Lane, ...] = (Lane.INGEST,)
    concurrency: int = 4
    slots: int = 2
    drain: bool = False
    poll_s: float = 2.0
    grace_s: float = 8.0


@dataclass(slots=True)
class _Draining:
    stopping: bool = False


class Worker:
    """One worker with several chunks at once. `wake` is set by whoever hears of new work."""

    def __init__(
        self,
        store: JobStore,
        handlers: Mapping[Lane, Handler],
        heartbeat: Heartbeat,
        wake: asyncio.Event,
        clock: Clock,
        rng: random.Random,
        options: WorkerOptions,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._heartbeat = heartbeat
        self._wake = wake
        self._clock = clock
        self._rng = rng
        self._options = options
        self._metrics = metrics
        self._watch = _Draining()
        self._running: dict[asyncio.Task[None], Lane] = {}
        self._room = {Lane.INGEST: options.concurrency, Lane.GRAPH: options.slots}
        self._log = structlog.get_logger()
        self._claiming = Trouble("claim failed")
        self._looking = Trouble("look for work failed")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set (or, with `drain`, until nothing is left to do)."""
        self._log.info("ROLE=worker Starting", worker=self._options.name)
        for lane in self._options.lanes:
            self._log.info("Loaded service", lane=lane)
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                if await self._claim_one():
                    continue
                if await self._nothing_left():
                    break
                await self._rest(stopped)
        finally:
            stopped.cancel()
            await self._finish()

    async def _claim_one(self) -> bool:
        """Start one more chunk; False when there is no room or nothing to claim."""
        lanes = self._lanes_with_room()
        if not lanes:
            return False
        self._wake.clear()
        try:
            lease = await self._store.claim(self._options.name, lanes)
        except AtomError as error:
            self._claiming.met(error)
            return False
        self._claiming.over()
        if lease is None:
            return False
        if lease.lapse is not None:
            tell_rescue(lease, "claimed_over", self._metrics)
        task = asyncio.create_task(self._work(lease))
        self._running[task] = lease.lane
        task.add_done_callback(self._running.pop)
        return True

    def _lanes_with_room(self) -> list[Lane]:
        at_work = list(self._running.values())
        return [lane for lane in self._options.lanes if at_work.count(lane) < self._room[lane]]

    async def _nothing_left(self) -> bool:
        if not self._options.drain or self._running:
            return False
        try:
            idle = await self._store.idle(self._options.lanes)
        except AtomError as error:
            self._looking.met(error)
            return False
        self._looking.over()
        return idle

    async def _rest(self, stopped: asyncio.Task[bool]) -> None:
        """Wait for a wake-up, a finished chunk, the stop, or the next poll."""
        waking = asyncio.create_task(self._wake.wait())
        polling = asyncio.create_task(self._clock.sleep(self._poll_s()))
        full = not self._lanes_with_room()
        events = {stopped, *self._running} if full else {stopped, waking, polling, *self._running}
        try:
            await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
            polling.cancel()

    def _poll_s(self) -> float:
        """Return the seconds to the next look: the longer, the more claims in a row have failed."""
        patience = max(self._options.poll_s, LONGEST_POLL_S)
        return float(min(patience, self._options.poll_s * 2 ** min(max(0, self._claiming.failures - 1), 16)))

    async def _finish(self) -> None:
        """Let running handlers reach their page boundary, then take the work from those that have not.

        A settle that hangs is dropped after `SETTLE_S`: its lease lapses, and the chunk is claimed again.
        """
        self._watch.stopping = True
        for patience in (self._options.grace_s, SETTLE_S, SETTLE_S):
            if not self._running:
                return
            _, late = await asyncio.wait(set(self._running), timeout=patience)
            for task in late:
                task.cancel()

    async def _work(self, lease: Lease) -> None:
        about = {"job": str(lease.job_id), "chunk": str(lease.chunk_id), "account": str(lease.account_id)}
        with structlog.contextvars.bound_contextvars(worker=self._options.name, **about):
            self._log.info("dequeue", kind=lease.kind, fence=lease.fence, attempts=lease.attempts)
            try:
                outcome = given_up(lease.attempts) or await self._handle(lease)
                self._report(outcome)
                await self._store.settle(lease, outcome)
            except LeaseLost:
                self._log.warning("lease lost", error_code="lease_lost", error="Another worker has this chunk now.")
            except AtomError as error:
                # Not settled: the lease lapses and the chunk is claimed again.
                self._log.warning("settle failed", error_code=error.code, error=error.message)
            except Exception as error:  # noqa: BLE001 - the worker's edge
                self._log.error("settle failed", error_code="bug", error=type(error).__name__, exc_info=error)

    async def _handle(self, lease: Lease) -> Outcome:
        """Run the handler while the lease stands. Raises LeaseLost: there is nothing to settle."""
        standing = Standing.HELD
        loop = asyncio.get_running_loop()
        handling = asyncio.ensure_future(self._handlers[lease.lane](lease, self._watch))

        def on_change(changed: Standing) -> None:
            nonlocal standing
            standing = changed
            loop.call_soon_threadsafe(handling.cancel)

        self._heartbeat.add(lease, on_change)
        try:
            return await asyncio.shield(handling)
        except asyncio.CancelledError:
            handling.cancel()
            await asyncio.gather(handling, return_exceptions=True)
            if standing is Standing.LOST:
                raise LeaseLost from None
            if standing is Standing.HELD and not _told_to_stop():
                return self._outcome_of(RuntimeError("the handler cancelled itself"), lease)
            return Yielded()
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - the worker's edge: nothing a handler does ends the worker
            return self._outcome_of(error, lease)
        finally:
            self._heartbeat.remove(lease)

    def _outcome_of(self, error: Exception, lease: Lease) -> Outcome:
        if not isinstance(error, AtomError):
            self._log.error("unexpected error", error_code="bug", error=type(error).__name__, exc_info=error)
        return outcome_of(error, lease.attempts, self._rng)

    def _report(self, outcome: Outcome) -> None:
        match outcome:
            case Done() | Yielded():
                self._log.info("chunk settled", outcome=type(outcome).__name__.lower())
            case Again():
                self._log.warning(
                    "chunk will be tried again", after_s=outcome.after, error_code=outcome.code, error=outcome.error
                )
            case Quarantine() | FailJob():
                self._log.error(
                    "chunk given up",
                    outcome=type(outcome).__name__.lower(),
                    error_code=outcome.code,
                    error=outcome.error,
                )


def _told_to_stop() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
