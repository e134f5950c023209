"""Worker processes that are killed, stopped and told to go, and the mailbox that they read meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Self

from atom_backfill.db.pool import Database
from atom_backfill.jobs.job import AccountId, JobId, TenantId
from launcher import Orders
from mainjob import Mail, an_office, assert_all_there, some_mails, write_mails
from pages import assert_counters
from worlds import World

MAILS = 250
LAUNCHER = Path(__file__).with_name("launcher.py")


class Launcher:
    """A process that worker processes are forked from, one at a time; it serves one test after the other."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = Popen([sys.executable, str(LAUNCHER)], stdin=PIPE, stdout=PIPE, text=True, env=environment)
        self._worker = 0

    async def launch(self, orders: Orders) -> None:
        """Make a worker; returns once it is at work."""
        assert self._process.stdin is not None
        self._process.stdin.write(orders.as_line())
        self._process.stdin.flush()
        self._worker = int(await self.said("ready"))

    async def said(self, word: str) -> str:
        """Wait until the worker says a word; return what comes after it."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(self._process.stdout.readline), 60)
        found, _, rest = line.strip().partition(" ")
        assert found == word, f"{line!r} instead of {word}"
        return rest

    async def ended(self) -> int:
        """Wait for the worker's end; return its exit status, negative for a signal."""
        status = int(await self.said("ended"))
        self._worker = 0
        return status

    def send(self, what: signal.Signals) -> None:
        """Send the worker a signal; one that has ended by itself gets none."""
        with suppress(ProcessLookupError):
            os.kill(self._worker, what)

    @property
    def usable(self) -> bool:
        """Whether it can serve another test."""
        return self._process.poll() is None and not self._worker

    def close(self) -> None:
        """Leave nobody behind."""
        if self._worker:
            self.send(signal.SIGKILL)
        self._process.kill()
        self._process.communicate()


class Launchers:
    """As many launchers as the tests of a run need at once."""

    def __init__(self) -> None:
        self._all: list[Launcher] = []
        self._free: list[Launcher] = []

    def take(self) -> Launcher:
        """Take a free one, or start one."""
        if self._free:
            return self._free.pop()
        self._all.append(Launcher())
        return self._all[-1]

    def give_back(self, taken: Sequence[Launcher]) -> None:
        """Keep those that are fit for another test."""
        for launcher in taken:
            if launcher.usable:
                self._free.append(launcher)
            else:
                launcher.close()

    def close(self) -> None:
        """Leave nobody behind."""
        for launcher in self._all:
            launcher.close()


@dataclass
class Mortals:
    """A mailbox of 250 mails with a job on it."""

    world: World
    root: Path
    home: Path
    tenant: TenantId
    account: AccountId
    mails: list[Mail]
    url: str
    launchers: Launchers
    job: JobId | None = None
    taken: list[Launcher] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def of(cls, world: World, place: Path, launchers: Launchers) -> AsyncIterator[Self]:
        """Write the mailbox; at the end see that nobody is left."""
        mails = some_mails(MAILS)
        write_mails(place / "mail", mails)
        tenant = await world.tenant()
        account = world.account(tenant)
        mortals = cls(world, place / "mail", place, tenant, account, mails, world.fresh.url, launchers)
        try:
            yield mortals
        finally:
            launchers.give_back(mortals.taken)

    async def start(self, **about: Any) -> JobId:
        """Start a job of pages of 25."""
        async with await Database.open(self.url) as database, self._office(database) as office:
            self.job = await office.start(**({"chunk_size": 25} | about))
        return self.job

    async def worker(self, by: Launcher | None = None, **orders: Any) -> Launcher:
        """Begin a worker process, by a launcher whose last worker has ended; returns once it is at work."""
        if by is None:
            by = self.launchers.take()
            self.taken.append(by)
        told = Orders(self.url, str(self.tenant), str(self.account), str(self.root), str(self.home), **orders)
        await by.launch(told)
        return by

    def let_leases_lapse(self) -> int:
        """Let time pass for leases whose workers are dead; return how many there were."""
        return self.world.run("UPDATE sync_chunks SET lease_until = atom_now() - interval '1 s' WHERE state = 'leased'")

    async def finish(self, by: Launcher) -> None:
        """Let a healthy worker do what is left, and see that everything is there once."""
        self.let_leases_lapse()
        await self.world.hasten()
        worker = await self.worker(by)
        assert await worker.ended() == 0
        await self.assert_all_done()

    async def assert_all_done(self) -> None:
        """The job is completed; record = memory = source; counters equal counts; nothing is doubled or left over."""
        assert self.job is not None
        row = self.world.job_row(self.job)
        assert (row["status"], row["progress_percentage"]) == ("completed", 100)
        assert row["messages_done"] == row["records_processed"] == len(self.mails)
        assert_counters(self.world, self.job)
        chunks = self.world.rows("SELECT DISTINCT state FROM sync_chunks WHERE job_id = %(job)s", job=self.job)
        assert chunks == [{"state": "done"}]
        assert self.world.rows("SELECT id FROM failures WHERE job_id = %(job)s", job=self.job) == []
        async with await Database.open(self.url) as database, self._office(database) as office:
            assert_all_there(self.world.rows, office, self.mails)

    def _office(self, database: Database) -> Any:
        return an_office(database, self.tenant, self.account, self.root, self.home)
