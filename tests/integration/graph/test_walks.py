"""Looking at the graph: merges are followed, facts are dated, walks are bounded, and every edge shows its mail."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from atom_backfill.errors import NotFoundError, UsageError
from atom_backfill.graph.postgres import PostgresGraph
from atom_backfill.graph.postgres_identity import PostgresIdentity
from atom_backfill.graph.postgres_walks import MOST_EDGES, PostgresWalks
from atom_backfill.identity import node_id
from atom_backfill.jobs.job import Lease
from atom_backfill.mail.message import Address
from graph_facts import P0, P1, Stated, mail_of, tell
from pages import a_stored, commit
from worlds import World

INES, AT_HOME, TOMASZ, KWAME = (
    Address(name, f"{local}@{domain}")
    for name, local, domain in (
        ("Ines Halloran", "ines", "lumen.example"),
        ("Ines Halloran", "ihalloran", "lumen.example"),
        ("Tomasz Reyl", "tomasz", "harbour.example"),
        ("Kwame Adjei", "kwame", "atlas.example"),
    )
)


class Office:
    """Ines writes to Tomasz, from a second address too; he writes to Kwame. What mails state is told on top."""

    def __init__(self, world: World, lease: Lease) -> None:
        self.world, self.lease = world, lease
        self.walks = PostgresWalks(world.database, lease.tenant_id)
        self.identity = PostgresIdentity(world.database, lease.tenant_id, time.monotonic)

    def id(self, key: str, kind: str = "person") -> UUID:
        return node_id(self.lease.tenant_id, kind, key)

    async def employed(self, *employers: tuple[str, str]) -> None:
        """State in mails who employs the mail's author."""
        for mail, name in employers:
            stated = Stated(mail_of(self.lease, mail))
            if mail == "m-2":
                stated.participants = (stated.participants[0].__class__("ihalloran@lumen.example", "Ines Halloran"),)
            place = stated.entity("organization", name)
            await tell(self.world, self.lease, stated.relation("works_for", P0, place, f"is with {name}"))


@pytest.fixture
async def office(world: World) -> AsyncIterator[Office]:
    lease = await world.lease()
    mails = [(INES, TOMASZ), (AT_HOME, TOMASZ), (INES, TOMASZ), (TOMASZ, KWAME)]
    await commit(
        world,
        lease,
        *(
            a_stored(lease, f"m-{n}", from_=one, to=(to,), received_at=datetime(2024, n, 1, tzinfo=UTC))
            for n, (one, to) in enumerate(mails, start=1)
        ),
    )
    office = Office(world, lease)
    await office.identity.review()
    yield office


def told(document: dict[str, Any]) -> set[tuple[str, str, str, int]]:
    names = {node["node_id"]: node["key"] for node in document["nodes"]}
    return {
        (names[edge["source"]], edge["relationship_type"], names[edge["target"]], edge["weight"])
        for edge in document["edges"]
    }


async def test_an_entity_is_found_by_name_address_or_id_and_shows_its_merges_and_mail(office: Office) -> None:
    for named in ("ines halloran", "IHALLORAN@lumen.example", "Halloran", str(office.id("ines@lumen.example"))[:8]):
        found = await office.walks.entity(await office.walks.find(named))
        assert (found["key"], found["name"], found["others"]) == ("ines@lumen.example", "Ines Halloran", [])
    assert found["aliases"] == ["ihalloran@lumen.example", "ines@lumen.example"]
    assert [merge["rule"] for merge in found["merges"]] == ["name-and-organization"]
    assert found["mentions"] == len(found["evidence"]) == 3
    newest = found["evidence"][0]
    assert newest["message_id"] == mail_of(office.lease, "m-3")
    assert (newest["quote"], newest["start"]) == ("Ines Halloran <ines@lumen.example>", None)
    with pytest.raises(NotFoundError):
        await office.walks.find("nobody")


async def test_of_several_with_a_name_the_one_with_most_mail_comes_first(office: Office) -> None:
    stated = Stated(mail_of(office.lease, "m-1"))
    stated.entity("topic", "tomasz reyl")
    await tell(office.world, office.lease, stated)
    found = await office.walks.entity(await office.walks.find("Tomasz Reyl"))
    assert found["type"] == "person"
    assert [other["type"] for other in found["others"]] == ["topic"]
    with pytest.raises(UsageError):
        await office.walks.one("Tomasz Reyl")


async def test_neighbours_of_one_person_are_those_of_all_addresses_with_weights_added_up(office: Office) -> None:
    found = await office.walks.neighbors(office.id("ihalloran@lumen.example"), 1)
    assert told(found) == {
        ("ines@lumen.example", "writes_to", "tomasz@harbour.example", 3),
        ("ines@lumen.example", "belongs_to", "lumen.example", 3),
    }
    assert {node["key"]: node["depth"] for node in found["nodes"]} == {
        "ines@lumen.example": 0,
        "tomasz@harbour.example": 1,
        "lumen.example": 1,
    }
    assert all(edge["evidence"] and edge["evidence"][0]["message_id"] for edge in found["edges"])
    deeper = await office.walks.neighbors(office.id("ines@lumen.example"), 2)
    assert ("tomasz@harbour.example", "writes_to", "kwame@atlas.example", 1) in told(deeper)
    assert "atlas.example" not in {node["key"] for node in deeper["nodes"]}
    deepest = await office.walks.neighbors(office.id("ines@lumen.example"), 3)
    assert "atlas.example" in {node["key"] for node in deepest["nodes"]}


