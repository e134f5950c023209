"""Looks into the database ten times a second, past the proxies, and remembers what was there last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from atom_torture.checker import Truth, Watcher
from atom_torture.truth import Mail

EVERY_S = 0.1
LIMITS = "-c statement_timeout=60s"
LOOK_EVERY = 10
ENDED = ("completed", "failed", "cancelled")
_JOB = "SELECT id, status, records_processed AS records FROM historical_sync_jobs ORDER BY created_at DESC LIMIT 1"
_CHUNKS = """
SELECT id, state, worker, fence, position::text || has_more::text AS place, lease_until >= atom_now() AS live
FROM sync_chunks WHERE job_id = %s
"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk's row. `live`: its lease stands."""

    state: str
    worker: str | None
    fence: int
    place: str | None
    live: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """The latest job and its chunks at one moment. `at`: when the look at them began."""

    at: float
    status: str
    records: int
    chunks: dict[Any, Chunk]

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ENDED

    @property
    def marks(self) -> object:
        """What changes with every page that commits, and with nothing else."""
        places = sorted((str(key), each.place, each.state == "done") for key, each in self.chunks.items())
        return self.status if self.ended else (self.records, places)

    def held_by(self, pid: int) -> dict[Any, Chunk]:
        """Return the chunks that a worker has a lease of."""
        return {key: each for key, each in self.chunks.items() if each.state == "leased" and _is_of(each, pid)}

    def idle(self) -> bool:
        """Whether nobody works on it."""
        return not any(each.state == "leased" and each.live for each in self.chunks.values())


class Observer:
    """Use `observing`. `healthy` names the processes whose leases may not lapse."""

    def __init__(self, url: str, mails: Sequence[Mail], healthy: Callable[[], set[int]]) -> None:
        self.url = url
        self.mails = mails
        self.seen: Seen | None = None
        self.violations: list[str] = []
        self._healthy = healthy
        self._looked = asyncio.Condition()

    async def until(self, met: Callable[[Seen], bool], within: float) -> bool:
        """Wait until something is seen; False where it is not within so many seconds."""
        try:
            async with asyncio.timeout(within), self._looked:
                await self._looked.wait_for(lambda: self.seen is not None and met(self.seen))
        except TimeoutError:
            return False
        return True

    async def look_anew(self, within: float) -> Seen | None:
        """Wait for a look that begins from now on; None where it does not come within so many seconds."""
        now = asyncio.get_running_loop().time()
        return self.seen if await self.until(lambda seen: seen.at >= now, within) else None

    async def change(self, statement: str, *values: Any) -> None:
        """Change something behind the product's back."""
        async with await self._connect() as connection:
            await connection.execute(statement.encode(), values)

    async def watch(self) -> None:
        """Look for ever; a server that is away is asked again."""
        while True:
            with suppress(psycopg.OperationalError, psycopg.InterfaceError):
                async with await self._connect() as connection:
                    await self._look_on(connection)
            self.seen = None
            await asyncio.sleep(EVERY_S)

    async def _look_on(self, connection: psycopg.AsyncConnection[Any]) -> None:
        watcher = Watcher(connection, await truth_of(connection, self.mails))
        looks = 0
        while True:
            seen = await _look(connection)
            looks += 1
            if looks % LOOK_EVERY == 0:
                await watcher.look(self._named(seen))
                self.violations += [each for each in watcher.violations if each not in self.violations]
            async with self._looked:
                self.seen = seen
                self._looked.notify_all()
            await asyncio.sleep(EVERY_S)

    def _named(self, seen: Seen | None) -> set[str]:
        healthy = self._healthy()
        workers = {each.worker for each in seen.chunks.values() if each.worker} if seen else set()
        return {name for name in workers if any(f":{pid}:" in name for pid in healthy)}

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self.url, autocommit=True, connect_timeout=3, options=LIMITS)


@asynccontextmanager
async def observing(url: str, mails: Sequence[Mail], healthy: Callable[[], set[int]]) -> AsyncIterator[Observer]:
    """Look while the block lasts."""
    observer = Observer(url, mails, healthy)
    task = asyncio.create_task(observer.watch())
    try:
        yield observer
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def truth_of(connection: psycopg.AsyncConnection[Any], mails: Sequence[Mail]) -> Truth:
    """Say whose the mails are: a run has one tenant."""
    row = await (await connection.execute("SELECT tenant_id FROM accounts")).fetchone()
    assert row is not None
    return {row[0]: mails}


async def _look(connection: psycopg.AsyncConnection[Any]) -> Seen | None:
    at = asyncio.get_running_loop().time()
    async with connection.cursor(row_factory=dict_row) as cursor:
        job = await (await cursor.execute(_JOB)).fetchone()
        if job is None:
            return None
        rows = await (await cursor.execute(_CHUNKS, [job["id"]])).fetchall()
    chunks = {row.pop("id"): row for row in rows}
    return Seen(at, job["status"], job["records"], {key: Chunk(**row) for key, row in chunks.items()})


def _is_of(chunk: Chunk, pid: int) -> bool:
    return f":{pid}:" in (chunk.worker or "")
