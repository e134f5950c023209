"""The memory on an object store (`make test-s3`; skipped where there is no Python with moto, which plays S3)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lancedb
import pytest

from atom_backfill.app.core import App
from atom_backfill.app.keeping import rebuild, rebuild_tools, sweep_memory, verify
from atom_backfill.custody import rebuild as rebuilding
from atom_backfill.custody.postgres import PostgresBalance
from atom_backfill.errors import AtomError
from atom_backfill.jobs.job import AccountId
from atom_backfill.memory.upkeep import tally
from atom_backfill.search.query import Question
from atom_backfill.sources.accounts import MBOX, Connection
from atom_backfill.sources.ports import MailboxIdentity
from fakes.embedder import HashEmbedder
from integration.app.conftest import Opened, opened  # noqa: F401 - a fixture
from mainjob import an_office, some_mails, write_mails
from passages import a_row

PYTHON = os.environ.get("ATOM_S3_PYTHON", "")
"""The interpreter of an environment in which moto is installed."""
pytestmark = [pytest.mark.s3, pytest.mark.skipif(not PYTHON, reason="no ATOM_S3_PYTHON: make test-s3")]
SERVER = """
import sys, boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://127.0.0.1:%d" % server.get_host_and_port()[1]
boto3.client("s3", endpoint_url=url, region_name="us-east-1").create_bucket(Bucket="memories")
print(url, flush=True)
sys.stdin.read()
"""
SECRET = "tWkPzQ7wV3"
URI = "s3://memories/one"
MAILS = some_mails(30)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An S3 with one bucket, which the environment points to."""
    about = {"AWS_ACCESS_KEY_ID": "AKIATESTING", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    for name, value in (about | {"AWS_ALLOW_HTTP": "true"}).items():
        monkeypatch.setenv(name, value)
    with subprocess.Popen([PYTHON, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        monkeypatch.setenv("AWS_ENDPOINT", server.stdout.readline().strip())
        yield
        server.communicate("", timeout=10)  # the end of its input is the end of it


async def mailbox(app: App, tmp_path: Path) -> AccountId:
    identity = MailboxIdentity(str(tmp_path / "mail"), "ines@lumen.example")
    tenancy = await app.tenant()
    return await tenancy.accounts.save(AccountId(app.outside.new_id()), Connection(MBOX, identity, {}, {}))


@pytest.mark.usefixtures("store")
async def test_a_mailbox_is_read_into_an_object_store_and_searched_there(
    opened: Opened,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_mails(tmp_path / "mail", MAILS)
    async with opened(ATOM_MEMORY_URI=URI) as app:
        tenancy = await app.tenant()
        assert not await app.memories.is_made(tenancy.id)
        root, account = tmp_path / "mail", await mailbox(app, tmp_path)
        async with an_office(app.database, tenancy.id, account, root, tmp_path / "elsewhere") as office:
            office.index = await app.memories.index(tenancy.id)
            await office.start()
            await office.work()
            await office.index.upkeep()
    async with opened(ATOM_MEMORY_URI=URI) as app:
        tenancy = await app.tenant()
        answer = await (await tenancy.searcher()).search(Question(MAILS[3].subject, mode="text"))
        assert answer.results[0]["subject"] == MAILS[3].subject
        assert (answer.coverage.complete, answer.coverage.missing) == (True, 0)
        index = await app.memories.index(tenancy.id)
        counted = await tally(index, PostgresBalance(app.database, tenancy.id).generations)
        assert (counted.messages, counted.orphans) == (len(MAILS), 0)
    told = capfd.readouterr()
    assert SECRET not in told.out + told.err


@pytest.mark.usefixtures("store")
async def test_a_memory_on_an_object_store_is_swept_checked_and_made_anew(
    opened: Opened,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Whoever opens its table finds the new rows there, and nothing is left beside it."""
    write_mails(tmp_path / "mail", MAILS)
    async with opened(ATOM_MEMORY_URI=URI) as app:
        tenancy = await app.tenant()
        root, account = tmp_path / "mail", await mailbox(app, tmp_path)
        async with an_office(app.database, tenancy.id, account, root, tmp_path / "elsewhere") as office:
            office.index = await app.memories.index(tenancy.id)
            await office.start()
            await office.work()
            await office.index.upsert([a_row(1)], await HashEmbedder().embed(["a crash left this"]))
        table = lancedb.connect(f"{URI}/{tenancy.id}").open_table("passages")
        rows = table.search().where("id <> 'p-1'").select(["id"]).limit(None).to_list()
        [lost, damaged, *_] = [row["id"] for row in rows]
        table.delete(f"id = '{lost}'")
        assert await sweep_memory(app, tenancy.id) == {"missing": 1, "foreign": 1, "differs": 0}
        table.checkout_latest()
        table.update(where=f"id = '{damaged}'", values={"text": "something else"})
        assert (await verify(tenancy, repair=False))["counts"]["differs"] == 1

        made = await rebuild(tenancy, lambda done, total: None)
        assert made == {"rebuilt": True, "messages": len(MAILS), "resumed": 0}
        assert (await verify(tenancy, repair=False))["verified"]
        found = lancedb.connect(f"{URI}/{tenancy.id}").open_table("passages")
        assert found.count_rows() == len(MAILS)
        assert [index.name for index in found.list_indices()] == ["words_idx"]
        assert lancedb.connect(f"{URI}/{tenancy.id}/anew").list_tables().tables == []


@pytest.mark.parametrize("point", ["rebuild_built", "rebuild_swapping", "rebuild_replaced"])
@pytest.mark.usefixtures("store")
async def test_a_rebuild_that_died_on_an_object_store_is_ended(
    opened: Opened,  # noqa: F811
    tmp_path: Path,
    point: str,
) -> None:
    class DiedError(Exception):
        pass

    async def dies(name: str) -> None:
        if name == point:
            raise DiedError

    write_mails(tmp_path / "mail", MAILS)
    async with opened(ATOM_MEMORY_URI=URI) as app:
        tenancy = await app.tenant()
        async with an_office(
            app.database, tenancy.id, await mailbox(app, tmp_path), tmp_path / "mail", tmp_path / "elsewhere"
        ) as office:
            office.index = await app.memories.index(tenancy.id)
            await office.start()
            await office.work()
        tools = await rebuild_tools(tenancy, lambda done, total: None)
        with pytest.raises(DiedError):
            await rebuilding.rebuild(replace(tools, reached=dies))
        assert (await verify(tenancy, repair=False))["verified"], "the old one, or the new one"
        assert (await app.memories.standing(tenancy.id).standing()).swapping is None
        again = await rebuild(tenancy, lambda done, total: None)
        assert (again["messages"], again["resumed"]) == (len(MAILS), 0 if point == "rebuild_replaced" else len(MAILS))
        assert (await verify(tenancy, repair=False))["verified"]


@pytest.mark.usefixtures("store")
async def test_a_bucket_that_is_not_there_is_said(opened: Opened) -> None:  # noqa: F811
    async with opened(ATOM_MEMORY_URI="s3://elsewhere/one") as app:
        with pytest.raises(AtomError, match="bucket") as told:
            await app.memories.index((await app.tenant()).id)
    assert told.value.code == "memory_refused"
    assert SECRET not in f"{told.value.message} {told.value.detail} {told.value.__cause__}"
