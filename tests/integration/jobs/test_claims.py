"""Claims and settles: one live lease a chunk, four a mailbox, fairness among tenants, stages in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from atom_backfill.db.pool import Database, Engine
from atom_backfill.errors import LeaseLost
from atom_backfill.jobs.job import Again, Done, FailJob, Lane, Lease, Outcome, Quarantine, TenantId, Yielded
from atom_backfill.jobs.postgres import SQL, PostgresJobStore
from worlds import World, a_check, a_window

SETTLES = [
    Done(),
    Yielded(),
    Again(3.0, "away", "Away.", counts=True),
    Quarantine("gone", "Gone."),
    FailJob("disk_full", "Full.", sign_in=False),
]


async def test_a_claim_takes_the_chunk_with_the_lowest_number_and_raises_its_fence(world: World) -> None:
    tenant = await world.tenant()
    windows = [a_window(n) for n in (2, 0, 1)]
    job = await world.job(tenant, world.account(tenant), windows)
    first, second = await world.claim("w-1"), await world.claim("w-2")
    assert [first.chunk_id, second.chunk_id] == [windows[1].chunk_id, windows[2].chunk_id]
    assert (first.fence, first.attempts, first.kind, first.job_id) == (1, 0, "window", job)
    row = world.chunk_row(first.chunk_id)
    assert (row["state"], row["worker"], row["claims"]) == ("leased", "w-1", 1)
    assert row["lease_until"] is not None


async def test_the_first_claim_sets_the_job_going(world: World) -> None:
    lease = await world.lease()
    row = world.job_row(lease.job_id)
    assert row["status"] == "running"
    assert row["started_at"] is not None


async def test_a_live_lease_is_not_claimable_and_a_lapsed_one_is(world: World) -> None:
    lease = await world.lease()
    assert await world.nothing_to_claim()
    world.lapse(lease)
    again = await world.claim("w-2")
    assert again.chunk_id == lease.chunk_id
    assert again.fence == lease.fence + 1


async def test_a_lapse_counts_as_a_failure_since_nobody_knows_what_its_worker_died_of(world: World) -> None:
    lease = await world.lease()
    for attempts in (1, 2, 3):
        world.lapse(lease)
        lease = await world.claim()
        assert lease.attempts == attempts


@pytest.mark.parametrize("outcome", SETTLES, ids=lambda outcome: type(outcome).__name__)
async def test_a_zombies_settle_is_refused_and_leaves_no_trace(world: World, outcome: Outcome) -> None:
    zombie = await world.lease()
    world.lapse(zombie)
    heir = await world.claim("w-2")
    before = world.rows_of(zombie.tenant_id)
    with pytest.raises(LeaseLost):
        await world.store.settle(zombie, outcome)
    assert world.rows_of(zombie.tenant_id) == before
    await world.store.settle(heir, Done())


@pytest.mark.parametrize("outcome", SETTLES, ids=lambda outcome: type(outcome).__name__)
async def test_a_settle_counts_once(world: World, outcome: Outcome) -> None:
    lease = await world.lease()
    await world.store.settle(lease, outcome)
    before = world.rows_of(lease.tenant_id)
    with pytest.raises(LeaseLost):
        await world.store.settle(lease, outcome)
    assert world.rows_of(lease.tenant_id) == before


async def test_a_lapsed_lease_that_nobody_took_may_still_be_settled(world: World) -> None:
    lease = await world.lease()
    world.lapse(lease)
    await world.store.settle(lease, Done())
    assert world.job_row(lease.job_id)["status"] == "completed"


async def test_a_chunk_that_is_tried_again_waits_and_counts(world: World) -> None:
    lease = await world.lease()
    await world.store.settle(lease, Again(30.0, "away", "It is away.", counts=True))
    row = world.chunk_row(lease.chunk_id)
    assert (row["state"], row["attempts"], row["error_code"], row["error"]) == ("ready", 1, "away", "It is away.")
    assert timedelta(seconds=29) < row["waits"] <= timedelta(seconds=30)
    assert await world.nothing_to_claim()
    job = world.job_row(lease.job_id)
    assert (job["last_error_code"], job["error_count"], job["retry_count"]) == ("away", 1, 1)
    await world.hasten()
    again = await world.claim()
    assert (again.attempts, again.lapse) == (1, None)


async def test_a_claim_of_a_lapsed_lease_tells_whose_it_was(world: World) -> None:
    tenant = await world.tenant()
    await world.job(tenant, world.account(tenant), 1)
    first = await world.claim("w-1")
    assert first.lapse is None
    world.lapse(first, by=timedelta(seconds=7))
    second = await world.claim("w-2")
    assert second.chunk_id == first.chunk_id
    assert second.lapse
    assert second.lapse.worker == "w-1"
    assert 7.0 <= second.lapse.seconds < 60.0


async def test_a_wait_that_the_service_asked_for_does_not_count(world: World) -> None:
    lease = await world.lease()
    await world.store.settle(lease, Again(30.0, "throttled", "Wait.", counts=False))
    assert world.chunk_row(lease.chunk_id)["attempts"] == 0
    assert world.job_row(lease.job_id)["error_count"] == 0


async def test_a_yielded_chunk_is_claimable_at_once_and_its_old_fence_is_dead(world: World) -> None:
    lease = await world.lease()
    await world.store.settle(lease, Yielded())
    again = await world.claim("w-2")
    assert again.fence > lease.fence
    assert again.attempts == 0


async def test_checks_wait_for_every_window_and_the_plan(world: World) -> None:
    tenant = await world.tenant()
    chunks = [a_check(), a_window(0, kind="plan"), a_window(1), a_window(2)]
    await world.job(tenant, world.account(tenant), chunks)
    held = [await world.claim() for _ in range(3)]
    assert {lease.kind for lease in held} == {"plan", "window"}
    await world.store.settle(held[0], Done())
    await world.store.settle(held[1], Again(600.0, "away", "Away.", counts=True))
    await world.store.settle(held[2], Done())
    assert await world.nothing_to_claim(), "a window that waits for its next try is not done"
    await world.hasten()
    await world.store.settle(await world.claim(), Quarantine("gone", "Gone."))
    assert (await world.claim()).kind == "check"


async def test_a_mailbox_has_four_chunks_at_work_at_most(world: World) -> None:
    tenant = await world.tenant()
    await world.job(tenant, world.account(tenant), 10)
    held = [await world.claim() for _ in range(4)]
    assert await world.nothing_to_claim()
    world.lapse(held[0])
    assert (await world.claim()).chunk_id == held[0].chunk_id
    await world.store.settle(held[1], Done())
    assert await world.claim()
    assert await world.nothing_to_claim()


async def test_the_limit_of_a_mailbox_is_counted_anew_once_its_turn_is_won(world: World) -> None:
    """What the first look saw may be out of date: another claim may have been committed since."""
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), 10)
    for _ in range(4):
        await world.claim()
    turn = {"tenant": tenant, "job": job, "lane": "ingest", "worker": "w-5", "lease_s": 20.0}
    async with world.database.transaction(Engine()) as tx:
        assert await tx.fetch_one(SQL["take_chunk"], turn) is None


async def test_two_jobs_of_a_mailbox_share_its_limit(world: World) -> None:
    """A retry on a completed job runs beside the next job of the same mailbox."""
    tenant = await world.tenant()
    account = world.account(tenant)
    first = await world.job(tenant, account, 5)
    await world.settle_all(Quarantine("gone", "Gone."))
    await world.control(tenant).retry(first)
    await world.job(tenant, account, 5)
    held = [await world.claim() for _ in range(4)]
    assert len({lease.job_id for lease in held}) == 2
    assert await world.nothing_to_claim()


async def test_many_claimers_never_pass_the_limit_of_a_mailbox(world: World) -> None:
    tenant = await world.tenant()
    account = world.account(tenant)
    first = await world.job(tenant, account, 30)
    world.run("UPDATE historical_sync_jobs SET status = 'completed' WHERE id = %(job)s", job=first)
    await world.job(tenant, account, 30)
    most = 0

    async def work(database: Database) -> None:
        nonlocal most
        store = PostgresJobStore(database)
        for _ in range(12):
            lease = await store.claim("w", [Lane.INGEST])
            most = max(most, world.value("SELECT count(*) FROM sync_chunks WHERE state = 'leased'"))
            if lease is not None:
                await store.settle(lease, Yielded())

    async with await Database.open(world.fresh.url) as one, await Database.open(world.fresh.url) as other:
        await asyncio.gather(*(work(database) for database in (one, other) for _ in range(6)))
    assert 0 < most <= 4


async def test_a_chunk_has_one_owner_however_many_claim_at_once(world: World) -> None:
    for number in range(6):
        tenant = await world.tenant(f"tenant-{number}")
        await world.job(tenant, world.account(tenant), 4)
    async with await Database.open(world.fresh.url) as other:
        stores = [world.store, PostgresJobStore(other)]

        async def claim_some(worker: int) -> list[Lease]:
            found = [await stores[worker % 2].claim(f"w-{worker}", [Lane.INGEST]) for _ in range(6)]
            return [lease for lease in found if lease is not None]

        held = [lease for some in await asyncio.gather(*map(claim_some, range(8))) for lease in some]
    assert len({lease.chunk_id for lease in held}) == len(held) <= 24
    assert {lease.fence for lease in held} == {1}
    rest = 0
    while not await world.nothing_to_claim():
        rest += 1
    assert len(held) + rest == 24


async def test_a_tenant_with_six_hundred_chunks_does_not_starve_one_with_twenty(world: World) -> None:
    """Sixteen places at work, two tenants with enough mailboxes: half each, until the smaller one is done."""
    names = {}
    for name, chunks in (("large", 150), ("small", 5)):
        tenant = await world.tenant(name)
        names[tenant] = name
        for number in range(4):
            await world.job(tenant, world.account(tenant, f"m{number}@{name}.example"), chunks)
    held = [await world.claim() for _ in range(8)]
    served = Counter[str]()
    while served["small"] < 20:
        lease = held.pop(0)
        await world.store.settle(lease, Done())
        served[names[lease.tenant_id]] += 1
        held.append(await world.claim())
    assert abs(served["large"] - served["small"]) <= 2


async def test_a_tenant_with_nine_mailboxes_is_served_as_often_as_one_with_one(world: World) -> None:
    """One worker whose chunks take no time: nothing is ever at work when it claims, so turns alone decide."""
    served = Counter[str]()
    names = {}
    for name, mailboxes in (("large", 9), ("small", 1)):
        tenant = await world.tenant(name)
        names[tenant] = name
        for number in range(mailboxes):
            await world.job(tenant, world.account(tenant, f"m{number}@{name}.example"), 12)
    for _ in range(20):
        lease = await world.claim()
        served[names[lease.tenant_id]] += 1
        await world.store.settle(lease, Done())
    assert served == {"large": 10, "small": 10}


async def test_a_tenant_with_less_at_work_goes_first_however_lately_it_was_served(world: World) -> None:
    large, small = await world.tenant("large"), await world.tenant("small")
    for number in range(2):
        await world.job(large, world.account(large, f"m{number}@large.example"), 9)
    for _ in range(3):
        await world.claim()
    await world.job(small, world.account(small), 9)
    for _ in range(4):
        lease = await world.claim()
        assert lease.tenant_id == small
        await world.store.settle(lease, Done())
    for _ in range(4):
        lease = await world.claim()
    assert lease.tenant_id == large, "it is served once there is as much at work of the other"


async def test_of_claims_made_at_once_each_serves_another_tenant_while_there_is_one(world: World) -> None:
    tenants = [await world.tenant(f"tenant-{number}") for number in range(4)]
    for tenant in tenants:
        for number in range(3):
            await world.job(tenant, world.account(tenant, f"m{number}@lumen.example"), 2)
    served, turns = Counter[TenantId](), {"lanes": ["ingest"], "one_each": True}
    async with AsyncExitStack() as held:
        for _ in tenants:
            tx = await held.enter_async_context(world.database.transaction(Engine()))
            turn = await tx.fetch_one(SQL["pick_turn"], turns)
            assert turn is not None
            served[turn["tenant_id"]] += 1
        assert served == Counter(dict.fromkeys(tenants, 1))
        lease = await world.claim()
        assert lease.tenant_id in tenants, "no claim goes without because each tenant is just being served"


async def test_jobs_of_one_tenant_take_turns(world: World) -> None:
    tenant = await world.tenant()
    jobs = [await world.job(tenant, world.account(tenant, f"m{n}@lumen.example"), 9) for n in range(3)]
    claimed = Counter([(await world.claim()).job_id for _ in range(9)])
    assert claimed == Counter(dict.fromkeys(jobs, 3))


async def test_a_throttled_mailbox_is_left_alone_and_others_are_not(world: World) -> None:
    tenant = await world.tenant()
    slow, quick = world.account(tenant, "slow@lumen.example"), world.account(tenant, "quick@lumen.example")
    await world.job(tenant, slow)
    job = await world.job(tenant, quick)
    world.run("UPDATE accounts SET throttled_until = atom_now() + interval '1 minute' WHERE id = %(id)s", id=slow)
    assert (await world.claim()).job_id == job
    assert await world.nothing_to_claim()
    world.run("UPDATE accounts SET throttled_until = atom_now() WHERE id = %(id)s", id=slow)
    await world.claim()


async def test_a_disconnected_mailbox_is_not_worked_on_and_keeps_no_worker_up(world: World) -> None:
    tenant = await world.tenant()
    account = world.account(tenant)
    await world.job(tenant, account)
    assert not await world.store.idle([Lane.INGEST])
    world.run("UPDATE accounts SET status = 'disconnected' WHERE id = %(id)s", id=account)
    assert await world.nothing_to_claim()
    assert await world.store.idle([Lane.INGEST])


async def test_chunks_that_wait_for_their_next_try_are_work_to_do(world: World) -> None:
    lease = await world.lease()
    await world.store.settle(lease, Again(600.0, "away", "Away.", counts=True))
    assert await world.nothing_to_claim()
    assert not await world.store.idle([Lane.INGEST])
    assert await world.store.idle([Lane.GRAPH])


async def test_only_lapsed_leases_are_rescued_and_told_of(world: World) -> None:
    tenant = await world.tenant()
    await world.job(tenant, world.account(tenant), 3)
    live, lapsed, _ = await world.claim("w-1"), await world.claim("w-2"), await world.claim("w-3")
    world.lapse(lapsed, by=timedelta(seconds=7))
    (rescue,) = await world.store.rescue()
    assert rescue.chunk_id == lapsed.chunk_id
    assert rescue.lapse
    assert rescue.lapse.worker == "w-2"
    assert 7.0 <= rescue.lapse.seconds < 60.0
    assert await world.store.rescue() == []
    assert world.chunk_row(live.chunk_id)["state"] == "leased"
    with pytest.raises(LeaseLost):
        await world.store.settle(lapsed, Done())
    assert (await world.claim()).attempts == 1


LOCKS = {
    "the job": "SELECT FROM historical_sync_jobs WHERE id = %(job)s FOR UPDATE",
    "its chunks": "SELECT FROM sync_chunks WHERE job_id = %(job)s FOR UPDATE",
    "its turn": "SELECT FROM job_turns WHERE job_id = %(job)s FOR UPDATE",
    "its account": "SELECT FROM accounts JOIN historical_sync_jobs j ON account_id = accounts.id WHERE j.id = %(job)s"
    " FOR UPDATE",
}


@pytest.mark.parametrize("lock", LOCKS)
async def test_claims_wait_for_nobody(world: World, lock: str) -> None:
    """A claim that meets locked rows leaves them to whoever holds them, so it can be in no deadlock."""
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant))
    with world.holding(LOCKS[lock], job=job):  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            lease = await world.store.claim("w-1", [Lane.INGEST])
    assert (lease is None) == (lock != "the job")
    await world.store.settle(lease or await world.claim(), Done())
    assert world.job_row(job)["status"] == "completed"
