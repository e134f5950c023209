"""The whole tenant's ledger, and what becomes of the answers when the memory has lost what the record has."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lancedb
import pytest

from atom_backfill.app.checks import Check, examine
from atom_backfill.app.core import Tenancy
from atom_backfill.app.ledger import Fetching, balance
from atom_backfill.app.outside import Outside
from atom_backfill.errors import RefusedError
from atom_backfill.jobs.job import AccountId
from atom_backfill.search.query import Question
from atom_backfill.sources.accounts import MBOX, Account, Connection
from atom_backfill.sources.ports import MailboxIdentity, MailSource
from fakes.embedder import HashEmbedder
from integration.app.conftest import Opened
from mainjob import Mail, Office, an_office, some_mails, write_mails

QUOTED = "> Number 7 came in.\n> Please confirm by noon."
"""All of a mail's text, none of it its own: it is remembered by subject and header, and has no passage."""
MAILS = [*some_mails(8), *(replace(mail, body=QUOTED) for mail in some_mails(4, first=8))]
Reading = Callable[[], AbstractAsyncContextManager[tuple[Office, Tenancy]]]


@pytest.fixture
def reading(opened: Opened, tmp_path: Path) -> Reading:
    """Open the product on a mailbox, as a new process would."""
    write_mails(tmp_path / "mail", MAILS)

    @asynccontextmanager
    async def another() -> AsyncIterator[tuple[Office, Tenancy]]:
        async with opened() as app:
            tenancy = await app.tenant()
            mailbox = MailboxIdentity(str(tmp_path / "mail"), "ines@lumen.example")
            account = await tenancy.accounts.save(AccountId(app.outside.new_id()), Connection(MBOX, mailbox, {}, {}))
            async with an_office(app.database, tenancy.id, account, tmp_path / "mail", tmp_path / "home") as office:
                yield office, tenancy

    return another


async def ledger(office: Office, tenancy: Tenancy, fetch: Fetching | None = None) -> dict[str, Any]:
    async def opened(_: Account) -> MailSource:
        return office.source

    return await balance(tenancy, await tenancy.accounts.list(), opened, fetch)


async def found(tenancy: Tenancy, text: str = "harbour") -> dict[str, Any]:
    return (await (await tenancy.searcher()).search(Question(text))).document()


async def memory_check(tenancy: Tenancy) -> Check:
    settings = replace(tenancy.app.settings, graph_base_url="http://127.0.0.1:9", login_base_url="http://127.0.0.1:9")
    checks = await examine(settings, Outside(embedder=HashEmbedder()))
    return next(check for check in checks if check.name == "memory")


def dataset(office: Office) -> Path:
    return office.memory / str(office.tenant) / "passages.lance"


def rows_of_memory(office: Office, clause: str) -> None:
    """Delete rows past the product."""
    lancedb.connect(office.memory / str(office.tenant)).open_table("passages").delete(clause)


async def test_a_mailbox_that_was_read_balances_with_record_and_memory(reading: Reading) -> None:
    async with reading() as (office, tenancy):
        await office.start()
        await office.work()
        whole = await ledger(office, tenancy)
        assert whole["balanced"]
        assert whole["memory"]["messages"] == whole["memory"]["with_passages"] == len(MAILS)
        assert (await found(tenancy))["coverage"]["missing"] == 0
        assert (await memory_check(tenancy)).status == "ok"


@pytest.mark.parametrize("with_text", [True, False])
async def test_a_message_that_the_memory_has_lost_unbalances_it(reading: Reading, with_text: bool) -> None:
    async with reading() as (office, tenancy):
        await office.start()
        await office.work()
        lost = next(mail for mail in MAILS if (mail.body != QUOTED) == with_text)
        rows_of_memory(office, f"subject = '{lost.subject}'")
        short = await ledger(office, tenancy)
        assert not short["balanced"]
        assert short["memory"]["with_passages"] == short["memory"]["messages"] - 1
        coverage = (await found(tenancy))["coverage"]
        assert (coverage["complete"], coverage["missing"]) == (False, 1)


async def test_a_passage_that_the_memory_has_lost_unbalances_it(reading: Reading, tmp_path: Path) -> None:
    long = replace(MAILS[0], subject="Long", body="\n\n".join(f"The crane of berth {n} creaks." * 9 for n in range(40)))
    write_mails(tmp_path / "mail", [long])
    async with reading() as (office, tenancy):
        await office.start()
        await office.work()
        assert (await ledger(office, tenancy))["balanced"]
        rows_of_memory(office, "seq = 2")
        assert not (await ledger(office, tenancy))["balanced"]


