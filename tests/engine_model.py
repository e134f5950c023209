"""What the job engine must do, as plain dictionaries: no SQL, no clock but a number, nothing of the product's rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

LEASE_S = 20
NEVER = float("-inf")
UNFINISHED = ("ready", "leased")
STATES = (*UNFINISHED, "done", "quarantined")

# operation → status → what it becomes; a status that is missing refuses.
MOVES = {
    "pause": {"pending": "paused", "running": "paused", "paused": "paused"},
    "resume": {"pending": "pending", "running": "running", "paused": "pending", "failed": "pending"},
    "cancel": dict.fromkeys(("pending", "running", "paused", "failed", "cancelled"), "cancelled"),
    "retry": {"pending": "pending", "running": "running", "completed": "completed"},
}


@dataclass
class Chunk:
    """A piece of a job. `page`: how far its work has got."""

    job: UUID
    kind: str
    stage: int
    seq: int
    run_at: float
    state: str = "ready"
    fence: int = 0
    attempts: int = 0
    lease_until: float | None = None
    page: int = 0


@dataclass
class Job:
    """A job. `turn`: whether claims look at it, and when it was last claimed from."""

    tenant: UUID
    account: UUID
    max_parallel: int
    status: str = "pending"
    turn: float | None = NEVER
    counters: tuple[int, int] = (0, 0)
    errors: int = 0
    retries: int = 0


@dataclass
class Account:
    """A mailbox."""

    tenant: UUID
    status: str = "connected"
    throttled_until: float = NEVER


@dataclass
class Model:
    """All tenants' work."""

    now: float = 0.0
    accounts: dict[UUID, Account] = field(default_factory=dict)
    jobs: dict[UUID, Job] = field(default_factory=dict)
    chunks: dict[UUID, Chunk] = field(default_factory=dict)

    # What there is

    def of(self, job: UUID, *states: str) -> list[Chunk]:
        """List a job's chunks, in these states if any are named."""
        return [chunk for chunk in self.chunks.values() if chunk.job == job and (not states or chunk.state in states)]

    def live(self, chunk: Chunk) -> bool:
        """Tell whether somebody has a chunk."""
        return chunk.state == "leased" and chunk.lease_until is not None and chunk.lease_until >= self.now

    def holds(self, chunk: UUID, fence: int) -> bool:
        """Tell whether a claim is still the latest of its chunk, and not settled."""
        return self.chunks[chunk].fence == fence and self.chunks[chunk].state == "leased"

    def active(self, account: UUID) -> bool:
        """Tell whether a mailbox has a job that is not over."""
        return any(j.account == account and j.status in ("pending", "running", "paused") for j in self.jobs.values())

    def refuses(self, operation: str, job_id: UUID) -> str | None:
        """Return the code with which a user is refused; None where it is done."""
        job = self.jobs[job_id]
        if job.status not in MOVES[operation]:
            return "not_in_this_state"
        if operation == "resume" and job.status == "failed" and self.active(job.account):
            return "job_active"
        return None

    def at_work(self, account: UUID) -> int:
        """Count what is at work of a mailbox."""
        return sum(self.live(chunk) for chunk in self.chunks.values() if self.jobs[chunk.job].account == account)

    def claimable(self) -> set[UUID]:
        """Return the chunks of which a claim must take one: those of the fairest tenant's fairest job, in order."""
        by_tenant: dict[UUID, list[tuple[float, set[UUID]]]] = {}
        for job_id, job in self.jobs.items():
            if chunks := self._claimable_of(job_id, job):
                assert job.turn is not None
                by_tenant.setdefault(job.tenant, []).append((job.turn, chunks))
        if not by_tenant:
            return set()
        fairest = min(map(self._turn_of, by_tenant))
        found: set[UUID] = set()
        for tenant, turns in by_tenant.items():
            if self._turn_of(tenant) == fairest:
                longest_ago = min(turn for turn, _ in turns)
                found.update(*(chunks for turn, chunks in turns if turn == longest_ago))
        return found

    def _turn_of(self, tenant: UUID) -> tuple[int, float]:
        """Return a tenant's place among the tenants: what is at work of it, and when it was served last."""
        jobs = [job for job in self.jobs.values() if job.tenant == tenant]
        running = sum(self.live(chunk) for chunk in self.chunks.values() if self.jobs[chunk.job].tenant == tenant)
        return running, max(job.turn for job in jobs if job.turn is not None)

    def _claimable_of(self, job_id: UUID, job: Job) -> set[UUID]:
        account = self.accounts[job.account]
        unfinished = self.of(job_id, *UNFINISHED)
        if job.turn is None or job.status not in ("pending", "running", "completed") or not unfinished:
            return set()
        if account.status == "disconnected" or account.throttled_until > self.now:
            return set()
        if self.at_work(job.account) >= job.max_parallel:
            return set()
        stage = min(chunk.stage for chunk in unfinished)
        free = {
            chunk_id: chunk.seq
            for chunk_id, chunk in self.chunks.items()
            if chunk.job == job_id and chunk.stage == stage and self._free(chunk)
        }
        return {chunk_id for chunk_id, seq in free.items() if seq == min(free.values())}

    def _free(self, chunk: Chunk) -> bool:
        if chunk.state == "leased":
            return not self.live(chunk)
        return chunk.state == "ready" and chunk.run_at <= self.now

    def lapsed(self) -> set[UUID]:
        """Return the chunks whose leases are over."""
        return {i for i, chunk in self.chunks.items() if chunk.state == "leased" and not self.live(chunk)}

    # What happens

    def claim(self, chunk_id: UUID) -> None:
        """A worker takes a chunk."""
        chunk = self.chunks[chunk_id]
        job = self.jobs[chunk.job]
        chunk.attempts += chunk.state == "leased"
        chunk.state, chunk.fence, chunk.lease_until = "leased", chunk.fence + 1, self.now + LEASE_S
        job.turn = self.now
        self._set_going(job)

    def renew(self, chunk_ids: Iterable[UUID]) -> dict[UUID, str]:
        """Their workers hold these longer; what each learns."""
        standings = {}
        for chunk_id in chunk_ids:
            chunk = self.chunks[chunk_id]
            job = self.jobs[chunk.job]
            chunk.lease_until = self.now + LEASE_S
            gone = self.accounts[job.account].status == "disconnected"
            stopped = gone or job.status in ("paused", "cancelled", "failed")
            standings[chunk_id] = "stopped" if stopped else "held"
            if not stopped:
                self._set_going(job)
        return standings

    def rescue(self) -> None:
        """The reaper comes by."""
        for chunk_id in self.lapsed():
            self._back(self.chunks[chunk_id], self.now, failures=1)

    def get_further(self, chunk_id: UUID, page: int) -> None:
        """A page counts."""
        self.chunks[chunk_id].page = page
        self.chunks[chunk_id].attempts = 0

    def expect_more(self, job_id: UUID) -> None:
        """More chunks have been planned."""
        job = self.jobs[job_id]
        job.counters = (job.counters[0], self.totals(job_id, STATES))

    def done(self, chunk_id: UUID) -> None:
        """There is no more."""
        self._close(chunk_id, "done")
        self._conclude(self.chunks[chunk_id].job)

    def again(self, chunk_id: UUID, after: int, *, counts: bool) -> None:
        """It will be tried again."""
        self._back(self.chunks[chunk_id], self.now + after, failures=int(counts))
        self._note(chunk_id, errors=int(counts), retries=int(counts))

    def quarantine(self, chunk_id: UUID) -> None:
        """It is given up."""
        chunk = self.chunks[chunk_id]
        self._close(chunk_id, "quarantined")
        chunk.fence += 1
        chunk.attempts += 1
        self._note(chunk_id, errors=1)
        self._conclude(chunk.job)

    def fail(self, chunk_id: UUID, *, sign_in: bool) -> None:
        """Only the owner can help."""
        chunk = self.chunks[chunk_id]
        job = self.jobs[chunk.job]
        self._back(chunk, self.now, failures=0)
        self._note(chunk_id, errors=1)
        self._fail(job)
        account = self.accounts[job.account]
        if sign_in and account.status == "connected":
            account.status = "sign_in_needed"

    def operate(self, operation: str, job_id: UUID) -> bool:
        """A user asks for something that is allowed; tells whether a retry has joined one that waits."""
        job = self.jobs[job_id]
        before, job.status = job.status, MOVES[operation][job.status]
        if operation == "cancel":
            job.turn = None
        if operation == "retry" or (operation == "resume" and before == "failed"):
            for chunk in self.of(job_id, "quarantined"):
                chunk.state, chunk.fence, chunk.attempts, chunk.run_at = "ready", chunk.fence + 1, 0, self.now
        if operation == "resume":
            for chunk in self.of(job_id, "ready"):
                chunk.run_at, chunk.attempts = min(chunk.run_at, self.now), 0
        ready = {id_: c for id_, c in self.chunks.items() if c.job == job_id and c.state == "ready"}
        retries = [id_ for id_, c in ready.items() if c.kind == operation == "retry"]
        if retries:
            chunk = ready[min(retries)]
            chunk.run_at, chunk.attempts = min(chunk.run_at, self.now), 0
        if operation in ("retry", "resume"):
            job.turn = NEVER if job.turn is None else job.turn
        if operation == "resume":
            self._conclude(job_id)
        return bool(retries)

    def throttle(self, account_id: UUID, seconds: int) -> None:
        """A service asks to wait."""
        account = self.accounts[account_id]
        account.throttled_until = max(account.throttled_until, self.now + seconds)

    def totals(self, job_id: UUID, states: Collection[str]) -> int:
        """Count a job's own chunks in these states."""
        return sum(chunk.kind != "retry" for chunk in self.of(job_id, *states))

    def _back(self, chunk: Chunk, run_at: float, *, failures: int) -> None:
        chunk.state, chunk.fence, chunk.lease_until, chunk.run_at = "ready", chunk.fence + 1, None, run_at
        chunk.attempts += failures

    def _close(self, chunk_id: UUID, state: str) -> None:
        self.chunks[chunk_id].state, self.chunks[chunk_id].lease_until = state, None

    def _note(self, chunk_id: UUID, *, errors: int, retries: int = 0) -> None:
        job = self.jobs[self.chunks[chunk_id].job]
        job.errors += errors
        job.retries += retries

    def _set_going(self, job: Job) -> None:
        if job.status == "pending":
            job.status = "running"

    def _fail(self, job: Job) -> None:
        job.turn = None
        if job.status in ("pending", "running", "paused"):
            job.status = "failed"

    def _conclude(self, job_id: UUID) -> None:
        job = self.jobs[job_id]
        job.counters = (self.totals(job_id, ("done", "quarantined")), self.totals(job_id, STATES))
        if self.of(job_id, *UNFINISHED):
            return
        job.turn = None
        if any(chunk.kind in ("plan", "check") for chunk in self.of(job_id, "quarantined")):
            self._fail(job)
        elif job.status in ("pending", "running"):
            job.status = "completed"
