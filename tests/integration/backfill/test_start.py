"""What a job is made with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import pytest

from atom_backfill.backfill.start import Request, start
from atom_backfill.clock import SystemClock
from atom_backfill.errors import NotFoundError, UsageError
from atom_backfill.sources.mbox.source import MboxSource
from mainjob import some_mails, write_mails
from worlds import World

NOON = datetime(2024, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def mailbox(tmp_path: Path) -> MboxSource:
    write_mails(tmp_path / "mail", some_mails(5))
    return MboxSource(tmp_path / "mail", tmp_path / "cache", SystemClock())


async def test_a_job_ends_now_at_the_latest(world: World) -> None:
    tenant = await world.tenant()
    for number, end in enumerate((None, datetime(9999, 1, 1, tzinfo=UTC))):
        job = await world.job(tenant, world.account(tenant, f"m{number}@lumen.example"), end=end)
        late = "SELECT end_date > atom_now() AS late FROM historical_sync_jobs WHERE id = %(job)s"
        assert world.one(late, job=job) == {"late": False}, "mail still to come would count as covered"


async def test_a_job_begins_with_the_planning_alone(world: World, mailbox: MboxSource) -> None:
    tenant = await world.tenant()
    account = world.account(tenant)
    job = await start(Request(account, folders=("sent items",)), mailbox, world.control(tenant), uuid4)
    row = world.job_row(job)
    assert (row["status"], row["folders"], row["graph_status"]) == ("pending", ["sent items"], "waiting_for_key")
    assert world.rows("SELECT kind, stage FROM sync_chunks WHERE job_id = %(j)s", j=job) == [
        {"kind": "plan", "stage": 1}
    ]


async def test_a_range_is_kept_in_whole_seconds(world: World, mailbox: MboxSource) -> None:
    tenant = await world.tenant()
    east = timezone(timedelta(hours=2))
    odd = (NOON + timedelta(milliseconds=250)).astimezone(east)
    request = Request(world.account(tenant), since=odd, until=odd + timedelta(hours=1))
    row = world.job_row(await start(request, mailbox, world.control(tenant), uuid4))
    assert (row["start_date"], row["end_date"]) == (NOON, NOON + timedelta(hours=1, seconds=1))


async def test_an_empty_range_is_refused(world: World, mailbox: MboxSource) -> None:
    tenant = await world.tenant()
    request = Request(world.account(tenant), since=NOON, until=NOON)
    with pytest.raises(UsageError, match=r"^The range is empty: .+\.$"):
        await start(request, mailbox, world.control(tenant), uuid4)


@pytest.mark.parametrize("folder", ["Projekte", "", "Inbox/Nothing"])
async def test_a_folder_that_is_not_there_is_told_before_a_job_is_made(
    world: World, mailbox: MboxSource, folder: str
) -> None:
    tenant = await world.tenant()
    request = Request(world.account(tenant), folders=("Inbox", folder))
    with pytest.raises(NotFoundError) as refused:
        await start(request, mailbox, world.control(tenant), uuid4)
    assert refused.value.message == f"The mailbox has no folder {folder!r}: `estimate` lists those it has."
    assert world.rows("SELECT id FROM historical_sync_jobs WHERE tenant_id = %(t)s", t=tenant) == []
