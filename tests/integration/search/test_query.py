"""Searching what was read: filters, folders, copies, threads, coverage; only what the record knows is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from atom_backfill.archive.postgres import PostgresArchive
from atom_backfill.errors import NotFoundError, UsageError
from atom_backfill.memory.ports import Embedder
from atom_backfill.search.postgres import PostgresReach
from atom_backfill.search.query import MOST_RESULTS, Answer, Question, Searcher
from copies import Copy, Original, an_original
from databases import TestServer
from mainjob import Office, an_office
from worlds import World

DAY = timedelta(days=1)
FIRST = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)


def a_mail(root: Path, folder: str, number: int, subject: str, body: str, **about: str) -> None:
    """Write mail `number`: a day after the one before it."""
    headers = {
        "From": "Ines Halloran <ines@lumen.example>",
        "To": "Tomasz Reyl <tomasz@lumen.example>",
        "Date": format_datetime(FIRST + number * DAY),
        "Message-ID": f"<m-{number}@lumen.example>",
        "Subject": subject,
        **{name.replace("_", "-"): value for name, value in about.items()},
    }
    path = root / folder / f"{number}.eml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}: {value}\n" for name, value in headers.items()) + f"\n{body}\n")


def six_mails(root: Path) -> None:
    """Write six mails; the last two are one mail, in two folders."""
    a_mail(root, "Inbox", 0, "Workshop lease", "The lease for the workshop costs 4,200 a month.")
    a_mail(root, "Inbox", 1, "Re: Workshop lease", "I have signed the lease.", In_Reply_To="<m-0@lumen.example>")
    a_mail(root, "Projects/Atlas", 2, "Pump tests", "The pump leaks at nine bar.", From="Mirja <mirja@lumen.example>")
    a_mail(root, "Projects/Atlas/Old", 3, "Pump order", "We ordered the pump in spring.", To="kwame@lumen.example")
    body = "The pump leaks at nine bar, says"
    a_mail(root, "Archive", 4, "Pump tests", f"{body} the log.", Message_ID="<copy@lumen.example>")
    a_mail(root, "Sent Items", 4, "Pump tests", f"{body} it.", Message_ID="<copy@lumen.example>")


@pytest.fixture(scope="module")
def original(postgres: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    """The six mails, read."""
    place = tmp_path_factory.mktemp("read")
    six_mails(place / "mail")
    with an_original(postgres, place) as original:
        yield original


@pytest.fixture
def office(copy: Copy) -> Office:
    """An office that has read the six mails."""
    return copy.office


@pytest.fixture
def world(copy: Copy) -> World:
    """The office's database."""
    return copy.world


def searcher(office: Office) -> Searcher:
    async def embedder() -> Embedder:
        return office.embedder

    archive = PostgresArchive(office.database, office.tenant)
    return Searcher(archive, PostgresReach(office.database, office.tenant), office.index, embedder, lambda: 0.0)


async def ask(office: Office, text: str, **about: Any) -> list[dict[str, Any]]:
    return list((await answer(office, text, **about)).results)


async def answer(office: Office, text: str, **about: Any) -> Answer:
    return await searcher(office).search(Question(text, **about))


async def subjects(office: Office, text: str, **about: Any) -> set[str]:
    return {result["subject"] for result in await ask(office, text, **about)}


async def test_a_result_tells_which_mail_it_is_and_why_it_was_found(office: Office) -> None:
    best = (await ask(office, "what does the lease cost a month"))[0]
    assert best["subject"] == "Workshop lease"
    assert (best["from"], best["from_name"]) == ("ines@lumen.example", "Ines Halloran")
    assert (best["received_at"], best["folders"]) == (FIRST, ["Inbox"])
    assert "4,200 a month" in best["snippet"]
    assert best["why"] == {"semantic_rank": 1, "text_rank": 1}
    assert best["account_id"] == office.account
    assert best["source_id"].startswith("eml-")


FILTERS: list[tuple[dict[str, Any], set[int]]] = [
    ({"from_address": "MIRJA@lumen.example"}, {2}),
    ({"to_address": "kwame@lumen.example"}, {3}),
    ({"after": FIRST + 3 * DAY}, {3, 4}),
    ({"before": FIRST + 3 * DAY}, {2}),
    ({"after": FIRST + 2 * DAY, "before": FIRST + 3 * DAY}, {2}),
    ({"folder": "projects/atlas"}, {2}),
    ({"folder": "Projects/Atlas/"}, {2, 3}),
    ({"folder": "Projects/"}, {2, 3}),
    ({"folder": "all"}, {2, 3, 4}),
    ({"has_attachment": True}, set()),
    ({"has_attachment": False}, {2, 3, 4}),
]


async def test_a_filter_leaves_only_what_it_names(office: Office) -> None:
    found = []
    for narrowed, _ in FILTERS:
        results = await ask(office, "pump", mode="text", group="message", **narrowed)
        found.append((narrowed, {(result["received_at"] - FIRST).days for result in results}))
    assert found == FILTERS


