"""The graph lane on stored mail, put together from the rooms themselves: real database, a simulated model over HTTP."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from atom_backfill.access.keys import ModelKey
from atom_backfill.access.postgres import PostgresKeys
from atom_backfill.access.vault import Vault
from atom_backfill.app.models import open_chat
from atom_backfill.backfill.extract import extract_handler
from atom_backfill.backfill.lane import LaneParts
from atom_backfill.backfill.ports import FaultPoint, no_faults
from atom_backfill.backfill.postgres_lane import PostgresLane
from atom_backfill.clock import Clock, SystemClock
from atom_backfill.db.renewal import RenewalConnection
from atom_backfill.jobs.control import Control
from atom_backfill.jobs.heartbeat import Heartbeat
from atom_backfill.jobs.job import GRAPH_KEY, AccountId, Done, GraphStatus, JobId, Lane, TenantId
from atom_backfill.jobs.postgres import PostgresControl, PostgresJobStore
from atom_backfill.jobs.postgres_lanes import key_has_changed
from atom_backfill.jobs.postgres_renewals import PostgresRenewals
from atom_backfill.jobs.worker import Worker, WorkerOptions
from atom_backfill.llm.chat import OpenAIChat
from atom_backfill.llm.prices import Price
from fakes.hurried_clock import HurriedClock
from worlds import World

FIRST = datetime(2025, 3, 3, 8, 0, tzinfo=UTC)
PEOPLE = ("Ines Halloran", "Tomasz Reyl", "Mirja Salonen", "Kwame Adjei")
WORDS = ("Halden", "Brevik", "Osprey", "Tavira", "Lomond", "Kestrel", "Arbroath", "Sorrel", "Mirefoot", "Quillan")


def a_text(number: int, words: int = 40) -> str:
    """New text of a mail that no other has."""
    rng = random.Random(number)
    said = [rng.choice((*WORDS, "pump", "valve", "lease", "draft", "ferry", "quote")) for _ in range(words)]
    return f"About order {number} we spoke with {rng.choice(WORDS)} Limited. " + " ".join(said) + "."


@dataclass
class GraphOffice:
    """A tenant with stored mail, whose graph lane is worked on."""

    world: World
    tenant: TenantId
    account: AccountId
    job: JobId
    reached: FaultPoint = no_faults
    prices: dict[str, Price] = field(default_factory=dict)
    cap_usd: Decimal | None = None
    calls: int = 8
    clock: Clock = field(default_factory=HurriedClock)

    @property
    def control(self) -> Control:
        return Control(PostgresControl(self.world.database), self.tenant, uuid4)

    @property
    def keys(self) -> PostgresKeys:
        return PostgresKeys(self.world.database, self.tenant, lambda: Vault([bytes(32)]), key_has_changed)

    async def set_key(self, url: str, value: str = "sk-good", model: str = "gpt-4o-mini") -> ModelKey:
        """Give the tenant a key for a simulated model."""
        return await self.keys.save(GRAPH_KEY, value, f"{url}/v1", model)

    def parts(self) -> LaneParts:
        """Put the handler's parts together."""

        def chat(key: ModelKey, value: str) -> AbstractAsyncContextManager[OpenAIChat]:
            return open_chat(key, value, SystemClock())

        return LaneParts(
            ledger=PostgresLane(self.world.database, lambda _: self.keys),
            open_chat=chat,
            prices=self.prices,
            cap_usd=self.cap_usd,
            calls=self.calls,
            room=asyncio.Semaphore(self.calls),
            clock=self.clock,
            new_id=uuid4,
            reached=self.reached,
        )

    async def work(self, stop: asyncio.Event | None = None, **about: Any) -> None:
        """Be a worker of the graph lane until nothing is left to do."""
        options = WorkerOptions(
            **({"name": f"w-{uuid4().hex[:4]}", "lanes": (Lane.GRAPH,), "drain": True, "poll_s": 0.05} | about)
        )
        renewals = PostgresRenewals(RenewalConnection(self.world.database.url, patience_s=2.0))
        clock = SystemClock()
        store = PostgresJobStore(self.world.database)
        with Heartbeat(renewals, clock) as heartbeat:
            handlers = {Lane.GRAPH: extract_handler(self.parts())}
            worker = Worker(store, handlers, heartbeat, asyncio.Event(), clock, random.Random(1), options)
            async with asyncio.timeout(60):
                await worker.run(stop or asyncio.Event())

    @property
    def row(self) -> dict[str, Any]:
        """The job's row with its lane's."""
        return self.world.one(
            "SELECT job.*, lane.units_total, lane.units_done, lane.percent, lane.calls, lane.input_tokens,"
            " lane.output_tokens, lane.usd, lane.usd_reserved, lane.unpriced FROM historical_sync_jobs job"
            " JOIN graph_lanes lane ON lane.job_id = job.id WHERE job.id = %(j)s",
            j=self.job,
        )

    def units(self) -> list[dict[str, Any]]:
        """The job's units."""
        return self.world.rows("SELECT * FROM graph_units WHERE job_id = %(j)s ORDER BY latest_at, ordinal", j=self.job)

    def states(self) -> dict[str, int]:
        """How many units are in which state."""
        found: dict[str, int] = {}
        for unit in self.units():
            found[unit["state"]] = found.get(unit["state"], 0) + 1
        return found

    def calls_made(self) -> list[dict[str, Any]]:
        """The ledger's calls."""
        return self.world.rows("SELECT * FROM graph_calls WHERE job_id = %(j)s ORDER BY created_at", j=self.job)

    def assert_counted(self) -> None:
        """Counters equal counts over the tables, and money adds up."""
        row = self.row
        counted = self.world.one(
            "SELECT count(node_id) AS nodes, count(edge_id) AS edges FROM graph_evidence WHERE job_id = %(j)s",
            j=self.job,
        )
        assert (row["entities_extracted"], row["relationships_extracted"]) == (counted["nodes"], counted["edges"])
        units = [unit for unit in self.units() if unit["state"] != "split"]
        ended = [unit for unit in units if unit["state"] not in ("queued", "running")]
        assert (row["units_total"], row["units_done"]) == (len(units), len(ended))
        calls = self.calls_made()
        assert row["calls"] == len(calls)
        assert row["usd"] == sum((call["usd"] or Decimal(0) for call in calls if call["state"] != "open"), Decimal(0))
        held = [call["usd_reserved"] or Decimal(0) for call in calls if call["state"] == "open"]
        assert row["usd_reserved"] == sum(held, Decimal(0))
        purse = self.world.one("SELECT * FROM graph_spending WHERE tenant_id = %(t)s", t=self.tenant)
        assert (purse["usd"], purse["usd_reserved"]) == (row["usd"], row["usd_reserved"])


