"""Where tier A happens: one database and one process, and in it the workers of one schedule after the other."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
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
from atom_backfill.custody.postgres import PostgresCounters, PostgresRecord
from atom_backfill.custody.verify import Tools, sweep
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
from atom_backfill.jobs.postgres import PostgresControl, PostgresDuties
from atom_backfill.jobs.postgres_renewals import PostgresRenewals
from atom_backfill.jobs.worker import Worker, WorkerOptions
from atom_backfill.mail.door import Limits
from atom_backfill.memory.lance import LancePassages, new_session, open_index
from atom_backfill.memory.ports import PassageIndex
from atom_backfill.memory.postgres import PostgresMemories
from atom_backfill.sources.ports import MailSource, RawItem
from atom_torture.clock import Time
from atom_torture.embedder import WordEmbedder
from atom_torture.life import CURRENT, Life
from atom_torture.schedule import Schedule
from atom_torture.shards import to_its_end
from atom_torture.source import TortureSource
from atom_torture.truth import DOMAIN, NEIGHBOUR, Mail, mailbox
from atom_torture.wrapped import TorturedDatabase, TorturedPassages, TorturedRenewals, TorturedStore

SLOTS = 3
NOBODY = UUID(int=0)
BELIEVED_S = 30.0
"""A lease, a beat, and what the driver steps over, in which nobody may go on without a renewal."""
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
        """Whether it works at a chunk whose lease is lost, as its heartbeat has told it or should have."""
        life, now = self.life, self.life.time.elapsed
        if life.dead or life.stopped:
            return False
        return any(
            lease not in self.heartbeat._held or now - max(at, life.went_on_at) > BELIEVED_S
            for lease, at in life.handling.items()
        )


@dataclass
class Mailbox:
    """A tenant's account, its mails, and the tenant's memory: one dataset of those in the folder `memory`."""

    page: int
    source: TortureSource
    tenant: TenantId
    account: AccountId
    memory: Path
    index: TorturedPassages
    control: Control
    new_id: Callable[[], UUID]

    @property
    def mails(self) -> Sequence[Mail]:
        """What lies in it."""
        return self.source.mails

    async def start(self, *, again: bool = False) -> JobId:
        """Start a job on it."""
        request = Request(self.account, chunk_size=self.page, again=again)
        return await start(request, self.source, self.control, self.new_id)


@dataclass
class Scene:
    """The mailboxes of some tenants, and their passages as the workers have them. `concurrency`: chunks a worker."""

    boxes: Sequence[Mailbox]
    concurrency: int = 1

    @property
    def box(self) -> Mailbox:
        """The mailbox that everything strikes."""
        return self.boxes[0]

    @property
    def mails(self) -> dict[UUID, Sequence[Mail]]:
        """Each tenant's mails, where each has one mailbox: the truth."""
        return {box.tenant: box.mails for box in self.boxes}

    @property
    def by_account(self) -> Mapping[AccountId, Mailbox]:
        """Each account's mailbox."""
        return {box.account: box for box in self.boxes}


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

    async def open(self, url: str, stack: AsyncExitStack, slots: int) -> None:
        """Open the slots' connections, and make the empty memory that each tenant gets a copy of."""
        for _ in range(slots):
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
    async def scene(self, schedule: Schedule) -> AsyncIterator[Scene]:
        """Make the tenants and mailboxes of a schedule, and take everything away at the end."""
        seed = schedule.seed
        mails = mailbox(seed, mails=schedule.mails, folders=schedule.folders, poison=schedule.poison)
        sources = [(DOMAIN, [TortureSource(mails, schedule.calls, self.time)])]
        if schedule.neighbour:
            mails = mailbox(seed, mails=schedule.neighbour, folders=1, domain=NEIGHBOUR)
            sources.append((NEIGHBOUR, [TortureSource(mails, (), self.time)]))
        async with self.tenants(sources, schedule.page, random.Random(seed)) as boxes:
            yield Scene(boxes, schedule.concurrency)

    @asynccontextmanager
    async def tenants(
        self, sources: Iterable[tuple[str, Sequence[TortureSource]]], page: int, rng: random.Random
    ) -> AsyncIterator[list[Mailbox]]:
        """Make tenants, each with a name and mailboxes, and take everything away at the end."""

        def new_id() -> UUID:
            return UUID(int=rng.getrandbits(128), version=4)

        memory = Path(tempfile.mkdtemp(dir=self._home))
        try:
            boxes: list[Mailbox] = []
            for name, theirs in sources:
                tenant = TenantId((await Tenants(PostgresTenants(self._desk), new_id).create(name)).id)
                shutil.copytree(self._home / "empty" / str(NOBODY), memory / str(tenant))
                index = TorturedPassages(await self._open_memory(memory, tenant))
                control = Control(PostgresControl(self._desk), tenant, new_id)
                for source in theirs:
                    account = await self._account(tenant, new_id(), f"box-{len(boxes)}@{name}")
                    boxes.append(Mailbox(page, source, tenant, account, memory, index, control, new_id))
            yield boxes
        finally:
            self._working.clear()
            await self.empty()
            shutil.rmtree(memory, ignore_errors=True)

    async def _account(self, tenant: TenantId, account: UUID, address: str) -> AccountId:
        await self.admin.execute(
            "INSERT INTO accounts (tenant_id, id, kind, identity, address, status, config)"
            " VALUES (%s, %s, 'outlook', %s, %s, 'connected', '{}')",
            [tenant, account, address, address],
        )
        return AccountId(account)

    async def sweep(self, box: Mailbox) -> dict[str, int]:
        """Do what sweepers do for a tenant; returns how much they found of each kind."""
        standing = PostgresMemories(self._desk, box.tenant)
        tools = Tools(self._embedder, standing.end_epoch)
        report = await sweep(box.index.plain, PostgresRecord(self._desk, box.tenant), tools)
        counters = await PostgresCounters(self._desk, box.tenant).mend()
        stuck = await PostgresControl(self._desk).sweep(box.tenant)
        return {**report.counts, "counters": counters, "stuck": stuck}

    async def empty(self) -> None:
        """Take every row out, past all rules."""
        await self.admin.execute("SELECT torture_empty()")

    def employ(self, scene: Scene, number: int, life: Life) -> Beating:
        """Begin a worker's life in a slot."""
        slot = self.slots[number]
        heartbeat = Heartbeat(TorturedRenewals(slot.renewals, life), life.clock)
        handlers = {Lane.INGEST: _noted(ingest_handler(self._parts(scene, slot, life)), life)}
        options = WorkerOptions(life.name, concurrency=scene.concurrency, poll_s=POLL_S)
        store = TorturedStore(slot.database)
        wake, rng = asyncio.Event(), random.Random(life.name)
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

    def _parts(self, scene: Scene, slot: Slot, life: Life) -> Parts:
        boxes = scene.by_account
        memories = {box.tenant: box.index for box in scene.boxes}

        async def source(lease: Lease) -> MailSource:
            return boxes[lease.account_id].source

        async def memory(tenant: TenantId) -> PassageIndex:
            return memories[tenant]

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
        life.handling[lease] = life.time.elapsed
        try:
            return await handler(lease, watch)
        finally:
            del life.handling[lease]

    return handle


def _read(item: RawItem) -> Reading | SkipItemError:
    try:
        return read_item(item, parse=parse_mime, limits=Limits())
    except SkipItemError as error:
        return error


@asynccontextmanager
async def an_arena(home: Path, slots: int = SLOTS) -> AsyncIterator[Arena]:
    """Start a server of its own below `home`, and leave nothing of it."""
    # Time that is lost to durability proves nothing here: no schedule of this tier ends the server.
    server = EmbeddedPostgres(home, durable=False)
    try:
        await to_its_end(server.start)
        async with AsyncExitStack() as stack:
            yield await _open(server, home, stack, slots)
    finally:
        await to_its_end(server.destroy)


async def _open(server: EmbeddedPostgres, home: Path, stack: AsyncExitStack, slots: int) -> Arena:
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
    await arena.open(url, stack, slots)
    return arena
