"""Reads CEREC's seed threads, and asks the rules whom each name in them means.

A file is one mail with the mails that it quotes, a token a line: token, speaker, entity type with chain, chain. The
first mail has addresses and display names; quoted mails mostly have names alone. As in the product, the people of
a thread are those of its headers, and a name in a quoted header is looked up among those seen before it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from atom_backfill.graph.resolve_bearers import Identity
from atom_backfill.graph.resolve_mentions import Known, Parties, Place, Ring, known_person, place_of, resolve_mention
from atom_backfill.mail.people import address_key
from atom_backfill.mail.vocabulary import words

Chains = frozenset[str]


@dataclass(frozen=True, slots=True)
class Span:
    """A marked person: the text, their offsets in the line, and the chain."""

    text: str
    start: int
    end: int
    chain: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a thread, its tokens joined by single spaces."""

    text: str
    spans: tuple[Span, ...]

    @property
    def field(self) -> str:
        """Return the header's name where the line is one, as `from` or `x-to`; else ""."""
        match = _FIELD.match(self.text)
        return match[1].replace(" ", "").casefold() if match else ""


@dataclass
class Someone:
    """A person of the thread's headers, and the gold chains under which they stand there."""

    key: str
    identities: list[Identity] = field(default_factory=list)
    chains: set[str] = field(default_factory=set)

    def known(self) -> Known:
        """Return what the rules know of them."""
        return known_person(self.key, self.identities)


@dataclass
class Mail:
    """One mail of a thread: who wrote it, who got it, and its own words."""

    authors: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


@dataclass
class Thread:
    """A thread, its people and its mails; `looked_up`: the names of quoted headers, as (gold chain, answer)."""

    people: dict[str, Someone] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    looked_up: list[tuple[Chains, Chains]] = field(default_factory=list)


def read_threads(folder: Path) -> Iterator[tuple[str, Thread]]:
    """Read the threads, by name."""
    for file in sorted(folder.rglob("*.conll")):
        yield file.stem, _thread(list(_lines(file.read_text(encoding="utf-8", errors="replace"))))


def score_thread(thread: Thread) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, gold, answer) for each name: chains, "" where nobody of the headers is meant or was found."""
    for gold, found in thread.looked_up:
        yield ("headers", *_compared(gold, found))
    chains = {chain for one in thread.people.values() for chain in one.chains}
    known = {key: one.known() for key, one in thread.people.items()}
    everyone = Ring(known.values())
    for mail in thread.mails:
        authors = Ring(known[key] for key in mail.authors)
        readers = Ring(known[key] for key in mail.readers)
        parties = Parties(authors, readers, everyone, Ring(()))
        text = "\n".join(line.text for line in mail.lines)
        start = 0
        for line in mail.lines:
            for span in line.spans:
                if _is_name(span.text):
                    place = place_of(text, start + span.start, start + span.end)
                    meant = resolve_mention(span.text, place, parties)
                    found = frozenset(thread.people[meant.person].chains) if meant else frozenset()
                    yield ("text", *_compared(frozenset({span.chain} & chains), found))
            start += len(line.text) + 1


def _compared(gold: Chains, found: Chains) -> tuple[str, str]:
    one = min(gold, default="")
    return one, one if one in found else min(found, default="")


def _is_name(text: str) -> bool:
    """Tell whether a mention is a name: every word capitalised, and none a pronoun, a title of office or a group."""
    tokens = [token for token in text.split() if token[:1].isalpha()]
    if not tokens or "@" in text or not all(token[0].isupper() for token in tokens):
        return False
    return not any(token.casefold() in _NO_NAMES for token in tokens)


def _lines(text: str) -> Iterator[Line]:
    tokens: list[tuple[str, str]] = []
    for row in [*text.splitlines(), ""]:
        cells = [cell for cell in row.split("\t") if cell]
        if row.startswith("#"):
            continue
        if cells:
            tokens.append((cells[0], cells[2] if len(cells) > 2 else "-"))
        elif tokens:
            yield _line(tokens)
            tokens = []


def _line(tokens: list[tuple[str, str]]) -> Line:
    starts: defaultdict[str, list[int]] = defaultdict(list)
    spans = []
    at = 0
    text = " ".join(token for token, _ in tokens)
    for token, marks in tokens:
        for opens, chain, closes in _MARK.findall(marks.replace("*", "")):
            if opens:
                starts[chain].append(at)
            if closes and starts[chain]:
                start = starts[chain].pop()
                spans.append(Span(text[start : at + len(token)], start, at + len(token), chain))
        at += len(token) + 1
    return Line(text, tuple(sorted(spans, key=lambda span: (span.start, -span.end))))


def _thread(lines: list[Line]) -> Thread:
    thread = Thread(mails=[Mail()])
    top = next((number for number, line in enumerate(lines) if line.field == "x-bcc"), 0)
    _read_top(thread, lines[: top + 1])
    for line in lines[top + 1 :]:
        mail = thread.mails[-1]
        if line.field == "from" and mail.authors:
            mail = Mail()
            thread.mails.append(mail)
        if line.field in _PARTIES:
            keys = _quoted_people(thread, line)
            (mail.authors if line.field == "from" else mail.readers).extend(keys)
        elif not line.field:
            mail.lines.append(line)
    return thread


def _read_top(thread: Thread, lines: list[Line]) -> None:
    """Read the mail's own headers; a name goes with its address by the chain, as Graph gives both together."""
    addresses: dict[str, str] = {}
    names: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines:
        role = line.field.removeprefix("x-")
        for span in line.spans if role in _PARTIES else ():
            if "@" in span.text:
                addresses.setdefault(span.chain, span.text)
            else:
                names[span.chain].append(span.text)
            keys = thread.mails[0].authors if role == "from" else thread.mails[0].readers
            if span.chain not in keys:
                keys.append(span.chain)
    for chain in dict.fromkeys([*addresses, *names]):
        key = address_key(addresses.get(chain, "")) or _NO_ADDRESS
        counts = {name: names[chain].count(name) for name in names[chain]}
        thread.people[chain] = Someone(chain, [Identity(key, counts)], {chain})


