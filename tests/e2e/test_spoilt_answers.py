"""Answers that are no JSON, or JSON that is no page: nothing is lost, and an item that spoils its page fails once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from databases import FreshDatabase
from e2e.inside import opened
from e2e.mailboxes import FOLDERS, a_mail, at, mails
from e2e.spoiling import spoil
from graph_world import graph_world, write_mailbox

pytestmark = pytest.mark.long

Json = dict[str, Any]
PAGE = 7
NO_PAGE: Mapping[str, bytes] = {
    "nothing": b"",
    "HTML": b"<html><body><h1>503 Service Unavailable</h1></body></html>",
    "an end in the middle": b'{"@odata.context":"x","value":[{"id":"AAkALgCut","subject":"cut of',
    "brackets without end": b"[" * 10_000,
    "a list of null": b'{"value":null,"@odata.nextLink":""}',
    "an object for a list": b'{"value":{"id":"AAkALgNone"}}',
    "a list": b"[]",
    "a refusal with status 200": b'{"error":{"code":"ApplicationThrottled","message":"Application is over a limit."}}',
    "UTF-16": '{"value":[]}'.encode("utf-16"),
}


async def test_a_moment_of_spoilt_answers_loses_nothing(tmp_path: Path, fresh_database: FreshDatabase) -> None:
    data = write_mailbox(tmp_path / "data", mails("Inbox", 40), [FOLDERS["Inbox"]])
    left = [*NO_PAGE.values()]
    async with (
        graph_world(data) as world,
        opened(tmp_path / "home", fresh_database, world, data, page_size=str(PAGE)) as inside,
    ):
        account = await inside.connect("ines")
        spoil(world, lambda operation, _: left.pop() if left and operation == "messages" else None)
        job = await inside.backfill(account)
        assert (job["status"], job["failures"], left) == ("completed", 0, [])
        assert inside.differences("ines") == []


async def test_a_page_that_claims_to_be_empty_hides_neither_mail_nor_what_is_broken(
    tmp_path: Path, fresh_database: FreshDatabase
) -> None:
    spoilt = a_mail("Inbox", receivedDateTime=at(40))
    data = write_mailbox(tmp_path / "data", [*mails("Inbox", 12), spoilt], [FOLDERS["Inbox"]])
    async with graph_world(data) as world, opened(tmp_path / "home", fresh_database, world, data) as inside:
        account = await inside.connect("ines")

        def instead(operation: str, items: list[Json]) -> bytes | None:
            if operation == "messages":
                return b'\xef\xbb\xbf{"value":[]}'
            return b"{" if items[0]["id"] == spoilt["id"] else None

        spoil(world, instead)
        job = await inside.backfill(account)
        assert (job["status"], job["failures"]) == ("completed", 1)
        assert inside.differences("ines", failed=frozenset({spoilt["id"]})) == []


async def test_an_item_that_spoils_every_answer_is_one_failure(tmp_path: Path, fresh_database: FreshDatabase) -> None:
    spoilers = {a_mail("Inbox")["id"]: body for body in NO_PAGE.values()}
    spoilt = [a_mail("Inbox", n, id=each, receivedDateTime=at(20 * n)) for n, each in enumerate(spoilers)]
    data = write_mailbox(tmp_path / "data", [*mails("Inbox", 30), *spoilt], [FOLDERS["Inbox"]])
    async with (
        graph_world(data) as world,
        opened(tmp_path / "home", fresh_database, world, data, page_size=str(PAGE)) as inside,
    ):
        account = await inside.connect("ines")
        spoil(world, lambda _, items: next((spoilers[i["id"]] for i in items if i["id"] in spoilers), None))
        job = await inside.backfill(account)
        assert (job["status"], job["failures"]) == ("completed", len(spoilers))
        assert inside.differences("ines", failed=frozenset(spoilers)) == []
        failures = await inside.tenancy.jobs.failures(job["job_id"])
        assert {(each["stage"], each["error_code"]) for each in failures} == {("fetch", "bad_answer")}