async def an_office(world: World, texts: Iterable[str | Sequence[str]], **about: Any) -> GraphOffice:
    """Make a tenant whose mailbox has been read: a thread for each text, or of several texts."""
    tenant = await world.tenant()
    account = world.account(tenant)
    fields: dict[str, Any] = {"graph_status": GraphStatus.WAITING_FOR_KEY} | about
    job = await world.job(tenant, account, 1, **fields)
    await world.store.settle(await world.claim(), Done())
    office = GraphOffice(world, tenant, account, job)
    number = 0
    for place, said in enumerate(texts):
        thread = uuid4()
        for text in [said] if isinstance(said, str) else said:
            store_mail(office, number, thread, text, f"Re: Matter {place}")
            number += 1
    return office


def store_mail(office: GraphOffice, number: int, thread: UUID, text: str, subject: str, **about: Any) -> UUID:
    """Put a mail into the record."""
    message, sender = uuid4(), PEOPLE[number % len(PEOPLE)]
    reader = PEOPLE[(number + 1) % len(PEOPLE)]
    named = (("from", sender), ("to", reader))
    people = [{"role": role, "name": name, "address": _address(name)} for role, name in named]
    values = {
        "t": office.tenant, "id": message, "a": office.account, "j": office.job, "n": str(number), "thread": thread,
        "subject": subject, "at": FIRST + timedelta(hours=number), "bulk": False, "text": text,
        "people": json.dumps(people), "segments": json.dumps([["new", 0, len(text)]]),
    } | about  # fmt: skip
    office.world.run(
        "INSERT INTO messages (tenant_id, id, account_id, first_job_id, last_job_id, source_id, internet_message_id,"
        " conversation_id, thread_id, subject, received_at, from_name, from_address, participants, kind, bulk, machine,"
        " is_draft, has_attachments, attachments, importance, web_link, change_key, content_hash, generation, passages,"
        " notes) VALUES (%(t)s, %(id)s, %(a)s, %(j)s, %(j)s, %(n)s, %(n)s, '', %(thread)s, %(subject)s, %(at)s, '', '',"
        " %(people)s::jsonb, 'message', %(bulk)s, false, false, false, '[]', 'normal', '', '', md5(%(text)s), 'g', 1,"
        " '{}')",
        **values,
    )
    office.world.run(
        "INSERT INTO message_bodies VALUES (%(t)s, %(id)s, %(text)s, 1, %(segments)s::jsonb, 'text', '')", **values
    )
    return message


def _address(name: str) -> str:
    return f"{name.split(maxsplit=1)[0].lower()}@lumen.example"