def _quoted_people(thread: Thread, line: Line) -> list[str]:
    """Find the people of a quoted header among those seen before; others are new to the thread."""
    keys: list[str] = []
    before = None
    for span in line.spans:
        if before is not None and "@" in span.text and _BETWEEN.fullmatch(line.text[before.end : span.start]):
            thread.people[keys[-1]].identities.append(Identity(address_key(span.text) or _NO_ADDRESS))
            continue
        key = _quoted_person(thread, span)
        keys.append(key)
        before = span
    return keys


def _quoted_person(thread: Thread, span: Span) -> str:
    address = address_key(span.text.strip("'< >"))
    if address:
        for key, one in thread.people.items():
            if any(identity.key == address for identity in one.identities):
                return key
    else:
        everyone = Ring(one.known() for one in thread.people.values())
        meant = resolve_mention(span.text, Place.TEXT, Parties(Ring(()), Ring(()), everyone, Ring(())))
        chains = {chain for one in thread.people.values() for chain in one.chains}
        found = frozenset(thread.people[meant.person].chains) if meant else frozenset()
        if _is_name(span.text):
            thread.looked_up.append((frozenset({span.chain} & chains), found))
        if meant:
            return meant.person
    key = f"quoted {len(thread.people)}"
    names = {} if address else {span.text: 1}
    thread.people[key] = Someone(key, [Identity(address or _NO_ADDRESS, names)], {span.chain})
    return key


_FIELD = re.compile(r"((?:X - )?(?:From|To|Cc|CC|cc|Bcc|bcc|Sent|Date|Subject|Importance)) :")
_MARK = re.compile(r"(\(?)(P\d+)(\)?)")
_BETWEEN = re.compile(r'[\s"<\[(]*(?:mailto\s*:)?[\s"<]*')
_PARTIES = frozenset({"from", "to", "cc", "bcc"})
_NO_ADDRESS = "/unknown"
_NO_NAMES = words(
    """
    a account administrative all analyst any anybody anyone assistant both brothers chairman coordinator director each
    economist everybody everyone executive folks friend friends group guys he her him his i it kids manager me mine my
    officer one our people president prez prof professor senior she somebody someone sr team the their them they this
    those trader us vice we who you your yours
    """
)
