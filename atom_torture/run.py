"""One schedule from its start to its rest: moves time, revives the dead, and lets the checker look."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from atom_backfill.jobs.job import JobId
from atom_torture.arena import Arena, Beating, Scene
from atom_torture.checker import Watcher, at_rest
from atom_torture.life import Life, bury
from atom_torture.schedule import HIDING, Schedule

BEAT_S = 5.0
REVIVE_S = 3.0
MOST_TURNS = 5_000
MOVED_S = 60.0
LINGER_TURNS = 3
"""After the last job has ended, and whoever was stopped, or believed in a lost lease, has done what it still wanted."""
HANGS_S = 60.0
"""Of real time: a call that takes longer hangs."""


@dataclass(slots=True)
class Result:
    """What came of a schedule. `recovered`: seconds from each death to the next commit of anybody, where one came."""

    schedule: Schedule
    violations: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    recovered: list[float] = field(default_factory=list)
    turns: int = 0


async def run_schedule(arena: Arena, schedule: Schedule) -> Result:
    """Run it. Whatever is wrong is in the result; only a mistake of the harness raises."""
    async with arena.scene(schedule) as scene:
        driver = _Driver(arena, scene, Result(schedule))
        try:
            for box in scene.boxes:
                await box.start()
            await driver.drive()
        finally:
            await driver.end()
        result = driver.result
        result.violations += driver.watcher.violations
        if not result.violations:
            result.violations += await at_rest(arena.admin, scene.box.memory, scene.mails, swept=False)
        if not result.violations:
            await driver.sweep(at_rest=True)
            result.violations += await at_rest(arena.admin, scene.box.memory, scene.mails, swept=True)
        result.fired.update(scene.box.source.fired)
        return result


class _Driver:
    def __init__(self, arena: Arena, scene: Scene, result: Result) -> None:
        self._arena = arena
        self._scene = scene
        self._box = scene.box
        self.result = result
        self.watcher = Watcher(arena.admin, scene.mails)
        workers = result.schedule.workers
        self._reached: list[Counter[str]] = [Counter() for _ in range(workers)]
        self._working: list[Beating | None] = [None] * workers
        self._revive_at = [0.0] * workers
        self._lives = 0
        self._dying: list[float] = []
        self._died_at: list[float] = []
        self._progress = (0, 0)
        self._calm_turns = 0
        self._moves = list(result.schedule.moves)
        self._undo: tuple[float, str] | None = None

    async def drive(self) -> None:
        """Turn until nothing is left to do, or for too long."""
        while self._calm_turns < LINGER_TURNS:
            self.result.turns += 1
            if self.result.turns > MOST_TURNS:
                self.result.violations.append("the system does not come to rest")
                return
            try:
                await self._arena.time.calm(HANGS_S)
            except TimeoutError:
                self.result.violations.append("a call hangs")
                return
            if any(beating and beating.strays for beating in self._working):
                self.result.violations.append("a worker goes on with a lease that it must know to be lost")
                return
            ended = await self._arena.advance(self._arena.time.until_next(BEAT_S))
            self._calm_turns = self._calm_turns + 1 if ended and self._rests() else 0
            await self._tend()
            await self._look(self._healthy())
            await self._move()
            self._note_progress()
        await self._look(())

    async def _look(self, healthy: Collection[str]) -> None:
        listed = not HIDING & self._box.source.fired.keys()
        await self.watcher.look(healthy, lapsed=self._arena.lapsed, all_listed=listed)

    async def end(self) -> None:
        """End whoever still works; those that wait as if stopped are let go first, and must do no harm."""
        for beating in filter(None, self._working):
            await self._bury(beating)

    def _rests(self) -> bool:
        """Tell whether nobody has anything left to do."""
        return not self._undo and not any(map(_is_busy, self._working))

    def _healthy(self) -> set[str]:
        """Name the workers whose renewals have got through all along."""
        living = [beating.life for beating in self._working if beating is not None]
        return {life.name for life in living if life.sound and not life.dead}

    async def _tend(self) -> None:
        """Bury the dead, let new workers come, and renew the leases of those that live."""
        now = self._arena.time.elapsed
        for number, beating in enumerate(self._working):
            if beating is None:
                if now >= self._revive_at[number]:
                    self._employ(number)
            elif beating.life.dead or beating.task.done():
                self._note_end(beating)
                await self._bury(beating)
                self._dying.append(beating.life.fired[-1][2] if beating.life.dead else now)
                self._working[number] = None
                self._revive_at[number] = now + REVIVE_S
            elif now - beating.beat_at >= BEAT_S and not beating.life.stopped:
                beating.beat_at = now
                if beating.busy:
                    await asyncio.to_thread(beating.heartbeat.beat)

    def _employ(self, number: int) -> None:
        self._lives += 1
        mine = [event for event in self.result.schedule.events if event.worker == number]
        # What has struck an earlier life of this slot does not strike again: the counts go on.
        life = Life(f"w{number}.{self._lives}", self._arena.time, mine, self._reached[number])
        self._working[number] = self._arena.employ(self._scene, number, life)

    def _note_end(self, beating: Beating) -> None:
        """A worker that ends without having been killed is a violation."""
        if not beating.life.dead:
            error = beating.task.exception() if not beating.task.cancelled() else None
            self.result.violations.append(f"a worker ended by itself ({type(error).__name__})")

    async def _bury(self, beating: Beating) -> None:
        self.result.fired.update(f"{point}/{kind}" for point, kind, _ in beating.life.fired)
        await bury(beating.life)

    async def _move(self) -> None:
        """Do what a person does meanwhile, and undo it after a minute."""
        now = self._arena.time.elapsed
        if self._undo and now >= self._undo[0]:
            _, kind = self._undo
            self._undo = None
            if kind == "pause":
                await self._box.control.resume(await self._job())
            else:
                await self._box.start(again=kind == "again")
            self._arena.wake()
        elif self._moves and not self._undo and self.watcher.records >= self._moves[0].after:
            move = self._moves.pop(0)
            job = await self._job()
            if move.kind == "sweep":
                await self.sweep()
                self.result.fired["person/sweep"] += 1
            elif await self._is_running(job):
                await (self._box.control.pause if move.kind == "pause" else self._box.control.cancel)(job)
                self._undo = (now + MOVED_S, move.kind)
                self.result.fired[f"person/{move.kind}"] += 1

    async def sweep(self, *, at_rest: bool = False) -> None:
        """Do what sweepers do. They may find rows in the memory of pages that do not count, or not yet; at rest, only
        of messages that the database refuses.
        """
        for box in self._scene.boxes:
            found = await asyncio.wait_for(self._arena.sweep(box), HANGS_S)
            if not at_rest or any(mail.poison == "refused" for mail in box.mails):
                found |= {"foreign": 0, "unsettled": 0}
            told = [f"a sweep has found {count} times {kind}" for kind, count in found.items() if count]
            self.result.violations += told

    async def _job(self) -> JobId:
        row = await (
            await self._arena.admin.execute(
                "SELECT id FROM historical_sync_jobs WHERE tenant_id = %s ORDER BY created_at DESC LIMIT 1",
                [self._box.tenant],
            )
        ).fetchone()
        assert row is not None
        return JobId(row[0])

    async def _is_running(self, job: JobId) -> bool:
        row = await (
            await self._arena.admin.execute("SELECT status FROM historical_sync_jobs WHERE id = %s", [job])
        ).fetchone()
        return row is not None and row[0] in ("pending", "running")

    def _note_progress(self) -> None:
        progress = self.watcher.progress
        if progress != self._progress:
            now = self._arena.time.elapsed
            self.result.recovered += [now - died for died in self._died_at]
            self._died_at.clear()
        self._progress = progress
        # What was seen in the turn of a death may have come before it.
        self._died_at += self._dying
        self._dying.clear()


def _is_busy(beating: Beating | None) -> bool:
    return beating is not None and (beating.busy or beating.life.held_up > 0)
