"""The memory on an object store (`make test-s3`; skipped where there is no Python with moto, which plays S3)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from atom_backfill.app.core import App
from atom_backfill.custody.postgres import PostgresBalance
from atom_backfill.errors import AtomError
from atom_backfill.jobs.job import AccountId
from atom_backfill.memory.upkeep import tally
from atom_backfill.search.query import Question
from atom_backfill.sources.accounts import MBOX, Connection
from atom_backfill.sources.ports import MailboxIdentity
from integration.app.conftest import Opened, opened  # noqa: F401 - a fixture
from mainjob import an_office, some_mails, write_mails

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
async def test_a_bucket_that_is_not_there_is_said(opened: Opened) -> None:  # noqa: F811
    async with opened(ATOM_MEMORY_URI="s3://elsewhere/one") as app:
        with pytest.raises(AtomError, match="bucket") as told:
            await app.memories.index((await app.tenant()).id)
    assert told.value.code == "memory_refused"
    assert SECRET not in f"{told.value.message} {told.value.detail} {told.value.__cause__}"
