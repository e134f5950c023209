"""The engine beside a plain model of it: whatever is done in whatever order, both are the same after each step.

The database's time stands still but for what a step moves it on. `ATOM_RULES_EXAMPLES` asks for that many runs of the
machine, from another seed each time, instead of the few of every day.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from atom_backfill.access.postgres import PostgresTenants
from atom_backfill.access.tenants import Tenants
from atom_backfill.backfill.ports import Batch, Planned
from atom_backfill.backfill.postgres import PostgresLedger
from atom_backfill.clock import SystemClock
from atom_backfill.errors import LeaseLost, RefusedError, RetryLaterError, ThrottledError
from atom_backfill.jobs.control import Control
from atom_backfill.jobs.job import (
    AccountId,
    Again,
    ChunkId,
    ChunkPlan,
    Done,
    FailJob,
    GraphStatus,
    JobId,
    JobPlan,
    Lane,
    Lease,
    Outcome,
    Quarantine,
    TenantId,
    Yielded,
)  # fmt: skip
from atom_backfill.jobs.postgres import PostgresControl, PostgresJobStore
from atom_backfill.sources.accounts import MBOX, Connection
from atom_backfill.sources.ports import MailboxIdentity
from atom_backfill.sources.postgres import PostgresAccounts, PostgresPermits
from databases import FreshDatabase
from engine_model import MOVES, UNFINISHED, Account, Chunk, Job, Model
from sealing import VaultSealer
from standing_time import CutDatabase, Engine, an_engine
from worlds import a_window

TENANTS, MAILBOXES = 2, 2
READ_CHUNKS = """
SELECT id, job_id, kind, stage, seq, state, fence, attempts, position->>'page' AS page,
       extract(epoch FROM run_at - '2030-01-01+00')::float8 AS run_at,
       extract(epoch FROM lease_until - '2030-01-01+00')::float8 AS lease_until
FROM sync_chunks
"""
READ_JOBS = """
SELECT job.id, status, completed_chunks, total_chunks, error_count, retry_count, turn.job_id IS NOT NULL AS has_turn,
       (SELECT count(*) FROM sync_chunks c WHERE c.job_id = job.id AND state IN ('ready', 'leased')) AS unfinished
