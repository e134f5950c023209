"""The heartbeat, beaten by hand and by its thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from atom_backfill.clock import SystemClock
from atom_backfill.errors import BugError, NeedsOwnerError, RetryLaterError
from atom_backfill.jobs.heartbeat import Heartbeat
from atom_backfill.jobs.job import AccountId, ChunkId, Fence, JobId, Lane, Lease, TenantId
from atom_backfill.jobs.ports import Standing
from fakes.clock import FakeClock


def a_lease(number: int = 1, fence: int = 1) -> Lease:
    ids = UUID(int=number)
    return Lease(
        TenantId(ids), JobId(ids), AccountId(ids), ChunkId(ids), Lane.INGEST, "window", Fence(fence), attempts=0
    )


@dataclass
class Answers:
    """Renewals as the database answers them: `becomes` by lease, HELD where nothing is said; or an error."""

    becomes: dict[Lease, Standing | None] = field(default_factory=dict)
    error: Exception | None = None
    asked: list[set[Lease]] = field(default_factory=list)
    while_asked: Callable[[], object] = lambda: None
    beaten: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def renew(self, leases: Iterable[Lease]) -> dict[Lease, Standing]:
        held = list(leases)
        self.asked.append(set(held))
        self.beaten.set()
        self.while_asked()
        if self.error is not None:
            raise self.error
        found = {lease: self.becomes.get(lease, Standing.HELD) for lease in held}
        return {lease: standing for lease, standing in found.items() if standing is not None}

    def close(self) -> None:
        self.closed = True


@dataclass
class Scene:
    answers: Answers = field(default_factory=Answers)
    clock: FakeClock = field(default_factory=FakeClock)
    told: list[Standing] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.heartbeat = Heartbeat(self.answers, self.clock)

    def holds(self, lease: Lease) -> Lease:
        self.heartbeat.add(lease, self.told.append)
        return lease


def test_every_lease_is_renewed_at_each_beat_until_it_is_removed() -> None:
    scene = Scene()
    first, second = scene.holds(a_lease(1)), scene.holds(a_lease(2))
    scene.heartbeat.beat()
    scene.heartbeat.remove(first)
    scene.heartbeat.beat()
    scene.heartbeat.remove(second)
    scene.heartbeat.beat()
    assert scene.answers.asked == [{first, second}, {second}]
    assert scene.told == []


@pytest.mark.parametrize(
    ("answer", "told"), [(None, Standing.LOST), (Standing.LOST, Standing.LOST), (Standing.STOPPED, Standing.STOPPED)]
)
def test_whoever_no_longer_holds_a_lease_is_told_once(answer: Standing | None, told: Standing) -> None:
    scene = Scene()
    lease = scene.holds(a_lease())
    scene.answers.becomes[lease] = answer
    scene.heartbeat.beat()
    scene.heartbeat.beat()
    assert scene.told == [told]
    assert len(scene.answers.asked) == 1, "a lease that is gone is not renewed again"


def test_a_chunk_that_was_claimed_twice_by_one_worker_has_two_leases_of_which_one_stands() -> None:
    """Where the answer to the first claim took longer than a lease, and came after that to the second."""
    scene = Scene()
    heir, zombie = scene.holds(a_lease(fence=2)), scene.holds(a_lease(fence=1))
    scene.answers.becomes[zombie] = None
    scene.heartbeat.beat()
    assert scene.told == [Standing.LOST]
    scene.heartbeat.remove(zombie)
    scene.heartbeat.beat()
    assert scene.answers.asked == [{heir, zombie}, {heir}]


def test_one_lost_lease_leaves_the_others_alone() -> None:
    scene = Scene()
    lost, kept = scene.holds(a_lease(1)), scene.holds(a_lease(2))
    scene.answers.becomes[lost] = None
    scene.heartbeat.beat()
    scene.heartbeat.beat()
    assert scene.told == [Standing.LOST]
    assert scene.answers.asked[-1] == {kept}


@pytest.mark.parametrize(
    "error",
    [RetryLaterError("away", "Away."), NeedsOwnerError("disk_full", "Full."), BugError("odd", "Odd.")],
    ids=lambda error: error.code,
)
async def test_a_database_that_is_away_costs_the_leases_once_they_may_have_lapsed(error: Exception) -> None:
    scene = Scene()
    scene.holds(a_lease())
    scene.heartbeat.beat()
    scene.answers.error = error
    for _ in range(3):
        await scene.clock.advance(5)
        scene.heartbeat.beat()
    assert scene.told == []
    await scene.clock.advance(5)
    scene.heartbeat.beat()
    assert scene.told == [Standing.LOST]


async def test_a_database_that_comes_back_in_time_costs_nothing() -> None:
    scene = Scene()
    scene.holds(a_lease())
    for _ in range(3):
        scene.answers.error = RetryLaterError("away", "Away.")
        await scene.clock.advance(15)
        scene.heartbeat.beat()
        scene.answers.error = None
        scene.heartbeat.beat()
    assert scene.told == []


async def test_the_time_that_a_failed_renewal_took_counts() -> None:
    scene = Scene()
    scene.holds(a_lease())
    scene.answers.error = RetryLaterError("away", "Away.")
    await scene.clock.advance(19)

    def take_two_seconds() -> None:
        scene.clock._elapsed += 2

    scene.answers.while_asked = take_two_seconds
    scene.heartbeat.beat()
    assert scene.told == [Standing.LOST], "by the end of the attempt the lease may have lapsed"


def test_a_lease_removed_while_the_database_is_asked_is_not_told_of() -> None:
    scene = Scene()
    lease = scene.holds(a_lease())
    scene.answers.becomes[lease] = None
    scene.answers.while_asked = lambda: scene.heartbeat.remove(lease)
    scene.heartbeat.beat()
    assert scene.told == []


def test_a_new_lease_on_the_same_chunk_is_not_blamed_for_the_old_one() -> None:
    scene = Scene()
    old = scene.holds(a_lease(fence=1))
    scene.answers.becomes[old] = None

    def claimed_again() -> None:
        scene.heartbeat.remove(old)
        scene.holds(a_lease(fence=3))

    scene.answers.while_asked = claimed_again
    scene.heartbeat.beat()
    assert scene.told == []


def test_the_thread_beats_by_itself_and_when_poked_and_ends_with_its_context() -> None:
    answers = Answers()
    with Heartbeat(answers, SystemClock(), every_s=0.01) as heartbeat:
        heartbeat.add(a_lease(), lambda _: None)
        assert answers.beaten.wait(5)
    assert answers.closed
    with Heartbeat(answers := Answers(), SystemClock(), every_s=3600) as heartbeat:
        heartbeat.add(a_lease(), lambda _: None)
        heartbeat.poke()
        assert answers.beaten.wait(5)


def test_a_database_that_does_not_answer_holds_up_no_end() -> None:
    answers, answered, began = Answers(), threading.Event(), time.monotonic()
    answers.while_asked = lambda: answered.wait(20)
    with Heartbeat(answers, SystemClock(), every_s=0.001) as heartbeat:
        heartbeat.add(a_lease(), lambda _: None)
        assert answers.beaten.wait(20)
    assert time.monotonic() - began < 10
    assert not answers.closed, "a connection that is in use is left alone"
    answered.set()


def test_no_mistake_ends_the_thread() -> None:
    """Each beat is looked at only after the one before has ended, so nothing depends on who is quicker."""
    answers, beats = Answers(error=ZeroDivisionError("of a mail")), threading.Semaphore(0)
    answers.while_asked = beats.release
    with capture_logs() as logs:
        with Heartbeat(answers, SystemClock(), every_s=0.001) as heartbeat:
            heartbeat.add(a_lease(), lambda _: None)
            assert all(beats.acquire(timeout=60) for _ in range(3))
        stumbles = [event for event in logs if event["event"] == "heartbeat stumbled"]
    assert len(stumbles) >= 2
    assert stumbles[0]["error_code"] == "bug"
    assert stumbles[0]["error"] == "ZeroDivisionError"
