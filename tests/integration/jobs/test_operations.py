"""Submit, pause, resume, cancel, retry, and how jobs end."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from atom_backfill.db.pool import Database, Work
from atom_backfill.errors import NotFoundError, RefusedError
from atom_backfill.jobs.job import (
    AccountId,
    Again,
    Done,
    FailJob,
    GraphStatus,
    JobId,
    Lane,
    Quarantine,
    Yielded,
)
from atom_backfill.jobs.postgres import PostgresJobStore, add_chunks
from worlds import World, a_check, a_window

WINDOW_LOST = Quarantine("server_error", "The mailbox fails here.")


async def test_a_second_job_of_a_mailbox_is_refused_by_the_first_ones_name(world: World) -> None:
    tenant = await world.tenant()
    account = world.account(tenant)
    first = await world.job(tenant, account)
    with pytest.raises(RefusedError, match=rf"^Job {first} of this account is pending: .+\.$"):
        await world.job(tenant, account)
    await world.settle_all()
    await world.job(tenant, account)


async def test_of_many_starts_at_once_one_wins_and_the_others_name_it(world: World) -> None:
    tenant = await world.tenant()
    account = world.account(tenant)
    outcomes = await asyncio.gather(*(world.job(tenant, account) for _ in range(6)), return_exceptions=True)
    (won,) = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(error, RefusedError) and str(won) in error.message for error in lost)
    assert world.value("SELECT count(*) FROM sync_chunks WHERE tenant_id = %(t)s", t=tenant) == 1


async def test_a_mailbox_of_another_tenant_does_not_exist(world: World) -> None:
    mine, theirs = await world.tenant("mine"), await world.tenant("theirs")
    account = world.account(theirs)
    for unknown in (account, AccountId(uuid4())):
        with pytest.raises(NotFoundError, match="no such account"):
            await world.job(mine, unknown)


async def test_a_job_without_an_end_ends_with_the_last_whole_second(world: World) -> None:
    tenant = await world.tenant()
    row = world.job_row(await world.job(tenant, world.account(tenant), end=None))
    assert row["end_date"].microsecond == 0
    assert 0 <= (row["created_at"] - row["end_date"]).total_seconds() < 5


async def test_a_paused_job_is_not_claimed_and_goes_on_when_resumed(world: World) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), 2)
    control = world.control(tenant)
    held = await world.claim()
    await control.pause(job)
    assert await world.nothing_to_claim()
    assert await world.store.idle([Lane.INGEST])
    await world.store.settle(held, Yielded())
    assert world.job_row(job)["status"] == "paused"
    await control.resume(job)
    assert world.job_row(job)["status"] == "pending"
    assert await world.settle_all() == 2
    assert world.job_row(job)["status"] == "completed"


async def test_a_job_whose_last_chunk_was_done_while_it_was_paused_completes_when_resumed(world: World) -> None:
    held = await world.lease()
    control = world.control(held.tenant_id)
    await control.pause(held.job_id)
    await world.store.settle(held, Done())
    assert world.job_row(held.job_id)["status"] == "paused"
    await control.resume(held.job_id)
    row = world.job_row(held.job_id)
    assert row["status"] == "completed"
    assert row["completed_at"] is not None


async def test_resuming_does_not_wait_out_an_old_backoff(world: World) -> None:
    held = await world.lease()
    await world.store.settle(held, Again(3000.0, "away", "Away.", counts=True))
    control = world.control(held.tenant_id)
    await control.pause(held.job_id)
    await control.resume(held.job_id)
    assert (await world.claim()).attempts == 0


async def test_resuming_a_failed_job_begins_to_count_failures_anew(world: World) -> None:
    held = await world.lease()
    await world.store.settle(held, Again(0.0, "disk_full", "Full.", counts=True))
    await world.store.settle(await world.claim(), FailJob("disk_full", "Full.", sign_in=False))
    await world.control(held.tenant_id).resume(held.job_id)
    assert (await world.claim()).attempts == 0


async def test_a_failed_job_is_not_resumed_beside_the_next_job_of_its_mailbox(world: World) -> None:
    held = await world.lease()
    await world.store.settle(held, FailJob("expired", "Sign in again.", sign_in=False))
    second = await world.job(held.tenant_id, held.account_id)
    before = world.rows_of(held.tenant_id)
    with pytest.raises(RefusedError, match=rf"^Job {second} of this account is pending: .+\.$") as refused:
        await world.control(held.tenant_id).resume(held.job_id)
    assert refused.value.code == "job_active"
    assert world.rows_of(held.tenant_id) == before


async def test_of_a_resume_and_a_start_at_once_one_is_refused_by_the_others_name(world: World) -> None:
    for number in range(8):
        held = await world.lease(f"tenant-{number}")
        await world.store.settle(held, FailJob("expired", "Sign in again.", sign_in=False))
        resume = world.control(held.tenant_id).resume(held.job_id)
        outcomes = await asyncio.gather(resume, world.job(held.tenant_id, held.account_id), return_exceptions=True)
        (lost,) = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert isinstance(lost, RefusedError)
        assert lost.code == "job_active"
        await world.settle_all()


async def test_a_cancelled_job_is_never_claimed_again_and_keeps_what_it_has(world: World) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), 3)
    held, lapsed = await world.claim(), await world.claim()
    await world.control(tenant).cancel(job)
    await world.store.settle(held, Done())
    world.lapse(lapsed)
    await world.store.rescue()
    assert await world.nothing_to_claim()
    assert await world.store.idle([Lane.INGEST])
    row = world.job_row(job)
    assert (row["status"], row["completed_chunks"], row["completed_at"]) == ("cancelled", 1, None)
    await world.job(tenant, row["account_id"])


@pytest.mark.parametrize("operation", ["pause", "resume", "cancel"])
async def test_a_completed_job_refuses_and_changes_nothing(world: World, operation: str) -> None:
    held = await world.lease(graph_status=GraphStatus.OFF)
    await world.store.settle(held, Done())
    before = world.rows_of(held.tenant_id)
    with pytest.raises(RefusedError, match="it is completed"):
        await getattr(world.control(held.tenant_id), operation)(held.job_id)
    assert world.rows_of(held.tenant_id) == before


async def test_operations_on_a_completed_job_are_about_its_graph_lane_while_that_is_open(world: World) -> None:
    held = await world.lease()
    await world.store.settle(held, Done())
    control = world.control(held.tenant_id)
    with pytest.raises(RefusedError, match="it is completed"):
        await control.resume(held.job_id)
    for operation, status in (
        (control.pause, "paused"),
        (control.resume, "waiting_for_key"),
        (control.cancel, "cancelled"),
    ):
        await operation(held.job_id)
        row = world.job_row(held.job_id)
        assert (row["status"], row["graph_status"]) == ("completed", status)


async def test_a_budget_is_raised_with_the_resume_or_not_at_all(world: World) -> None:
    held = await world.lease()
    control = world.control(held.tenant_id)
    await control.pause(held.job_id)
    await control.resume(held.job_id, budget_usd=Decimal("12.50"))
    assert world.job_row(held.job_id)["budget_usd"] == Decimal("12.50")
    await control.cancel(held.job_id)
    with pytest.raises(RefusedError):
        await control.resume(held.job_id, budget_usd=Decimal(99))
    assert world.job_row(held.job_id)["budget_usd"] == Decimal("12.50")


@pytest.mark.parametrize("operation", ["pause", "resume", "cancel", "retry"])
async def test_a_job_of_another_tenant_does_not_exist(world: World, operation: str) -> None:
    mine, theirs = await world.tenant("mine"), await world.tenant("theirs")
    job = await world.job(theirs, world.account(theirs))
    for unknown in (job, JobId(uuid4())):
        with pytest.raises(NotFoundError, match=r"^There is no such job; .+\.$"):
            await getattr(world.control(mine), operation)(unknown)
    assert world.job_row(job)["status"] == "pending"


async def test_the_last_settle_completes_the_job(world: World) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), [a_window(0), a_window(1), a_check()])
    for done in range(3):
        row = world.job_row(job)
        assert (row["status"] == "completed", row["completed_chunks"]) == (False, done)
        await world.store.settle(await world.claim(), Done())
    row = world.job_row(job)
    assert (row["status"], row["completed_chunks"], row["total_chunks"]) == ("completed", 3, 3)
    assert row["progress_percentage"] == 100
    assert world.value("SELECT count(*) FROM job_turns WHERE job_id = %(job)s", job=job) == 0


async def test_of_two_that_settle_at_once_exactly_one_completes_the_job(world: World) -> None:
    tenant = await world.tenant()
    world.run("CREATE TABLE completions (job_id uuid)")
    world.run(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN INSERT INTO completions VALUES (new.id); RETURN new; END'"
    )
    world.run(
        "CREATE TRIGGER note AFTER UPDATE ON historical_sync_jobs FOR EACH ROW"
        " WHEN (new.status = 'completed' AND old.status <> 'completed') EXECUTE FUNCTION note()"
    )
    try:
        jobs = []
        for number in range(8):
            job = await world.job(tenant, world.account(tenant, f"m{number}@lumen.example"), 4)
            leases = [await world.claim() for _ in range(4)]
            await asyncio.gather(*(world.store.settle(lease, Done()) for lease in leases))
            assert world.job_row(job)["status"] == "completed"
            jobs.append(job)
        assert sorted(row["job_id"] for row in world.rows("SELECT job_id FROM completions")) == sorted(jobs)
    finally:
        world.run("DROP TRIGGER note ON historical_sync_jobs")
        world.run("DROP FUNCTION note")
        world.run("DROP TABLE completions")


async def test_a_job_with_lost_windows_completes_when_its_check_succeeds_and_lists_them(world: World) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), [a_window(), a_check()])
    await world.store.settle(await world.claim(), WINDOW_LOST)
    await world.store.settle(await world.claim(), Done())
    row = world.job_row(job)
    assert (row["status"], row["last_error_code"], row["error_count"]) == ("completed", "server_error", 1)
    assert (
        world.value("SELECT count(*) FROM sync_chunks WHERE job_id = %(job)s AND state = 'quarantined'", job=job) == 1
    )


async def test_a_job_whose_check_was_given_up_has_failed_and_says_what_to_do(world: World) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), [a_window(), a_check()])
    await world.store.settle(await world.claim(), Done())
    await world.store.settle(await world.claim(), Quarantine("server_error", "It fails."))
    row = world.job_row(job)
    assert (row["status"], row["last_error_code"], row["completed_at"]) == ("failed", "not_walked", None)
    assert "`resume`" in row["last_error"]
    await world.control(tenant).resume(job)
    again = await world.claim()
    assert (again.kind, again.attempts) == ("check", 0)
    await world.store.settle(again, Done())
    assert world.job_row(job)["status"] == "completed"


async def test_what_only_the_owner_can_mend_fails_the_job_and_marks_the_mailbox(world: World) -> None:
    tenant = await world.tenant()
    account = world.account(tenant)
    job = await world.job(tenant, account, 3)
    await world.store.settle(await world.claim(), FailJob("expired", "Sign in again.", sign_in=True))
    row = world.job_row(job)
    assert (row["status"], row["last_error"]) == ("failed", "Sign in again.")
    assert world.value("SELECT status FROM accounts WHERE id = %(id)s", id=account) == "sign_in_needed"
    assert await world.nothing_to_claim()
    await world.control(tenant).resume(job)
    assert await world.settle_all() == 3


async def test_a_retry_on_a_completed_job_never_takes_completion_back(world: World) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), [a_window(), a_check()])
    await world.store.settle(await world.claim(), WINDOW_LOST)
    await world.store.settle(await world.claim(), Done())
    before = world.job_row(job)
    await world.control(tenant).retry(job)
    seen = []
    for outcome in (Again(0.0, "away", "Away.", counts=True), Done(), Quarantine("gone", "Gone.")):
        lease = await world.claim()
        seen.append(lease.kind)
        assert world.job_row(job)["status"] == "completed"
        await world.store.settle(lease, outcome)
    assert set(seen) == {"retry", "window"}
    assert await world.nothing_to_claim()
    after = world.job_row(job)
    for kept in ("status", "completed_at", "progress_percentage", "total_chunks"):
        assert after[kept] == before[kept]


async def test_a_retry_by_name_reopens_the_chunks_named_and_no_others(world: World) -> None:
    tenant = await world.tenant()
    windows = [a_window(0), a_window(1)]
    job = await world.job(tenant, world.account(tenant), [*windows, a_check()])
    for outcome in (WINDOW_LOST, WINDOW_LOST, Done()):
        await world.store.settle(await world.claim(), outcome)
    item = uuid4()
    await world.control(tenant).retry(job, [windows[1].chunk_id, item])
    states = {window.chunk_id: world.chunk_row(window.chunk_id)["state"] for window in windows}
    assert [states[window.chunk_id] for window in windows] == ["quarantined", "ready"]
    (retry,) = world.rows("SELECT position FROM sync_chunks WHERE job_id = %(job)s AND kind = 'retry'", job=job)
    assert str(item) in retry["position"]["failures"]


@pytest.mark.parametrize(
    ("asked", "read"), [(["a", "a"], ["a"]), (["a", "b"], ["a", "b"]), (["a", ""], []), (["", "a"], []), (["", ""], [])]
)
async def test_a_retry_joins_the_one_that_nobody_has_taken_yet(world: World, asked: list[str], read: list[str]) -> None:
    held = await world.lease()
    await world.store.settle(held, Done())
    items = {"a": UUID(int=1), "b": UUID(int=2)}
    for name in asked:
        await world.control(held.tenant_id).retry(held.job_id, [items[name]] if name else [])
    (retry,) = world.rows("SELECT position FROM sync_chunks WHERE job_id = %(job)s AND kind = 'retry'", job=held.job_id)
    assert retry["position"]["failures"] == [str(items[name]) for name in read]
    assert await world.settle_all() == 1


async def test_a_retry_waits_for_no_other_that_is_being_worked_on(world: World) -> None:
    held = await world.lease()
    await world.store.settle(held, Done())
    control = world.control(held.tenant_id)
    await control.fetch(held.job_id, {"places": []})
    await control.retry(held.job_id)
    assert await world.settle_all() == 2, "what a balance found is no retry"
    await control.retry(held.job_id)
    taken = await world.claim()
    await control.retry(held.job_id)
    assert (await world.claim()).chunk_id != taken.chunk_id


async def test_a_retry_that_meets_the_last_settle_is_not_forgotten(world: World) -> None:
    """Whichever comes first, the retry's chunk is claimable afterwards."""
    for number in range(10):
        tenant = await world.tenant(f"tenant-{number}")
        job = await world.job(tenant, world.account(tenant))
        held = await world.claim()
        await asyncio.gather(world.store.settle(held, Done()), world.control(tenant).retry(job))
        assert (await world.claim()).kind == "retry"


