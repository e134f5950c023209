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
    shown = Shown()
    for message, digest in messages:
        _Reader(shown, tenant, message).read(digest.message)
    return shown


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one message's headers; a role is the header's name, the quote its words."""

    shown: Shown
    tenant: UUID
    message: UUID

    def read(self, header: Message) -> None:
        author = header.from_ or header.sender
        writer = None if author is None else self._person("from", author)
        for role, relationship, addresses in (("to", WRITES_TO, header.to), ("cc", COPIES, header.cc)):
            for address in addresses[:MOST_RECIPIENTS]:
                reader = self._person(role, address)
                if writer is not None and reader is not None and writer != reader:
                    self._edge(Edge(edge_id(writer, relationship, reader), writer, relationship, reader), role, address)

    def _person(self, role: str, address: Address) -> UUID | None:
        person = person_of(address)
        if person is None:
            return None
        who = self._node("shared_address" if person.shared else "person", person.key, person.name)
        self._evidence(who, None, role, address)
        if person.organization:
            employer = self._node("organization", person.organization, "")
            self._evidence(employer, None, role, address)
            if not person.shared:
                self._edge(Edge(edge_id(who, BELONGS_TO, employer), who, BELONGS_TO, employer), role, address)
        return who

    def _node(self, node_type: str, key: str, name: str) -> UUID:
        node = Node(node_id(self.tenant, node_type, key), node_type, key, name or key)
        known = self.shown.nodes.get(node.id)
        if known is None or (known.name == known.key and name):
            self.shown.nodes[node.id] = node
        return node.id

    def _edge(self, edge: Edge, role: str, address: Address) -> None:
        self.shown.edges.setdefault(edge.id, edge)
        self._evidence(None, edge.id, role, address)

    def _evidence(self, node: UUID | None, edge: UUID | None, role: str, address: Address) -> None:
        identity = evidence_id(self.message, node or edge or self.message, role)
        quote = f"{address.name} <{address.address}>" if address.name else address.address
        self.shown.evidence.setdefault(identity, Evidence(identity, self.message, node, edge, quote))
