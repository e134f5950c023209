"""Many workers on many mailboxes of many tenants, for an hour of simulated time: `python -m atom_torture.crowd 3600`.

Nothing fails here but what people do: pause, resume, cancel, start anew. What is looked for is what only a crowd brings
about: deadlocks of the database, tenants that get less than others, counters and leases that go wrong. Exits with 1
where something is found.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path

from atom_backfill.errors import RefusedError
from atom_backfill.jobs.job import AccountId, JobId
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.ports import Link, Page, Window
from atom_backfill.telemetry import configure
from atom_torture.arena import Arena, Beating, Mailbox, Scene, an_arena
from atom_torture.checker import Watcher
from atom_torture.clock import Time
from atom_torture.life import Life, bury, track_tasks
from atom_torture.run import BEAT_S, HANGS_S
from atom_torture.shards import in_a_home
from atom_torture.source import TortureSource
from atom_torture.truth import mailbox

TENANTS, MAILBOXES, WORKERS = 20, 10, 24
MAILS, FOLDERS, PAGE = 300, 3, 5
STEP_S = 4.0
"""All that wakes within it wakes at once, so that many transactions are under way together."""
FETCH_S = (4.0, 28.0)
LOOK_EVERY_S = 120.0
MOVES_A_STEP = 0.5
MOVES = ("pause", "resume", "resume", "cancel", "start", "start")
SHARE, ENOUGH = 0.1, 100
"""By which a tenant's part may differ from what it would be if all were equal, once it is of so many pages."""


class Unhurried(TortureSource):
    """A mailbox that takes its time for each page."""

    def __init__(self, seed: int, domain: str, time: Time) -> None:
        super().__init__(mailbox(seed, mails=MAILS, folders=FOLDERS, domain=domain), (), time)
        self._rng = random.Random(seed)

    async def page(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> Page:
        """Read a page."""
        await self._time.sleep(self._rng.uniform(*FETCH_S))
        return await super().page(folder, window, size=size, link=link)


@dataclass(slots=True)
class Crowd:
    """What came of it. `shares`: each tenant's pages, as a part of what it would have if all were equal."""

    seconds: float = 0.0
    pages: int = 0
    moves: Counter[str] = field(default_factory=Counter)
    deadlocks: int = 0
    shares: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


async def run_crowd(home: Path, seconds: float, seed: int = 0) -> Crowd:
    """Let workers work for so long, and people do what they do."""
    track_tasks(asyncio.get_running_loop())
    crowd, rng = Crowd(), random.Random(seed)
    async with an_arena(home, WORKERS) as arena, _tenants(arena, rng) as boxes:
        scene = Scene(boxes)
        people = _People(boxes, rng, crowd.moves)
        await asyncio.gather(*map(people.start, boxes))
        lives = [Life(f"w{number}", arena.time, (), Counter()) for number in range(WORKERS)]
        working = [arena.employ(scene, number, life) for number, life in enumerate(lives)]
        await _drive(arena, people, working, crowd, seconds)
        for beating in working:
            await bury(beating.life)
        await _judge(arena, scene, crowd)
    return crowd


class _People:
    """Those whose mailboxes they are, and what each of their latest jobs is."""

    def __init__(self, boxes: Sequence[Mailbox], rng: random.Random, moves: Counter[str]) -> None:
        self._boxes = boxes
        self._rng = rng
        self._moves = moves
        self._jobs: dict[AccountId, JobId] = {}

    async def start(self, box: Mailbox) -> None:
        """Start a job."""
        self._jobs[box.account] = await box.start()

    async def move(self) -> None:
        """Do, now and then, what somebody may do; much of it is refused in the state that the job is in."""
        if self._rng.random() >= MOVES_A_STEP:
            return
        box, kind = self._rng.choice(self._boxes), self._rng.choice(MOVES)
        job = self._jobs[box.account]
        moves = {"pause": box.control.pause, "resume": box.control.resume, "cancel": box.control.cancel}
        with suppress(RefusedError):
            await (self.start(box) if kind == "start" else moves[kind](job))
            self._moves[kind] += 1


@asynccontextmanager
async def _tenants(arena: Arena, rng: random.Random) -> AsyncIterator[list[Mailbox]]:
    names = [f"t{number}.example" for number in range(TENANTS)]
    sources = [
        (name, [Unhurried(MAILBOXES * number + each, name, arena.time) for each in range(MAILBOXES)])
        for number, name in enumerate(names)
    ]
    async with arena.tenants(sources, PAGE, rng) as boxes:
        yield boxes


async def _drive(arena: Arena, people: _People, working: Sequence[Beating], crowd: Crowd, seconds: float) -> None:
    watcher, looked_at = Watcher(arena.admin), 0.0
    healthy = {beating.life.name for beating in working}
    began = arena.time.elapsed
    while (now := arena.time.elapsed - began) < seconds and not crowd.violations:
        await arena.time.calm(HANGS_S)
        await arena.advance(max(STEP_S, arena.time.until_next(STEP_S)))
        due = [each for each in working if each.busy and arena.time.elapsed - each.beat_at >= BEAT_S]
        for beating in due:
            beating.beat_at = arena.time.elapsed
        # At the same time as each other, and as the pages of all who have just woken.
        await asyncio.gather(*(asyncio.to_thread(each.heartbeat.beat) for each in due), people.move())
        if now - looked_at >= LOOK_EVERY_S:
            looked_at = now
            await watcher.look(healthy, lapsed=arena.lapsed)
        ended = [each for each in working if each.task.done()]
        crowd.violations += [*watcher.violations, *("a worker ended by itself" for _ in ended)]
    crowd.seconds = arena.time.elapsed - began


async def _judge(arena: Arena, scene: Scene, crowd: Crowd) -> None:
    pages = Counter[object]()
    for box in scene.boxes:
        pages[box.tenant] += box.source.asked["page"]
    crowd.pages = pages.total()
    crowd.shares = sorted(round(count * TENANTS / crowd.pages, 3) for count in pages.values())
    crowd.violations += unfair(crowd.shares, crowd.pages)
    # The server counts a session's deadlocks when the session ends.
    await arena.admin.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'atom_torture'"
    )
    row = await (
        await arena.admin.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    ).fetchone()
    assert row is not None
    crowd.deadlocks = row[0]
    if crowd.deadlocks:
        crowd.violations.append(f"{crowd.deadlocks} deadlocks")


def unfair(shares: Sequence[float], pages: int) -> list[str]:
    """Name the shares that are too small or too large; of few pages nothing can be said."""
    if pages < ENOUGH * len(shares):
        return []
    return [f"a tenant has a share of {share}" for share in shares if abs(share - 1.0) > SHARE]


def main(arguments: list[str]) -> int:
    """Run it."""
    configure("text", "critical")
    seconds = float(arguments[0]) if arguments else 3600.0
    crowd = in_a_home(lambda home: run_crowd(home, seconds))
    print(json.dumps({each.name: getattr(crowd, each.name) for each in fields(crowd)}))
    return 1 if crowd.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
