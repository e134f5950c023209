"""What sweepers find is repaired, counted and logged; in a healthy tenant they find nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from structlog.testing import capture_logs

from atom_backfill.app.core import App, Tenancy
from atom_backfill.app.keeping import sweepers, verify
from atom_backfill.jobs.duties import Duty
from atom_backfill.jobs.job import AccountId, JobId
from atom_backfill.memory.lance import LancePassages
from atom_backfill.metrics import Metrics
from atom_backfill.sources.accounts import MBOX, Connection
from atom_backfill.sources.ports import MailboxIdentity
from databases import FreshDatabase
from fakes.embedder import HashEmbedder
from integration.app.conftest import Opened
from mainjob import an_office, some_mails, write_mails
from passages import a_row

NOTHING = {f"atom_swept_total.{kind}": 0.0 for kind in ("missing", "foreign", "differs", "counters", "stuck")}


class Swept:
    """A tenant with a mailbox that was read, and its sweepers."""

    def __init__(self, app: App, tenancy: Tenancy, job: JobId, admin: psycopg.Connection) -> None:
        self.app, self.tenancy, self.job, self.admin = app, tenancy, job, admin
        self.metrics = Metrics()

    @property
    def duties(self) -> dict[str, Duty]:
        return {duty.name: duty for duty in sweepers(self.app, self.metrics)}

    async def sweep(self) -> dict[str, float]:
        """Do all duties once; returns what was counted so far."""
        for duty in self.duties.values():
            await duty.action()
        return {name: value for name, value in self.metrics.totals().items() if name in NOTHING}

    async def index(self) -> LancePassages:
        index = await self.app.memories.index(self.tenancy.id)
        assert isinstance(index, LancePassages)
        return index


@pytest.fixture
async def swept(opened: Opened, tmp_path: Path, fresh_database: FreshDatabase) -> AsyncIterator[Swept]:
    write_mails(tmp_path / "mail", some_mails(10))
    async with opened() as app:
        tenancy = await app.tenant()
        mailbox = MailboxIdentity("m", "ines@lumen.example")
        account = await tenancy.accounts.save(AccountId(uuid4()), Connection(MBOX, mailbox, {}, {}))
        async with an_office(app.database, tenancy.id, account, tmp_path / "mail", tmp_path / "home") as office:
            job = await office.start()
            await office.work()
            await app.memories.index(tenancy.id)
            with psycopg.connect(fresh_database.superuser_url, autocommit=True) as admin:
                yield Swept(app, tenancy, job, admin)


async def test_sweepers_find_nothing_where_all_is_well(swept: Swept) -> None:
    assert set(swept.duties) == {"sweep", f"sweep:{swept.tenancy.id}"}
    with capture_logs() as logs:
        assert await swept.sweep() == NOTHING
    assert logs == []


async def test_what_a_crash_left_and_what_is_missing_is_swept_from_the_memory(swept: Swept) -> None:
    index = await swept.index()
    await index.upsert([a_row(1)], await HashEmbedder().embed(["x"]))
    lost = [entry.id async for entries in index.entries() for entry in entries if entry.id != "p-1"][0]  # noqa: RUF015
    await (await index._latest()).delete(f"id = '{lost}'")
    with capture_logs() as logs:
        counted = await swept.sweep()
    assert counted == NOTHING | {"atom_swept_total.foreign": 1.0, "atom_swept_total.missing": 1.0}
    assert [(log["event"], log["foreign"], log["missing"]) for log in logs] == [("swept", 1, 1)]
    ids = {entry.id async for entries in index.entries() for entry in entries}
    assert (len(ids), lost in ids, "p-1" in ids) == (10, True, False)


async def test_counters_that_differ_from_counts_are_counted_anew(swept: Swept) -> None:
    before = await swept.tenancy.jobs.job(swept.job)
    swept.admin.execute(
        "UPDATE historical_sync_jobs SET records_processed = 3, entities_extracted = entities_extracted + 1,"
        " relationships_extracted = 0"
    )
    assert await swept.sweep() == NOTHING | {"atom_swept_total.counters": 1.0}
    assert await swept.tenancy.jobs.job(swept.job) == before


async def test_a_job_without_a_chunk_that_is_left_ends(swept: Swept) -> None:
    swept.admin.execute("UPDATE historical_sync_jobs SET status = 'running', completed_at = NULL")
    assert await swept.sweep() == NOTHING | {"atom_swept_total.stuck": 1.0}
    assert (await swept.tenancy.jobs.job(swept.job))["status"] == "completed"
    assert await swept.sweep() == NOTHING | {"atom_swept_total.stuck": 1.0}, "and is not found again"


async def test_a_chunk_that_no_claim_would_look_at_is_claimed_again(swept: Swept) -> None:
    await swept.tenancy.control.retry(swept.job)
    assert await swept.sweep() == NOTHING
    swept.admin.execute("DELETE FROM job_turns")
    assert await swept.sweep() == NOTHING | {"atom_swept_total.stuck": 1.0}
    turns = swept.admin.execute("SELECT job_id FROM job_turns").fetchall()
    assert turns == [(swept.job,)]


async def test_verify_with_repair_sweeps_at_once(swept: Swept) -> None:
    swept.admin.execute("UPDATE historical_sync_jobs SET records_processed = 3, status = 'running'")
    assert "swept" not in await verify(swept.tenancy, repair=False)
    assert (await verify(swept.tenancy, repair=True))["swept"] == {"counters": 1, "stuck": 1}
    assert (await verify(swept.tenancy, repair=True))["swept"] == {"counters": 0, "stuck": 0}
