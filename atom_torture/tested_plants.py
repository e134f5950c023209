"""Planted bugs that no schedule can show, each with the test of the suite that must fail where it is planted.

A schedule has one process, which beats every heartbeat itself and stands still while anybody computes; its mailbox is
asked without permits. And what comes of some bugs only a later job or another worker at the same moment would show.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from atom_torture.campaign import BrokenHarnessError, Caught, running
from atom_torture.plants import Plant, planted


@dataclass(frozen=True, slots=True)
class Attested:
    """A bug, and the test that must fail with it: file and name, as pytest takes them."""

    plant: Plant
    test: str


def caught_by_its_test(each: Attested) -> Caught:
    """See a test pass without the bug and fail with it. Raises BrokenHarnessError where it fails without the bug."""
    if failure := failure_of(each.test):
        raise BrokenHarnessError(f"{each.test} fails without a bug: {failure}")
    with planted(each.plant) as product:
        failure = failure_of(each.test, product)
    return Caught(each.plant.name, 1 if failure else None, f"{each.test}: {failure}" if failure else "")


def failure_of(test: str, product: Path | None = None) -> str:
    """Run a test, on another copy of the product where one is given; returns how it failed, "" where it passed.

    Raises BrokenHarnessError where it cannot be said.
    """
    with running([["-m", "atom_torture.tested", test]], product) as lines:
        *_, told = lines
    outcome = json.loads(told)
    return (outcome["words"] or "failed") if outcome["failed"] else ""


_PERMITS, _DUTIES = "tests/integration/sources/test_permits.py", "tests/integration/jobs/test_duties.py"
_COMMITS = "tests/integration/backfill/test_commits.py"
PLANTS = (
    Attested(
        Plant(
            "the heartbeat is on the event loop",
            "jobs/heartbeat.py",
            "        self._thread.start()\n",
            "        import asyncio\n\n"
            "        loop, beat = asyncio.get_running_loop(), self._beat_anyhow\n"
            "        self._beat_anyhow = lambda: loop.call_soon_threadsafe(beat)\n"
            "        self._thread.start()\n",
        ),
        "tests/faults/test_leases.py::test_computing_without_a_pause_costs_a_worker_no_lease[loop]",
    ),
    Attested(
        Plant(
            "the memory's primary key is not said to be one",
            "memory/columns.py",
            "nullable=False, metadata=key)",
            "nullable=False)",
        ),
        "tests/integration/test_memory.py::test_three_processes_that_write_the_same_rows_leave_one_row_each",
    ),
    Attested(
        Plant(
            "each worker keeps Retry-After for itself",
            "sources/postgres.py",
            '            await tx.execute(SQL["throttle_account"], '
            '{"account": self._account, "wait_s": error.after or 1.0})\n',
            "            until, take = self._clock.monotonic() + (error.after or 1.0), self._take\n\n"
            "            async def take_later(holder: dict[str, Any]) -> None:\n"
            "                await self._clock.sleep(until - self._clock.monotonic())\n"
            "                await take(holder)\n\n"
            "            self._take = take_later\n",
        ),
        f"{_PERMITS}::test_a_short_wait_that_the_service_asked_for_is_waited_out_by_every_worker_and_holds_no_slot",
    ),
    Attested(
        Plant(
            "a duty is taken from whoever does it",
            "jobs/queries.sql",
            " AND lease_until < atom_now() AND due_at",
            " AND due_at",
            "take_duty",
        ),
        f"{_DUTIES}::test_of_two_workers_one_does_what_is_due",
    ),
    Attested(
        Plant(
            "the reaper is every worker's at once",
            "jobs/duties.py",
            "    if fence is None:\n        return False\n",
            "    fence = fence or Fence(0)\n",
        ),
        f"{_DUTIES}::test_of_two_workers_one_does_what_is_due",
    ),
    Attested(
        Plant(
            "a failure stays when its message is stored",
            "archive/queries.sql",
            "AND id = ANY(%(ids)s) RETURNING",
            "AND false RETURNING",
            "drop_failures",
        ),
        f"{_COMMITS}::test_a_failure_that_is_mended_is_a_message_and_no_failure",
    ),
    Attested(
        Plant(
            "a failure does not name its message",
            "archive/postgres.py",
            '"message_id": str(item.message_id)',
            '"message_id": str(identity)',
        ),
        f"{_COMMITS}::test_a_message_that_can_no_longer_be_read_stays_as_it_was_and_is_met",
    ),
    Attested(
        Plant(
            "a failure is written beside its message",
            "archive/queries.sql",
            "AND messages.id = failed.message_id)",
            "AND false)",
            "insert_failures",
        ),
        f"{_COMMITS}::test_a_message_that_can_no_longer_be_read_stays_as_it_was_and_is_met",
    ),
)
