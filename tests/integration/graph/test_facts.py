"""Facts in the graph: each with its evidence, counted, dated by the mails, and the same in whatever order they came."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from uuid import UUID, uuid4

import pytest

from atom_backfill.db.pool import RowRefusedError
from atom_backfill.identity import node_id
from atom_backfill.jobs.job import Lease
from atom_backfill.mail.message import Address
from graph_facts import P0, P1, Stated, edges_named, empty_graph, graph_of, mail_of, tell
from pages import a_stored, assert_counters, commit
from worlds import World

PEOPLE = {"from_": Address("Ines Halloran", "ines@lumen.example"), "to": (Address("", "tomasz@lumen.example"),)}


async def some_mail(world: World, count: int) -> Lease:
    """Store mails m-1 … m-count, one a month of 2024."""
    lease = await world.lease()
    mails = [
        a_stored(lease, f"m-{n}", received_at=datetime(2024, n, 1, tzinfo=UTC), subject=f"Mail {n}", **PEOPLE)
        for n in range(1, count + 1)
    ]
    await commit(world, lease, *mails)
    return lease


def employed(lease: Lease, mail: str, employer: str, start: int = 0) -> Stated:
    stated = Stated(mail_of(lease, mail))
    return stated.relation("works_for", P0, stated.entity("organization", employer, start), f"joins {employer}", start)


async def test_a_fact_is_stored_with_its_words_and_joins_the_person_of_the_headers(world: World) -> None:
    lease = await some_mail(world, 1)
    [written] = await tell(world, lease, employed(lease, "m-1", "Kestrel Ltd", 12))
    assert (written.entities, written.relationships) == (1, 1)
    assert_counters(world, lease.job_id)
    [edge] = world.rows(
        "SELECT edge.id, source.key, target.type, edge.weight FROM graph_edges edge"
        " JOIN graph_nodes source ON source.id = source_node_id JOIN graph_nodes target ON target.id = target_node_id"
        " WHERE relationship_type = 'works_for' AND edge.tenant_id = %(t)s",
        t=lease.tenant_id,
    )
    assert (edge["key"], edge["type"], edge["weight"]) == ("ines@lumen.example", "organization", 1)
    evidence = world.one("SELECT * FROM graph_evidence WHERE edge_id = %(e)s", e=edge["id"])
    assert (evidence["message_id"], evidence["quote"]) == (mail_of(lease, "m-1"), "joins Kestrel Ltd")
    assert (evidence["start_offset"], evidence["end_offset"]) == (12, 29)
    assert (evidence["generation_id"], evidence["job_id"]) == (UUID(int=77), lease.job_id)


async def test_the_same_unit_again_changes_nothing_and_another_generation_stands_beside(world: World) -> None:
    lease = await some_mail(world, 2)
    stated = [employed(lease, "m-1", "Kestrel Ltd"), employed(lease, "m-2", "Orrery")]
    await tell(world, lease, *stated)
    before = graph_of(world, lease)
    for written in await tell(world, lease, *stated):
        assert (written.entities, written.relationships) == (0, 0)
    assert graph_of(world, lease) == before
    await tell(world, lease, *stated, generation=UUID(int=78))
    assert_counters(world, lease.job_id)
    assert [edge["weight"] for edge in edges_named(world, lease, "works_for")] == [2, 2]


async def test_a_newer_employer_ends_the_older_one_by_the_mails_dates(world: World) -> None:
    lease = await some_mail(world, 4)
    names = {"m-4": "Kestrel", "m-1": "Kestrel", "m-3": "Orrery", "m-2": "Kestrel"}
    await tell(world, lease, *(employed(lease, mail, name) for mail, name in names.items()))
    assert [(row["target"], row["since"], row["until"], row["weight"], row["ordinal"]) for row in
            edges_named(world, lease, "works_for")] == [
        ("Kestrel", "2024-01-01", "2024-03-01", 2, 0),
        ("Orrery", "2024-03-01", "2024-04-01", 1, 0),
        ("Kestrel", "2024-04-01", None, 1, 1),
    ]  # fmt: skip
    assert_counters(world, lease.job_id)


async def test_a_mail_that_says_something_else_now_takes_its_period_with_it(world: World) -> None:
    lease = await some_mail(world, 3)
    await tell(world, lease, *(employed(lease, f"m-{n}", name) for n, name in enumerate("ABA", start=1)))
    assert len(edges_named(world, lease, "works_for")) == 3
    moved = a_stored(lease, "m-2", received_at=datetime(2024, 2, 1, tzinfo=UTC), change_key="k-2", **PEOPLE)
    await commit(world, lease, moved)
    assert [(row["target"], row["since"], row["until"], row["weight"]) for row in
            edges_named(world, lease, "works_for")] == [("A", "2024-01-01", None, 2)]  # fmt: skip
    assert not world.rows("SELECT 1 FROM graph_nodes WHERE tenant_id = %(t)s AND name = 'B'", t=lease.tenant_id)


async def test_the_same_facts_in_any_order_give_the_same_graph(world: World) -> None:
    lease = await some_mail(world, 9)
    random = Random(4)
    stated = []
    for n in range(1, 10):
        one = employed(lease, f"m-{n}", random.choice(["Kestrel", "KESTREL", "Orrery"]))
        place = one.entity("place", random.choice(["Porto", "PORTO", "Turku"]), 20)
        one.relation("located_in", random.choice([P0, P1]), place, start=30)
        one.relation("member_of", P1, one.entity("project", "Delta", 40), start=60)
        stated.append(one)
    world.run("UPDATE messages SET received_at = NULL, sent_at = NULL WHERE source_id = 'm-9'")
    world.run("UPDATE messages SET received_at = '2024-05-01 00:00Z' WHERE source_id IN ('m-6', 'm-7')")
    graphs = []
    for _ in range(6):
        empty_graph(world, lease)
        random.shuffle(stated)
        await tell(world, lease, *stated)
        graphs.append(graph_of(world, lease))
    assert len(graphs[0]["graph_edges"]) > 5
    assert all(graph == graphs[0] for graph in graphs[1:])


async def test_an_address_that_a_mail_names_is_the_person_of_that_address(world: World) -> None:
    lease = await some_mail(world, 1)
    stated = Stated(mail_of(lease, "m-1"))
    stated.entity("person", "Tomasz@Lumen.example")
    stated.entity("person", "info@lumen.example")
    await tell(world, lease, stated)
    told = world.rows("SELECT node_id FROM graph_evidence WHERE generation_id IS NOT NULL")
    assert {row["node_id"] for row in told} == {
        node_id(lease.tenant_id, "person", "tomasz@lumen.example"),
        node_id(lease.tenant_id, "shared_address", "info@lumen.example"),
    }


async def test_a_unit_whose_mail_is_gone_is_refused_and_leaves_nothing(world: World) -> None:
    lease = await some_mail(world, 1)
    before = graph_of(world, lease)
    gone = Stated(uuid4())
    gone.entity("topic", "lot 24")
    with pytest.raises(RowRefusedError):
        await tell(world, lease, gone)
    assert graph_of(world, lease) == before