async def test_mail_that_lies_in_two_folders_is_found_in_each(office: Office) -> None:
    root = office.memory.parents[1] / "mail"
    (root / "Kept").mkdir()
    copied = (root / "Projects" / "Atlas" / "2.eml").read_bytes()
    (root / "Kept" / "copy.eml").write_bytes(copied)
    (root / "Inbox" / "2.eml").write_bytes(copied)
    await office.start()
    await office.work()
    for folder in ("Kept", "Inbox", "Projects/Atlas"):
        [found] = await ask(office, "pump tests", folder=folder, mode="text")
        assert set(found["folders"]) == {"Kept", "Inbox", "Projects/Atlas"}


async def test_new_mail_that_lies_in_two_folders_is_found_in_each(world: World, tmp_path: Path) -> None:
    for folder in ("Archive", "Inbox", "Kept"):
        a_mail(tmp_path / "mail", folder, 1, "Pump tests", "The pump leaks at nine bar.")
    tenant = await world.tenant("movers")
    async with an_office(world.database, tenant, world.account(tenant), tmp_path / "mail", tmp_path) as office:
        await office.start()
        await office.work()
        for folder in ("Archive", "Inbox", "Kept"):
            assert len(await ask(office, "pump tests", folder=folder)) == 1


@pytest.mark.parametrize("again", [False, True])
async def test_mail_that_was_moved_is_found_where_it_lies_now(world: World, tmp_path: Path, again: bool) -> None:
    a_mail(tmp_path / "mail", "Inbox", 1, "Pump tests", "The pump leaks at nine bar.")
    a_mail(tmp_path / "mail", "Archive", 2, "Lease", "Signed.")
    tenant = await world.tenant("movers")
    mailbox = world.account(tenant, kind="outlook")  # where a message lies in one folder at a time
    async with an_office(world.database, tenant, mailbox, tmp_path / "mail", tmp_path) as office:
        await office.start()
        await office.work()
        assert len(await ask(office, "pump tests", folder="Inbox")) == 1
        (tmp_path / "mail" / "Inbox" / "1.eml").rename(tmp_path / "mail" / "Archive" / "1.eml")
        await office.start(again=again)
        await office.work()
        assert {result["subject"] for result in await ask(office, "pump tests", folder="Archive")} >= {"Pump tests"}
        with pytest.raises(NotFoundError):
            await ask(office, "pump tests", folder="Nowhere")
        assert await ask(office, "pump tests", folder="Inbox") == []


async def test_the_root_means_every_folder(office: Office) -> None:
    assert await subjects(office, "pump lease", folder="/") == await subjects(office, "pump lease", folder="all")


async def test_another_account_s_mail_is_not_searched(office: Office, world: World) -> None:
    other = world.account(office.tenant, "other@lumen.example")
    assert await ask(office, "pump", account_id=other) == []
    assert len(await ask(office, "pump", account_id=office.account, mode="text")) > 0


async def test_a_folder_that_is_not_there_is_said(office: Office) -> None:
    with pytest.raises(NotFoundError, match="no folder 'Projekts'"):
        await ask(office, "pump", folder="Projekts")


async def test_copies_of_one_mail_are_one_result_with_their_folders(office: Office) -> None:
    results = await ask(office, "pump leaks at nine bar says", mode="text", group="message")
    copies = [result for result in results if result["received_at"] == FIRST + 4 * DAY]
    assert [(set(result["folders"]), result["copies"]) for result in copies] == [({"Archive", "Sent Items"}, 1)]


async def test_messages_are_results_unless_threads_are_asked_for(office: Office) -> None:
    by_thread = await ask(office, "lease", mode="text", group="thread")
    assert [result["more_in_thread"] for result in by_thread] == [1]
    by_message = await ask(office, "lease", mode="text")
    assert {result["subject"] for result in by_message} == {"Workshop lease", "Re: Workshop lease"}
    assert len({result["thread_id"] for result in by_message}) == 1


async def test_each_mode_asks_its_own_leg(office: Office) -> None:
    by_words = await ask(office, "lease", mode="text", group="message")
    assert all(result["why"]["semantic_rank"] is None for result in by_words)
    by_meaning = await ask(office, "lease", mode="semantic", group="message")
    assert all(result["why"]["text_rank"] is None for result in by_meaning)
    assert len(by_meaning) > len(by_words)


async def test_searching_by_words_needs_no_embedder(office: Office) -> None:
    async def none() -> Embedder:
        raise AssertionError("it was opened")

    found = await replace(searcher(office), embedder=none).search(Question("lease", mode="text"))
    assert len(found.results) == 2


async def test_the_limit_counts_results(office: Office) -> None:
    assert len(await ask(office, "pump", limit=1)) == 1


async def test_passages_of_another_generation_are_not_shown(office: Office, world: World) -> None:
    world.run("UPDATE messages SET generation = 'another' WHERE subject = 'Workshop lease'")
    assert "Workshop lease" not in await subjects(office, "lease", group="message")


async def test_what_the_record_does_not_know_is_not_shown(office: Office, world: World) -> None:
    world.run("DELETE FROM messages WHERE subject = 'Workshop lease'")
    assert "Workshop lease" not in await subjects(office, "lease", group="message")