async def test_what_holds_for_one_at_a_time_is_dated_over_all_addresses_of_a_person(office: Office) -> None:
    await office.employed(("m-1", "Kestrel"), ("m-2", "Orrery"), ("m-3", "Kestrel"))
    facts = (await office.walks.timeline(office.id("ines@lumen.example"), 100))["facts"]
    dated = [
        (fact["target"]["name"], f"{fact['valid_from']:%m}", fact["invalid_at"] and f"{fact['invalid_at']:%m}")
        for fact in facts
        if fact["relationship_type"] == "works_for"
    ]
    assert dated == [("Kestrel", "01", "02"), ("Orrery", "02", "03"), ("Kestrel", "03", None)]
    evidence = [fact["evidence"][0] for fact in facts if fact["relationship_type"] == "works_for"]
    assert [place["quote"] for place in evidence] == ["is with Kestrel", "is with Orrery", "is with Kestrel"]
    near = await office.walks.neighbors(office.id("ines@lumen.example"), 1)
    assert sum(edge["relationship_type"] == "works_for" for edge in near["edges"]) == 3


async def test_a_timeline_shows_what_was_read_before_what_headers_show(office: Office) -> None:
    await office.employed(("m-1", "Kestrel"))
    found = await office.walks.timeline(office.id("ines@lumen.example"), 1)
    assert [fact["relationship_type"] for fact in found["facts"]] == ["works_for"]
    assert found["node"]["key"] == "ines@lumen.example"


async def test_a_path_leads_over_mail_and_not_over_a_common_organisation(office: Office) -> None:
    found = await office.walks.path(office.id("ihalloran@lumen.example"), office.id("kwame@atlas.example"))
    assert [node["key"] for node in found["nodes"]] == [
        "ines@lumen.example",
        "tomasz@harbour.example",
        "kwame@atlas.example",
    ]
    assert [edge["evidence"][0]["message_id"] for edge in found["edges"]][1] == mail_of(office.lease, "m-4")
    lonely = a_stored(office.lease, "m-9", from_=Address("", "lonely@lumen.example"), to=())
    await commit(office.world, office.lease, lonely)
    nowhere = await office.walks.path(office.id("lonely@lumen.example"), office.id("ines@lumen.example"))
    assert nowhere == {"nodes": [], "edges": []}
    same = await office.walks.path(office.id("ines@lumen.example"), office.id("ihalloran@lumen.example"))
    assert ([node["key"] for node in same["nodes"]], same["edges"]) == (["ines@lumen.example"], [])


async def test_an_answer_has_a_bound_and_says_when_there_is_more(office: Office) -> None:
    for n in range(3):
        stated = Stated(mail_of(office.lease, f"m-{n + 1}"))
        for number in range(200):
            topic = stated.entity("topic", f"topic {n} {number}", number)
            stated.relation("works_on", P1, topic, start=1000 + number)
            for other in range(3):
                below = stated.entity("product", f"product {number} {other}", 300 + number)
                stated.relation("about", topic, below, start=3000 + number)
        await tell(office.world, office.lease, stated)
    near = await office.walks.neighbors(office.id("tomasz@harbour.example"), 1)
    far = await office.walks.neighbors(office.id("tomasz@harbour.example"), 3)
    assert len(near["edges"]) <= 50
    assert len(far["edges"]) <= MOST_EDGES
    assert all(edge["evidence"] for edge in far["edges"])
    ends = {end for edge in far["edges"] for end in (edge["source"], edge["target"])}
    assert ends == {node["node_id"] for node in far["nodes"]}


async def test_a_message_shows_what_a_model_found_in_it_by_what_stands_for_it(office: Office) -> None:
    await office.employed(("m-1", "Kestrel"))
    message = mail_of(office.lease, "m-2")
    stated = Stated(message)
    stated.entity("topic", "lease", 4)
    await tell(office.world, office.lease, stated)
    entities = await office.walks.told_entities(message)
    assert [(each["type"], each["name"], each["places"]) for each in entities] == [
        ("topic", "lease", [{"quote": "lease", "start": 4, "end": 9}])
    ]
    facts = await PostgresGraph(office.world.database, office.lease.tenant_id).facts(message)
    ends = {str(office.id(key)) for key in ("ines@lumen.example", "tomasz@harbour.example")}
    assert {fact["source"]["node_id"] for fact in facts} == ends


async def test_another_tenants_nodes_are_not_there(office: Office) -> None:
    theirs = office.world.value("SELECT id FROM graph_nodes WHERE name = 'Them'")
    for node in (theirs, uuid4()):
        for look in (office.walks.neighbors(node, 2), office.walks.timeline(node, 9), office.walks.path(node, node)):
            with pytest.raises(NotFoundError):
                await look
