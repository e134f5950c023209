"""Mail as it really is: every odd message ends as a stored message or as one failure, and its neighbours are stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from databases import FreshDatabase
from e2e.inside import opened
from e2e.mailboxes import FOLDERS, ODD, a_mail, html, mails, text
from graph_world import graph_world, write_mailbox

pytestmark = pytest.mark.long

Json = dict[str, Any]
LATER = (datetime.now(UTC) + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
DATES: dict[str, datetime | None] = {
    "0001-01-01T00:00:00Z": None,
    "1601-01-01T00:00:00Z": None,
    "2099-12-31T23:59:59Z": datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC),
    "2016-12-31T23:59:60Z": datetime(2017, 1, 1, tzinfo=UTC),
    "2026-03-02T09:30:00+05:30": datetime(2026, 3, 2, 4, 0, tzinfo=UTC),
    "2026-03-02T09:30:00.1234567Z": datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC),
    "last Tuesday": None,
    "": None,
}
BIG: dict[str, Json] = {
    "a megabyte of HTML": {"body": html("<p>Cargo of the week, crate after crate.</p>" * 24_000)},
    "a megabyte on one line": {"body": text("crate " * 170_000)},
    "a data URI": {"body": html(f'<p>See the chart.</p><img src="data:image/png;base64,{"iVBORw0KGgo" * 30_000}">')},
    "thousands of recipients": {
        "ccRecipients": [{"emailAddress": {"address": f"c{n}@example.org"}} for n in range(8000)]
    },
    "thousands of references": {"internetMessageHeaders": [{"name": "References", "value": "<x@example.org> " * 5000}]},
    "a tower of marks": {"subject": "Z" + "\u0301\u0316\u0321" * 4000},
}


async def test_a_date_of_any_kind_loses_no_mail(tmp_path: Path, fresh_database: FreshDatabase) -> None:
    dated = {date: a_mail("Inbox", receivedDateTime=date) for date in [*DATES, LATER]}
    data = write_mailbox(tmp_path / "data", [*mails("Inbox", 5), *dated.values()], [*FOLDERS.values()])
    odd = frozenset(mail["id"] for mail in dated.values())
    async with graph_world(data) as world, opened(tmp_path / "home", fresh_database, world, data) as inside:
        job = await inside.backfill(await inside.connect("ines"))
        assert (job["status"], job["failures"]) == ("completed", 0)
        assert inside.differences("ines", odd=odd) == []
        with psycopg.connect(fresh_database.superuser_url) as connection:
            rows = connection.execute("SELECT source_id, received_at FROM messages").fetchall()
    stored = dict(rows)
    assert {date: stored[mail["id"]] for date, mail in dated.items() if date != LATER} == DATES
    assert dated[LATER]["id"] not in stored, "mail newer than the job is the next one's"


async def test_a_range_keeps_to_its_end(tmp_path: Path, fresh_database: FreshDatabase) -> None:
    written = [*mails("Inbox", 30, step=1440.0), a_mail("Inbox", receivedDateTime="2099-12-31T23:59:59Z")]
    data = write_mailbox(tmp_path / "data", written, [*FOLDERS.values()])
    since, until = datetime(2026, 2, 10, tzinfo=UTC), datetime(2026, 2, 20, tzinfo=UTC)
    async with graph_world(data) as world, opened(tmp_path / "home", fresh_database, world, data) as inside:
        job = await inside.backfill(await inside.connect("ines"), since=since, until=until)
        assert job["records_processed"] == 10
        assert inside.differences("ines", since=since, until=until) == []


@pytest.mark.parametrize("sort", ["odd", "big"])
async def test_an_odd_message_is_stored_beside_its_neighbours(
    tmp_path: Path, fresh_database: FreshDatabase, sort: str
) -> None:
    cases = {"odd": ODD, "big": BIG}[sort]
    written = {
        name: a_mail("Inbox", **{"receivedDateTime": "2026-03-02T11:30:00Z", **odd}) for name, odd in cases.items()
    }
    data = write_mailbox(tmp_path / "data", [*mails("Inbox", 9), *written.values()], [*FOLDERS.values()])
    odd = frozenset(mail["id"] for name, mail in written.items() if sort == "big" or name == "NUL in the text")
    async with graph_world(data) as world, opened(tmp_path / "home", fresh_database, world, data) as inside:
        job = await inside.backfill(await inside.connect("ines"))
        assert (job["status"], job["failures"]) == ("completed", 0)
        assert inside.differences("ines", odd=odd) == []


async def test_what_is_no_message_is_one_failure_with_a_code(tmp_path: Path, fresh_database: FreshDatabase) -> None:
    tombstone = {"id": "AAkALgGone", "parentFolderId": FOLDERS["Inbox"]["id"], "@removed": {"reason": "deleted"}}
    bare = {"id": "AAkALgBare"}
    data = write_mailbox(tmp_path / "data", [*mails("Inbox", 9), tombstone, bare], [*FOLDERS.values()])
    async with graph_world(data) as world, opened(tmp_path / "home", fresh_database, world, data) as inside:
        job = await inside.backfill(await inside.connect("ines"))
        assert (job["status"], job["failures"]) == ("completed", 1)
        assert inside.differences("ines", failed=frozenset({"AAkALgGone"})) == []
        (failure,) = await inside.tenancy.jobs.failures(job["job_id"])
        assert (failure["stage"], failure["error_code"]) == ("parse", "removed")