FROM historical_sync_jobs job LEFT JOIN job_turns turn ON turn.job_id = job.id
"""


OUTCOMES: tuple[Outcome, ...] = (
    Done(),
    Yielded(),
    Again(3.0, "away", "Away.", counts=True),
    Quarantine("gone", "Gone."),
    FailJob("expired", "Sign in again.", sign_in=True),
)


class Rules(RuleBasedStateMachine):
    """Workers, users and failures, in any order."""

    engine: Engine
    runs = 0
    accounts = Bundle("accounts")
    jobs = Bundle("jobs")
    leases = Bundle("leases")  # all that were ever given: whoever lost one may come back at any time

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        # Ids that are the same each time, or equals would be taken in another order when a run is repeated.
        numbers = count(1)
        self.new_id = lambda: UUID(int=next(numbers) * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128)
        self.fences: dict[UUID, int] = {}
        self.database = self.engine.database
        self.store = PostgresJobStore(self.database)
        self.engine.empty()
        self.engine.set_time(0)

    # Users

    @initialize(target=accounts)
    def mailboxes(self) -> Any:
        """Two tenants with two mailboxes each."""
        made = []
        for number in range(TENANTS * MAILBOXES):
            tenants = Tenants(PostgresTenants(self.database), self.new_id)
            tenant = TenantId(self.engine.do(tenants.ensure(f"tenant-{number % TENANTS}")).id)
            account = AccountId(self.new_id())
            self.model.accounts[account] = Account(tenant)
            self._connect(account)
            made.append(account)
        return multiple(*made)

    @initialize(target=jobs, account=accounts)
    def the_first_job(self, account: AccountId) -> Any:
        return self.start(account, ["window", "plan", "window", "check"], max_parallel=2)

    @rule(
        target=jobs,
        account=accounts,
        kinds=st.lists(st.sampled_from(["plan", "window", "window", "check"]), min_size=1, max_size=5),
        max_parallel=st.integers(1, 3),
    )
    def start(self, account: AccountId, kinds: list[str], max_parallel: int) -> Any:
        chunks = self._some_chunks(kinds)
        job = JobId(self.new_id())
        plan = JobPlan(
            job, account, None, None, (), again=False, graph_status=GraphStatus.OFF, budget_usd=None, chunk_size=100,
            max_parallel=max_parallel, chunks=tuple(chunks),
        )  # fmt: skip
        if self.model.active(account):
            with pytest.raises(RefusedError):
                self.engine.do(self._control(account).submit(plan))
            return multiple()
        self.engine.do(self._control(account).submit(plan))
        self.model.jobs[job] = Job(self.model.accounts[account].tenant, account, max_parallel)
        self._add_chunks(job, chunks)
        return job

    @rule(job=jobs, operation=st.sampled_from(sorted(MOVES)))
    def operate(self, job: JobId, operation: str) -> None:
        asked = getattr(self._control(self.model.jobs[job].account), operation)
        if refusal := self.model.refuses(operation, job):
            with pytest.raises(RefusedError) as refused:
                self.engine.do(asked(job))
            assert refused.value.code == refusal
            return
        self.engine.do(asked(job))
        joined = self.model.operate(operation, job)
        if operation == "retry":
            there = self.engine.admin.execute("SELECT id, seq FROM sync_chunks WHERE kind = 'retry'").fetchall()
            new = [row for row in there if row["id"] not in self.model.chunks]
            assert len(new) == (0 if joined else 1)
            self.model.chunks |= {row["id"]: Chunk(job, "retry", 1, row["seq"], self.model.now) for row in new}

    # Workers

    @rule(target=leases, worker=st.sampled_from(["w-1", "w-2", "w-3"]))
    def claim(self, worker: str) -> Any:
        self._let_time_pass(1)  # or all would have been served at the same time, and any would do
        due = self.model.claimable()
        lease = self.engine.do(self.store.claim(worker, [Lane.INGEST]))
        if lease is None:
            assert due == set(), "something was claimable"
            return multiple()
        assert lease.chunk_id in due, "that one's turn it was not"
        chunk = self.model.chunks[lease.chunk_id]
        assert self.model.at_work(lease.account_id) < self.model.jobs[chunk.job].max_parallel
        self.model.claim(lease.chunk_id)
        assert (lease.fence, lease.attempts) == (chunk.fence, chunk.attempts)
        return lease

    @rule(target=leases, stopped=leases)
    def take_over(self, stopped: Lease) -> Any:
        """A worker is stopped for longer than its lease, and others claim meanwhile; then it comes back."""
        self._let_time_pass(21)
        claimed = [self.claim("w-4") for _ in range(3)]
        if not self.model.holds(stopped.chunk_id, stopped.fence):
            self._come_back(stopped)
        return multiple(*(lease for lease in claimed if isinstance(lease, Lease)))

    def _come_back(self, zombie: Lease) -> None:
        """Whatever it does changes nothing; the invariants say so."""
        ledger, batch = PostgresLedger(self.database), Batch(position={"page": 99})
        more = Planned((), tuple(self._some_chunks(["window"])), None, {"page": 99})
        for outcome in OUTCOMES:
            assert not self._settles(zombie, outcome)
        assert not self._effective(zombie, lambda: ledger.commit(zombie, batch, one_place=True))
        assert not self._effective(zombie, lambda: ledger.plan(zombie, more))
        assert self.engine.renewals.renew([zombie]) == {}

    @rule(held=st.lists(leases, max_size=4, unique_by=lambda lease: lease.chunk_id))
    def renew(self, held: list[Lease]) -> None:
        valid = [lease.chunk_id for lease in held if self.model.holds(lease.chunk_id, lease.fence)]
        renewed = {lease.chunk_id: standing for lease, standing in self.engine.renewals.renew(held).items()}
        assert renewed == self.model.renew(valid)

    @rule(lease=leases)
    def commit_a_page(self, lease: Lease) -> None:
        page = self.model.chunks[lease.chunk_id].page + 1
        ledger = PostgresLedger(self.database)
        if self._effective(lease, lambda: ledger.commit(lease, Batch(position={"page": page}), one_place=True)):
            self.model.get_further(lease.chunk_id, page)

    @rule(lease=leases, kinds=st.lists(st.sampled_from(["window", "check"]), min_size=1, max_size=2))
    def plan_more(self, lease: Lease, kinds: list[str]) -> None:
        page = self.model.chunks[lease.chunk_id].page + 1
        chunks = self._some_chunks(kinds)
        planned = Planned((), tuple(chunks), None, {"page": page})
        if self._effective(lease, lambda: PostgresLedger(self.database).plan(lease, planned)):
            self.model.get_further(lease.chunk_id, page)
            self._add_chunks(lease.job_id, chunks)
            self.model.expect_more(lease.job_id)

    @rule(lease=leases, given_up=st.sampled_from([False, False, True]))
    def settle_for_good(self, lease: Lease, given_up: bool) -> None:
        if self._settles(lease, Quarantine("gone", "Gone.") if given_up else Done()):
            (self.model.quarantine if given_up else self.model.done)(lease.chunk_id)

    @rule(lease=leases)
    def settle_yielded(self, lease: Lease) -> None:
        if self._settles(lease, Yielded()):
            self.model.again(lease.chunk_id, 0, counts=False)

    @rule(lease=leases, after=st.sampled_from([0, 3, 60]), counts=st.booleans())
    def settle_again(self, lease: Lease, after: int, counts: bool) -> None:
        if self._settles(lease, Again(after, "away", "Away.", counts=counts)):
            self.model.again(lease.chunk_id, after, counts=counts)

    @rule(lease=leases, sign_in=st.booleans())
    def settle_failed(self, lease: Lease, sign_in: bool) -> None:
        if self._settles(lease, FailJob("expired", "Sign in again.", sign_in=sign_in)):
            self.model.fail(lease.chunk_id, sign_in=sign_in)

    # Whatever happens by itself

    # One rule for all of it: the more rules a machine has, the less often it comes to each of them.
    @rule(
        account=accounts,
        what=st.sampled_from(["time", "time", "reap", "throttle", "disconnect", "connect"]),
        seconds=st.sampled_from([1, 5, 20, 21, 90]),
    )
    def happen(self, account: AccountId, what: str, seconds: int) -> None:
        match what:
            case "time":
                self._let_time_pass(seconds)
            case "reap":
                rescued = self.engine.do(self.store.rescue())
                assert {lease.chunk_id for lease in rescued} == self.model.lapsed()
                self.model.rescue()
            case "throttle":
                permits = PostgresPermits(self.database, account, str(account), 4, SystemClock(), self.new_id)
                self.engine.do(permits.throttled(ThrottledError("throttled", "Wait.", after=float(seconds))))
                self.model.throttle(account, seconds)
            case "disconnect":
                self.engine.do(self._accounts(account).forget_credentials(account))
                self.model.accounts[account].status = "disconnected"
            case _:
                self._connect(account)

    @precondition(lambda self: any(map(self.model.live, self.model.chunks.values())))
    @rule(lease=leases, outcome=st.sampled_from([None, Done(), Yielded(), Quarantine("gone", "Gone.")]))
    def die_in_the_middle(self, lease: Lease, outcome: Outcome | None) -> None:
        """A worker is killed while it claims or settles, or the server: what it was not told is not stored."""
        store = PostgresJobStore(CutDatabase(self.database))  # type: ignore[arg-type]
        if outcome is None:
            with suppress(RetryLaterError):  # nothing is cut where nothing was claimable
                assert self.engine.do(store.claim("w-9", [Lane.INGEST])) is None, "a claim that was not stored"
            return
        with pytest.raises((RetryLaterError, LeaseLost)):
            self.engine.do(store.settle(lease, outcome))

    # What must be true at every moment

    @invariant()
    def the_engine_is_as_the_model(self) -> None:
        for row in self.engine.admin.execute(READ_CHUNKS).fetchall():
            chunk = self.model.chunks[row["id"]]
            expected = (chunk.state, chunk.fence, chunk.attempts, chunk.lease_until, str(chunk.page or "None"))
            assert (row["state"], row["fence"], row["attempts"], row["lease_until"], str(row["page"])) == expected
            assert row["state"] != "ready" or row["run_at"] == chunk.run_at
            assert row["fence"] >= self.fences.get(row["id"], 0), "a fence went back"
            self.fences[row["id"]] = row["fence"]
        assert len(self.fences) == len(self.model.chunks)

    @invariant()
    def each_job_is_what_its_chunks_make_it(self) -> None:
        for row in self.engine.admin.execute(READ_JOBS).fetchall():
            job = self.model.jobs[row["id"]]
            assert (row["status"], row["has_turn"]) == (job.status, job.turn is not None)
            assert (row["completed_chunks"], row["total_chunks"]) == job.counters
            assert (row["error_count"], row["retry_count"]) == (job.errors, job.retries)
            if row["status"] in ("pending", "running"):
                assert row["unfinished"], "a job that waits for nothing"
                assert row["has_turn"], "a job that no claim will look at"
            if row["status"] == "completed":
                assert self.model.totals(row["id"], UNFINISHED) == 0 or row["has_turn"], "it was completed too early"

    def teardown(self) -> None:
        """Once everybody does what is asked of him, the system comes to rest, and no job is stuck."""
        type(self).runs += 1
        if not self.model.accounts:
            return
        for account in self.model.accounts:
            self._connect(AccountId(account))
        for job_id in self.model.jobs:
            if not self.model.refuses("resume", job_id):
                self.operate(JobId(job_id), "resume")
        for _ in range(2 * len(self.model.chunks) + 1):
            self._let_time_pass(90)
            lease = self.claim("w-1")
            if not isinstance(lease, Lease):
                break
            self.settle_for_good(lease, given_up=False)
        self.the_engine_is_as_the_model()
        self.each_job_is_what_its_chunks_make_it()
        stuck = {job.status for job in self.model.jobs.values()} - {"completed", "cancelled"}
        assert stuck <= {"failed"}, "only the owner of a job that has failed lets it go on, once no other is in its way"

    # How it is done

    def _settles(self, lease: Lease, outcome: Outcome) -> bool:
        return self._effective(lease, lambda: self.store.settle(lease, outcome))

    def _effective(self, lease: Lease, act: Callable[[], Awaitable[object]]) -> bool:
        """Do what only the holder of the latest claim can; tell whether it is this one."""

        async def acting() -> None:
            await act()

        if self.model.holds(lease.chunk_id, lease.fence):
            self.engine.do(acting())
            return True
        with pytest.raises(LeaseLost):
            self.engine.do(acting())
        return False

    def _some_chunks(self, kinds: list[str]) -> list[ChunkPlan]:
        first = len(self.model.chunks)
        windows = [a_window(first + n, kind=kind, stage=2 if kind == "check" else 1) for n, kind in enumerate(kinds)]
        return [replace(window, chunk_id=ChunkId(self.new_id())) for window in windows]

    def _add_chunks(self, job: UUID, chunks: list[ChunkPlan]) -> None:
        for chunk in chunks:
            self.model.chunks[chunk.chunk_id] = Chunk(job, chunk.kind, chunk.stage, chunk.seq, self.model.now)

    def _connect(self, account: AccountId) -> None:
        identity = MailboxIdentity(str(account), f"{account}@lumen.example")
        saved = self.engine.do(self._accounts(account).save(account, Connection(MBOX, identity, {}, {})))
        assert saved == account
        self.model.accounts[account].status = "connected"

    def _let_time_pass(self, seconds: int) -> None:
        self.model.now += seconds
        self.engine.set_time(self.model.now)

    def _accounts(self, account: AccountId) -> PostgresAccounts:
        return PostgresAccounts(self.database, TenantId(self.model.accounts[account].tenant), VaultSealer())

    def _control(self, account: UUID) -> Control:
        return Control(PostgresControl(self.database), TenantId(self.model.accounts[account].tenant), self.new_id)


@pytest.fixture
def engine(fresh_database: FreshDatabase) -> Iterator[Engine]:
    """An engine in whose database time stands still."""
    with an_engine(fresh_database) as engine:
        yield engine


@pytest.mark.long
def test_the_engine_does_what_a_model_of_it_does(engine: Engine) -> None:
    rules = type("EngineRules", (Rules,), {"engine": engine})
    asked = int(os.environ.get("ATOM_RULES_EXAMPLES", "0"))
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        rules,
        settings=settings(
            max_examples=asked or 30,
            stateful_step_count=100 if asked else 50,
            derandomize=not asked,
            deadline=None,
            database=None,
            print_blob=True,
            # Making a failure smaller takes minutes: only where somebody has asked for many runs.
            phases=[*Phase] if asked else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert rules.runs >= (asked or 30)
