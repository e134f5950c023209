"""No number of workers spends more than a budget, whatever the timing: on the real database."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atom_backfill.access.keys import ModelKey
from atom_backfill.backfill.postgres_lane import PostgresLane
from atom_backfill.graph.money import Asked, Refusal, Settlement, Wait
from atom_backfill.jobs.job import GRAPH_KEY, Lane, Lease
from graph_lane import GraphOffice, an_office
from worlds import World

WORKERS = 8


async def the_slot(office: GraphOffice) -> Lease:
    """The lease of a slot of the office's lane."""
    lease = await office.world.store.claim("w-1", [Lane.GRAPH])
    assert lease is not None
    return lease


def at_any_pace(office: GraphOffice, key: ModelKey) -> None:
    """Let the key be used as fast as one likes: this is about money."""
    office.world.run(
        "INSERT INTO key_paces VALUES (%(t)s, %(name)s, %(version)s, 1e6, 1e9, 6e4, 6e7, atom_now(), atom_now(),"
        " atom_now(), true) ON CONFLICT (tenant_id, name) DO UPDATE SET version = excluded.version",
        t=office.tenant,
        name=key.name,
        version=key.version,
    )


class Spender:
    """A worker that makes calls whose cost nobody knows beforehand, and that dies now and then with one in flight."""

    def __init__(self, ledger: PostgresLane, lease: Lease, version: int, rng: random.Random) -> None:
        self._ledger, self._lease, self._version, self._rng = ledger, lease, version, rng
        self.spent = Decimal(0)
        self.verdict: object = None

    async def run(self, cap: Decimal | None) -> None:
        for _ in range(12):
            most = Decimal(self._rng.randint(1, 400)) / 10_000
            asked = Asked(uuid4(), (uuid4(),), 0, "m", most, cap, GRAPH_KEY, self._version, 1)
            self.verdict = await self._ledger.admit(self._lease, asked)
            if isinstance(self.verdict, Wait):
                await asyncio.sleep(self._rng.random() / 200)
                continue
            if self.verdict is not None:
                return
            for _ in range(self._rng.randint(0, 5)):
                await asyncio.sleep(0)
            if self._rng.random() < 0.15:
                self.spent += most  # it may have cost that much, and nobody will ever say
                continue
            cost = (most * Decimal(self._rng.random())).quantize(Decimal("0.000001"))
            self.spent += cost
            await self._ledger.settle(self._lease, asked, Settlement("whole", cost, 10, 5, 0.1), {})


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), budget=st.integers(1, 9000), capped=st.booleans())
async def test_workers_at_once_never_spend_more_than_the_budget(
    world: World, seed: int, budget: int, capped: bool
) -> None:
    limit = Decimal(budget) / 10_000
    office = await an_office(world, [], **({} if capped else {"budget_usd": limit}))
    key = await office.set_key("http://127.0.0.1:9")
    at_any_pace(office, key)
    lease = await the_slot(office)
    ledger = PostgresLane(world.database, lambda _: office.keys)
    spenders = [Spender(ledger, lease, key.version, random.Random(seed + n)) for n in range(WORKERS)]
    await asyncio.gather(*(each.run(limit if capped else None) for each in spenders))
    row = office.row
    assert row["usd"] + row["usd_reserved"] <= limit
    assert row["usd"] + row["usd_reserved"] == sum(each.spent for each in spenders)
    office.assert_counted()
    # Whoever takes the slot next counts what was left open as spent, at the most that it may have cost.
    world.lapse(lease)
    await ledger.open(await the_slot(office))
    after = office.row
    assert (after["usd"], after["usd_reserved"]) == (row["usd"] + row["usd_reserved"], 0)
    office.assert_counted()
    world.run("UPDATE historical_sync_jobs SET graph_status = 'off' WHERE tenant_id = %(t)s", t=office.tenant)
    world.run("DELETE FROM graph_spending WHERE tenant_id = %(t)s", t=office.tenant)


@pytest.fixture
async def spending(world: World) -> tuple[GraphOffice, PostgresLane, Lease, Asked]:
    office = await an_office(world, [], budget_usd=Decimal("0.10"))
    key = await office.set_key("http://127.0.0.1:9")
    at_any_pace(office, key)
    asked = Asked(uuid4(), (uuid4(),), 0, "m", Decimal("0.06"), None, GRAPH_KEY, key.version, 1)
    return office, PostgresLane(world.database, lambda _: office.keys), await the_slot(office), asked


Spending = tuple[GraphOffice, PostgresLane, Lease, Asked]


async def test_money_that_calls_in_flight_hold_back_is_waited_for(spending: Spending) -> None:
    office, ledger, lease, asked = spending
    assert await ledger.admit(lease, asked) is None
    other = replace(asked, call_id=uuid4())
    assert isinstance(await ledger.admit(lease, other), Wait)
    await ledger.settle(lease, asked, Settlement("whole", Decimal("0.01"), 1, 1, 0.1), {})
    assert await ledger.admit(lease, other) is None
    await ledger.settle(lease, other, Settlement("whole", Decimal("0.06"), 1, 1, 0.1), {})
    assert await ledger.admit(lease, replace(asked, call_id=uuid4())) is Refusal.BUDGET
    office.assert_counted()


async def test_an_overrun_that_the_server_reports_is_told(spending: Spending) -> None:
    office, ledger, lease, asked = spending
    assert await ledger.admit(lease, asked) is None
    assert not await ledger.settle(lease, asked, Settlement("whole", Decimal("0.11"), 1, 1, 0.1), {})
    assert office.row["usd"] == Decimal("0.11")
    office.assert_counted()


async def test_a_call_that_was_taken_for_lost_and_comes_back_is_counted_as_what_it_cost(
    world: World, spending: Spending
) -> None:
    office, ledger, lease, asked = spending
    assert await ledger.admit(lease, asked) is None
    world.lapse(lease)
    await ledger.open(await the_slot(office))
    assert office.row["usd"] == Decimal("0.06")
    await ledger.settle(lease, asked, Settlement("whole", Decimal("0.01"), 1, 1, 0.1), {})
    assert (office.row["usd"], office.row["usd_reserved"]) == (Decimal("0.01"), 0)
    office.assert_counted()


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("UPDATE historical_sync_jobs SET graph_status = 'paused' WHERE id = %(j)s", Refusal.STOPPED),
        ("UPDATE sync_chunks SET fence = fence + 1 WHERE job_id = %(j)s AND lane = 'graph'", Refusal.LEASE_LOST),
        ("UPDATE model_keys SET version = 2 WHERE %(j)s::uuid IS NOT NULL AND name <> 'A_KEY'", Refusal.KEY_CHANGED),
    ],
)  # fmt: skip
async def test_no_call_is_made_once_the_lane_the_lease_or_the_key_is_another(
    world: World, spending: Spending, change: str, verdict: Refusal
) -> None:
    office, ledger, lease, asked = spending
    world.run(change, j=office.job)  # type: ignore[arg-type]
    assert await ledger.admit(lease, asked) is verdict
    assert office.calls_made() == []
