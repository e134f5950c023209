"""The development mail's robustness set, where it is there: every case is stored or one failure, its job completes."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest

from atom_backfill.app.connecting import connect_mbox
from databases import FreshDatabase
from e2e.inside import opened
from e2e.mailboxes import FOLDERS, a_mail, at, mails
from e2e.spoiling import spoil
from graph_world import a_folder, graph_world, write_mailbox

pytestmark = pytest.mark.corpus
Json = dict[str, Any]


@pytest.fixture(scope="module")
def corpus() -> Path:
    folder = os.environ.get("ATOM_CORPUS")
    if not folder:
        pytest.skip("ATOM_CORPUS does not name the folder of the development mail")
    return Path(folder) / "robustness"


def outcomes(database: FreshDatabase) -> tuple[list[str], dict[str, str]]:
    """Return the source ids that are stored, and the code of each that failed."""
    with psycopg.connect(database.superuser_url) as connection:
        stored = connection.execute("SELECT source_id FROM messages").fetchall()
        failed = connection.execute("SELECT source_id, error_code FROM failures").fetchall()
    assert len(dict(failed)) == len(failed)
    return [row[0] for row in stored], dict(failed)


async def test_every_odd_graph_message_is_stored_or_one_failure(
    tmp_path: Path, fresh_database: FreshDatabase, corpus: Path
) -> None:
    with gzip.open(corpus / "weird_graph.jsonl.gz") as lines:
        odd = {line["case"]: line["message"] for line in map(json.loads, lines)}
    parents = {message.get("parentFolderId") for message in odd.values()}
    folders = [a_folder(f"Odd {n}", id=each) for n, each in enumerate(filter(_is_text, parents))]
    neighbours = mails("Inbox", 20, start=-2_000_000.0, step=200_000.0)
    data = write_mailbox(tmp_path / "data", [*odd.values(), *neighbours], [FOLDERS["Inbox"], *folders])
    async with graph_world(data) as world, opened(tmp_path / "home", fresh_database, world, data) as inside:
        job = await inside.backfill(await inside.connect("ines"), folders=("all",))
    stored, failed = outcomes(fresh_database)
    due = {message["id"] for message in [*odd.values(), *neighbours] if message.get("isDraft") is not True}
    assert job["status"] == "completed"
    assert (set(stored) | failed.keys()) == due
    assert len(stored) + len(failed) == len(due)
    assert failed == {odd["removed_delta"]["id"]: "removed"}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


async def test_every_odd_mail_file_is_stored_or_one_failure(
    tmp_path: Path, fresh_database: FreshDatabase, corpus: Path
) -> None:
    data = write_mailbox(tmp_path / "data", [], [FOLDERS["Inbox"]])
    async with graph_world(data) as world, opened(tmp_path / "home", fresh_database, world, data) as inside:
        account, _ = await connect_mbox(inside.tenancy, corpus / "eml", "odd@example.com")
        job = await inside.backfill(account.account_id)
    stored, failed = outcomes(fresh_database)
    assert (job["status"], job["records_processed"], job["failures"]) == ("completed", len(stored), len(failed))
    different = {path.read_bytes() for path in (corpus / "eml").iterdir()}
    assert len(stored) + len(failed) == len(different)
    assert set(failed.values()) <= {"empty"}


async def test_every_broken_answer_is_outlived_and_what_brings_it_is_one_failure(
    tmp_path: Path, fresh_database: FreshDatabase, corpus: Path
) -> None:
    broken = [path.read_bytes() for path in sorted((corpus / "invalid_json").iterdir())]
    spoilt = [a_mail("Inbox", n, receivedDateTime=at(20 * n)) for n in range(len(broken))]
    spoilers = dict(zip((message["id"] for message in spoilt), broken, strict=True))
    invented = {item["id"] for body in broken for item in _items(body)}
    data = write_mailbox(tmp_path / "data", [*mails("Inbox", 30), *spoilt], [FOLDERS["Inbox"]])
    async with (
        graph_world(data) as world,
        opened(tmp_path / "home", fresh_database, world, data, page_size="7") as inside,
    ):
        account = await inside.connect("ines")
        spoil(world, lambda _, items: next((spoilers[i["id"]] for i in items if i["id"] in spoilers), None))
        job = await inside.backfill(account)
        assert (job["status"], job["failures"]) == ("completed", len(spoilers))
        assert inside.differences("ines", failed=frozenset(spoilers), gone=frozenset(invented)) == []


def _items(body: bytes) -> list[Json]:
    """Read what a lenient reader finds on a page that is none."""
    try:
        page = json.loads(body.decode("latin-1").removeprefix("\u00ef\u00bb\u00bf"), strict=False)
    except (ValueError, RecursionError):
        return []
    value = page.get("value") if isinstance(page, dict) else None
    return value if isinstance(value, list) else []
