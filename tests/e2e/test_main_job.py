"""The main job, whole: by the command line, against a bad Outlook, with two workers, compared row by row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from e2e.mailboxes import FOLDERS, WORDS, a_mail, write_mixed
from e2e.product import Product, Simulator, WorkerProcess, a_product, a_simulator

Json = Any
BAD_DAY = [
    {"on": "messages", "kind": "429", "retry_after": 1, "at": [2]},
    {"on": "messages", "kind": "loop_next", "at": [3]},
    {"on": "messages", "kind": "500", "at": [4]},
    {"on": "messages", "kind": "lost_next", "at": [5, 22]},
    {"on": "messages", "kind": "503", "at": [6]},
    {"on": "messages", "kind": "evil_next", "url": "http://127.0.0.2:9/v1.0/stolen", "at": [7]},
    {"on": "messages", "kind": "504", "at": [8]},
    {"on": "messages", "kind": "slow", "seconds": 1, "at": [9, 17, 25], "times": 1},
    {"on": "messages", "kind": "reset", "at": [10, 18, 26], "times": 1},
    {"on": "messages", "kind": "expire_token", "at": [11]},
    {"on": "messages", "kind": "truncate", "at": [12, 20, 28], "times": 1},
    {"on": "messages", "kind": "badjson", "at": [14, 22, 30], "times": 1},
    {"on": "messages", "kind": "empty_page", "at": [16]},
    # A part of a batch has no connection to break: what breaks one has more than one chance.
    # Only a page behind another can repeat anything: one of these is.
    {"on": "messages", "kind": "dup", "every": 2, "times": 3},
    {"on": "folders", "kind": "503", "at": [4]},
]
LATEST_JOBS = """
SELECT id, status, records_processed, entities_extracted, relationships_extracted, created_at, completed_at
FROM historical_sync_jobs WHERE created_at > NOW() - INTERVAL '1 hour' ORDER BY created_at DESC LIMIT 5;
"""
SOMEBODY = "31c06fc4-db22-4740-83ea-48ac14f25810"
NEW_NODES = """
SELECT COUNT(*) FROM graph_nodes
WHERE tenant_id = '31c06fc4-db22-4740-83ea-48ac14f25810' AND created_at > NOW() - INTERVAL '1 hour';
"""
KINDS = {fault["kind"] for fault in BAD_DAY}


@dataclass
class World:
    """A mailbox that two workers have read on a bad day."""

    data: Path
    simulator: Simulator
    product: Product
    job: Json
    workers: tuple[WorkerProcess, ...]
    corrupt: str
    mails: list[Json]

    def operator(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.product.json("db", "url")["url"], autocommit=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    base = tmp_path_factory.mktemp("main-job")
    data = base / "data"
    corrupt = a_mail("Quiet", 3, subject="Beyond repair")
    mails = write_mixed(data, extra=[corrupt])
    with ExitStack() as stack:
        simulator = stack.enter_context(a_simulator(data))
        product = stack.enter_context(a_product(base / "home", simulator=simulator, page_size="10"))
        product.connect("ines@example.com")
        simulator.script(*BAD_DAY, {"on": "message", "kind": "corrupt_item", "id": corrupt["id"]})
        job = product.start("ines@example.com")
        workers = [stack.enter_context(product.worker("--drain")) for _ in range(2)]
        assert [worker.wait() for worker in workers] == [0, 0]
        yield World(data, simulator, product, product.job(job), tuple(workers), corrupt["id"], mails)


def test_every_mail_is_stored_once_or_listed_as_failed(world: World) -> None:
    odd = _ids(world, "Odd: NUL in the text")
    assert world.product.differences(world.data, failed=frozenset({world.corrupt}), odd=odd) == []
    (failure,) = world.product.json("failures", world.job["job_id"])["failures"]
    assert (failure["source_id"], failure["stage"], failure["error_code"]) == (world.corrupt, "fetch", "item_corrupt")


def test_every_fault_struck(world: World) -> None:
    struck = world.simulator.control("GET", "/stats")["faults"]
    assert KINDS - struck.keys() == set()


def test_both_workers_were_at_work(world: World) -> None:
    events = [" ".join(worker.events()) for worker in world.workers]
    assert all("ROLE=worker Starting" in each for each in events)
    assert any("Persisting" in each for each in events), "which of them gets the pages is chance"


def test_the_job_says_what_it_did(world: World) -> None:
    job = world.job
    assert (job["status"], job["phase"], job["failures"]) == ("completed", "done", 1)
    assert job["graph"]["status"] == "waiting_for_key"
    done = job["ingest"]["messages_done"]
    assert job["ingest"] == job["ingest"] | {"status": "completed", "percent": 100.0, "messages_total": done}
    assert job["records_processed"] == done - 1
    assert job["completed_at"].endswith("Z")
    assert [each["job_id"] for each in world.product.json("jobs")["jobs"]] == [job["job_id"]]


def test_the_words_that_operators_search_logs_for_are_there(world: World) -> None:
    events = [event for worker in world.workers for event in worker.events()]
    for pattern in (
        "ROLE=worker Starting",
        "Loaded service",
        "dequeue",
        r"Fetched \d+ records",
        r"Persisting \d+ records",
        r"\d+ entities",
        r"\d+ relationships",
        r"LanceDB upserted \d+ passages",
    ):
        assert any(re.search(pattern, event) for event in events), pattern
    troubles = [line for worker in world.workers for line in worker.log if line["level"] in ("warning", "error")]
    assert troubles
    assert all(line.get("error") and line.get("error_code") for line in troubles)


def test_no_log_holds_a_word_of_the_mail(world: World) -> None:
    logs = "".join(worker.path.read_text() for worker in world.workers)
    said = [*WORDS, *(mail["subject"] for mail in world.mails if mail["subject"]), "Tomasz", "right", "Bearer"]
    said += [word for mail in world.mails for word in re.findall(r"[\w.]+@[\w.]+", json.dumps(mail["toRecipients"]))]
    assert [each for each in {*said} if each in logs] == []


def test_the_operators_statements_work_as_written(world: World) -> None:
    with world.operator() as connection:
        jobs = connection.execute(LATEST_JOBS).fetchall()
        assert [(str(row[0]), row[1], row[2]) for row in jobs] == [
            (world.job["job_id"], "completed", world.job["records_processed"])
        ]
        tenant = world.product.json("tenant", "list")["tenants"][0]["tenant_id"]
        assert connection.execute(NEW_NODES).fetchone() == (0,)
        (nodes,) = connection.execute(NEW_NODES.replace(SOMEBODY, tenant)).fetchall()
        assert nodes[0] > 3


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT text FROM message_bodies LIMIT 1",
        "SELECT source_body FROM message_bodies LIMIT 1",
        "SELECT sealed FROM secrets LIMIT 1",
        "DELETE FROM messages",
        "UPDATE historical_sync_jobs SET status = 'failed'",
    ],
)
def test_the_operator_reads_no_bodies_and_no_secrets_and_changes_nothing(world: World, statement: str) -> None:
    with world.operator() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)  # type: ignore[call-overload]


def test_a_search_shows_where_each_answer_is_from(world: World) -> None:
    found = world.product.json("search", "who orders the hull's paint", "--group", "message", "--limit", "5")
    assert found["coverage"]["complete"] is False, "a mail could not be read"
    best = found["results"][0]
    assert "blue hull" in best["snippet"].replace("**", "")
    assert best["why"]["semantic_rank"] or best["why"]["text_rank"]
    shown = world.product.json("message", best["message_id"])
    (source,) = [mail for mail in world.mails if mail["id"] == shown["source_id"]]
    assert shown["text"].split() == source["body"]["content"].split()
    assert shown["subject"] == best["subject"] == source["subject"]
    thread = world.product.json("thread", best["thread_id"])
    assert best["message_id"] in [each["message_id"] for each in thread["messages"]]


def test_copies_of_one_mail_are_one_result_with_both_folders(world: World) -> None:
    found = world.product.json("search", "Buy two shackles", "--group", "message")
    notes = [each for each in found["results"] if each["subject"] == "Note to self"]
    assert [sorted(each["folders"]) for each in notes] == [["Inbox", "Sent Items"]]


def test_the_ledger_balances_and_tells_what_was_left_out(world: World) -> None:
    ledger = world.product.json("balance", "ines@example.com")
    lines = {line["folder"]: line for line in ledger["folders"]}
    assert ledger["balanced"] is True
    assert {line["difference"] for line in lines.values()} == {0}
    assert lines["Quiet"]["failed"] == 1
    assert lines["Inbox"]["excluded"]["draft"] == 1
    for folder, count in {"Junk Email": 3, "Deleted Items": 3, "Deleted Items/Old": 2, "Drafts": 2}.items():
        assert (lines[folder]["stored"], lines[folder]["excluded"]["folder_excluded"]) == (0, count), folder
    assert sum(line["stored"] for line in lines.values()) == world.job["records_processed"]
    assert ledger["memory"]["messages"] == world.job["records_processed"]
    assert ledger["memory"]["orphans"] == 0


def test_a_stored_row_that_is_gone_unbalances_the_ledger_and_is_named(world: World) -> None:
    with psycopg.connect(world.product.superuser_url) as connection:
        connection.execute("DELETE FROM messages WHERE source_id = %s", [_id(world, "Note to self", "Sent Items")])
        connection.commit()
        try:
            ledger = world.product.json("balance", status=1)
        finally:
            world.product.backfill("ines@example.com")
    assert ledger["balanced"] is False
    assert [line["folder"] for line in ledger["folders"] if line["difference"]] == ["Sent Items"]
    assert world.product.json("balance")["balanced"] is True


def test_mail_that_comes_after_the_backfill_does_not_unbalance(world: World) -> None:
    world.simulator.control("POST", "/mailboxes/ines/messages", {"subject": "New", "body": {"content": "new"}})
    (inbox,) = [line for line in world.product.json("balance")["folders"] if line["folder"] == "Inbox"]
    assert (inbox["difference"], inbox["excluded"]["after_backfill"]) == (0, 1)


def _ids(world: World, subject: str) -> frozenset[str]:
    return frozenset(mail["id"] for mail in world.mails if mail["subject"] == subject)


def _id(world: World, subject: str, folder: str) -> str:
    (found,) = [
        mail["id"]
        for mail in world.mails
        if mail["subject"] == subject and mail["parentFolderId"] == FOLDERS[folder]["id"]
    ]
    return str(found)