async def test_a_plan_adds_its_chunks_once(world: World) -> None:
    plan = await world.lease(chunks=[a_window(kind="plan")])
    more = [a_window(1), a_window(2), a_check()]
    for _ in range(2):
        async with world.database.transaction(Work(plan.tenant_id)) as tx:
            await add_chunks(tx, plan, more)
    assert world.value("SELECT count(*) FROM sync_chunks WHERE job_id = %(job)s", job=plan.job_id) == 4


async def test_a_cancel_and_a_first_claim_at_once_do_not_deadlock(world: World) -> None:
    async with await Database.open(world.fresh.url) as other:
        store = PostgresJobStore(other)
        for number in range(15):
            tenant = await world.tenant(f"tenant-{number}")
            job = await world.job(tenant, world.account(tenant))
            lease, _ = await asyncio.gather(store.claim("w", [Lane.INGEST]), world.control(tenant).cancel(job))
            assert world.job_row(job)["status"] == "cancelled"
            if lease is not None:
                await store.settle(lease, Yielded())
            assert await world.nothing_to_claim()


async def test_the_wake_up_call_of_a_submit_reaches_a_listener(world: World) -> None:
    world.run("LISTEN atom_work")
    world.run("LISTEN atom_control")
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant))
    await world.control(tenant).pause(job)
    heard = {notice.channel: notice.payload for notice in world.admin.notifies(timeout=5, stop_after=2)}
    assert heard == {"atom_work": "ingest", "atom_control": str(job)}
