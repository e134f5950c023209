"""Where tier A happens: one database and one process, and in it the workers of one schedule after the other."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from atom_backfill.access.postgres import PostgresTenants
from atom_backfill.access.tenants import Tenants
from atom_backfill.app.reading import parse_mime
from atom_backfill.backfill.handler import ingest_handler
from atom_backfill.backfill.page import Parts
from atom_backfill.backfill.postgres import PostgresLedger
from atom_backfill.backfill.reading import Reading, read_item
from atom_backfill.backfill.start import Request, start
from atom_backfill.db.embedded import EmbeddedPostgres
from atom_backfill.db.migrate import Migrator
from atom_backfill.db.pool import Database
from atom_backfill.db.renewal import RenewalConnection
from atom_backfill.errors import SkipItemError
from atom_backfill.jobs.control import Control
from atom_backfill.jobs.duties import do_duties, reaper
from atom_backfill.jobs.heartbeat import Heartbeat
from atom_backfill.jobs.job import AccountId, JobId, Lane, Lease, Outcome, TenantId
from atom_backfill.jobs.ports import Handler, Watch
from atom_backfill.jobs.postgres import PostgresControl, PostgresDuties, PostgresRenewals
from atom_backfill.jobs.worker import Worker, WorkerOptions
from atom_backfill.mail.door import Limits
from atom_backfill.memory.lance import LancePassages, new_session, open_index
from atom_backfill.memory.ports import PassageIndex
from atom_backfill.sources.ports import MailSource, RawItem
from atom_torture.clock import Time
from atom_torture.embedder import WordEmbedder
from atom_torture.life import CURRENT, Life
from atom_torture.schedule import Schedule
from atom_torture.shards import to_its_end
from atom_torture.source import TortureSource
from atom_torture.truth import Mail, mailbox
from atom_torture.wrapped import TorturedDatabase, TorturedPassages, TorturedStore

SLOTS = 3
NOBODY = UUID(int=0)
POLL_S = 5.0
"""For what no commit tells of: work whose time has come, and lapsed leases."""
_ADVANCE = """
SELECT setval('torture_clock', %s),
    NOT EXISTS (SELECT FROM historical_sync_jobs WHERE status IN ('pending', 'running', 'paused')),
    ARRAY(SELECT worker FROM torture_lapses)
"""
LOGIN, PASSWORD = "atom_torture", "atom-torture"
_ROLE = """
CREATE ROLE atom_torture LOGIN NOINHERIT PASSWORD 'atom-torture';
GRANT atom_engine, atom_work, atom_operator TO atom_torture;
ALTER ROLE atom_torture SET plan_cache_mode = force_generic_plan;
"""


@dataclass
class Slot:
    """A machine on which workers live one after the other: its connections outlive them, as a pooler's do."""

    database: TorturedDatabase
    renewals: PostgresRenewals


@dataclass
class Beating:
    """A living worker: its life, its heartbeat and the task that ends with it."""

    life: Life
    worker: Worker
    heartbeat: Heartbeat
    task: asyncio.Task[None]
    wake: asyncio.Event
    beat_at: float

    @property
    def busy(self) -> bool:
        """Whether it works at a chunk, or still believes so."""
        return bool(self.worker._running)

    @property
    def strays(self) -> bool:
        """Whether it works at a chunk though its heartbeat has told it that the lease is lost."""
        return not self.life.dead and not self.life.handling <= self.heartbeat._held.keys()


@dataclass
class Mailbox:
    """What one schedule is about: its tenant, its mails and its memory."""

    schedule: Schedule
    mails: tuple[Mail, ...]
    tenant: TenantId
    account: AccountId
    source: TortureSource
    memory: Path
    index: LancePassages
    control: Control
    new_id: Callable[[], UUID]

    async def start(self, *, again: bool = False) -> JobId:
        """Start a job on it."""
        request = Request(self.account, chunk_size=self.schedule.page, again=again)
        return await start(request, self.source, self.control, self.new_id)


