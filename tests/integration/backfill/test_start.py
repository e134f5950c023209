"""What a job is made with."""

from __future__ import annotations

from datetime import UTC, datetime

from worlds import World


async def test_a_job_ends_now_at_the_latest(world: World) -> None:
    tenant = await world.tenant()
    for number, end in enumerate((None, datetime(9999, 1, 1, tzinfo=UTC))):
        job = await world.job(tenant, world.account(tenant, f"m{number}@lumen.example"), end=end)
        late = "SELECT end_date > atom_now() AS late FROM historical_sync_jobs WHERE id = %(job)s"
        assert world.one(late, job=job) == {"late": False}, "mail still to come would count as covered"
