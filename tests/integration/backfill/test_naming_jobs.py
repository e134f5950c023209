"""How people name a job: its id, the beginning of it, or the address of its mailbox."""

from __future__ import annotations

import pytest

from atom_backfill.backfill.reader import JobReader
from atom_backfill.errors import NotFoundError, UsageError
from worlds import World


@pytest.mark.parametrize("address", ["ines@lumen.example", "Mail of 2019.mbox", "Straße", "cafe", "00"])
async def test_an_address_is_any_name_and_means_its_latest_job(world: World, address: str) -> None:
    tenant = await world.tenant()
    account = world.account(tenant, address)
    await world.job(tenant, world.account(tenant, "other@lumen.example"))
    first = await world.job(tenant, account)
    await world.control(tenant).cancel(first)
    latest = await world.job(tenant, account)
    reader = JobReader(world.database, tenant)
    for named in (address, f" {address.upper()} "):
        assert await reader.resolve(named) == latest


async def test_a_job_is_named_by_its_id_and_by_an_unambiguous_beginning(world: World) -> None:
    tenant = await world.tenant()
    jobs = [await world.job(tenant, world.account(tenant, f"m{number}@lumen.example")) for number in range(2)]
    reader = JobReader(world.database, tenant)
    for job in jobs:
        for named in (str(job), str(job).upper(), job.hex, str(job)[:20]):
            assert await reader.resolve(named) == job


async def test_an_account_s_id_or_its_beginning_means_its_latest_job(world: World) -> None:
    tenant = await world.tenant()
    account = world.account(tenant, "ines@lumen.example")
    await world.job(tenant, world.account(tenant, "other@lumen.example"))
    await world.control(tenant).cancel(await world.job(tenant, account))
    latest = await world.job(tenant, account)
    reader = JobReader(world.database, tenant)
    for named in (str(account), account.hex.upper(), str(account)[:20]):
        assert await reader.resolve(named) == latest


async def test_what_names_two_jobs_is_refused(world: World) -> None:
    tenant = await world.tenant()
    for _ in range(2):
        await world.job(tenant, world.account(tenant, "ines@lumen.example"))
    with pytest.raises(UsageError, match="several jobs"):
        await JobReader(world.database, tenant).resolve("ines@lumen.example")


@pytest.mark.parametrize("named", ["", " ", "-", "zz", "nobody@lumen.example", "0" * 33, "1f0c\x00"])
async def test_what_names_no_job_of_the_tenant_is_not_found(world: World, named: str) -> None:
    tenant = await world.tenant()
    await world.job(tenant, world.account(tenant))
    with pytest.raises(NotFoundError):
        await JobReader(world.database, tenant).resolve(named)


async def test_another_tenant_s_job_is_not_found(world: World) -> None:
    tenant, stranger = await world.tenant(), await world.tenant("stranger")
    job = await world.job(tenant, world.account(tenant))
    for named in (str(job), "ines@lumen.example"):
        with pytest.raises(NotFoundError):
            await JobReader(world.database, stranger).resolve(named)
