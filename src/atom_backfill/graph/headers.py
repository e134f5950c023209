"""What the headers of a message say about people and organisations: nodes, edges and evidence. Pure.

No model and no doubt: an address is a person (or a shared address), its domain an organisation, and a header says who
wrote to whom. The number of edges is linear in the recipients and capped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from atom_backfill.identity import edge_id, evidence_id, node_id
from atom_backfill.mail.digest import Digest
from atom_backfill.mail.message import Address
from atom_backfill.mail.people import address_key, display_name, is_role, organization_of

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
        _read_headers(shown, tenant, message, digest)
    return shown


def _read_headers(shown: Shown, tenant: UUID, message: UUID, digest: Digest) -> None:
    header = digest.message
    author = header.from_ or header.sender
    writer = None if author is None else _show_person(shown, tenant, message, "from", author)
    for role, relationship, addresses in (("to", WRITES_TO, header.to), ("cc", COPIES, header.cc)):
        for address in addresses[:MOST_RECIPIENTS]:
            reader = _show_person(shown, tenant, message, role, address)
            if writer is not None and reader is not None and writer != reader:
                _show_edge(shown, message, writer, relationship, reader, role, _quote(address))


def _show_person(shown: Shown, tenant: UUID, message: UUID, role: str, address: Address) -> UUID | None:
    key = address_key(address.address)
    if not key:
        return None
    shared = is_role(key)
    person = _show_node(shown, tenant, message, role, "shared_address" if shared else "person", key, address)
    organization = organization_of(key.rpartition("@")[2])
    if organization:
        employer = _show_node(shown, tenant, message, role, "organization", organization, address)
        if not shared:
            _show_edge(shown, message, person, BELONGS_TO, employer, role, _quote(address))
    return person


def _show_node(
    shown: Shown, tenant: UUID, message: UUID, role: str, node_type: str, key: str, address: Address
) -> UUID:
    name = "" if node_type == "organization" else display_name(address)
    node = Node(node_id(tenant, node_type, key), node_type, key, name or key)
    known = shown.nodes.get(node.id)
    if known is None or (known.name == known.key and name):
        shown.nodes[node.id] = node
    _add(shown, message, node.id, None, role, _quote(address))
    return node.id


def _show_edge(
    shown: Shown, message: UUID, source: UUID, relationship: str, target: UUID, role: str, quote: str
) -> None:
    edge = Edge(edge_id(source, relationship, target), source, relationship, target)
    shown.edges.setdefault(edge.id, edge)
    _add(shown, message, None, edge.id, role, quote)


def _add(shown: Shown, message: UUID, node: UUID | None, edge: UUID | None, role: str, quote: str) -> None:
    identity = evidence_id(message, node or edge or message, role)
    shown.evidence.setdefault(identity, Evidence(identity, message, node, edge, quote))


def _quote(address: Address) -> str:
    return f"{address.name} <{address.address}>" if address.name else address.address
