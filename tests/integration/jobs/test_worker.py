"""The worker on a real store: it claims, runs, settles, drains, and nothing that a handler does ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from atom_backfill.clock import Clock, SystemClock
from atom_backfill.errors import (
    BugError,
    LeaseLost,
    NeedsOperatorError,
    NeedsOwnerError,
    NotFoundError,
    RetryLaterError,
    SignInNeededError,
)
from atom_backfill.jobs.job import Done, Lane, Lease, Outcome
from atom_backfill.jobs.ports import Watch
from atom_backfill.jobs.postgres import PostgresJobStore
from atom_backfill.jobs.retry import ATTEMPTS
from atom_backfill.jobs.worker import SETTLE_S
from fakes.clock import FakeClock
from fakes.skipping_clock import SkippingClock
from scene import Scene, done, draining, never, raising, until_told
from worlds import World, a_check, a_window


async def test_a_worker_does_every_chunk_and_the_job_is_completed(world: World) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), [*(a_window(n) for n in range(6)), a_check()])
    scene = draining(world, done)
    await scene.drain()
    assert [lease.kind for lease in scene.handled] == ["window"] * 6 + ["check"]
    assert world.job_row(job)["status"] == "completed"


async def test_operators_find_their_words_in_the_log(world: World) -> None:
    await world.lease()
    world.run("UPDATE sync_chunks SET lease_until = '-infinity' WHERE state = 'leased'")
    with capture_logs() as logs:
        await draining(world, done).drain()
    events = [event["event"] for event in logs]
    assert events[:2] == ["ROLE=worker Starting", "Loaded service"]
    assert [event["lane"] for event in logs if event["event"] == "Loaded service"] == ["ingest"]
    (dequeue,) = [event for event in logs if event["event"] == "dequeue"]
    assert (dequeue["kind"], dequeue["fence"], dequeue["attempts"]) == ("window", 2, 1)


async def test_no_more_chunks_run_at_once_than_the_worker_has_room_for(world: World) -> None:
    tenant = await world.tenant()
    await world.job(tenant, world.account(tenant), 9)
    now, most, three = 0, 0, asyncio.Barrier(3)

    async def counted(lease: Lease, watch: Watch) -> Outcome:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await three.wait()
        now -= 1
        return Done()

    await draining(world, counted, options={"concurrency": 3}).drain()
    assert most == 3


@pytest.mark.parametrize(
    ("error", "state", "status", "code"),
    [
        (RetryLaterError("away", "It is away."), "ready", "running", "away"),
        (NotFoundError("gone", "It is gone."), "quarantined", "completed", "gone"),
        (NeedsOwnerError("access_denied", "Add a permission."), "ready", "failed", "access_denied"),
        (NeedsOperatorError("disk_full", "Free some space."), "ready", "running", "disk_full"),
        (SignInNeededError("expired", "Sign in again."), "ready", "failed", "expired"),
        (BugError("odd", "Odd."), "ready", "running", "odd"),
        (ZeroDivisionError("the text of a mail"), "ready", "running", "bug"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_what_an_error_of_the_handler_leads_to(
    world: World, error: Exception, state: str, status: str, code: str
) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), chunks := [a_window()])
    scene = Scene(world, raising(error))
    with capture_logs() as logs:
        async with scene.running():
            await scene.begun.wait()
            await world.until(lambda: world.chunk_row(chunks[0].chunk_id)["state"] != "leased")
    chunk, row = world.chunk_row(chunks[0].chunk_id), world.job_row(job)
    assert (chunk["state"], chunk["error_code"], row["status"]) == (state, code, status)
    assert row["last_error_code"] == code
    given = [event for event in logs if event["event"] in ("chunk will be tried again", "chunk given up")]
    assert [event["error_code"] for event in given] == [code]
    assert not any("text of a mail" in str(event.get("error")) for event in logs)
    assert "text of a mail" not in f"{chunk['error']}{row['last_error']}"


async def test_one_chunk_that_fails_for_good_does_not_hold_up_the_job(world: World) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), 3)
    await draining(world, raising(NotFoundError("gone", "Gone."))).drain()
    row = world.job_row(job)
    assert (row["status"], row["completed_chunks"], row["error_count"]) == ("completed", 3, 1)


async def test_a_chunk_that_loses_its_workers_each_time_is_given_up_unread(world: World) -> None:
    lease = await world.lease()
    for _ in range(ATTEMPTS - 1):
        world.lapse(lease)
        lease = await world.claim()
    world.lapse(lease)
    scene = draining(world, done)
    await scene.drain()
    assert scene.handled == []
    assert world.chunk_row(lease.chunk_id)["error_code"] == "worker_lost"
    assert world.job_row(lease.job_id)["status"] == "completed"


async def test_a_paused_job_stops_between_two_awaits_and_is_given_back(world: World) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), chunks := [a_window()])
    scene = Scene(world, never)
    async with scene.running():
        await scene.begun.wait()
        await world.control(tenant).pause(job)
        await scene.beat()
        await world.until_state(chunks[0].chunk_id, "ready")
        assert len(scene.handled) == 1
    assert world.chunk_row(chunks[0].chunk_id)["attempts"] == 0


async def test_a_lost_lease_stops_the_handler_and_nothing_is_settled(world: World) -> None:
    tenant = await world.tenant()
    await world.job(tenant, world.account(tenant), chunks := [a_window()])
    stopped = asyncio.Event()

    async def until_cancelled(lease: Lease, watch: Watch) -> Outcome:
        try:
            return await never(lease, watch)
        finally:
            stopped.set()

    scene = Scene(world, until_cancelled, options={"concurrency": 1})
    with capture_logs() as logs:
        async with scene.running():
            await scene.begun.wait()
            world.lapse(scene.handled[0])
            heir = await world.claim("w-2")
            await scene.beat()
            await asyncio.wait_for(stopped.wait(), 5)
    row = world.chunk_row(chunks[0].chunk_id)
    assert (row["state"], row["worker"], row["fence"]) == ("leased", "w-2", heir.fence)
    assert [event["error_code"] for event in logs if event["event"] == "lease lost"] == ["lease_lost"]


async def test_a_handler_that_finds_its_fence_gone_settles_nothing(world: World) -> None:
    await world.lease()
    world.run("UPDATE sync_chunks SET lease_until = '-infinity' WHERE state = 'leased'")
    scene = Scene(world, raising(LeaseLost()))
    async with scene.running():
        await scene.begun.wait()
    row = world.chunk_row(scene.handled[0].chunk_id)
    assert (row["state"], row["fence"]) == ("leased", scene.handled[0].fence)


async def test_a_handler_that_cancels_itself_is_a_bug_and_no_endless_loop(world: World) -> None:
    tenant = await world.tenant()
    await world.job(tenant, world.account(tenant), chunks := [a_window()])

    async def cancels_itself(lease: Lease, watch: Watch) -> Outcome:
        raise asyncio.CancelledError

    scene = Scene(world, cancels_itself)
    async with scene.running():
        await scene.begun.wait()
    row = world.chunk_row(chunks[0].chunk_id)
    assert (row["state"], row["error_code"], row["attempts"]) == ("ready", "bug", 1)


async def test_a_drain_lets_handlers_reach_their_page_boundary(world: World) -> None:
    tenant = await world.tenant()
    await world.job(tenant, world.account(tenant), 5)
    scene = Scene(world, until_told, options={"grace_s": 5.0})
    began = time.monotonic()
    async with scene.running():
        await scene.begun.wait()
    assert time.monotonic() - began < 2
    states = world.rows("SELECT state, attempts, worker FROM sync_chunks WHERE tenant_id = %(t)s", t=tenant)
    assert states == [{"state": "ready", "attempts": 0, "worker": None}] * 5


async def test_a_handler_that_does_not_stop_in_time_is_stopped_and_its_chunk_given_back(world: World) -> None:
    tenant = await world.tenant()
    await world.job(tenant, world.account(tenant))
    scene = Scene(world, never)
    async with scene.running():
        await scene.begun.wait()
    row = world.chunk_row(scene.handled[0].chunk_id)
    assert (row["state"], row["attempts"]) == ("ready", 0)


class Unsettling(PostgresJobStore):
    """A store whose settles fail, or hang, as those of a database that is away do."""

    def __init__(self, world: World, *, hang: bool = False) -> None:
        super().__init__(world.database)
        self._hang = hang

    async def settle(self, lease: Lease, outcome: Outcome) -> None:
        if self._hang:
            await asyncio.Event().wait()
        raise RetryLaterError("database_unavailable", "It is away.")


async def test_a_settle_that_fails_leaves_the_chunk_to_lapse(world: World) -> None:
    await world.job(tenant := await world.tenant(), world.account(tenant))
    scene = Scene(world, done, store=Unsettling(world))
    with capture_logs() as logs:
        async with scene.running():
            await scene.begun.wait()
    assert world.chunk_row(scene.handled[0].chunk_id)["state"] == "leased"
    assert [event["error_code"] for event in logs if event["event"] == "settle failed"] == ["database_unavailable"]


async def test_a_settle_that_hangs_does_not_hold_up_a_drain(world: World) -> None:
    await world.job(tenant := await world.tenant(), world.account(tenant))
    scene = Scene(world, done, store=Unsettling(world, hang=True))
    async with scene.running():
        await scene.begun.wait()
        began = time.monotonic()
    assert time.monotonic() - began < 0.2 + 2 * SETTLE_S + 0.5


class Unclaiming(PostgresJobStore):
    """A store whose first claims fail. `asked_at`: when each claim was made."""

    def __init__(self, world: World, errors: Sequence[Exception], clock: Clock | None = None) -> None:
        super().__init__(world.database)
        self._errors = list(errors)
        self._clock = clock or SystemClock()
        self.asked_at: list[float] = []

    async def claim(self, worker: str, lanes: Sequence[Lane]) -> Lease | None:
        self.asked_at.append(self._clock.monotonic())
        if self._errors:
            raise self._errors.pop(0)
        return await super().claim(worker, lanes)


async def test_claims_that_fail_are_tried_again(world: World) -> None:
    await world.job(tenant := await world.tenant(), world.account(tenant))
    errors = [RetryLaterError("database_unavailable", "It is away."), BugError("odd", "Odd.")]
    scene = draining(world, done, store=Unclaiming(world, errors))
    with capture_logs() as logs:
        await scene.drain()
    assert len(scene.handled) == 1
    assert [event["error_code"] for event in logs if event["event"] == "claim failed"] == [
        "database_unavailable",
        "odd",
    ]


@pytest.mark.parametrize("code", ["database_read_only", "database_host_unknown", "disk_full"])
async def test_claims_that_only_an_operator_can_mend_are_said_once_and_waited_out(world: World, code: str) -> None:
    await world.job(tenant := await world.tenant(), world.account(tenant))
    errors = [NeedsOperatorError(code, "See to it.") for _ in range(5)]
    scene = draining(world, done, store=Unclaiming(world, errors), options={"poll_s": 0.001})
    with capture_logs() as logs:
        await scene.drain()
    assert len(scene.handled) == 1
    said = [(event["event"], event["log_level"]) for event in logs if event["event"] in ("claim failed", "works again")]
    assert said == [("claim failed", "error"), ("works again", "info")]


async def test_the_longer_claims_fail_the_longer_a_worker_waits_and_no_longer_than_half_a_minute(world: World) -> None:
    await world.job(tenant := await world.tenant(), world.account(tenant))
    errors = [NeedsOperatorError("disk_full", "Free some space.") for _ in range(8)]
    clock = SkippingClock()
    store = Unclaiming(world, errors, clock)
    scene = draining(world, done, store=store, clock=clock, options={"poll_s": 2.0, "concurrency": 1})
    await scene.drain()
    assert [later - earlier for earlier, later in pairwise(store.asked_at[:9])] == [2, 4, 8, 16, 30, 30, 30, 30]


async def test_an_idle_worker_stays_and_wakes_when_told(world: World) -> None:
    clock = FakeClock()
    scene = Scene(world, done, clock=clock, options={"poll_s": 3600.0})
    async with scene.running():
        await clock.until_sleeping()
        await world.job(tenant := await world.tenant(), world.account(tenant))
        assert not scene.begun.is_set()
        scene.wake.set()
        assert await asyncio.wait_for(scene.begun.wait(), 5)


async def test_an_idle_worker_polls_when_nobody_tells(world: World) -> None:
    clock = FakeClock()
    scene = Scene(world, done, clock=clock, options={"poll_s": 2.0})
    async with scene.running():
        await clock.until_sleeping()
        await world.job(tenant := await world.tenant(), world.account(tenant))
        await clock.advance(1.9)
        assert not scene.begun.is_set()
        await clock.advance(0.2)
        await asyncio.wait_for(scene.begun.wait(), 5)


async def test_a_draining_worker_waits_for_what_is_to_be_tried_again(world: World) -> None:
    await world.job(tenant := await world.tenant(), world.account(tenant), chunks := [a_window()])
    scene = draining(world, raising(RetryLaterError("away", "Away.")))
    task = asyncio.create_task(scene.drain())
    await scene.begun.wait()
    await world.until_state(chunks[0].chunk_id, "ready")
    assert not task.done()
    await world.hasten()
    await task
    assert len(scene.handled) == 2
