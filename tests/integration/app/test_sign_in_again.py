"""A sign-in that was lost and made again, while a worker runs all the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atom_backfill.app.connecting import Registration, connect_outlook
from atom_backfill.app.core import Tenancy
from atom_backfill.app.mailboxes import CLIENT_SECRET
from atom_backfill.app.work import run_worker
from atom_backfill.backfill.start import Request, start
from atom_backfill.errors import RefusedError, RetryLaterError
from atom_backfill.jobs.job import JobId
from atom_backfill.jobs.worker import WorkerOptions
from atom_backfill.sources.accounts import Account, Connection
from atom_backfill.sources.ports import MailboxIdentity
from graph_world import GraphWorld, a_folder, a_graph_message, graph_world, write_mailbox
from integration.app.conftest import Opened

INBOX = a_folder("Inbox", wellKnownName="inbox")
APP = Registration("example.com", "app-1", "right")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GraphWorld]:
    write_mailbox(tmp_path, [a_graph_message(INBOX) for _ in range(3)], [INBOX])
    async with graph_world(tmp_path) as world:
        yield world


def before(world: GraphWorld) -> dict[str, str]:
    return {"ATOM_GRAPH_BASE_URL": f"{world.url}/v1.0", "ATOM_LOGIN_BASE_URL": world.url}


async def connect(tenancy: Tenancy) -> Account:
    return await connect_outlook(tenancy, APP, "ines@example.com", lambda _: None)


async def spoil(tenancy: Tenancy, account: Account) -> None:
    """Let the secret that is stored be one that has expired."""
    mailbox = MailboxIdentity(account.identity, account.address)
    secrets = {CLIENT_SECRET: "expired"}
    await tenancy.accounts.save(account.account_id, Connection(account.kind, mailbox, account.config, secrets))


async def until(tenancy: Tenancy, job: JobId, status: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while (found := await tenancy.jobs.job(job))["status"] != status:  # noqa: ASYNC110 - as people watch a job
            await asyncio.sleep(0.02)
    return found


async def test_a_job_that_failed_for_its_sign_in_goes_on_after_connect_and_resume_in_the_worker_that_saw_it_fail(
    opened: Opened, world: GraphWorld
) -> None:
    async with opened(**before(world)) as person, opened(**before(world)) as serving:
        tenancy = await person.tenant()
        account = await connect(tenancy)
        await spoil(tenancy, account)
        source = await person.mailboxes.open(tenancy.id, account)
        job = await start(Request(account.account_id), source, tenancy.control, person.outside.new_id)
        stop = asyncio.Event()
        working = asyncio.create_task(run_worker(serving, stop, WorkerOptions("w-1", poll_s=0.05)))
        failed = await until(tenancy, job, "failed")
        assert "secret has expired" in failed["last_error"]
        assert (await tenancy.accounts.read(account.account_id)).status == "sign_in_needed"

        again = await connect(tenancy)
        assert (again.account_id, again.status) == (account.account_id, "connected")
        world.service.tokens.end_all()  # as after an hour: the token that `connect` got will not do
        await tenancy.control.resume(job)
        assert (await until(tenancy, job, "completed"))["records_processed"] == 3
        stop.set()
        await working


async def test_a_mailbox_stays_open_for_the_chunks_that_follow(opened: Opened, world: GraphWorld) -> None:
    async with opened(**before(world)) as app:
        tenancy = await app.tenant()
        account = await connect(tenancy)
        first = await app.mailboxes.open(tenancy.id, account)
        assert await app.mailboxes.open(tenancy.id, account) is first
        await connect(tenancy)
        assert await app.mailboxes.open(tenancy.id, account) is not first


async def test_a_disconnected_mailbox_is_refused_to_people_and_put_off_for_workers(
    opened: Opened, world: GraphWorld
) -> None:
    async with opened(**before(world)) as app:
        tenancy = await app.tenant()
        account = await connect(tenancy)
        await app.mailboxes.open(tenancy.id, account)
        await tenancy.accounts.forget_credentials(account.account_id)
        with pytest.raises(RefusedError):
            await app.mailboxes.open(tenancy.id, await tenancy.accounts.read(account.account_id))
        with pytest.raises(RetryLaterError) as put_off:
            await app.mailboxes.open(tenancy.id, account)  # as a worker that had claimed before
        assert put_off.value.code == "disconnected"


async def test_no_request_names_an_address(opened: Opened, world: GraphWorld) -> None:
    async with opened(**before(world)) as app:
        tenancy = await app.tenant()
        account = await connect(tenancy)
        source = await app.mailboxes.open(tenancy.id, account)
        since = len(world.requests())
        await source.folders()
        assert len(world.requests()) > since
        assert not [line for line in world.requests(since=since) if "@" in line["path"] or "%40" in line["path"]]
