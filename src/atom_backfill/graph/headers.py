"""What the headers of a message say about people and organisations: nodes, edges and evidence. Pure.

No model and no doubt: an address is a person (or a shared address), its domain an organisation, and a header says who
wrote to whom. The number of edges is linear in the recipients and capped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from atom_backfill.identity import edge_id, evidence_id, node_id
from atom_backfill.mail.digest import Digest
from atom_backfill.mail.message import Address, Message
from atom_backfill.mail.people import person_of

MOST_RECIPIENTS = 50
"""Recipients that become edges; a mail to more is a mailing, and says little about any pair."""

WRITES_TO = "writes_to"
COPIES = "copies"
BELONGS_TO = "belongs_to"


@dataclass(frozen=True, slots=True)
class Node:
    """A person, shared address or organisation; `key` is unique per type within a tenant."""

    id: UUID
    type: str
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A directed relation."""

    id: UUID
    source: UUID
    relationship: str
    target: UUID


@dataclass(frozen=True, slots=True)
class Evidence:
    """That a message shows a node or an edge. `quote` is the header's words; header evidence has no offsets."""

    id: UUID
    message_id: UUID
    node_id: UUID | None
    edge_id: UUID | None
    quote: str


@dataclass(slots=True)
class Shown:
    """All that a page of messages shows, each node and edge once."""

    nodes: dict[UUID, Node] = field(default_factory=dict)
    edges: dict[UUID, Edge] = field(default_factory=dict)
    evidence: dict[UUID, Evidence] = field(default_factory=dict)


def shown_by(tenant: UUID, messages: Iterable[tuple[UUID, Digest]]) -> Shown:
    """Collect what the headers of these messages show."""
    page = _Page(tenant)
    for message, digest in messages:
        _Reader(page, message).read(digest.message)
    return page.shown


@dataclass(frozen=True, slots=True)
class _Known:
    """An address that names somebody: the node, its organisation's and the edge between them, and how it is written."""

    node: UUID
    organization: UUID | None
    belongs: UUID | None
    quote: str


@dataclass(slots=True)
class _Page:
    """What a page of messages shows so far. The same few people write and are written to: each is looked at once."""

    tenant: UUID
    shown: Shown = field(default_factory=Shown)
    _people: dict[Address, _Known | None] = field(default_factory=dict)
    _edges: dict[tuple[UUID, str, UUID], UUID] = field(default_factory=dict)

    def person(self, address: Address) -> _Known | None:
        if address not in self._people:
            self._people[address] = self._look(address)
        return self._people[address]

    def edge(self, source: UUID, relationship: str, target: UUID) -> UUID:
        key = (source, relationship, target)
        if key not in self._edges:
            self._edges[key] = edge_id(source, relationship, target)
            self.shown.edges[self._edges[key]] = Edge(self._edges[key], source, relationship, target)
        return self._edges[key]

    def _look(self, address: Address) -> _Known | None:
        person = person_of(address)
        if person is None:
            return None
        who = self._node("shared_address" if person.shared else "person", person.key, person.name)
        employer = self._node("organization", person.organization, "") if person.organization else None
        belongs = None if employer is None or person.shared else self.edge(who, BELONGS_TO, employer)
        quote = f"{address.name} <{address.address}>" if address.name else address.address
        return _Known(who, employer, belongs, quote)

    def _node(self, node_type: str, key: str, name: str) -> UUID:
        node = Node(node_id(self.tenant, node_type, key), node_type, key, name or key)
        known = self.shown.nodes.get(node.id)
        if known is None or (known.name == known.key and name):
            self.shown.nodes[node.id] = node
        return node.id


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one message's headers; a role is the header's name, the quote its words."""

    page: _Page
    message: UUID
    seen: set[tuple[UUID, str]] = field(default_factory=set)

    def read(self, header: Message) -> None:
        author = header.from_ or header.sender
        writer = None if author is None else self._person("from", author)
        for role, relationship, addresses in (("to", WRITES_TO, header.to), ("cc", COPIES, header.cc)):
            for address in addresses[:MOST_RECIPIENTS]:
                reader = self._person(role, address)
                if writer is not None and reader is not None and writer.node != reader.node:
                    edge = self.page.edge(writer.node, relationship, reader.node)
                    self._evidence(None, edge, role, reader.quote)

    def _person(self, role: str, address: Address) -> _Known | None:
        known = self.page.person(address)
        if known is not None:
            self._evidence(known.node, None, role, known.quote)
            self._evidence(known.organization, None, role, known.quote)
            self._evidence(None, known.belongs, role, known.quote)
        return known

    def _evidence(self, node: UUID | None, edge: UUID | None, role: str, quote: str) -> None:
        about = node or edge
        if about is None or (about, role) in self.seen:
            return
        self.seen.add((about, role))
        identity = evidence_id(self.message, about, role)
        self.page.shown.evidence[identity] = Evidence(identity, self.message, node, edge, quote)
