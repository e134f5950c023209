"""The main job on local files, put together from the rooms themselves: real database, real memory, a quick embedder."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import lancedb

from atom_backfill.app.reading import parse_mime
from atom_backfill.backfill.handler import ingest_handler
from atom_backfill.backfill.page import Parts
from atom_backfill.backfill.ports import FaultPoint, no_faults
from atom_backfill.backfill.postgres import PostgresLedger
from atom_backfill.backfill.reading import Reading, read_item
from atom_backfill.backfill.start import Request, start
from atom_backfill.clock import SystemClock
from atom_backfill.db.pool import Database
from atom_backfill.db.renewal import RenewalConnection
from atom_backfill.errors import SkipItemError
from atom_backfill.jobs.control import Control
from atom_backfill.jobs.heartbeat import Heartbeat
from atom_backfill.jobs.job import AccountId, JobId, Lane, Lease, TenantId
from atom_backfill.jobs.ports import JobStore
from atom_backfill.jobs.postgres import PostgresControl, PostgresJobStore
from atom_backfill.jobs.postgres_renewals import PostgresRenewals
from atom_backfill.jobs.worker import Worker, WorkerOptions
from atom_backfill.mail.door import Limits
from atom_backfill.memory.lance import open_index
from atom_backfill.memory.ports import PassageIndex
from atom_backfill.sources.mbox.source import MboxSource
from atom_backfill.sources.ports import MailSource, RawItem
from fakes.embedder import HashEmbedder

NEWEST = datetime(2025, 11, 3, 8, 0, tzinfo=UTC)
PEOPLE = ("Ines Halloran", "Tomasz Reyl", "Mirja Salonen", "Odalys Brandt", "Kwame Adjei")
FOLDERS = ("Inbox", "Inbox", "Inbox", "Sent Items", "Projects/Atlas")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it was written: what record and memory must hold of it."""

    folder: str
    subject: str
    body: str
    sender: str
    recipient: str
    received_at: datetime | None

    def as_bytes(self) -> bytes:
        """The mail as it travels."""
        date = f"Date: {format_datetime(self.received_at)}\n" if self.received_at else ""
        head = f"From: {self.sender} <{address_of(self.sender)}>\nTo: {self.recipient} <{address_of(self.recipient)}>\n"
        ident = f"Message-ID: <{abs(hash_of(self.subject))}@lumen.example>\n"
        return f"{head}{date}{ident}Subject: {self.subject}\n\n{self.body}\n".encode()


def address_of(name: str) -> str:
    """The address that a person of these tests has."""
    return f"{name.split(maxsplit=1)[0].lower()}@lumen.example"


def hash_of(text: str) -> int:
    """A number that follows from a text alone."""
    return random.Random(text).getrandbits(48)


def some_mails(count: int, *, first: int = 0) -> list[Mail]:
    """Mails of a small office, one an hour and now and then several in one second."""
    mails = []
    for number in range(first, first + count):
        rng = random.Random(number)
        sender, recipient = rng.sample(PEOPLE, 2)
        words = " ".join(rng.choice(("pump", "valve", "lease", "draft", "ferry", "quote", "crane")) for _ in range(9))
        mails.append(
            Mail(
                folder=FOLDERS[number % len(FOLDERS)],
                subject=f"Order {number} about the {rng.choice(('harbour', 'workshop', 'depot'))}",
                body=f"Number {number} came in: {words}.\nPlease confirm by noon.",
                sender=sender,
                recipient=recipient,
                received_at=NEWEST - timedelta(hours=number - number % 7 if number % 3 else number),
            )
        )
    return mails


def write_mails(root: Path, mails: Sequence[Mail]) -> None:
    """Write mails as .eml files in folders, each named by its subject."""
    for mail in mails:
        path = root / mail.folder / f"{hash_of(mail.subject)}.eml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mail.as_bytes())