async def test_a_dataset_that_was_deleted_between_runs_is_noticed_until_it_is_whole_again(reading: Reading) -> None:
    async with reading() as (office, tenancy):
        await office.start()
        await office.work()
        shutil.rmtree(dataset(office))
    async with reading() as (office, tenancy):
        check = await memory_check(tenancy)
        assert (check.status, "`rebuild`" in check.fix) == ("fail", True)
        answer = await found(tenancy)
        assert (answer["results"], answer["coverage"]["complete"]) == ([], False)
        assert answer["coverage"]["missing"] == len(MAILS)
        assert not (await ledger(office, tenancy))["balanced"]
        await office.start(again=True)
        await office.work()
        assert (await found(tenancy))["coverage"]["complete"]
        assert (await ledger(office, tenancy))["balanced"]
        assert (await memory_check(tenancy)).status == "ok"


async def test_what_another_account_has_lost_does_not_count_where_one_is_asked_for(
    reading: Reading, tmp_path: Path
) -> None:
    async with reading() as (office, tenancy):
        await office.start()
        await office.work()
        other = await tenancy.accounts.save(
            AccountId(tenancy.app.outside.new_id()),
            Connection(MBOX, MailboxIdentity("other", "tomasz@lumen.example"), {}, {}),
        )
        write_mails(tmp_path / "other", [Mail("Inbox", "Harbour", "Dues.", "Kwame", "Ines", MAILS[0].received_at)])
        home = tmp_path / "home"
        async with an_office(office.database, tenancy.id, other, tmp_path / "other", home) as second:
            await second.start()
            await second.work()
        rows_of_memory(office, f"account_id = '{other}'")
        searcher = await tenancy.searcher()
        coverage = {
            account: (await searcher.search(Question("harbour", account))).coverage
            for account in (office.account, other, None)
        }
        assert {account: (each.complete, each.missing) for account, each in coverage.items()} == {
            office.account: (True, 0),
            other: (False, 1),
            None: (False, 1),
        }


@pytest.mark.parametrize("at_once", [2, 200])
async def test_what_is_missing_is_fetched_as_chunks_of_the_latest_job(
    reading: Reading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Mail that was put into the mailbox with an old date after the job had walked it."""
    monkeypatch.setattr("atom_backfill.app.ledger.PLACES_A_CHUNK", at_once)
    async with reading() as (office, tenancy):
        job = await office.start()
        await office.work()
        write_mails(tmp_path / "mail", some_mails(5, first=40))
        fetching = Fetching(tenancy)
        short = await ledger(office, tenancy, fetching)
        assert (short["balanced"], fetching.places) == (False, 5)
        assert sum(folder["difference"] for folder in short["folders"]) == 5
        waiting = asyncio.create_task(fetching.done())
        await office.work()
        await asyncio.wait_for(waiting, 30)
        whole = await ledger(office, tenancy)
        assert whole["balanced"]
        assert whole["memory"]["with_passages"] == len(MAILS) + 5
        after = await tenancy.jobs.job(job)
        assert (after["status"], after["records_processed"], after["failures"]) == ("completed", len(MAILS) + 5, 0)
        assert after["ingest"]["messages_done"] == len(MAILS) + 5


async def test_what_has_left_the_mailbox_before_it_is_fetched_is_not_missing(reading: Reading, tmp_path: Path) -> None:
    async with reading() as (office, tenancy):
        job = await office.start()
        await office.work()
        write_mails(tmp_path / "late", some_mails(1, first=40))
        shutil.copytree(tmp_path / "late", tmp_path / "mail", dirs_exist_ok=True)
        fetching = Fetching(tenancy)
        await ledger(office, tenancy, fetching)
        for path in (tmp_path / "late").rglob("*.eml"):
            (tmp_path / "mail" / path.relative_to(tmp_path / "late")).unlink()
        await office.work()
        await fetching.done()
        assert (await ledger(office, tenancy))["balanced"]
        assert (await tenancy.jobs.job(job))["failures"] == 0


async def test_nothing_is_fetched_beside_a_job_that_may_read_it(reading: Reading) -> None:
    async with reading() as (office, tenancy):
        job = await office.start()
        for refused, change in (("let it finish", tenancy.control.pause), ("`resume`", tenancy.control.cancel)):
            with pytest.raises(RefusedError, match=refused):
                await ledger(office, tenancy, Fetching(tenancy))
            await change(job)
        with pytest.raises(RefusedError, match="`start`"):
            await ledger(office, tenancy, Fetching(tenancy))
