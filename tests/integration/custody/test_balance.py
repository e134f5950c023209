"""The ledger: what lies at the source is walked, never counted from our own tables; what nothing explains is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from atom_backfill.custody.balance import REASONS, Line, balance_account
from atom_backfill.custody.postgres import PostgresBalance
from atom_backfill.errors import RetryLaterError
from atom_backfill.identity import message_id
from atom_backfill.jobs.job import AccountId, JobId, TenantId
from graph_world import Json, a_folder, a_graph_message, graph_world, outlook, write_mailbox
from mainjob import NEWEST, Office, an_office, some_mails, write_mails
from worlds import World

MAILS = some_mails(40)
SINCE = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def office(world: World, tmp_path: Path) -> AsyncIterator[Office]:
    write_mails(tmp_path / "mail", MAILS)
    tenant = await world.tenant()
    async with an_office(world.database, tenant, world.account(tenant), tmp_path / "mail", tmp_path) as office:
        yield office


async def ledger_of(office: Office) -> dict[str, Line]:
    record = PostgresBalance(office.database, office.tenant)
    return {line.folder: line for line in await balance_account(office.source, record, office.account)}


def excluded(line: Line) -> dict[str, int]:
    assert tuple(line.excluded) == REASONS
    return {reason: count for reason, count in line.excluded.items() if count}


def at_source(folder: str) -> int:
    return sum(mail.folder == folder for mail in MAILS)


async def test_a_mailbox_that_was_read_balances_folder_by_folder(office: Office) -> None:
    await office.start()
    await office.work()
    ledger = await ledger_of(office)
    assert ledger.keys() == {"Inbox", "Sent Items", "Projects/Atlas"}
    for folder, line in ledger.items():
        assert (line.at_source, line.stored, line.failed, line.difference) == (
            at_source(folder),
            at_source(folder),
            0,
            0,
        )
        assert excluded(line) == {}


async def test_a_row_that_is_gone_from_the_record_is_a_difference(office: Office, world: World) -> None:
    await office.start()
    await office.work()
    lost = next(mail for mail in MAILS if mail.folder == "Inbox")
    assert world.run("DELETE FROM messages WHERE subject = %(subject)s", subject=lost.subject) == 1
    ledger = await ledger_of(office)
    assert {folder: line.difference for folder, line in ledger.items() if line.difference} == {"Inbox": 1}


async def test_what_lies_at_the_source_is_never_taken_from_our_own_tables(office: Office, world: World) -> None:
    await office.start()
    await office.work()
    for table in ("messages", "account_folders", "sync_chunks"):
        world.run(f"DELETE FROM {table} WHERE tenant_id = %(t)s", t=office.tenant)  # type: ignore[arg-type]
    ledger = await ledger_of(office)
    assert {folder: (line.at_source, line.difference) for folder, line in ledger.items()} == {
        folder: (at_source(folder), at_source(folder)) for folder in ("Inbox", "Sent Items", "Projects/Atlas")
    }


async def test_mail_that_could_not_be_read_counts_as_failed(office: Office, tmp_path: Path) -> None:
    (tmp_path / "mail" / "Inbox" / "empty.eml").write_bytes(b"\n\n")
    await office.start()
    await office.work()
    line = (await ledger_of(office))["Inbox"]
    assert (line.stored, line.failed, line.difference) == (at_source("Inbox"), 1, 0)


async def test_mail_outside_every_job_s_range_is_out_of_range(office: Office) -> None:
    await office.start(since=NEWEST - timedelta(hours=20), until=NEWEST - timedelta(hours=5))
    await office.work()
    ledger = await ledger_of(office)
    assert all(line.difference == 0 for line in ledger.values())
    assert sum(line.stored for line in ledger.values()) == sum(
        NEWEST - timedelta(hours=20) <= (mail.received_at or NEWEST) < NEWEST - timedelta(hours=5) for mail in MAILS
    )
    assert excluded(ledger["Inbox"]).keys() == {"out_of_range"}, "newer than the range, not than the job"


async def test_folders_that_no_job_read_are_excluded_with_all_their_mail(office: Office) -> None:
    await office.start(folders=("Inbox",))
    await office.work()
    ledger = await ledger_of(office)
    assert ledger["Inbox"].stored == at_source("Inbox")
    assert excluded(ledger["Sent Items"]) == {"folder_excluded": at_source("Sent Items")}
    assert all(line.difference == 0 for line in ledger.values())


async def test_a_mailbox_that_was_never_started_has_everything_out_of_range(office: Office) -> None:
    ledger = await ledger_of(office)
    assert {folder: excluded(line) for folder, line in ledger.items()} == {
        folder: {"out_of_range": at_source(folder)} for folder in ("Inbox", "Sent Items", "Projects/Atlas")
    }


async def test_a_job_that_is_still_to_do_leaves_a_difference(office: Office) -> None:
    await office.start()
    assert (await ledger_of(office))["Inbox"].difference == at_source("Inbox")


async def test_the_same_content_twice_is_one_message_and_one_duplicate(office: Office, tmp_path: Path) -> None:
    mail = next(mail for mail in MAILS if mail.folder == "Inbox")
    copies = tmp_path / "mail" / "Projects" / "Atlas"
    for number in range(3):
        (copies / f"copy-{number}.eml").write_bytes(mail.as_bytes())
    await office.start()
    await office.work()
    ledger = await ledger_of(office)
    atlas = ledger["Projects/Atlas"]
    assert atlas.at_source == at_source("Projects/Atlas") + 3
    assert sum(line.excluded["duplicate"] for line in ledger.values()) == 3
    assert all(line.difference == 0 for line in ledger.values())


async def test_a_duplicate_of_mail_that_is_missing_is_missing_too(office: Office, world: World, tmp_path: Path) -> None:
    mail = next(mail for mail in MAILS if mail.folder == "Inbox")
    (tmp_path / "mail" / "Projects" / "Atlas" / "copy.eml").write_bytes(mail.as_bytes())
    await office.start()
    await office.work()
    world.run("DELETE FROM messages WHERE subject = %(subject)s", subject=mail.subject)
    ledger = await ledger_of(office)
    assert {folder: line.difference for folder, line in ledger.items()} == {
        "Inbox": 1,
        "Projects/Atlas": 1,
        "Sent Items": 0,
    }


async def test_another_account_s_rows_explain_nothing(office: Office, world: World) -> None:
    await office.start()
    await office.work()
    other = world.account(office.tenant, "other@lumen.example")
    record = PostgresBalance(office.database, office.tenant)
    lines = await balance_account(office.source, record, other)
    assert sum(line.stored for line in lines) == 0


# Outlook, with its faults -----------------------------------------------------------------------------------------


async def walked(
    world: World, tmp_path: Path, messages: list[Json], folders: list[Json], *faults: Json
) -> dict[str, Line]:
    """The ledger of a mailbox of which nothing was read yet, although a job was to read all of it."""
    tenant = await world.tenant()
    account = world.account(tenant, "ines@example.com", kind="outlook")
    await world.job(tenant, account, start=None, end=datetime(2027, 1, 1, tzinfo=UTC))
    write_mailbox(tmp_path, messages, folders)
    record = PostgresBalance(world.database, tenant)
    async with graph_world(tmp_path, faults=faults) as graph, outlook(graph) as mailbox:
        return {line.folder: line for line in await balance_account(mailbox.source, record, account)}


def some_messages(folder: Json, count: int, *, every: timedelta = timedelta(minutes=1)) -> list[Json]:
    return [a_graph_message(folder, receivedDateTime=f"{SINCE + n * every:%Y-%m-%dT%H:%M:%SZ}") for n in range(count)]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost_next", "at": [1]},
        {"kind": "loop_next", "at": [2]},
        {"kind": "dup", "every": 2},
        {"kind": "empty_page", "at": [1]},
        {"kind": "evil_next", "at": [1]},
    ],
    ids=lambda fault: fault["kind"],
)
async def test_a_walk_counts_each_mail_once_whatever_the_links_do(world: World, tmp_path: Path, fault: Json) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    messages = [*some_messages(inbox, 1200), *some_messages(inbox, 300, every=timedelta(0))]
    ledger = await walked(world, tmp_path, messages, [inbox], {"on": "messages", **fault})
    assert (ledger["Inbox"].at_source, ledger["Inbox"].difference) == (1500, 1500)


async def test_mail_without_a_date_is_counted_and_cannot_be_left_out(world: World, tmp_path: Path) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    messages = [*some_messages(inbox, 3), a_graph_message(inbox, receivedDateTime=None)]
    ledger = await walked(world, tmp_path, messages, [inbox])
    assert (ledger["Inbox"].at_source, ledger["Inbox"].difference) == (4, 4)


async def test_saved_searches_are_left_out_and_hidden_folders_are_shown(world: World, tmp_path: Path) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    hidden = a_folder("Settings", isHidden=True)
    search = a_folder(
        "Unread", **{"@odata.type": "#microsoft.graph.mailSearchFolder", "filterQuery": "isRead eq false"},
        sourceFolderIds=[inbox["id"]], includeNestedFolders=False, isSupported=True,
    )  # fmt: skip
    ledger = await walked(
        world, tmp_path, [*some_messages(inbox, 2), *some_messages(hidden, 1)], [inbox, hidden, search]
    )
    assert {folder: line.at_source for folder, line in ledger.items() if line.at_source} == {"Inbox": 2, "Settings": 1}
    assert "Unread" not in ledger


async def test_drafts_junk_and_deleted_mail_are_left_out_for_a_reason(world: World, tmp_path: Path) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    drafts, junk, deleted = (
        a_folder(name, wellKnownName=name.lower().replace(" ", ""))
        for name in ("Drafts", "Junk Email", "Deleted Items")
    )
    below = a_folder("Old", parent=deleted["id"])
    messages = [
        a_graph_message(inbox, isDraft=True),
        a_graph_message(drafts, isDraft=True),
        a_graph_message(junk),
        a_graph_message(deleted),
        a_graph_message(below),
    ]
    ledger = await walked(world, tmp_path, messages, [inbox, drafts, junk, deleted, below])
    assert {folder: excluded(line) for folder, line in ledger.items()} == {
        "Inbox": {"draft": 1},
        "Drafts": {"folder_excluded": 1},
        "Junk Email": {"folder_excluded": 1},
        "Deleted Items": {"folder_excluded": 1},
        "Deleted Items/Old": {"folder_excluded": 1},
    }


async def test_mail_newer_than_the_newest_job_came_after_it(world: World, tmp_path: Path) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    messages = [a_graph_message(inbox, receivedDateTime="2027-01-01T00:00:00Z")]
    ledger = await walked(world, tmp_path, messages, [inbox])
    assert excluded(ledger["Inbox"]) == {"after_backfill": 1}


async def test_stored_and_failed_mail_is_told_apart_by_its_source_id(world: World, tmp_path: Path) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    messages = some_messages(inbox, 3)
    tenant = await world.tenant()
    account = world.account(tenant, "ines@example.com", kind="outlook")
    job = await world.job(tenant, account, start=None, end=datetime(2027, 1, 1, tzinfo=UTC))
    put_message(world, tenant, account, job, messages[0]["id"])
    put_failure(world, tenant, account, job, messages[1]["id"])
    write_mailbox(tmp_path, messages, [inbox])
    async with graph_world(tmp_path) as graph, outlook(graph) as mailbox:
        lines = await balance_account(mailbox.source, PostgresBalance(world.database, tenant), account)
    assert [(line.at_source, line.stored, line.failed, line.difference) for line in lines] == [(3, 1, 1, 1)]


async def test_a_mailbox_that_cannot_be_asked_gives_no_ledger(world: World, tmp_path: Path) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    with pytest.raises(RetryLaterError):
        await walked(world, tmp_path, some_messages(inbox, 3), [inbox], {"on": "messages", "kind": "503", "every": 1})


def put_message(world: World, tenant: TenantId, account: AccountId, job: JobId, source_id: str) -> None:
    world.run(
        "INSERT INTO messages (tenant_id, id, account_id, first_job_id, last_job_id, source_id, internet_message_id,"
        " conversation_id, thread_id, subject, from_name, from_address, participants, kind, bulk, machine, is_draft,"
        " has_attachments, attachments, importance, web_link, change_key, content_hash, generation, passages, notes)"
        " VALUES (%(t)s, %(id)s, %(a)s, %(j)s, %(j)s, %(source)s, '', '', %(id)s, '', '', '', '[]', 'message', false,"
        " false, false, false, '[]', '', '', '', '', 'g', 0, '{}')",
        t=tenant, id=message_id(account, source_id), a=account, j=job, source=source_id,
    )  # fmt: skip


def put_failure(world: World, tenant: TenantId, account: AccountId, job: JobId, source_id: str) -> None:
    world.run(
        "INSERT INTO failures (tenant_id, id, account_id, job_id, source_id, message_id, stage, error_code, error)"
        " VALUES (%(t)s, %(id)s, %(a)s, %(j)s, %(source)s, %(id)s, 'fetch', 'gone', 'Gone.')",
        t=tenant, id=uuid4(), a=account, j=job, source=source_id,
    )  # fmt: skip