class Arena:
    """A database that is emptied between two schedules. `admin` belongs to the harness, never to the product."""

    def __init__(self, admin: psycopg.AsyncConnection[tuple[Any, ...]], desk: Database, home: Path) -> None:
        self.admin = admin
        self.slots: list[Slot] = []
        self.time = Time()
        self.lapsed: list[str] = []
        """Workers whose leases were seen to have lapsed by who took them back."""
        self._desk = desk
        self._home = home
        self._embedder = WordEmbedder()
        self._lance = new_session()
        self._working: list[Beating] = []

    async def open(self, url: str, stack: AsyncExitStack) -> None:
        """Open the slots' connections, and make the empty memory that each schedule gets a copy of."""
        for _ in range(SLOTS):
            database = await stack.enter_async_context(await TorturedDatabase.open_in_arena(url, self.wake))
            self.slots.append(Slot(database, PostgresRenewals(RenewalConnection(url))))
        for slot in self.slots:
            stack.callback(slot.renewals.close)
        await self._open_memory(self._home / "empty", NOBODY)
        await self.advance(0.0)

    async def advance(self, seconds: float) -> bool:
        """Move the database's time on, and the workers'; tells whether every job has ended."""
        self.time.elapsed += seconds
        now = round(1e6 * (self.time.began.timestamp() + self.time.elapsed))
        row = await (await self.admin.execute(_ADVANCE, [now], prepare=True)).fetchone()
        assert row is not None
        _, ended, self.lapsed = row
        self.time.wake()
        return bool(ended)

    def wake(self) -> None:
        """Tell all workers of new work."""
        for beating in self._working:
            beating.wake.set()

    @asynccontextmanager
    async def mailbox(self, schedule: Schedule) -> AsyncIterator[Mailbox]:
        """Make a tenant with the mailbox of a schedule, and take everything away at the end."""
        rng = random.Random(schedule.seed)

        def new_id() -> UUID:
            return UUID(int=rng.getrandbits(128), version=4)

        made = await Tenants(PostgresTenants(self._desk), new_id).create(f"t-{schedule.seed}")
        tenant, account = TenantId(made.id), AccountId(new_id())
        await self.admin.execute(
            "INSERT INTO accounts (tenant_id, id, kind, identity, address, status, config)"
            " VALUES (%s, %s, 'outlook', 'torture', 'ines@lumen.example', 'connected', '{}')",
            [tenant, account],
        )
        mails = mailbox(schedule)
        memory = Path(tempfile.mkdtemp(dir=self._home))
        try:
            shutil.copytree(self._home / "empty" / str(NOBODY), memory / str(tenant))
            index = await self._open_memory(memory, tenant)
            source = TortureSource(mails, schedule.calls, self.time)
            control = Control(PostgresControl(self._desk), tenant, new_id)
            yield Mailbox(schedule, mails, tenant, account, source, memory, TorturedPassages(index), control, new_id)
        finally:
            self._working.clear()
            await self.empty()
            shutil.rmtree(memory, ignore_errors=True)

    async def empty(self) -> None:
        """Take every row out, past all rules."""
        await self.admin.execute("SELECT torture_empty()")

    def employ(self, box: Mailbox, number: int, life: Life) -> Beating:
        """Begin a worker's life in a slot."""
        slot = self.slots[number]
        heartbeat = Heartbeat(slot.renewals, life.clock)
        handlers = {Lane.INGEST: _noted(ingest_handler(self._parts(box, slot, life)), life)}
        options = WorkerOptions(life.name, concurrency=box.schedule.concurrency, poll_s=POLL_S)
        store = TorturedStore(slot.database)
        wake, rng = asyncio.Event(), random.Random(box.schedule.seed)
        worker = Worker(store, handlers, heartbeat, wake, life.clock, rng, options)
        token = CURRENT.set(life)
        try:
            task = asyncio.create_task(worker.run(asyncio.Event()))
            asyncio.create_task(self._do_duties(slot, store, life))  # noqa: RUF006 - the life keeps it
        finally:
            CURRENT.reset(token)
        self._working.append(Beating(life, worker, heartbeat, task, wake, self.time.elapsed))
        return self._working[-1]

    async def _open_memory(self, folder: Path, tenant: UUID) -> LancePassages:
        embedder = self._embedder
        return await open_index(str(folder), tenant, embedder.identity, embedder.dim, session=self._lance)

    async def _do_duties(self, slot: Slot, store: TorturedStore, life: Life) -> None:
        await do_duties(lambda: [reaper(store)], PostgresDuties(slot.database), life.name, life.clock)

    def _parts(self, box: Mailbox, slot: Slot, life: Life) -> Parts:
        async def source(_: Lease) -> MailSource:
            return box.source

        async def memory(_: TenantId) -> PassageIndex:
            return box.index

        async def read(_: Lease, items: Sequence[RawItem]) -> list[Reading | SkipItemError]:
            return [_read(item) for item in items]

        return Parts(
            ledger=PostgresLedger(slot.database),
            source=source,
            read=read,
            memory=memory,
            embedder=self._embedder,
            clock=life.clock,
            reached=life.reach,
        )


def _noted(handler: Handler, life: Life) -> Handler:
    """Let a life know at which chunks it works."""

    async def handle(lease: Lease, watch: Watch) -> Outcome:
        life.handling.add(lease.chunk_id)
        try:
            return await handler(lease, watch)
        finally:
            life.handling.discard(lease.chunk_id)

    return handle


def _read(item: RawItem) -> Reading | SkipItemError:
    try:
        return read_item(item, parse=parse_mime, limits=Limits())
    except SkipItemError as error:
        return error


@asynccontextmanager
async def an_arena(home: Path) -> AsyncIterator[Arena]:
    """Start a server of its own below `home`, and leave nothing of it."""
    # Time that is lost to durability proves nothing here: no schedule of this tier ends the server.
    server = EmbeddedPostgres(home, durable=False)
    try:
        await to_its_end(server.start)
        async with AsyncExitStack() as stack:
            yield await _open(server, home, stack)
    finally:
        await to_its_end(server.destroy)


async def _open(server: EmbeddedPostgres, home: Path, stack: AsyncExitStack) -> Arena:
    name = "torture"
    async with await psycopg.AsyncConnection.connect(server.superuser_url("postgres"), autocommit=True) as root:
        await root.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER atom").format(sql.Identifier(name)))
    async with await Database.open(server.owner_url(name)) as owner:
        await Migrator(owner).apply()
    admin = await stack.enter_async_context(
        await psycopg.AsyncConnection.connect(server.superuser_url(name), autocommit=True)
    )
    await admin.execute(_ROLE)
    for script in ("arena.sql", "watch.sql"):
        await admin.execute(files("atom_torture").joinpath(script).read_text().encode())
    url = server.role_url(LOGIN, PASSWORD, name)
    arena = Arena(admin, await stack.enter_async_context(await Database.open(url)), home)
    await arena.open(url, stack)
    return arena
