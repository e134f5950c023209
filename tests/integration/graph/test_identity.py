"""Who is who in the product: rules make merges, persons correct them, and nothing that was stored changes by either."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

from atom_backfill.errors import NotFoundError, RefusedError, UsageError
from atom_backfill.graph.postgres_identity import PostgresIdentity
from atom_backfill.identity import node_id
from atom_backfill.jobs.job import Lease
from atom_backfill.mail.message import Address
from graph_facts import Stated, empty_graph, graph_of, mail_of, tell
from pages import a_stored, assert_counters, commit
from worlds import World

INES = Address("Ines Halloran", "ines@lumen.example")
AT_HOME = Address("Ines Halloran", "ihalloran@lumen.example")
TOMASZ = Address("Tomasz Reyl", "tomasz@harbour.example")
DESK = Address("Help Desk", "support@lumen.example")


async def some_mail(world: World, *more: Any) -> Lease:
    lease = await world.lease()
    await commit(
        world,
        lease,
        a_stored(lease, "m-0", from_=INES, to=(TOMASZ,)),
        a_stored(lease, "m-1", from_=INES, to=(TOMASZ,), conversation_id="c-1"),
        a_stored(lease, "m-2", from_=AT_HOME, to=(TOMASZ, DESK), conversation_id="c-1"),
        *(a_stored(lease, f"m-{n}", from_=INES, to=tuple(to)) for n, to in enumerate(more, start=3)),
    )
    return lease


def of(world: World, lease: Lease) -> PostgresIdentity:
    return PostgresIdentity(world.database, lease.tenant_id, time.monotonic)


def merged(world: World, lease: Lease) -> list[tuple[str, str, str]]:
    """The merges by key, and the rule."""
    rows = world.rows(
        "SELECT one.key AS one, other.key AS other, rule FROM graph_merges merge"
        " JOIN graph_nodes one ON one.id = merge.node_id JOIN graph_nodes other ON other.id = merge.into_id"
        " WHERE merge.tenant_id = %(t)s ORDER BY 1, 2",
        t=lease.tenant_id,
    )
    return [(row["one"], row["other"], row["rule"]) for row in rows]


def heads(world: World, lease: Lease) -> dict[str, str]:
    rows = world.rows(
        "SELECT node.key AS node, stands.key AS head FROM graph_heads head JOIN graph_nodes node ON node.id = node_id"
        " JOIN graph_nodes stands ON stands.id = head_id WHERE head.tenant_id = %(t)s",
        t=lease.tenant_id,
    )
    return {row["node"]: row["head"] for row in rows}


def node(lease: Lease, key: str, kind: str = "person") -> UUID:
    return node_id(lease.tenant_id, kind, key)


def merge_of(world: World, lease: Lease, one: str) -> str:
    return str(
        world.value(
            "SELECT merge.id FROM graph_merges merge JOIN graph_nodes node ON node.id = node_id"
            " WHERE node.key = %(k)s AND merge.tenant_id = %(t)s",
            k=one,
            t=lease.tenant_id,
        )
    )


async def test_two_addresses_of_one_name_in_an_organisation_are_one_and_nothing_else_changes(world: World) -> None:
    lease = await some_mail(world)
    before = graph_of(world, lease)
    assert await of(world, lease).review_if_due()
    assert merged(world, lease) == [("ihalloran@lumen.example", "ines@lumen.example", "name-and-organization")]
    assert heads(world, lease) == {"ihalloran@lumen.example": "ines@lumen.example"}
    assert graph_of(world, lease) == before
    assert_counters(world, lease.job_id)


async def test_two_who_are_written_to_in_one_mail_are_namesakes(world: World) -> None:
    lease = await some_mail(world, [AT_HOME, Address("Ines Halloran", "ines.h@lumen.example")])
    await of(world, lease).review()
    pairs = {(one, other) for one, other, _ in merged(world, lease)}
    assert not any("ines.h@lumen.example" in pair and "ihalloran@lumen.example" in pair for pair in pairs)
    one_group = {*heads(world, lease), *heads(world, lease).values()}
    assert not {"ines.h@lumen.example", "ihalloran@lumen.example"} <= one_group


async def test_a_review_is_due_when_the_graph_has_changed_and_some_time_has_passed(world: World) -> None:
    lease = await some_mail(world)
    identity = of(world, lease)
    assert await identity.review_if_due()
    assert await identity.review_if_due(), "nothing has changed"
    late = Address("Ines Halloran", "ines.halloran@lumen.example")
    await commit(world, lease, a_stored(lease, "m-9", from_=late, to=(TOMASZ,)))
    assert not await identity.review_if_due(), "there was a review just now"
    assert len(merged(world, lease)) == 1
    world.run("UPDATE graph_reviews SET at = at - interval '1 hour' WHERE tenant_id = %(t)s", t=lease.tenant_id)
    assert await identity.review_if_due()
    assert len(merged(world, lease)) == 2


async def test_a_persons_merge_joins_whom_no_rule_would_and_survives_the_graph_being_made_anew(world: World) -> None:
    lease = await some_mail(world)
    identity = of(world, lease)
    tomasz, ines = node(lease, "tomasz@harbour.example"), node(lease, "ines@lumen.example")
    made = await identity.merge(ines, tomasz)
    assert set(heads(world, lease).values()) == {"tomasz@harbour.example"}, "the one that a person has chosen"
    assert merge_of(world, lease, "ines@lumen.example") == str(made)
    with pytest.raises(RefusedError):
        await identity.merge(tomasz, node(lease, "ihalloran@lumen.example"))
    empty_graph(world, lease)
    assert merged(world, lease) == []
    page = [
        a_stored(lease, "m-1", from_=INES, to=(TOMASZ,), change_key="k-2", subject="Again"),
        a_stored(lease, "m-2", from_=AT_HOME, to=(TOMASZ,), change_key="k-2", subject="Again"),
    ]
    world.run(
        "UPDATE historical_sync_jobs SET entities_extracted = 0, relationships_extracted = 0 WHERE id = %(j)s",
        j=lease.job_id,
    )
    world.run("DELETE FROM discovered_entities WHERE tenant_id = %(t)s", t=lease.tenant_id)
    await commit(world, lease, *page)
    await identity.review()
    assert set(heads(world, lease).values()) == {"tomasz@harbour.example"}


async def test_what_a_person_takes_apart_no_rule_joins_again(world: World) -> None:
    lease = await some_mail(world)
    identity = of(world, lease)
    await identity.review()
    before = graph_of(world, lease)
    gone = merge_of(world, lease, "ihalloran@lumen.example")
    assert str((await identity.unmerge(gone[:8]))["merge_id"]) == gone
    await identity.review()
    assert (merged(world, lease), heads(world, lease)) == ([], {})
    assert graph_of(world, lease) == before
    with pytest.raises(NotFoundError):
        await identity.unmerge(gone)
    await identity.merge(node(lease, "ihalloran@lumen.example"), node(lease, "ines@lumen.example"))
    assert [rule for *_, rule in merged(world, lease)] == ["pinned"], "a person's last word counts"


async def test_a_merge_that_is_taken_out_leaves_its_two_parts_as_they_were(world: World) -> None:
    third = Address("Ines Halloran", "i.halloran@lumen.example")
    lease = await some_mail(world, [third])
    identity = of(world, lease)
    await identity.merge(node(lease, "tomasz@harbour.example"), node(lease, "ines@lumen.example"))
    assert len({*heads(world, lease)}) == 3
    await identity.unmerge(merge_of(world, lease, "tomasz@harbour.example"))
    assert heads(world, lease) == dict.fromkeys(
        ["ihalloran@lumen.example", "i.halloran@lumen.example"], "ines@lumen.example"
    )


async def test_a_name_in_the_mails_own_words_is_the_person_of_its_thread(world: World) -> None:
    lease = await some_mail(world)
    first, second = Stated(mail_of(lease, "m-1")), Stated(mail_of(lease, "m-2"))
    first.entity("person", "Tomasz Reyl")
    second.entity("person", "Tomasz")
    second.entity("person", "Berta Klein")
    await tell(world, lease, first, second)
    await of(world, lease).review()
    assert ("tomasz reyl", "tomasz@harbour.example", "mention") in merged(world, lease)
    suggested = world.rows(
        "SELECT one.key AS one, rule FROM graph_suggestions JOIN graph_nodes one ON one.id IN (node_id, other_id)"
        " WHERE graph_suggestions.tenant_id = %(t)s AND one.key NOT LIKE '%%@%%'",
        t=lease.tenant_id,
    )
    assert [(row["one"], row["rule"]) for row in suggested] == [("tomasz", "mention")], "a single name may mean another"


async def test_organisations_are_joined_by_name_and_never_with_people(world: World) -> None:
    lease = await some_mail(world)
    stated = Stated(mail_of(lease, "m-1"))
    stated.entity("organization", "Harbour")
    stated.entity("topic", "lease")
    stated.entity("project", "Lease")
    await tell(world, lease, stated)
    identity = of(world, lease)
    await identity.review()
    assert ("harbour.example", "harbour", "brand") in merged(world, lease)
    topic, project = node(lease, "lease", "topic"), node(lease, "lease", "project")
    await identity.merge(topic, project)
    assert ("lease", "lease", "pinned") in merged(world, lease)
    with pytest.raises(UsageError):
        await identity.merge(topic, node(lease, "ines@lumen.example"))


async def test_a_pair_that_a_person_tells_apart_is_suggested_no_more(world: World) -> None:
    lease = await some_mail(world, [Address("Tomas Reyl", "treyl@elsewhere.example")])
    identity = of(world, lease)
    await identity.review()
    pairs = world.rows("SELECT node_id, other_id FROM graph_suggestions WHERE tenant_id = %(t)s", t=lease.tenant_id)
    assert len(pairs) == 1
    first: UUID = pairs[0]["node_id"]
    await identity.differ(first, pairs[0]["other_id"])
    assert not world.rows("SELECT 1 FROM graph_suggestions WHERE tenant_id = %(t)s", t=lease.tenant_id)