async def test_an_empty_query_is_refused(office: Office) -> None:
    for text in ("", "  \n", "\x00\x00"):
        with pytest.raises(UsageError, match="empty"):
            await ask(office, text)


async def test_any_words_are_a_query(office: Office) -> None:
    for text in (
        "'",
        '"unbalanced',
        "lease OR",
        "NOT",
        "a" * 100_000,
        "ЖЖЖ",
        "\udcff lease",
        "x; DROP TABLE y",
        "*",
        "\\",
    ):
        assert await ask(office, text), "the nearest mail is shown, whatever was typed"


async def test_unusable_bounds_are_refused(office: Office) -> None:
    for about in ({"limit": 0}, {"limit": MOST_RESULTS + 1}, {"after": FIRST, "before": FIRST}):
        with pytest.raises(UsageError):
            await ask(office, "lease", **about)


async def test_coverage_spans_the_mail_that_is_stored(office: Office) -> None:
    coverage = (await answer(office, "lease")).coverage
    assert (coverage.start, coverage.end, coverage.complete) == (FIRST, FIRST + 4 * DAY, True)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE historical_sync_jobs SET status = 'running' WHERE tenant_id = %(t)s",
        "UPDATE historical_sync_jobs SET status = 'failed' WHERE tenant_id = %(t)s",
        "UPDATE historical_sync_jobs SET status = 'cancelled' WHERE tenant_id = %(t)s",
        "UPDATE sync_chunks SET state = 'quarantined' WHERE tenant_id = %(t)s AND kind = 'window'",
        "INSERT INTO failures (tenant_id, id, account_id, job_id, source_id, message_id, stage, error_code, error)"
        " SELECT tenant_id, id, account_id, id, 'm', id, 'fetch', 'gone', 'Gone.' FROM historical_sync_jobs"
        " WHERE tenant_id = %(t)s",
        "INSERT INTO accounts (tenant_id, id, kind, identity, address, status, config)"
        " VALUES (%(t)s, gen_random_uuid(), 'mbox', 'new', 'new@lumen.example', 'connected', '{}')",
    ],
    ids=["at work", "failed", "cancelled", "a window given up", "a failure", "an account not read"],
)
async def test_coverage_is_not_complete_while_something_is_missing(
    office: Office, world: World, statement: Any
) -> None:
    world.run(statement, t=office.tenant)
    assert not (await answer(office, "lease")).coverage.complete


def another_job(world: World, office: Office, status: str, **about: Any) -> None:
    """A job later than those there are."""
    fields = {"start": None, "end": FIRST + 30 * DAY, "folders": [], "done": 1} | about
    world.run(
        "INSERT INTO historical_sync_jobs (tenant_id, id, account_id, status, graph_status, start_date, end_date,"
        " folders, again, chunk_size, max_parallel, messages_done)"
        " VALUES (%(t)s, gen_random_uuid(), %(a)s, %(status)s, 'off', %(start)s, %(end)s, %(folders)s, false, 100, 4,"
        " %(done)s)",
        t=office.tenant, a=office.account, status=status, **fields,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "then", "complete"),
    [
        ({}, {}, True),
        ({"start": FIRST}, {}, True),
        ({"start": FIRST, "end": FIRST + DAY}, {"start": FIRST, "end": FIRST + DAY}, True),
        ({"folders": ["Inbox"]}, {"folders": ["Inbox", "Archive"]}, True),
        ({}, {"start": FIRST}, False),
        ({"start": FIRST}, {"start": FIRST + DAY}, False),
        ({}, {"end": FIRST + DAY}, False),
        ({}, {"folders": ["Inbox"]}, False),
        ({"folders": ["Inbox"]}, {}, True),
        ({"folders": ["Junk Email"]}, {"folders": ["Inbox"]}, False),
    ],
)
async def test_what_a_cancelled_job_has_left_out_is_missing_until_another_reads_it(
    office: Office, world: World, asked: dict[str, Any], then: dict[str, Any], complete: bool
) -> None:
    another_job(world, office, "cancelled", **asked)
    assert not (await answer(office, "lease")).coverage.complete
    another_job(world, office, "completed", **then)
    assert (await answer(office, "lease")).coverage.complete is complete


async def test_a_job_that_was_cancelled_at_once_leaves_nothing_out(office: Office, world: World) -> None:
    another_job(world, office, "cancelled", done=0)
    assert (await answer(office, "lease")).coverage.complete


async def test_nothing_read_covers_nothing(office: Office, world: World) -> None:
    empty = await world.tenant("empty")
    coverage = await PostgresReach(world.database, empty).coverage(None)
    assert (coverage.start, coverage.end, coverage.complete) == (None, None, False)


async def test_the_document_has_the_public_fields(office: Office) -> None:
    document = (await answer(office, "lease")).document()
    assert document.keys() == {"results", "coverage", "took_ms"}
    assert document["coverage"].keys() == {"from", "to", "complete", "missing"}
    assert document["results"][0].keys() >= {
        "message_id", "source_id", "thread_id", "subject", "from", "received_at", "snippet", "score", "why", "web_link",
        "folders", "account_id",
    }  # fmt: skip
