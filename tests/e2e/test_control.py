"""Jobs in people's hands: paused, resumed and cancelled while a worker is at them, refused, narrowed and widened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import psycopg
import pytest

from e2e.mailboxes import FOLDERS, mails
from e2e.product import Product, Simulator, WorkerProcess, a_product, a_simulator, until
from fakes.embedding_server import embedding_server
from graph_world import write_mailbox

pytestmark = pytest.mark.long

Json = Any
SLOW = {"on": "messages", "kind": "slow", "seconds": 0.5}
NAMES = ("ann", "bea", "cleo", "dora")
PAGE = 4


@dataclass
class World:
    """Four mailboxes, and one worker that serves while they are told what to do."""

    data: Path
    simulator: Simulator
    product: Product
    worker: WorkerProcess

    def count(self, name: str) -> int:
        """How many messages of a mailbox are stored."""
        listed = self.product.json("accounts")["accounts"]
        return next(each["messages"] for each in listed if each["address"] == f"{name}@example.com")

    def leases(self) -> int:
        with psycopg.connect(self.product.superuser_url) as connection:
            row = connection.execute("SELECT count(*) FROM sync_chunks WHERE state = 'leased'").fetchone()
        assert row is not None
        return int(row[0])

    def finish(self, job: str) -> Json:
        """Wait for a job to end."""
        self.product.run("watch", job, "--until-done")
        return self.product.job(job)

    def differences(self, name: str, **about: Any) -> list[str]:
        return self.product.differences(self.data, name, **about)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    base = tmp_path_factory.mktemp("control")
    for name in NAMES:
        write_mailbox(base / "data", _mailbox(), [*FOLDERS.values()], name)
    with ExitStack() as stack:
        embeddings = stack.enter_context(embedding_server())
        simulator = stack.enter_context(a_simulator(base / "data"))
        product = stack.enter_context(
            a_product(base / "home", simulator=simulator, embeddings=embeddings.url, page_size=str(PAGE))
        )
        for name in NAMES:
            product.connect(f"{name}@example.com")
        worker = stack.enter_context(product.worker())
        yield World(base / "data", simulator, product, worker)


def _mailbox() -> list[Json]:
    return [
        *mails("Inbox", 44, step=1440.0),
        *mails("Projects/Atlas", 6, step=2880.0),
        *mails("Junk Email", 3),
        *mails("Drafts", 2, isDraft=True),
    ]


def test_a_pause_takes_effect_within_a_page_and_a_resume_goes_on(world: World) -> None:
    world.simulator.script(SLOW)
    job = world.product.start("ann@example.com")
    until(lambda: world.count("ann") > 0)
    before = world.count("ann")
    paused = world.product.json("pause", job)
    assert (paused["status"], paused["ingest"]["limited_by"]) == ("paused", "paused")
    until(lambda: world.leases() == 0, seconds=10)
    stored, requests = world.count("ann"), world.simulator.count
    assert stored <= before + 2 * 4 * PAGE, "four chunks at once finish the page at hand, and had one more ahead"
    refused = world.product.run("start", "ann@example.com", status=5)
    assert job in refused.err or job[:8] in refused.err
    assert (world.count("ann"), world.simulator.count) == (stored, requests)
    world.simulator.script()
    assert world.product.json("resume", job)["status"] in ("pending", "running")
    assert world.finish(job)["records_processed"] == 50
    assert world.differences("ann") == []
    world.product.run("resume", job, status=5)


def test_a_cancelled_job_keeps_what_it_has_and_the_next_one_fetches_the_rest(world: World) -> None:
    world.simulator.script(SLOW)
    first = world.product.start("bea@example.com")
    until(lambda: world.count("bea") > 0)
    assert world.product.json("cancel", first)["status"] == "cancelled"
    until(lambda: world.leases() == 0, seconds=10)
    kept = world.product.job(first)["records_processed"]
    assert 0 < kept < 50
    world.product.run("watch", first, "--until-done", status=1)
    world.product.run("resume", first, status=5)
    world.simulator.script()
    second = world.finish(world.product.start("bea@example.com"))
    assert second["records_processed"] == 50 - kept
    assert world.differences("bea") == []


def test_a_wider_range_fetches_the_gap_alone(world: World) -> None:
    since, end = datetime(2026, 2, 10, tzinfo=UTC), datetime(2026, 2, 20, tzinfo=UTC)
    days = ("--since", "2026-02-10", "--until", "2026-02-20")
    narrow = world.finish(world.product.start("cleo@example.com", *days))
    assert narrow["records_processed"] == 10
    assert world.differences("cleo", since=since, until=end) == []
    before = world.simulator.count
    wide = world.finish(world.product.start("cleo@example.com"))
    assert wide["records_processed"] == 50 - 10
    assert world.differences("cleo") == []
    asked = [_window(line) for line in world.simulator.requests(before, "messages") if "body" in line["query"]]
    assert asked
    assert [each for each in asked if each[0] < "2026-02-20T00:00:00Z" and each[1] > "2026-02-10T00:00:00Z"] == []
    before = world.simulator.count
    world.finish(world.product.start("cleo@example.com"))
    again = [_window(line) for line in world.simulator.requests(before, "messages") if "body" in line["query"]]
    assert all(start > "2026-03-02" for start, _ in again), "nothing but what may have come since"


def test_again_fetches_everything_anew_and_keeps_ids_and_first_jobs(world: World) -> None:
    before = {
        row["source_id"]: (row["id"], row["first_job_id"]) for row in world.product.store("cleo@example.com").messages
    }
    job = world.finish(world.product.start("cleo@example.com", "--again"))
    assert (job["records_processed"], job["ingest"]["messages_done"]) == (0, 50)
    store = world.product.store("cleo@example.com")
    assert {row["source_id"]: (row["id"], row["first_job_id"]) for row in store.messages} == before
    assert {str(row["last_job_id"]) for row in store.messages} == {job["job_id"]}
    assert world.differences("cleo") == []


def test_folders_are_read_when_they_are_named(world: World) -> None:
    first = world.finish(world.product.start("dora@example.com", "--folder", "projects/atlas", "--folder", "junkemail"))
    assert first["records_processed"] == 6 + 3
    assert world.differences("dora", folders=("Projects/Atlas", "Junk Email")) == []
    every = world.finish(world.product.start("dora@example.com", "--folder", "all"))
    assert every["records_processed"] == 44 + 2
    assert world.differences("dora", folders=("all",)) == []


def _window(line: Json) -> tuple[str, str]:
    """The range of dates that a request asks for; open ends sort where they belong."""
    words = parse_qs(line["query"]).get("$filter", [""])[0].split()
    bounds = dict(zip(words[1::4], words[2::4], strict=False))
    return bounds.get("ge", ""), bounds.get("lt", "9999")
