"""What is written in the sample: variety, styles, languages, and nothing of the real world."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.resources import files

import pytest

from atom_simulators.sample.cast import load_cast
from atom_simulators.sample.filler import filler_block
from atom_simulators.sample.mail import Mail
from atom_simulators.sample.mailbox import contents, received
from atom_simulators.sample.story import load_stories

from .conftest import Message

RESERVED = re.compile(r"(?:^|\.)(?:example|test|invalid|localhost|example\.(?:com|net|org))$")
NAMESPACES = {"www.w3.org"}  # XML namespaces are names, not addresses
HOST = re.compile(
    r"(?:https?://|mailto:[^@\s\"<>]*@|[\w.+-]@|\bwww\.)([\w-]+(?:\.[\w-]+)*\.[a-z]{2,})(?![\w.-]*@)", re.IGNORECASE
)
BARE = re.compile(r"(?<![\w.@/-])(?:[a-z0-9-]+\.)+(?:com|net|org|io|eu|de|fr|es|pl|jp|co\.uk)\b")


def test_only_reserved_domains_occur_anywhere(mailbox: Sequence[Message]) -> None:
    for message in mailbox:
        # A preview may end in the middle of an address.
        for text in _strings({**message, "bodyPreview": ""}):
            hosts = {*HOST.findall(text)} | {*BARE.findall(text)}
            assert all(RESERVED.search(host.lower()) for host in hosts - NAMESPACES), hosts


def test_only_reserved_domains_occur_in_the_data_files() -> None:
    package = files("atom_simulators.sample")
    for folder in ("stories", "banks"):
        for file in (package / folder).iterdir():
            hosts = HOST.findall(file.read_text(encoding="utf-8"))
            assert all(RESERVED.search(host) for host in hosts), file.name
    assert all(RESERVED.search(o.domain) for o in load_cast().organisations.values())


def test_telephone_numbers_are_those_kept_for_fiction() -> None:
    # Ofcom's drama ranges, the Bundesnetzagentur's and the ARCEP's numbers for film and television.
    fiction = re.compile(
        r"\+44 (?:117|113) 496 0\d{3}|\+44 20 7946 0\d{3}|\+44 1632 960\d{3}|\+44 7700 900\d{3}"
        r"|\+49 40 66969 \d+|\+49 171 39200 \d\d|\+33 1 99 00 \d\d \d\d|\+33 6 39 98 \d\d \d\d"
    )
    numbers = [n for person in load_cast().people.values() for n in (person.phone, person.mobile) if n]
    assert len(numbers) > 20
    assert all(fiction.fullmatch(number) for number in numbers)


def test_there_are_enough_stories_and_they_are_of_a_readable_size() -> None:
    stories = load_stories(load_cast())
    bodies = {mail.text for story in stories for mail in received(story)}
    assert len(stories) >= 25
    assert len(bodies) >= 250
    assert max(len(story.mails) for story in stories) >= 25
    folder = files("atom_simulators.sample") / "stories"
    assert all(len(file.read_text(encoding="utf-8").splitlines()) <= 400 for file in folder.iterdir())


def test_what_is_quoted_in_between_was_written_before() -> None:
    for story in load_stories(load_cast()):
        for mail in story.mails:
            earlier = " ".join(" ".join(m.text for m in mail.ancestry() if m is not mail).split())
            quoted = [line[2:] for line in mail.text.splitlines() if line.startswith("> ")]
            assert all(" ".join(line.split()) in earlier for line in quoted), mail.key


@pytest.mark.parametrize(("size", "cap"), [(800, 0.03), (2000, 0.03)])
def test_near_duplicates_stay_rare(size: int, cap: float) -> None:
    assert _near_duplicates(size) / size <= cap


def test_mail_covers_three_years(mailbox: Sequence[Message]) -> None:
    dates = [m["receivedDateTime"] for m in mailbox if m["receivedDateTime"] and m["receivedDateTime"] > "1900"]
    assert dates == sorted(dates, reverse=True)
    assert "2023-10-01" < dates[-1] < "2023-11-01" < "2026-10-01" < dates[0] < "2026-10-31"
    months = Counter(date[:7] for date in dates)
    assert len(months) == 37
    assert min(months.values()) >= 5


STYLES = {
    "marked lines": r"(?m)^> \w",
    "nested marks": r"(?m)^>> ",
    "English attribution": r"On \w{3}, \d+ \w+ \d{4} at \d\d:\d\d, .+ wrote:",
    "German attribution": r"Am \d\d\.\d\d\.\d{4} um \d\d:\d\d schrieb ",
    "French attribution": r"Le \w+\. \d+ \S+ \d{4} à \d\d:\d\d, .+ a écrit :",
    "Polish attribution": r"W dniu [\d.]+ o [\d:]+, .+ pisze:",
    "Outlook block in text": r"(?s)_{32}\s+From: .+?\s+Sent: .+?\s+To: .+?\s+Subject: ",
    "original message": r"-----Original Message-----\s+From: ",
    "Outlook block in HTML": r'border-top:solid #E1E1E1 1\.0pt[^>]*>\s*<p class="MsoNormal"><b>From:</b>',
    "German block": r"<b>Von:</b>(?s:.+?)<b>Gesendet:</b>(?s:.+?)<b>Betreff:</b>",
    "French block": r"<b>De:</b>(?s:.+?)<b>Envoyé:</b>(?s:.+?)<b>Objet:</b>",
    "Gmail": r'class="gmail_quote"(?s:.+?)class="gmail_attr"',
    "Apple Mail": r'<blockquote type="cite"><div>',
    "Outlook on the web": r'id="divRplyFwdMsg"',
    "forwarded, Gmail": r"---------- Forwarded message ---------",
    "forwarded, Apple": r"Begin forwarded message:",
    "forwarded, German": r"<b>Betreff:</b> ",
    "Word": r"<o:p></o:p>",
    "mobile signature": r"Sent from my phone",
    "dashes": r"(?m)^-- \r?$",
    "disclaimer": r"confidential and intended solely",
    "tracking pixel": r'width="1" height="1"',
}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_mail_occurs(mailbox: Sequence[Message], style: str) -> None:
    pattern = re.compile(STYLES[style])
    assert any(pattern.search((message["body"] or {}).get("content") or "") for message in mailbox)


@pytest.mark.parametrize(
    ("language", "words", "least"),
    [
        ("German", r"\b(?:und|nicht|wir|Ihnen|ist)\b", 10),
        ("French", r"\b(?:vous|nous|est|pour|dans)\b", 10),
        ("Spanish", r"\b(?:para|oferta|una|señora|gracias)\b", 4),
        ("Polish", r"\b(?:jest|się|jeszcze|bardzo)\b", 2),
        ("Japanese", r"[ぁ-ん]", 3),
        ("Arabic", r"[\u0620-\u064a]", 1),
    ],
)
def test_every_language_occurs(
    mailbox: Sequence[Message], plain_text: Callable[[Message], str], language: str, words: str, least: int
) -> None:
    pattern = re.compile(words)
    assert sum(len(pattern.findall(plain_text(message))) >= 3 for message in mailbox) >= least


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("List-Unsubscribe", "https://"),
        ("Precedence", "bulk"),
        ("Auto-Submitted", "auto-generated"),
        ("Auto-Submitted", "auto-replied"),
        ("Content-Type", "report-type=delivery-status"),
    ],
)
def test_bulk_and_automatic_mail_says_so(mailbox: Sequence[Message], header: str, value: str) -> None:
    found = [h for m in mailbox for h in m["internetMessageHeaders"] if h["name"] == header and value in h["value"]]
    assert len(found) >= 3


def test_nobody_writes_before_joining_or_after_leaving() -> None:
    people = {p.key: p for p in load_cast().people.values()}
    for mail in _all_mails(1500):
        person = people.get(mail.sender.key)
        if person:
            assert person.since <= f"{mail.sent:%Y-%m-%d}" <= person.until, mail.key


def _strings(value: object) -> list[str]:
    # JSON escapes would hide the characters around a host name.
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _strings(inner)]
    return [text for inner in value for text in _strings(inner)] if isinstance(value, list) else []


def _all_mails(size: int) -> list[Mail]:
    cast = load_cast()
    plan = contents(cast, size)
    drawn: list[Mail] = []
    number = 0
    while len(drawn) < plan.drawn:
        drawn += filler_block(1, number, cast)
        number += 1
    return [*(m for story in plan.stories for m in received(story)), *plan.odd, *drawn[: plan.drawn]]


def _near_duplicates(size: int) -> int:
    """Mails whose new text shares more than 0.8 of its word triples with an earlier one (Jaccard)."""
    where: dict[tuple[str, ...], list[int]] = {}
    triples: list[frozenset[tuple[str, ...]]] = []
    count = 0
    for number, mail in enumerate(_all_mails(size)):
        words = re.findall(r"\w+", re.sub(r"<[^>]+>", " ", mail.html or mail.text).lower())
        mine = frozenset(zip(words, words[1:], words[2:], strict=False)) or frozenset({tuple(words)})
        shared = Counter(other for triple in mine for other in where.get(triple, ()))
        count += any(n / (len(mine) + len(triples[o]) - n) > 0.8 for o, n in shared.items())
        triples.append(mine)
        for triple in mine:
            where.setdefault(triple, []).append(number)
    return count


def test_the_mailbox_is_valid_json_with_escapes(mailbox: Sequence[Message]) -> None:
    assert all(json.loads(json.dumps(message)) == message for message in mailbox)
