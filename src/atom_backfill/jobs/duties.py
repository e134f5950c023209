"""Work that any one worker does now and then: reaping, upkeep. A duty is a lease row with a fence, like a chunk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from atom_backfill.clock import Clock
from atom_backfill.errors import AtomError
from atom_backfill.jobs.job import Fence
from atom_backfill.jobs.ports import JobStore
from atom_backfill.jobs.rescues import tell_rescue
from atom_backfill.jobs.trouble import Trouble
from atom_backfill.metrics import Metrics

DUTY_LEASE_S = 60.0
LOOK_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to be done every `every_s` seconds by one worker at a time; doing it twice must be harmless."""

    name: str
    every_s: float
    action: Callable[[], Awaitable[None]]


class DutyStore(Protocol):
    """Who does which duty, and when it was done."""

    async def take(self, name: str, worker: str, lease_s: float) -> Fence | None:
        """Take a duty that is due and held by nobody; None otherwise."""
        ...

    async def renew(self, name: str, fence: Fence, lease_s: float) -> bool:
        """Hold it longer; False when it is lost."""
        ...

    async def end(self, name: str, fence: Fence, every_s: float) -> None:
        """Give it back as done; it is due again after `every_s`."""
        ...


async def do_duties(duties: Callable[[], Sequence[Duty]], store: DutyStore, worker: str, clock: Clock) -> None:
    """Do what is due, for ever. Errors are logged: the duty comes round again."""
    log = structlog.get_logger()
    troubles: dict[str, Trouble] = {}
    while True:
        for duty in duties():
            trouble = troubles.setdefault(duty.name, Trouble("duty failed", duty=duty.name))
            try:
                if await _do(duty, store, worker, clock):
                    trouble.over()
            except AtomError as error:
                trouble.met(error)
            except Exception as error:  # the edge: one duty's mistake must not end the others
                log.exception(
                    "duty failed", duty=duty.name, error_code="bug", error=type(error).__name__, exc_info=error
                )
        await clock.sleep(LOOK_EVERY_S)


def reaper(store: JobStore, metrics: Metrics | None = None) -> Duty:
    """Make lapsed leases ready again, count them and say so. Progress does not need it: they are claimable anyway."""

    async def reap() -> None:
        for lease in await store.rescue():
            tell_rescue(lease, "lease_lapsed", metrics)

    return Duty("reaper", 10.0, reap)


async def _do(duty: Duty, store: DutyStore, worker: str, clock: Clock) -> bool:
    """Do a duty if it is due; tell whether it was done."""
    fence = await store.take(duty.name, worker, DUTY_LEASE_S)
    if fence is None:
        return False
    doing = asyncio.ensure_future(duty.action())
    holding = asyncio.create_task(_hold(duty.name, store, fence, clock))
    try:
        await asyncio.wait({doing, holding}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            return False
        doing.result()
        await store.end(duty.name, fence, duty.every_s)
        return True
    finally:
        for task in (doing, holding):
            task.cancel()
        await asyncio.gather(doing, holding, return_exceptions=True)


async def _hold(name: str, store: DutyStore, fence: Fence, clock: Clock) -> None:
    """Return when the duty is lost."""
    while True:
        await clock.sleep(DUTY_LEASE_S / 4)
        if not await store.renew(name, fence, DUTY_LEASE_S):
            return
