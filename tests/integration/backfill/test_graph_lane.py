"""The graph lane whole: units, calls, facts, money and states, against a simulated model."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from atom_backfill.access.keys import GRAPH_KEY, KeyStatus
from atom_backfill.jobs.job import Lane
from graph_lane import GraphOffice, a_text, an_office, store_mail
from llm_simulator import llm_simulator
from worlds import World

TEXTS = [a_text(number) for number in range(12)]


def graph_status(office: GraphOffice) -> tuple[str, str]:
    """The job's status, and its graph lane's."""
    row = office.row
    return row["status"], row["graph_status"]


async def test_units_are_asked_about_and_their_facts_stored(world: World) -> None:
    office = await an_office(world, TEXTS)
    with llm_simulator() as model:
        await office.set_key(model.url)
        await office.work()
        told = model.calls()["totals"]
    row = office.row
    assert office.states().keys() <= {"done", "empty"}
    assert office.states()["done"] > 6
    assert (row["status"], row["graph_status"], row["percent"]) == ("completed", "completed", 100)
    assert row["entities_extracted"] > 10
    assert row["calls"] == told["calls"] == 4, "three threads a call"
    assert (row["input_tokens"], row["output_tokens"]) == (told["prompt_tokens"], told["completion_tokens"])
    assert float(row["usd"]) == pytest.approx(told["usd"], abs=1e-5)
    office.assert_counted()


async def test_what_makes_no_unit_is_noted_with_its_reason(world: World) -> None:
    office = await an_office(world, ["Thanks, see you.", TEXTS[0], TEXTS[1]])
    first = "SELECT thread_id FROM messages WHERE source_id = '1' AND tenant_id = %(t)s"
    thread = world.value(first, t=office.tenant)
    store_mail(office, 7, thread, TEXTS[0], "Fwd: Matter")
    store_mail(office, 8, thread, a_text(99), "News", bulk=True)
    with llm_simulator() as model:
        await office.set_key(model.url)
        await office.work()
    reasons = world.rows(
        "SELECT left_out, count(*) AS n FROM graph_mails WHERE tenant_id = %(t)s GROUP BY 1 ORDER BY 1", t=office.tenant
    )
    assert {row["left_out"]: row["n"] for row in reasons} == {None: 2, "bulk": 1, "duplicate": 1, "short": 1}
    assert office.row["units_total"] == 2


async def test_a_long_thread_goes_on_in_further_units_with_those_who_took_part(world: World) -> None:
    office = await an_office(world, [[a_text(number, 120) for number in range(20)]])
    with llm_simulator() as model:
        await office.set_key(model.url)
        await office.work()
    units = office.units()
    assert len(units) > 3
    assert sum(len(unit["mails"]) for unit in units) == 20
    assert [unit["ordinal"] for unit in units] == list(range(len(units)))
    assert all(unit["characters"] <= 4000 for unit in units)
    assert units[0]["carried"] == []


async def test_without_a_key_no_call_is_made_and_the_job_completes(world: World) -> None:
    office = await an_office(world, TEXTS)
    assert graph_status(office) == ("completed", "waiting_for_key")
    await office.work()
    assert office.calls_made() == []


async def test_an_answer_is_bought_once(world: World) -> None:
    office = await an_office(world, TEXTS)
    with llm_simulator() as model:
        await office.set_key(model.url)
        await office.work()
        before = office.row
        # As if everything but the answers had been lost.
        world.run("DELETE FROM graph_units WHERE job_id = %(j)s", j=office.job)
        world.run("DELETE FROM graph_mails WHERE tenant_id = %(t)s", t=office.tenant)
        world.run("UPDATE graph_lanes SET units_total = 0, units_done = 0 WHERE job_id = %(j)s", j=office.job)
        world.run("UPDATE historical_sync_jobs SET graph_status = 'waiting_for_key' WHERE id = %(j)s", j=office.job)
        await office.set_key(model.url)
        await office.work()
        assert model.calls()["totals"]["units_bought_again"] == 0
    row = office.row
    assert (row["calls"], row["usd"]) == (before["calls"], before["usd"])
    assert row["units_done"] == before["units_done"]
    office.assert_counted()


OFTEN = {
    "500": 13, "503": 19, "reset": 23, "malformed": 11, "truncate": 7, "refusal": 9, "empty": 12, "invent": 5,
    "wrong_type": 8, "obey": 10,
}  # fmt: skip
FAULTS: list[dict[str, Any]] = [
    {"on": "chat", "kind": "429", "at": [5], "retry_after": 1},
    *({"on": "chat", "kind": kind, "every": every} for kind, every in OFTEN.items()),
]


@pytest.mark.long
async def test_whatever_the_model_does_every_unit_ends_and_nothing_is_invented(world: World) -> None:
    office = await an_office(world, [a_text(number) for number in range(60)])
    with llm_simulator(faults=FAULTS) as model:
        await office.set_key(model.url)
        await asyncio.gather(office.work(), office.work())
        told = model.calls()["totals"]
    states = office.states()
    assert states.keys() <= {"done", "empty", "split", "refused", "failed"}
    assert states["done"] > 30
    assert all(unit["reason"] for unit in office.units() if unit["state"] in ("split", "refused", "failed"))
    inventions = world.rows(
        "SELECT evidence.quote FROM graph_evidence evidence JOIN message_bodies body ON body.message_id ="
        " evidence.message_id WHERE evidence.tenant_id = %(t)s AND start_offset IS NOT NULL"
        " AND substr(body.text, start_offset + 1, end_offset - start_offset) <> evidence.quote",
        t=office.tenant,
    )
    assert inventions == []
    assert graph_status(office) == ("completed", "completed")
    assert office.row["calls"] == told["calls"]
    office.assert_counted()


@pytest.mark.parametrize(
    ("value", "code", "noted"),
    [("wrong", "key_rejected", KeyStatus.REJECTED), ("exhausted", "quota_used_up", KeyStatus.QUOTA_USED_UP)],
)
async def test_a_key_that_is_refused_stops_the_lane_at_once_and_another_sets_it_going(
    world: World, value: str, code: str, noted: KeyStatus
) -> None:
    office = await an_office(world, TEXTS)
    with llm_simulator() as model:
        await office.set_key(model.url, value)
        await office.work()
        assert graph_status(office) == ("completed", "key_rejected")
        assert office.row["last_error_code"] == code
        [key] = await office.keys.list()
        assert key.status == noted
        made = len(office.calls_made())
        assert 1 <= made <= 8
        await office.work()
        assert len(office.calls_made()) == made, "no further call until the key changes"
        await office.set_key(model.url)
        await office.work()
    assert graph_status(office) == ("completed", "completed")
    assert {call["usd"] for call in office.calls_made() if call["outcome"] == code} == {Decimal(0)}
    office.assert_counted()


async def test_a_budget_stops_the_lane_below_it_and_a_higher_one_goes_on(world: World) -> None:
    office = await an_office(world, [a_text(number) for number in range(40)], budget_usd=Decimal("0.002"))
    with llm_simulator() as model:
        await office.set_key(model.url)
        await office.work()
        row = office.row
        assert graph_status(office) == ("completed", "budget_reached")
        assert Decimal(0) < row["usd"] <= Decimal("0.002")
        assert row["usd_reserved"] == 0
        assert 0 < row["units_done"] < row["units_total"] == 40
        office.assert_counted()
        await office.work()
        assert office.row["calls"] == row["calls"]
        await office.control.resume(office.job, budget_usd=Decimal(1))
        await office.work()
    assert graph_status(office) == ("completed", "completed")
    office.assert_counted()


async def test_a_tenants_cap_holds_over_its_jobs(world: World) -> None:
    office = await an_office(world, [a_text(number) for number in range(20)])
    office.cap_usd = Decimal("0.001")
    with llm_simulator() as model:
        await office.set_key(model.url)
        await office.work()
    assert graph_status(office) == ("completed", "budget_reached")
    assert office.row["usd"] <= Decimal("0.001")
    office.assert_counted()


async def test_a_model_without_a_price_is_counted_in_tokens_and_takes_no_budget(world: World) -> None:
    office = await an_office(world, TEXTS, budget_usd=Decimal(1))
    with llm_simulator() as model:
        await office.set_key(model.url, model="local-model")
        await office.work()
        assert graph_status(office) == ("completed", "failed")
        assert (office.row["last_error_code"], office.calls_made()) == ("no_price", [])
        world.run("UPDATE historical_sync_jobs SET budget_usd = NULL WHERE id = %(j)s", j=office.job)
        await office.control.resume(office.job)
        await office.work()
    row = office.row
    assert graph_status(office) == ("completed", "completed")
    assert row["unpriced"]
    assert row["input_tokens"] > 0
    office.assert_counted()


async def test_a_paused_lane_spends_nothing_and_goes_on_where_it_was(world: World) -> None:
    office = await an_office(world, TEXTS)

    async def pause(step: str) -> None:
        if step == "call_settled" and office.row["graph_status"] == "running":
            await office.control.pause(office.job, Lane.GRAPH)

    office.reached, office.calls = pause, 1
    with llm_simulator() as model:
        await office.set_key(model.url)
        await office.work()
        assert graph_status(office) == ("completed", "paused")
        made = office.row["calls"]
        assert made <= 2
        await office.work()
        assert office.row["calls"] == made
        await office.control.resume(office.job)
        office.reached = GraphOffice.reached
        await office.work()
    assert graph_status(office) == ("completed", "completed")
    office.assert_counted()


@pytest.mark.parametrize("step", ["units_made", "call_reserved", "call_answered", "call_settled", "units_stored"])
async def test_a_worker_that_dies_anywhere_loses_nothing_and_only_what_was_in_flight_is_paid_again(
    world: World, step: str
) -> None:
    office = await an_office(world, TEXTS)
    died = asyncio.Event()

    async def die(reached: str) -> None:
        if reached == step and not died.is_set():
            died.set()
            await asyncio.Event().wait()

    office.reached, office.calls = die, 1
    with llm_simulator() as model:
        await office.set_key(model.url)
        working = asyncio.create_task(office.work(slots=1, grace_s=0.1))
        await died.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        world.run("UPDATE sync_chunks SET lease_until = atom_now() - interval '1 s' WHERE state = 'leased'")
        await office.work()
        told = model.calls()["totals"]
    assert graph_status(office) == ("completed", "completed")
    assert told["units_bought_again"] <= (3 if step == "call_answered" else 0)
    calls = office.calls_made()
    assert sum(call["state"] == "lost" for call in calls) == (step in ("call_reserved", "call_answered"))
    assert float(office.row["usd"]) >= told["usd"] - 1e-5
    office.assert_counted()


async def test_a_dead_endpoint_is_asked_again_later_and_costs_no_unit_its_tries(world: World) -> None:
    office = await an_office(world, TEXTS)
    await office.set_key("http://127.0.0.1:9")
    stop = asyncio.Event()
    working = asyncio.create_task(office.work(stop, drain=False))
    await world.until(lambda: world.value(
        "SELECT max(attempts) FROM sync_chunks WHERE job_id = %(j)s AND lane = 'graph'", j=office.job))  # fmt: skip
    stop.set()
    await working
    assert office.states() == {"queued": 12}
    assert all((unit["attempts"], unit["troubles"]) == (0, 0) for unit in office.units())
    assert office.row["last_error_code"] == "unreachable"
    assert office.row["usd"] == 0
    office.assert_counted()


async def test_what_was_given_up_is_listed_and_a_retry_tries_it_again(world: World) -> None:
    office = await an_office(world, TEXTS[:3])
    with llm_simulator(faults=[{"on": "chat", "kind": "refusal", "times": 4}]) as model:
        await office.set_key(model.url)
        await office.work()
        assert office.states()["refused"] == 3
        await office.control.retry(office.job)
        await office.work()
    assert "refused" not in office.states()
    assert graph_status(office) == ("completed", "completed")
    office.assert_counted()


async def test_a_mail_whose_body_is_gone_holds_up_no_lane(world: World) -> None:
    """Else its thread would be looked at for units for ever."""
    office = await an_office(world, TEXTS[:3])
    for table in ("graph_units", "graph_mails"):
        world.run(f"DELETE FROM {table} WHERE tenant_id = %(t)s", t=office.tenant)
    world.run("UPDATE graph_lanes SET units_total = 0 WHERE tenant_id = %(t)s", t=office.tenant)
    world.run(
        "DELETE FROM message_bodies WHERE tenant_id = %(t)s AND message_id = "
        "(SELECT min(id::text)::uuid FROM messages WHERE tenant_id = %(t)s)",
        t=office.tenant,
    )
    with llm_simulator() as model:
        await office.set_key(model.url)
        await asyncio.wait_for(office.work(), 60)
    assert office.row["graph_status"] == "completed"
    assert sum(office.states().values()) == 2


async def test_a_deleted_key_has_the_lane_wait(world: World) -> None:
    office = await an_office(world, TEXTS)
    with llm_simulator() as model:
        await office.set_key(model.url)
        assert graph_status(office) == ("completed", "pending")
        await office.keys.delete(GRAPH_KEY)
        assert graph_status(office) == ("completed", "waiting_for_key")
        await office.work()
    assert office.calls_made() == []
