"""A slot of the graph lane: take units, ask the tenant's model, believe what the mail bears out, make it count.

The story of a call stands in asking.py. A slot stops when no unit waits, when its turn is over (others may be waiting),
and at once when the lane is stopped: then calls in flight are dropped, and counted.
"""

from __future__ import annotations

import asyncio

from atom_backfill.backfill.asking import Asking, LaneStoppedError
from atom_backfill.backfill.lane import LaneParts, refuse_unpriced
from atom_backfill.errors import UsageError
from atom_backfill.jobs.job import Again, Done, FailJob, GraphStatus, Lease, Outcome, Yielded
from atom_backfill.jobs.ports import Handler, Watch
from atom_backfill.jobs.retry import ATTEMPTS, LONGEST_WAIT

TURN_S = 60.0
"""For which a slot works on one job before another may be served."""


def extract_handler(parts: LaneParts) -> Handler:
    """Return the handler of the graph lane."""

    async def handle(lease: Lease, watch: Watch) -> Outcome:
        return await run_slot(lease, watch, parts)

    return handle


async def run_slot(lease: Lease, watch: Watch, parts: LaneParts) -> Outcome:
    """Work on the units of a job until none waits, or the slot's turn is over."""
    opened = await parts.ledger.open(lease)
    if opened is None:
        return Yielded()
    if opened.budget_usd is not None or parts.cap_usd is not None:
        try:
            refuse_unpriced(opened.key.model, parts.prices)
        except UsageError as refusal:
            await parts.ledger.stop(lease, GraphStatus.FAILED, refusal.code, refusal.message)
            return Yielded()
    while await parts.ledger.make_units(lease):
        pass
    await parts.reached("units_made")
    async with parts.open_chat(opened.key, opened.value) as chat:
        return await _Slot(lease, watch, parts, Asking(lease, parts, opened, chat)).run()


class _Slot:
    """One slot's turn: several calls at once."""

    def __init__(self, lease: Lease, watch: Watch, parts: LaneParts, asking: Asking) -> None:
        self._lease = lease
        self._watch = watch
        self._parts = parts
        self._asking = asking
        self._ends_at = parts.clock.monotonic() + TURN_S
        self._running: set[asyncio.Task[bool]] = set()
        self._stopped: LaneStoppedError | None = None

    async def run(self) -> Outcome:
        """Keep calls in flight until there is nothing left to ask, or something stands in the way."""
        try:
            return await self._work()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _work(self) -> Outcome:
        dry = False
        while True:
            while not dry and self._goes_on and len(self._running) < self._parts.calls:
                taken = await self._parts.ledger.take(self._lease, self._asking.model)
                dry = not taken
                if taken:
                    self._running.add(asyncio.create_task(self._asking.about(taken)))
            if not self._running:
                return await self._outcome(dry)
            done, self._running = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            given_back = [self._given_back(task) for task in done]
            dry = dry and not any(given_back)  # what was given back waits again

    def _given_back(self, task: asyncio.Task[bool]) -> bool:
        """Tell whether a call gave units back. Where it found the lane stopped, the others in flight may still end."""
        try:
            return task.result()
        except LaneStoppedError as stopped:
            self._stopped = self._stopped or stopped
            return True

    @property
    def _goes_on(self) -> bool:
        over = self._parts.clock.monotonic() >= self._ends_at
        return not (over or self._watch.stopping or self._asking.silent or self._stopped)

    async def _outcome(self, dry: bool) -> Outcome:
        if self._stopped is not None:
            if self._stopped.status is not None:
                about = (self._stopped.status, self._stopped.code, self._stopped.words)
                await self._parts.ledger.stop(self._lease, *about)
            return Yielded()
        if self._asking.silent:
            return self._later()
        return Done() if dry else Yielded()

    def _later(self) -> Outcome:
        """The server has answered nothing for some time: ask again later, and at last leave it to its owner."""
        trouble = self._asking.trouble
        assert trouble is not None
        if self._lease.attempts + 1 >= ATTEMPTS:
            return FailJob(trouble.code, f"{trouble.message} Mend that, then `resume` the graph lane.", sign_in=False)
        wait = min(LONGEST_WAIT, 2.0 ** (self._lease.attempts + 1))
        return Again(wait, trouble.code, trouble.message, counts=True)
