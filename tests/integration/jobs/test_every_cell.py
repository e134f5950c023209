"""Every state times everything that can happen to it, on the real store: what it becomes, or the refusal, and why.

Each job here has a chunk at work whatever its state, as jobs have that were paused, cancelled or failed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from atom_backfill.errors import LeaseLost, RefusedError, RetryLaterError
from atom_backfill.jobs.job import Again, Done, FailJob, GraphStatus, JobId, Lane, Lease, Outcome, Quarantine, Yielded
from atom_backfill.jobs.postgres import PostgresJobStore
from atom_backfill.sources.postgres import PostgresAccounts
from sealing import VaultSealer
from standing_time import CUT, CutDatabase
from worlds import World, a_check

EXPIRED = FailJob("expired", "Sign in again.", sign_in=True)
STATES = ("pending", "running", "paused", "failed", "cancelled", "completed")
# What people ask for. A word in capitals is the refusal's code; of `start`, what becomes of the job that was there.
ASKED = """
start       JOB_ACTIVE JOB_ACTIVE JOB_ACTIVE failed               cancelled            completed
pause       paused     paused     paused     NOT_IN_THIS_STATE    NOT_IN_THIS_STATE    NOT_IN_THIS_STATE
resume      pending    running    pending    pending              NOT_IN_THIS_STATE    NOT_IN_THIS_STATE
cancel      cancelled  cancelled  cancelled  cancelled            cancelled            NOT_IN_THIS_STATE
retry       pending    running    NOT_IN_THIS_STATE NOT_IN_THIS_STATE NOT_IN_THIS_STATE completed
disconnect  pending    running    paused     failed               cancelled            completed
"""
# What workers bring about while the job has other chunks left, and what happens to them.
HAPPENS = """
done        pending    running    paused     failed     cancelled  completed
yielded     pending    running    paused     failed     cancelled  completed
again       pending    running    paused     failed     cancelled  completed
quarantine  pending    running    paused     failed     cancelled  completed
fail        failed     failed     failed     failed     cancelled  completed
reap        pending    running    paused     failed     cancelled  completed
"""
OUTCOMES: dict[str, Outcome] = {
    "done": Done(),
    "yielded": Yielded(),
    "again": Again(0.0, "away", "Away.", counts=True),
    "quarantine": Quarantine("gone", "Gone."),
    "fail": EXPIRED,
}
# The graph lane, in the order of GRAPH_STATES.
GRAPH = """
pause   paused    paused    paused          -               -         - - paused          paused       paused
resume  pending   running   waiting_for_key waiting_for_key -         - - waiting_for_key key_rejected budget_reached
cancel  cancelled cancelled cancelled       cancelled       cancelled - - cancelled       cancelled    cancelled
"""
GRAPH_STATES = (*STATES, "off", "waiting_for_key", "key_rejected", "budget_reached")
CLAIMED = ("pending", "running", "completed")


def cells(table: str, states: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Return (what happens, state, what it becomes), row by row."""
    rows = [line.split() for line in table.strip().splitlines()]
    return [(what, state, to) for what, *row in rows for state, to in zip(states, row, strict=True)]


@dataclass
class Case:
    """A job in some state, with a chunk at work and at least one more that is left."""

    world: World
    held: Lease

    @property
    def row(self) -> dict[str, Any]:
        return self.world.job_row(self.held.job_id)

    async def ask(self, what: str, lane: Lane | None = None) -> None:
        """Do what a user asks for."""
        control = self.world.control(self.held.tenant_id)
        if what == "start":
            await self.world.job(self.held.tenant_id, self.held.account_id)
        elif what == "disconnect":
            accounts = PostgresAccounts(self.world.database, self.held.tenant_id, VaultSealer())
            await accounts.forget_credentials(self.held.account_id)
        elif lane is None:
            await getattr(control, what)(self.held.job_id)
        else:
            await getattr(control, what)(self.held.job_id, lane)

    async def claims(self) -> set[JobId]:
        """Claim until there is nothing more; tell of which jobs that was."""
        self.world.lapse(self.held)
        found = set()
        while (lease := await self.world.store.claim("w-2", [Lane.INGEST])) is not None:
            found.add(lease.job_id)
        return found


async def a_case(world: World, status: str, **about: Any) -> Case:
    """Bring a job into a state as it gets there in life."""
    tenant = await world.tenant()
    fields: dict[str, Any] = {"graph_status": GraphStatus.OFF} | about
    job = await world.job(tenant, world.account(tenant), 4, **fields)
    control, held = world.control(tenant), await world.claim()
    if status in ("pending", "paused"):
        await control.pause(job)
    if status == "pending":
        await control.resume(job)
    if status == "failed":
        await world.store.settle(await world.claim(), FailJob("access_denied", "Add a permission.", sign_in=False))
    if status == "cancelled":
        await control.cancel(job)
    if status == "completed":
        await world.store.settle(held, Quarantine("gone", "Gone."))
        await world.settle_all()
        await control.retry(job)
        held = await world.claim()
    assert world.job_row(job)["status"] == status
    return Case(world, held)


@pytest.mark.parametrize(("what", "status", "to"), cells(ASKED, STATES))
async def test_what_people_ask_of_a_job(world: World, what: str, status: str, to: str) -> None:
    case = await a_case(world, status)
    if to.isupper():
        before = world.rows_of(case.held.tenant_id)
        with pytest.raises(RefusedError) as refused:
            await case.ask(what)
        assert refused.value.code == to.lower()
        assert world.rows_of(case.held.tenant_id) == before, "a refusal changes nothing"
        return
    await case.ask(what)
    assert case.row["status"] == to
    assert (case.held.job_id in await case.claims()) == (to in CLAIMED and what != "disconnect")