@dataclass
class Office:
    """One tenant with one mailbox of local files, and all that its main job needs."""

    database: Database
    tenant: TenantId
    account: AccountId
    source: MailSource
    memory: Path
    index: PassageIndex
    embedder: HashEmbedder
    reached: FaultPoint = no_faults
    store: JobStore | None = None
    lease_s: float = 20.0
    limits: Limits = field(default_factory=Limits)

    async def start(self, **about: Any) -> JobId:
        """Start a job."""
        control = Control(PostgresControl(self.database), self.tenant, uuid4)
        return await start(Request(account=self.account, **about), self.source, control, uuid4)

    async def work(self, stop: asyncio.Event | None = None, *, url: str = "", **about: Any) -> None:
        """Run a worker, until nothing is left to do unless it is told otherwise."""
        options = WorkerOptions(**({"name": f"w-{uuid4().hex[:4]}", "drain": True, "poll_s": 0.05} | about))
        renewals = PostgresRenewals(RenewalConnection(url or self.database.url, patience_s=2.0), lease_s=self.lease_s)
        clock = SystemClock()
        store = self.store or PostgresJobStore(self.database, lease_s=self.lease_s)
        with Heartbeat(renewals, clock, every_s=self.lease_s / 4, lease_s=self.lease_s) as heartbeat:
            handlers = {Lane.INGEST: ingest_handler(self.parts())}
            worker = Worker(store, handlers, heartbeat, asyncio.Event(), clock, random.Random(1), options)
            await worker.run(stop or asyncio.Event())

    def parts(self) -> Parts:
        """Put the parts together."""

        async def source(_: Lease) -> MailSource:
            return self.source

        async def memory(_: TenantId) -> PassageIndex:
            return self.index

        return Parts(
            ledger=PostgresLedger(self.database),
            source=source,
            read=self.read,
            memory=memory,
            embedder=self.embedder,
            clock=SystemClock(),
            reached=self.reached,
        )

    async def read(self, _: Lease, items: Sequence[RawItem]) -> list[Reading | SkipItemError]:
        """Read and clean in a thread instead of a child process: these mails are harmless."""
        return await asyncio.to_thread(lambda: [self._read(item) for item in items])

    def _read(self, item: RawItem) -> Reading | SkipItemError:
        try:
            return read_item(item, parse=parse_mime, limits=self.limits)
        except SkipItemError as error:
            return error


@asynccontextmanager
async def an_office(
    database: Database, tenant: TenantId, account: AccountId, root: Path, home: Path
) -> AsyncIterator[Office]:
    """Open the mailbox below `root`, with index and memory below `home`."""
    embedder = HashEmbedder()
    index = await open_index(str(home / "memory"), tenant, embedder.identity, embedder.dim)
    source = MboxSource(root, home / "cache", SystemClock())
    yield Office(database, tenant, account, source, home / "memory", index, embedder)


def passages(office: Office) -> list[dict[str, Any]]:
    """Read every row of a tenant's memory, but its vectors, past the product."""
    columns = ["id", "message_id", "subject", "text", "from_address", "generation", "received_at"]
    table = lancedb.connect(office.memory / str(office.tenant)).open_table("passages")
    rows: list[dict[str, Any]] = table.search().select(columns).limit(None).to_list()
    return rows


Rows = Callable[..., list[dict[str, Any]]]


def assert_all_there(rows: Rows, office: Office, mails: Sequence[Mail]) -> None:
    """Record = memory = source, row by row. `rows` reads the database, past every store."""
    stored = rows(
        "SELECT messages.*, body.text, folder.path FROM messages"
        " JOIN message_bodies body ON body.message_id = messages.id"
        " JOIN message_places place ON place.message_id = messages.id"
        " JOIN account_folders folder ON folder.account_id = place.account_id AND folder.folder_id = place.folder_id"
        " WHERE messages.tenant_id = %(t)s",
        t=office.tenant,
    )
    by_subject = {row["subject"]: row for row in stored}
    assert len(by_subject) == len(stored), "each mail is in the record once"
    assert by_subject.keys() == {mail.subject for mail in mails}
    for mail in mails:
        row = by_subject[mail.subject]
        assert row["text"].strip() == mail.body
        assert (row["from_address"], row["path"]) == (address_of(mail.sender), mail.folder)
        assert row["received_at"] == mail.received_at
        assert {(one["role"], one["address"]) for one in row["participants"]} >= {
            ("from", address_of(mail.sender)),
            ("to", address_of(mail.recipient)),
        }
    remembered = passages(office)
    assert len({row["id"] for row in remembered}) == len(remembered), "each passage is in the memory once"
    by_message: dict[UUID, list[dict[str, Any]]] = {}
    for passage in remembered:
        by_message.setdefault(UUID(str(passage["message_id"])), []).append(passage)
    assert by_message.keys() == {row["id"] for row in stored}
    for row in stored:
        found = by_message[row["id"]]
        assert len(found) == row["passages"]
        assert {passage["generation"] for passage in found} == {row["generation"]}
        assert {passage["subject"] for passage in found} == {row["subject"]}
        assert all(passage["text"] in row["text"] for passage in found)
