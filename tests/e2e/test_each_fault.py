"""Each fault of the Graph simulator alone, and each of its bad habits: the record ends equal to the mailbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from databases import FreshDatabase
from e2e.inside import Inside, opened
from e2e.mailboxes import FOLDERS, a_mail, at, mails
from graph_world import graph_world, write_mailbox

pytestmark = pytest.mark.long

Json = dict[str, Any]
MAILS = [
    *mails("Inbox", 14),
    *mails("Inbox", 13, start=300.0, step=0.0),
    *mails("Sent Items", 5, start=3.0),
    a_mail("Inbox", subject="No date", receivedDateTime=None),
]
CORRUPT = MAILS[6]["id"]
EVIL = "http://127.0.0.2:9/v1.0/stolen"

FAULTS: dict[str, list[Json]] = {
    "429": [{"on": "messages", "kind": "429", "retry_after": 1, "at": [1, 3]}],
    "500": [{"on": "messages", "kind": "500", "every": 3}],
    "502": [{"on": "any", "kind": "502", "body": "empty", "every": 5}],
    "503": [{"on": "messages", "kind": "503", "retry_after": 1, "at": [2, 4]}],
    "504": [{"on": "messages", "kind": "504", "times": 9}],
    "504 on folders": [{"on": "folders", "kind": "504", "at": [1, 2, 5]}],
    "503 on tokens": [{"on": "token", "kind": "503", "at": [1]}, {"on": "any", "kind": "expire_token", "at": [9]}],
    "reset": [{"on": "messages", "kind": "reset", "every": 3}],
    "truncate": [{"on": "messages", "kind": "truncate", "every": 3}],
    "badjson": [{"on": "messages", "kind": "badjson", "every": 3}],
    "slow": [{"on": "messages", "kind": "slow", "seconds": 0.3, "at": [2]}],
    "empty_page": [{"on": "messages", "kind": "empty_page", "every": 3}],
    "dup": [{"on": "messages", "kind": "dup", "every": 2}],
    "loop_next": [{"on": "messages", "kind": "loop_next", "every": 2}],
    "lost_next": [{"on": "messages", "kind": "lost_next"}],
    "evil_next": [{"on": "messages", "kind": "evil_next", "url": EVIL, "every": 2}],
    "expire_token": [{"on": "messages", "kind": "expire_token", "every": 3}],
}
SHORT = {"429", "lost_next", "expire_token", "heavy pages time out"}
"""Tried at every run; the others when there is time. All kinds together are in `test_main_job`."""
ALWAYS: dict[str, Json] = {
    "loop_next": {"on": "messages", "kind": "loop_next"},
    "evil_next": {"on": "messages", "kind": "evil_next", "url": EVIL},
}
HABITS: dict[str, Json] = {
    "heavy pages time out": {"heavy_page_limit": 3},
    "counts are too low": {"count_off_by": {"*": -9}},
    "counts are -1, pages short": {"count_always": {"*": -1}, "short_pages": 3},
}


def each(table: dict[str, Any]) -> list[Any]:
    """Parameters by name; those that are not short are marked as long."""
    return [
        pytest.param(value, id=name, marks=() if name in SHORT else pytest.mark.long) for name, value in table.items()
    ]


@asynccontextmanager
async def a_mailbox(
    base: Path, database: FreshDatabase, *, quirks: Json | None = None, **settings: Any
) -> AsyncIterator[Inside]:
    data = write_mailbox(base / "data", MAILS, [FOLDERS["Inbox"], FOLDERS["Sent Items"], FOLDERS["Empty"]])
    async with (
        graph_world(data, quirks=quirks, **settings) as world,
        opened(base / "home", database, world, data, page_size="7") as inside,
    ):
        yield inside


@pytest.mark.parametrize("faults", each(FAULTS))
async def test_a_fault_loses_nothing(tmp_path: Path, fresh_database: FreshDatabase, faults: list[Json]) -> None:
    async with a_mailbox(tmp_path, fresh_database) as inside:
        account = await inside.connect("ines")
        inside.world.script(*faults)
        job = await inside.backfill(account)
        assert (job["status"], job["failures"]) == ("completed", 0)
        assert inside.differences("ines") == []
        assert {fault["kind"] for fault in faults} <= inside.world.service.journal.by_fault.keys()


@pytest.mark.parametrize("fault", each(ALWAYS))
async def test_links_that_never_lead_on_lose_no_mail_and_are_told(
    tmp_path: Path, fresh_database: FreshDatabase, fault: Json
) -> None:
    async with a_mailbox(tmp_path, fresh_database) as inside:
        account = await inside.connect("ines")
        inside.world.script(fault)
        job = await inside.backfill(account)
        assert job["status"] == "completed"
        assert [line for line in inside.differences("ines") if not line.startswith("chunks not done")] == []
        assert {failure["error_code"] for failure in await inside.tenancy.jobs.failures(job["job_id"])} <= {
            "walk_stuck"
        }


@pytest.mark.parametrize("quirks", each(HABITS))
async def test_a_bad_habit_loses_nothing(tmp_path: Path, fresh_database: FreshDatabase, quirks: Json) -> None:
    async with a_mailbox(tmp_path, fresh_database, quirks=quirks) as inside:
        job = await inside.backfill(await inside.connect("ines"))
        assert (job["status"], job["failures"]) == ("completed", 0)
        assert inside.differences("ines") == []


async def test_the_limits_of_the_service_are_kept_without_a_429(tmp_path: Path, fresh_database: FreshDatabase) -> None:
    async with a_mailbox(tmp_path, fresh_database, latency_s=0.02) as inside:
        await inside.backfill(await inside.connect("ines"))
        assert inside.differences("ines") == []
        assert inside.world.service.throttle.refused == 0
        assert inside.world.service.throttle.peak["ines"] > 1


async def test_a_corrupt_item_is_one_failure_and_a_retry_brings_it_once_it_is_well(
    tmp_path: Path, fresh_database: FreshDatabase
) -> None:
    async with a_mailbox(tmp_path, fresh_database) as inside:
        account = await inside.connect("ines")
        inside.world.script({"on": "message", "kind": "corrupt_item", "id": CORRUPT})
        job = await inside.backfill(account)
        assert (job["status"], job["failures"]) == ("completed", 1)
        assert inside.differences("ines", failed=frozenset({CORRUPT})) == []
        (failure,) = await inside.tenancy.jobs.failures(job["job_id"])
        assert (failure["source_id"], failure["stage"], failure["error_code"]) == (CORRUPT, "fetch", "item_corrupt")
        inside.world.script()
        await inside.tenancy.control.retry(job["job_id"])
        await inside.drain()
        assert inside.differences("ines") == []
        assert (await inside.tenancy.jobs.job(job["job_id"]))["status"] == "completed"


async def test_more_mail_in_one_second_than_a_page_holds(tmp_path: Path, fresh_database: FreshDatabase) -> None:
    crowd = [*mails("Inbox", 40, step=0.0), *mails("Inbox", 3, start=5.0), a_mail("Inbox", receivedDateTime=at(-1))]
    data = write_mailbox(tmp_path / "data", crowd, [*FOLDERS.values()])
    async with (
        graph_world(data, faults=[{"on": "messages", "kind": "lost_next", "every": 2}]) as world,
        opened(tmp_path / "home", fresh_database, world, data) as inside,
    ):
        await inside.backfill(await inside.connect("ines"), chunk_size=3)
        assert inside.differences("ines") == []