@pytest.mark.parametrize(("what", "status", "to"), cells(HAPPENS, STATES))
async def test_what_happens_to_a_job(world: World, what: str, status: str, to: str) -> None:
    case = await a_case(world, status)
    if what == "reap":
        world.lapse(case.held)
        await world.store.rescue()
    else:
        await world.store.settle(case.held, OUTCOMES[what])
    assert case.row["status"] == to
    before = world.rows_of(case.held.tenant_id)
    for outcome in OUTCOMES.values():
        with pytest.raises(LeaseLost):
            await world.store.settle(case.held, outcome)
    assert world.rows_of(case.held.tenant_id) == before, "who comes too late changes nothing"


@pytest.fixture
def cutting(world: World) -> Iterator[PostgresJobStore]:
    """A store whose connection is lost between the last statement and the COMMIT."""
    world.run(CUT)
    yield PostgresJobStore(CutDatabase(world.database))  # type: ignore[arg-type]
    world.run("DROP FUNCTION rules_cut")


@pytest.mark.parametrize("status", STATES)
async def test_a_worker_that_dies_while_it_settles_has_settled_nothing(
    world: World, cutting: PostgresJobStore, status: str
) -> None:
    case = await a_case(world, status)
    before = world.rows_of(case.held.tenant_id)
    for outcome in OUTCOMES.values():
        with pytest.raises(RetryLaterError):
            await cutting.settle(case.held, outcome)
    assert world.rows_of(case.held.tenant_id) == before
    world.lapse(case.held)
    before = world.rows_of(case.held.tenant_id)
    with pytest.raises(RetryLaterError):
        await cutting.rescue()
    assert world.rows_of(case.held.tenant_id) == before
    assert (case.held.job_id in await case.claims()) == (status in CLAIMED), "the chunk is done again, if it is to be"


@pytest.mark.parametrize("status", STATES)
async def test_a_lapsed_chunk_is_taken_over_where_its_job_goes_on(world: World, status: str) -> None:
    case = await a_case(world, status)
    assert (case.held.job_id in await case.claims()) == (status in CLAIMED)
    fence = world.chunk_row(case.held.chunk_id)["fence"]
    assert (fence > case.held.fence) == (status in CLAIMED)
    assert case.row["status"] == ("running" if status == "pending" else status)


@pytest.mark.parametrize(("what", "graph", "to"), cells(GRAPH, GRAPH_STATES))
@pytest.mark.parametrize("status", ["running", "completed"])
async def test_what_people_ask_of_the_graph_lane(world: World, what: str, graph: str, to: str, status: str) -> None:
    # A job is completed only when its graph lane does not go on; a key that comes later sets it going again.
    goes_on = status == "completed" and graph in ("pending", "running")
    case = await a_case(world, status, graph_status=GraphStatus.WAITING_FOR_KEY if goes_on else GraphStatus(graph))
    world.run("UPDATE historical_sync_jobs SET graph_status = %(g)s WHERE id = %(j)s", g=graph, j=case.held.job_id)
    before = world.rows_of(case.held.tenant_id)
    if to == "-":
        with pytest.raises(RefusedError) as refused:
            await case.ask(what, Lane.GRAPH)
        assert refused.value.code == "not_in_this_state"
        assert world.rows_of(case.held.tenant_id) == before
        return
    await case.ask(what, Lane.GRAPH)
    assert (case.row["status"], case.row["graph_status"]) == (status, to)
    after = world.rows_of(case.held.tenant_id)
    of_the_lane = {"historical_sync_jobs", "sync_chunks", "job_turns"}
    assert {name for name in after if after[name] != before[name]} <= of_the_lane


@pytest.mark.parametrize(("what", "status", "to"), [cell for cell in cells(ASKED, STATES) if cell[0] in GRAPH])
async def test_what_people_ask_of_the_ingest_lane_by_name_leaves_the_other_alone(
    world: World, what: str, status: str, to: str
) -> None:
    case = await a_case(world, status, graph_status=GraphStatus.WAITING_FOR_KEY)
    before = case.row["graph_status"]
    if to.isupper():
        with pytest.raises(RefusedError):
            await case.ask(what, Lane.INGEST)
        to = status
    else:
        await case.ask(what, Lane.INGEST)
    assert (case.row["status"], case.row["graph_status"]) == (to, before)


@pytest.mark.parametrize("status", ["connected", "sign_in_needed", "disconnected"])
async def test_a_mailbox_is_disconnected_from_every_state_and_its_work_waits(world: World, status: str) -> None:
    case = await a_case(world, "running")
    world.run("UPDATE accounts SET status = %(s)s WHERE id = %(a)s", s=status, a=case.held.account_id)
    await case.ask("disconnect")
    state = "SELECT status FROM accounts WHERE id = %(a)s"
    assert world.value(state, a=case.held.account_id) == "disconnected"
    await world.store.settle(case.held, EXPIRED)
    assert world.value(state, a=case.held.account_id) == "disconnected", (
        "a worker that comes late changes nothing of it"
    )
    assert await case.claims() == set()


async def test_a_chunk_that_was_given_up_waits_for_a_retry_alone(world: World) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, world.account(tenant), [a_check(0), a_check(1)])
    given_up = await world.claim()
    await world.store.settle(given_up, Quarantine("gone", "Gone."))
    for settle in OUTCOMES.values():
        with pytest.raises(LeaseLost):
            await world.store.settle(given_up, settle)
    await world.control(tenant).pause(job)
    await world.control(tenant).resume(job)
    assert world.chunk_row(given_up.chunk_id)["state"] == "quarantined"
    await world.control(tenant).retry(job)
    assert world.chunk_row(given_up.chunk_id)["state"] == "ready"
