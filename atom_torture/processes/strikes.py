"""What each strike does, how its end is recognised, and what is measured by that."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from atom_torture.processes.bounds import exceeded
from atom_torture.processes.disk import Disk
from atom_torture.processes.fleet import Fleet, Worker
from atom_torture.processes.mailbox import ADDRESS
from atom_torture.processes.observer import Chunk, Observer, Seen
from atom_torture.processes.proc import allow_memory
from atom_torture.processes.schedule import WIRES, Strike
from atom_torture.processes.world import Done, World

BUSY_S = 15.0
"""In which some worker will have work, at the latest once the machine has time for it."""
RECOVER_S = 60.0
LONG_S = 3.0
TRIES = 8
OVERLOAD = 2.0
"""Processes that want each core: above, times say more of the machine than of the program."""
STARVED_BYTES = 4_000_000
_LAPSE = """
UPDATE sync_chunks SET lease_until = atom_now() - interval '1 second'
WHERE state = 'leased' AND strpos(worker, %s) > 0 AND lease_until >= atom_now()
"""


@dataclass
class Result:
    """What came of a run. `schedule`: one line of JSON; `measured`: seconds, by what was measured.

    `unjudged`: the same, where the machine was too busy for them to say anything.
    """

    schedule: str
    violations: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    measured: dict[str, list[float]] = field(default_factory=dict)
    unjudged: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0

    def as_line(self) -> str:
        """One line of JSON."""
        return json.dumps({each.name: getattr(self, each.name) for each in fields(self)})


@dataclass
class Striker:
    """Lets strikes happen in a run. `stormy_at`: when a connection was last seen broken by a proxy."""

    world: World
    fleet: Fleet
    observer: Observer
    disk: Disk | None
    result: Result
    stormy_at: float = float("-inf")

    async def strike(self, strike: Strike) -> None:
        """Let one strike happen, and wait for what must follow from it."""
        match strike.where, strike.kind:
            case ("database" | "mailbox" | "vectors") as where, kind if kind in WIRES:
                self.world.proxies[where].strike(kind, strike.seconds, strike.size)
                struck = True
            case "worker", kind:
                worker = await self._busiest()
                struck = worker is not None
                if worker is not None:
                    await self._strike_worker(worker, kind, strike.seconds)
            case "database", kind:
                struck = True
                await self._strike_server(kind)
            case "memory", _:
                struck = True
                await self._fill_disk(strike.seconds)
            case _, kind:
                struck = await self._steer(kind, strike.seconds)
        if struck:
            self.result.fired[f"{strike.where}/{strike.kind}"] += 1

    async def dismiss_all(self) -> None:
        """Tell everybody to go. Times are judged and not counted: who is idle says little of how long a drain takes."""
        workers = self.fleet.running
        for worker, seconds in zip(workers, await asyncio.gather(*map(self.fleet.dismiss, workers)), strict=True):
            if not worker.starved and _is_judged() and (words := exceeded("drain", seconds)):
                self.result.violations.append(words)

    async def _strike_worker(self, worker: Worker, kind: str, seconds: float) -> None:
        match kind:
            case "kill":
                await self._kill(worker)
            case "term":
                await self._dismiss(worker)
            case "stop":
                await self._stop(worker, until=_moved if seconds > LONG_S else _taken)
            case _:
                worker.touched = worker.starved = True
                allow_memory(worker.pid, STARVED_BYTES)
                await asyncio.sleep(seconds)
                allow_memory(worker.pid, None)

    async def _kill(self, worker: Worker) -> None:
        began = _now()
        worker.ending = True
        worker.process.send(signal.SIGKILL)
        await worker.process.wait()
        # What it had at its death: what it has committed shortly before is not another's progress.
        seen = await self.observer.look_anew(RECOVER_S)
        held = seen.held_by(worker.pid) if seen else {}
        await self._lapse(worker)
        if await self._expect(lambda seen: _moved(seen, held), RECOVER_S, began, "work of a killed worker lies idle"):
            hurried = self.world.schedule.hurried or not held
            self._measure("kill", began, only_if=not hurried)

    async def _dismiss(self, worker: Worker) -> None:
        began = _now()
        seconds = await self.fleet.dismiss(worker)
        if not worker.starved:
            self._measure("drain", began, seconds=seconds)
            await self._expect(
                lambda seen: not seen.held_by(worker.pid), 2.0, began, "a worker that was told to go kept a lease"
            )
        await self._lapse(worker)

    async def _stop(self, worker: Worker, until: Callable[[Seen, Mapping[Any, Chunk]], bool]) -> None:
        """Stop a worker, and let it go on when another has its work, or has even committed a page of it."""
        held, began = self._held(worker), _now()
        worker.touched = True
        if len(self.fleet.running) < 2:
            await self.fleet.employ()
        worker.process.send(signal.SIGSTOP)
        try:
            await self._lapse(worker)
            await self._expect(lambda seen: until(seen, held), RECOVER_S, began, "work of a stopped worker lies idle")
        finally:
            worker.process.send(signal.SIGCONT)

    async def _strike_server(self, kind: str) -> None:
        began = _now()
        await (self.world.restart_server() if kind == "restart" else self.world.crash_server())
        back = _now()
        seen = await self.observer.look_anew(RECOVER_S)
        marks = seen.marks if seen else None
        if await self._expect(
            lambda seen: seen.ended or seen.marks != marks, RECOVER_S, began, "nothing goes on after the server is back"
        ):
            self._measure("restart", back, only_if=self.stormy_at < began)

    async def _fill_disk(self, seconds: float) -> None:
        assert self.disk is not None, "a run that strikes the memory has a disk for it"
        self.result.fired[f"disk by {self.disk.how}"] += 1
        await asyncio.to_thread(self.disk.fill)
        try:
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(self.disk.empty)

    async def _steer(self, kind: str, seconds: float) -> bool:
        """Pause and go on, or cancel and start anew, by the command line; False where the job had ended before."""
        began = _now()
        wanted = {"pause": "paused", "cancel": "cancelled"}[kind]
        if not await self._tell(kind, ADDRESS):
            return False
        if await self._expect(lambda seen: seen.status == wanted and seen.idle(), 30.0, began, f"{kind} has no effect"):
            self._measure(kind, began)
            marks = self.observer.seen.marks if self.observer.seen else None
            await asyncio.sleep(min(seconds, 1.0))
            if self.observer.seen and self.observer.seen.marks != marks:
                self.result.violations.append(f"a page has committed after {kind} was in effect")
        if not await self._tell(*(("resume", ADDRESS) if kind == "pause" else ("start", ADDRESS))):
            self.result.violations.append(f"a job cannot go on after {kind}")
        if kind == "cancel":
            await self.observer.until(lambda seen: not seen.ended, 5.0)
        return True

    async def _tell(self, *command: str) -> bool:
        """Run a command as a person does, again where it finds no server; False where it is refused."""
        for _ in range(TRIES):
            calm = self.world.calm
            done = await self.world.command(*command)
            if done.status == 0:
                return True
            if "Traceback" in done.err:
                self.result.violations.append(f"{command[0]} has ended with a traceback")
                return False
            if self.observer.seen and self.observer.seen.ended and command[0] != "start":
                return False
            if calm:
                self.result.violations.append(_refusal(command[0], done))
                return False
            await asyncio.sleep(1.0)
        return False

    async def _busiest(self) -> Worker | None:
        """Wait for a worker with work, and choose the one that has most; None where the job ends before."""
        await self.observer.until(lambda seen: seen.ended or self._choose(seen) is not None, BUSY_S)
        seen = self.observer.seen
        return None if seen is None or seen.ended else self._choose(seen)

    def _choose(self, seen: Seen) -> Worker | None:
        busy = [worker for worker in self.fleet.running if seen.held_by(worker.pid)]
        return max(busy, key=lambda worker: len(seen.held_by(worker.pid)), default=None)

    def _held(self, worker: Worker) -> Mapping[Any, Chunk]:
        return self.observer.seen.held_by(worker.pid) if self.observer.seen else {}

    async def _lapse(self, worker: Worker) -> None:
        """Let leases of a worker that cannot renew them lapse now, where the run is hurried."""
        if self.world.schedule.hurried:
            await self.observer.change(_LAPSE, f":{worker.pid}:")

    async def _expect(self, met: Callable[[Seen], bool], within: float, began: float, otherwise: str) -> bool:
        """Wait for what must come; where nothing else strikes meanwhile, its absence is a violation."""
        if await self.observer.until(met, within):
            return True
        if self.stormy_at < began:
            self.result.violations.append(f"{otherwise} after {_now() - began:.0f} s")
        return False

    def _measure(self, name: str, began: float, *, seconds: float | None = None, only_if: bool = True) -> None:
        """Note how long something took; while a connection is broken, only what holds even then counts."""
        seconds = _now() - began if seconds is None else seconds
        if not only_if or (self.stormy_at >= began and name != "drain"):
            return
        judged = _is_judged()
        (self.result.measured if judged else self.result.unjudged).setdefault(name, []).append(round(seconds, 2))
        if judged and (words := exceeded(name, seconds)):
            self.result.violations.append(words)


def _is_judged() -> bool:
    return os.getloadavg()[0] <= OVERLOAD * (os.cpu_count() or 1)


def _moved(seen: Seen, held: Mapping[Any, Chunk]) -> bool:
    """Tell whether each of these chunks has been worked on by another, to a commit."""
    now = seen.chunks
    return seen.ended or all(
        key in now and (now[key].state == "done" or now[key].place != each.place) for key, each in held.items()
    )


def _taken(seen: Seen, held: Mapping[Any, Chunk]) -> bool:
    """Tell whether another has taken one of these chunks."""
    return seen.ended or not held or any(seen.chunks[key].fence > each.fence for key, each in held.items())


def _refusal(command: str, done: Done) -> str:
    return f"{command} has ended with status {done.status}"


def _now() -> float:
    return asyncio.get_running_loop().time()
