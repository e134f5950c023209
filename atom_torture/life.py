"""One life of a worker, and what its schedule does to it at the points that it reaches.

A life that has crashed can do nothing any more: whatever it touches raises `Crashed`. One that is stopped waits at its
next point until it is let go, as after SIGSTOP and SIGCONT, and does not know that time has passed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar

from atom_backfill.errors import RetryLaterError
from atom_backfill.jobs.job import Lease
from atom_torture.clock import Time, WorkerClock
from atom_torture.schedule import Event

LAPSE_S = 26.0
"""Longer than a lease: after it, another worker has the chunk."""
CUT_OFF_S = 45.0
"""Longer than it may believe in a lease that it cannot renew."""
SLOW_S = 25.0
"""Longer than a lease, which is renewed meanwhile."""
HOUR_S = 3600.0

Inside = Callable[[str], Awaitable[None]]
"""Makes the present transaction fail with a SQLSTATE, or lose its connection ("cut")."""


class Crashed(BaseException):
    """The process is dead; nothing of the product may catch this."""


CURRENT: ContextVar[Life | None] = ContextVar("life", default=None)
"""The life that a task belongs to; tasks inherit it."""


class Life:
    """A worker from its start to its end. `events` are its slot's; `reached` counts over all lives of the slot."""

    def __init__(self, name: str, time: Time, events: Iterable[Event], reached: Counter[str]) -> None:
        self.name = name
        self.clock = WorkerClock(time)
        self.tasks: set[asyncio.Task[object]] = set()
        self.dead = False
        self._cut_off_until = 0.0
        self.sound = True
        """No lease of its may lapse."""
        self.fired: list[tuple[str, str, float]] = []
        """(point, kind, when) of each event that struck."""
        self.time = time
        self._events = {(event.point, event.nth): event.kind for event in events}
        self._reached = reached
        self.handling: dict[Lease, float] = {}
        """Leases that a handler of its works with, and when each was given or renewed last."""
        self.went_on_at = 0.0
        self.held_up = 0
        """Tasks that wait at a point."""
        self._going = asyncio.Event()
        self._going.set()

    @property
    def stopped(self) -> bool:
        """Whether it is stopped as by SIGSTOP: its heartbeat stands still too."""
        return not self._going.is_set()

    @property
    def cut_off(self) -> bool:
        """Whether its renewals do not get through."""
        return self.time.elapsed < self._cut_off_until

    def alive(self) -> None:
        """Raise Crashed in a life that is over."""
        if self.dead:
            raise Crashed

    async def reach(self, point: str) -> None:
        """Reach a point outside of transactions."""
        self.held_up += 1
        try:
            await self._reach(point)
        finally:
            self.held_up -= 1

    async def _reach(self, point: str) -> None:
        await self._going.wait()
        self.alive()
        match self._struck(point):
            case "crash":
                self.dead = True
            case "stop":
                self._going.clear()
                self.sound = False
                try:
                    await self.time.sleep(LAPSE_S)
                finally:  # its task may be cancelled meanwhile
                    self._going.set()
                    self.went_on_at = self.time.elapsed
            case "lose":
                self.sound = False
                self._cut_off_until = self.time.elapsed + CUT_OFF_S
                await self.time.sleep(CUT_OFF_S)
            case "slow":
                # Before its heartbeat knows of a lease, or when it has let it go.
                self.sound = self.sound and point not in ("leased", "settling")
                await self.time.sleep(SLOW_S)
            case "skew":
                self.clock.skew += HOUR_S
            case "unreachable" | "unanswered" as kind:
                # Before the call or after it: the caller cannot tell. It may have been given a lease.
                self.sound = False
                raise RetryLaterError("torture", f"The answer did not come ({kind}).")
            case _:
                pass
        self.alive()

    async def reach_inside(self, point: str, fail: Inside) -> None:
        """Reach a point inside a transaction, which may fail there. Nothing waits here: locks are held."""
        self.alive()
        kind = self._struck(point)
        if kind == "crash":
            self.dead = True
            raise Crashed
        if kind:
            await fail(kind)

    def _struck(self, point: str) -> str:
        self._reached[point] += 1
        kind = self._events.pop((point, self._reached[point]), "")
        if kind:
            self.fired.append((point, kind, self.time.elapsed))
        return kind


async def bury(life: Life) -> None:
    """End every task of a life; what it holds of the database goes with it, as with a process."""
    life.dead = True
    while pending := {task for task in life.tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.05)
    for task in life.tasks:
        if not task.cancelled():
            task.exception()
    life.tasks.clear()


def track_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let each life know its tasks."""

    def make(loop: asyncio.AbstractEventLoop, coroutine: object, **about: object) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.Task(coroutine, loop=loop, **about)  # type: ignore[arg-type]
        life = CURRENT.get()
        if life is not None:
            life.tasks.add(task)
            task.add_done_callback(life.tasks.discard)
        return task

    loop.set_task_factory(make)  # type: ignore[arg-type]
