"""What rules find in a message: addresses, people, organisations, links, phone numbers, dates and amounts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from atom_backfill.mail.digest import Finding, Segment, SegmentKind
from atom_backfill.mail.message import Address, Message
from atom_backfill.mail.people import address_key, person_of
from atom_backfill.mail.writer import Rendering


def find(
    message: Message, rendering: Rendering, segments: Sequence[Segment], *, limit: int
) -> tuple[tuple[Finding, ...], bool]:
    """Find what headers and new text name, at most `limit`; the flag tells that some were left out."""
    found: dict[tuple[str, str, str, int | None], Finding] = {}
    for finding in _all(message, rendering, segments):
        if len(found) >= limit:
            return tuple(found.values()), True
        found.setdefault((finding.entity_type, finding.key, finding.field, finding.start), finding)
    return tuple(found.values()), False


def _all(message: Message, rendering: Rendering, segments: Sequence[Segment]) -> Iterator[Finding]:
    if message.from_:
        yield from _in_header("from", message.from_)
    for field, addresses in (
        ("to", message.to),
        ("cc", message.cc),
        ("bcc", message.bcc),
        ("reply_to", message.reply_to),
    ):
        for address in addresses:
            yield from _in_header(field, address)
    for segment in segments:
        if segment.kind is SegmentKind.NEW:
            for match in _ADDRESS.finditer(rendering.text, segment.start, segment.end):
                if key := address_key(match[0]):
                    yield Finding("address", match[0], key, "content", match.start(), match.end())


def _in_header(field: str, written: Address) -> Iterator[Finding]:
    person = person_of(written)
    if person is None:
        return
    yield Finding("address", written.address, person.key, field)
    if person.name and not person.shared:
        yield Finding("person", person.name, person.key, field)
    if person.organization:
        yield Finding("organization", person.organization, person.organization, field)


_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
