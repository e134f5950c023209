"""What headers show: people, shared addresses, organisations, and who writes to whom."""

from __future__ import annotations

from uuid import UUID

from atom_backfill.graph.headers import MOST_RECIPIENTS, Shown, shown_by
from atom_backfill.mail.clean import clean
from atom_backfill.mail.digest import Digest
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Address
from builders import a_message

TENANT, MESSAGE, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
INES, TOMASZ = Address("Ines Halloran", "ines@lumen.example"), Address("Tomasz Reyl", "tomasz@lumen.example")
GUEST = Address("", "guest@harbour.example")


def a_digest(**about: object) -> Digest:
    return clean(a_message(**about), Limits())


def shown(*digests: Digest) -> Shown:
    return shown_by(TENANT, [(UUID(int=n + 2), digest) for n, digest in enumerate(digests)])


def nodes(found: Shown) -> set[tuple[str, str]]:
    return {(node.type, node.key) for node in found.nodes.values()}


def edges(found: Shown) -> set[tuple[str, str, str]]:
    key = {node.id: node.key for node in found.nodes.values()}
    return {(key[edge.source], edge.relationship, key[edge.target]) for edge in found.edges.values()}


def test_a_mail_shows_its_people_their_organisation_and_who_wrote_to_whom() -> None:
    found = shown(a_digest(from_=INES, to=(TOMASZ,), cc=(GUEST,)))
    assert nodes(found) == {
        ("person", "ines@lumen.example"),
        ("person", "tomasz@lumen.example"),
        ("person", "guest@harbour.example"),
        ("organization", "lumen.example"),
        ("organization", "harbour.example"),
    }
    assert edges(found) == {
        ("ines@lumen.example", "writes_to", "tomasz@lumen.example"),
        ("ines@lumen.example", "copies", "guest@harbour.example"),
        ("ines@lumen.example", "belongs_to", "lumen.example"),
        ("tomasz@lumen.example", "belongs_to", "lumen.example"),
        ("guest@harbour.example", "belongs_to", "harbour.example"),
    }


def test_every_node_and_edge_has_evidence_that_quotes_the_header() -> None:
    found = shown(a_digest(from_=INES, to=(TOMASZ, GUEST), cc=(INES,)))
    evidence = found.evidence.values()
    assert {item.node_id for item in evidence if item.node_id} == set(found.nodes)
    assert {item.edge_id for item in evidence if item.edge_id} == set(found.edges)
    assert all((item.node_id is None) != (item.edge_id is None) for item in evidence)
    assert {item.quote for item in evidence} == {
        "Ines Halloran <ines@lumen.example>",
        "Tomasz Reyl <tomasz@lumen.example>",
        "guest@harbour.example",
    }


def test_ten_thousand_recipients_make_a_bounded_number_of_edges() -> None:
    crowd = tuple(Address(f"Guest {n}", f"guest.{n}@harbour{n}.example") for n in range(10_000))
    message = a_message(from_=INES, to=crowd, cc=crowd)
    digest = Digest(message, "", 1, (), (), ())
    found = shown_by(TENANT, [(MESSAGE, digest)])
    assert len(found.edges) <= 3 * MOST_RECIPIENTS + 1
    assert len(found.evidence) <= 8 * MOST_RECIPIENTS + 3


def test_edges_grow_with_the_recipients_and_not_with_their_square() -> None:
    def count(recipients: int) -> int:
        crowd = tuple(Address("", f"guest.{n}@harbour.example") for n in range(recipients))
        return len(shown(a_digest(from_=INES, to=crowd)).edges)

    assert count(40) - count(20) == count(20) - count(0) == 40


def test_shared_addresses_are_not_people() -> None:
    found = shown(a_digest(from_=Address("Lumen", "no-reply@lumen.example"), to=(TOMASZ,)))
    assert ("shared_address", "no-reply@lumen.example") in nodes(found)
    assert ("person", "no-reply@lumen.example") not in nodes(found)
    assert ("no-reply@lumen.example", "belongs_to", "lumen.example") not in edges(found)
    assert ("no-reply@lumen.example", "writes_to", "tomasz@lumen.example") in edges(found)


def test_an_exchange_name_is_a_person_without_an_organisation() -> None:
    name = "/O=EXCHANGELABS/OU=LUMEN.EXAMPLE/CN=RECIPIENTS/CN=ines.halloran.example"
    found = shown(a_digest(from_=Address("Ines Halloran", name), to=(TOMASZ,)))
    assert ("person", name.lower()) in nodes(found)
    assert [key for kind, key in nodes(found) if kind == "organization"] == ["lumen.example"]


def test_what_names_no_one_shows_nothing() -> None:
    odd = (Address("Undisclosed recipients:;", ""), Address("", "not an address"), Address("x", "@lumen.example"))
    found = shown(a_digest(from_=INES, to=odd))
    assert edges(found) == {("ines@lumen.example", "belongs_to", "lumen.example")}
    assert nodes(shown(a_digest(from_=None, sender=None, to=()))) == set()


def test_a_mail_to_oneself_is_no_edge() -> None:
    found = shown(a_digest(from_=INES, to=(Address("Me", "INES@Lumen.example"),)))
    assert edges(found) == {("ines@lumen.example", "belongs_to", "lumen.example")}


def test_the_sender_stands_in_for_a_missing_author() -> None:
    found = shown(a_digest(from_=None, sender=GUEST, to=(TOMASZ,)))
    assert ("guest@harbour.example", "writes_to", "tomasz@lumen.example") in edges(found)


def test_a_name_wins_over_a_bare_address_whichever_comes_first() -> None:
    bare, named = Address("", "tomasz@lumen.example"), TOMASZ
    for first, second in ((bare, named), (named, bare)):
        found = shown(a_digest(to=(first,)), a_digest(to=(second,)))
        assert [node.name for node in found.nodes.values() if node.key == "tomasz@lumen.example"] == ["Tomasz Reyl"]


def test_the_same_mail_shows_the_same_ids_and_another_mail_adds_evidence_alone() -> None:
    once, twice = shown(a_digest(to=(TOMASZ,))), shown(a_digest(to=(TOMASZ,)), a_digest(to=(TOMASZ,)))
    assert once.nodes.keys() == twice.nodes.keys()
    assert once.edges.keys() == twice.edges.keys()
    assert once.evidence.keys() < twice.evidence.keys()
    assert len(twice.evidence) == 2 * len(once.evidence)


def test_a_recipient_named_twice_is_evidence_once() -> None:
    assert shown(a_digest(to=(TOMASZ, TOMASZ))).evidence.keys() == shown(a_digest(to=(TOMASZ,))).evidence.keys()


def test_nodes_belong_to_one_tenant() -> None:
    digest = a_digest()
    mine, theirs = shown_by(TENANT, [(MESSAGE, digest)]), shown_by(OTHER, [(MESSAGE, digest)])
    assert not mine.nodes.keys() & theirs.nodes.keys()
    assert not mine.edges.keys() & theirs.edges.keys()
