"""What rules find in a message: addresses, people, organizations, links, phone numbers, dates and amounts.

Headers say who; of the content only new text is read, and signatures for ways to reach someone. The same thing in the
same field is one finding, at its first place, with the number of its mentions. Precision goes before recall.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from atom_backfill.mail.digest import Finding, Segment, SegmentKind
from atom_backfill.mail.door import Limits
from atom_backfill.mail.links import normalise_url, urls_in
from atom_backfill.mail.message import Address, Message
from atom_backfill.mail.people import address_key, person_of
from atom_backfill.mail.values import Value, amounts_in, dates_in, phones_in
from atom_backfill.mail.writer import Rendering


def find(
    message: Message, rendering: Rendering, segments: Sequence[Segment], limits: Limits
) -> tuple[tuple[Finding, ...], bool]:
    """Find what headers and new text name, within the limits; the flag tells that something was left out.

    The author and the content come before the recipients, so that a long list of those crowds nothing out.
    """
    found: dict[tuple[str, str, str], Finding] = {}
    mentions: dict[tuple[str, str, str], int] = {}
    links = 0
    left_out = False
    for finding in _all(message, rendering, segments):
        identity = (finding.entity_type, finding.key, finding.field)
        if identity in found:
            mentions[identity] = mentions.get(identity, 1) + 1
        elif len(found) >= limits.findings or (finding.entity_type == "link" and links >= limits.links):
            # Links have a limit of their own, or a newsletter's would leave no room for anything else.
            left_out = True
            if len(found) >= limits.findings:
                break
        else:
            found[identity] = finding
            links += finding.entity_type == "link"
    for identity, count in mentions.items():
        finding = found[identity]
        if finding.start is not None:
            found[identity] = replace(finding, properties=(*finding.properties, ("mentions", str(count))))
    return tuple(found.values()), left_out


def _all(message: Message, rendering: Rendering, segments: Sequence[Segment]) -> Iterator[Finding]:
    if message.from_:
        yield from _in_header("from", message.from_)
    yield from _in_text("subject", message.subject, 0, len(message.subject), signature=False)
    yield from _in_content(rendering, segments)
    recipients = (("to", message.to), ("cc", message.cc), ("bcc", message.bcc), ("reply_to", message.reply_to))
    for field, addresses in recipients:
        for address in addresses:
            yield from _in_header(field, address)


def _in_header(field: str, written: Address) -> Iterator[Finding]:
    person = person_of(written)
    if person is None:
        return
    yield Finding("address", written.address, person.key, field)
    if person.name and not person.shared:
        yield Finding("person", person.name, person.key, field)
    if person.organization:
        yield Finding("organization", person.organization, person.organization, field)


def _in_content(rendering: Rendering, segments: Sequence[Segment]) -> Iterator[Finding]:
    starts = [segment.start for segment in segments]
    for link in rendering.links:
        segment = segments[bisect_right(starts, link.start) - 1]
        if segment.kind in _READ and (key := normalise_url(link.href)):
            yield Finding("link", _shown(key), key, "content", link.start, link.end)
    for segment in segments:
        if segment.kind in _READ:
            is_signature = segment.kind is SegmentKind.SIGNATURE
            yield from _in_text("content", rendering.text, segment.start, segment.end, signature=is_signature)


def _in_text(field: str, text: str, start: int, end: int, *, signature: bool) -> Iterator[Finding]:
    yield from _addresses(field, text, start, end)
    # Within the segment: a long answer has thousands, and the whole text for each of them would take minutes.
    if any(text.find(sign, start, end) >= 0 for sign in _LINK_SIGNS):
        for first, last in urls_in(text, start, end):
            if key := normalise_url(text[first:last]):
                yield Finding("link", _shown(key), key, field, first, last)
    if not _DIGIT.search(text, start, end):
        return
    yield from _values("phone", field, text, phones_in(text, start, end, sure=signature))
    if not signature:
        yield from _values("date", field, text, dates_in(text, start, end))
        yield from _values("amount", field, text, amounts_in(text, start, end))


def _addresses(field: str, text: str, start: int, end: int) -> Iterator[Finding]:
    # From each @ outwards: a pattern that begins with the local part would try every word of the text.
    at = text.find("@", start, end)
    while at >= 0:
        match = _ADDRESS.match(text, _local_start(text, start, at), end)
        if match and match.end() > at and (key := address_key(match[0])):
            yield Finding("address", match[0], key, field, match.start(), match.end())
        at = text.find("@", at + 1, end)


def _local_start(text: str, start: int, at: int) -> int:
    """Find where the local part before an @ begins."""
    first = at
    while first > start and at - first < _LONGEST_LOCAL and (text[first - 1].isalnum() or text[first - 1] in "._%+-"):
        first -= 1
    while first < at and text[first] in ".-%":
        first += 1
    return first


def _values(kind: str, field: str, text: str, values: Iterable[Value]) -> Iterator[Finding]:
    for count, value in enumerate(values):
        if count >= _MOST_VALUES:
            return
        yield Finding(kind, text[value.start : value.end], value.key, field, value.start, value.end, value.properties)


def _shown(url: str) -> str:
    return url.partition("://")[2][:_LONGEST_NAME]


_READ = frozenset([SegmentKind.NEW, SegmentKind.SIGNATURE])
_LINK_SIGNS = ("http", "www.", "HTTP")
_MOST_VALUES = 60
_LONGEST_LOCAL = 64
_LONGEST_NAME = 200
_DIGIT = re.compile(r"\d")
_ADDRESS = re.compile(r"[^\W_][\w.%+-]{0,63}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_][\w-]{1,24}(?<!-)")
