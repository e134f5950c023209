"""Whom a name in a text means: the parties of the message first, then its thread, then the organisation. Pure.

A name that may be two persons is nobody: the answer is None, never a guess. Where a name stands says whom to look at
first: a greeting names a reader, a sign-off the author.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rapidfuzz.distance import OSA

from atom_backfill.graph.resolve_addresses import letters_of, local_part
from atom_backfill.graph.resolve_bearers import Identity, read_bearers
from atom_backfill.graph.resolve_names import (
    LONGEST_NAME,
    Likeness,
    Name,
    alike_part,
    formal_names,
    likeness,
    name_parts,
    read_name,
)
from atom_backfill.graph.resolve_vocabulary import NOT_A_PERSON, TITLES
from atom_backfill.mail.vocabulary import any_of


class Place(StrEnum):
    """Where in a message a name stands."""

    GREETING = "greeting"
    SIGN_OFF = "sign-off"
    TEXT = "text"


class Called(StrEnum):
    """By what a person is called, the surest first; the order decides where one fits better than another."""

    FULL_NAME = "full-name"
    NICKNAME = "nickname-and-surname"
    INITIAL = "initial-and-surname"
    GIVEN_NAME = "given-name"
    SURNAME = "surname"
    INITIALS = "initials"
    HANDLE = "handle"


@dataclass(frozen=True, slots=True)
class Meant:
    """The person whom a name means, by what they are called, and how sure it is (0..1)."""

    person: str
    called: Called
    score: float


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who may be meant: a person's key, full names, single names and the letters of local parts."""

    person: str
    names: tuple[Name, ...]
    alone: frozenset[str] = frozenset()
    handles: frozenset[str] = frozenset()


class Ring:
    """People among whom a name is looked for, indexed by the words that they may be called."""

    def __init__(self, people: Iterable[Known]) -> None:
        self._people = {one.person: one for one in people}
        self._by_word: defaultdict[str, dict[str, Known]] = defaultdict(dict)
        for one in self._people.values():
            for word in _words_of(one):
                self._by_word[word][one.person] = one

    def people(self) -> Iterable[Known]:
        """Return all of them."""
        return self._people.values()

    def near(self, words: Iterable[str]) -> list[Known]:
        """Return those for whom one of these words may stand, sorted by key."""
        found: dict[str, Known] = {}
        for word in words:
            found.update(self._by_word.get(word, {}))
        return [found[person] for person in sorted(found)]


@dataclass(frozen=True, slots=True)
class Parties:
    """The people around a message: who wrote it, who got it, who else is of its thread, and of the organisation."""

    authors: Ring
    readers: Ring
    thread: Ring
    organization: Ring


def known_person(person: str, identities: Iterable[Identity]) -> Known:
    """Gather what a person may be called, from the addresses and names that are theirs."""
    names: dict[Name, None] = {}
    alone: set[str] = set()
    handles: set[str] = set()
    for one in read_bearers(identities):
        names.update(dict.fromkeys(one.names))
        handles.add(letters_of(local_part(one.plain)))
        if not one.names and one.sender and " " not in one.sender:
            alone.add(alike_part(one.sender))
    return Known(person, tuple(names), frozenset(alone), frozenset(handles - {""}))


def place_of(text: str, start: int, end: int) -> Place:
    """Tell where in a message's own text the name at these offsets stands."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    before = text[first:start].strip()
    after = text[end : len(text) if last < 0 else last].strip()
    if len(before) > _LONGEST_OPENING:
        return Place.TEXT
    begins = not text[:first].strip()
    if not after.strip(_POINTS) and (_CLOSING.fullmatch(before) or not (before or begins or after[:1] in (",", ":"))):
        return Place.SIGN_OFF
    if _OPENING.fullmatch(before) and (_AFTER_A_GREETING.match(after) or (begins and not after)):
        return Place.GREETING
    return Place.TEXT


def resolve_mention(words: str, place: Place, parties: Parties) -> Meant | None:
    """Find whom a name means; None where nobody, or more than one, can be meant.

    In the organisation beyond the thread only a full name, or an initial and a surname, finds anyone.
    """
    mention = _read_mention(words)
    if mention is None:
        return None
    for rings in _rings(place, parties, everyone=mention.name is not None):
        found = _fitting(mention, rings)
        if found:
            best = min(found.values(), key=_ORDER.__getitem__)
            people = [person for person, called in found.items() if called is best]
            if len(people) > 1 or (mention.name is None and _is_a_slip(mention.word, people[0], rings)):
                return None
            return Meant(people[0], best, _SCORES[best])
    return None


@dataclass(frozen=True, slots=True)
class _Mention:
    """A name in a text: a full one, or one word, which behind a title is a surname."""

    name: Name | None
    word: str
    titled: bool


def _read_mention(words: str) -> _Mention | None:
    words = _POSSESSIVE.sub("", words.strip()[:LONGEST_NAME])
    name = read_name(words)
    if name is not None:
        return _Mention(name, "", titled=False)
    parts = name_parts(words)
    if len(parts) != 1 or len(parts[0]) < 2 or parts[0] in NOT_A_PERSON:
        return None
    return _Mention(None, parts[0], titled=words.split()[0].strip(".").casefold() in TITLES)


def _rings(place: Place, parties: Parties, *, everyone: bool) -> Iterator[tuple[Ring, ...]]:
    if place is Place.SIGN_OFF:
        yield (parties.authors,)
    elif place is Place.GREETING:
        yield (parties.readers,)
    yield parties.authors, parties.readers
    yield (parties.thread,)
    if everyone:
        yield (parties.organization,)


def _fitting(mention: _Mention, rings: Iterable[Ring]) -> dict[str, Called]:
    name = mention.name
    words = {name.surname, name.given} if name else {alike_part(mention.word, surname=True), alike_part(mention.word)}
    words |= {formal for word in words for formal in formal_names(word)}
    found = {}
    for ring in rings:
        for one in ring.near(words):
            called = _called_in_full(name, one) if name else _called_by_word(mention, one)
            if called is not None:
                found[one.person] = called
    return found


def _is_a_slip(word: str, person: str, rings: Iterable[Ring]) -> bool:
    """Tell whether a short form may be another's name, misspelt: Jamie is James, unless Jaime is there too."""
    given = alike_part(word)
    known = {one.person: {name.given for name in one.names} | one.alone for ring in rings for one in ring.people()}
    if len(given) < _SHORTEST_SLIP or given in known[person]:
        return False
    others = set().union(*(words for other, words in known.items() if other != person))
    return any(OSA.distance(given, other, score_cutoff=1) <= 1 for other in others)


def _called_in_full(name: Name, one: Known) -> Called | None:
    how = max((likeness(name, theirs) for theirs in one.names), default=Likeness.NONE)
    if how is not Likeness.NONE:
        return _IN_FULL[how]
    # Mary Kay Miller is called Mary Kay.
    if any(name.given == theirs.given and name.surname in theirs.middle for theirs in one.names):
        return Called.GIVEN_NAME
    return None


def _called_by_word(mention: _Mention, one: Known) -> Called | None:
    surname = alike_part(mention.word, surname=True)
    if mention.titled:
        return Called.SURNAME if any(surname == name.surname for name in one.names) else None
    given = alike_part(mention.word)
    formal = formal_names(given)
    if any(formal & formal_names(theirs) for theirs in (*(name.given for name in one.names), *one.alone)):
        return Called.GIVEN_NAME
    if any(surname == name.surname for name in one.names):
        return Called.SURNAME
    if any(given in _initials(name) for name in one.names):
        return Called.INITIALS
    return Called.HANDLE if mention.word in one.handles else None


def _words_of(one: Known) -> set[str]:
    words = {*one.alone, *one.handles}
    for name in one.names:
        words |= {name.surname, name.given, *name.middle, *formal_names(name.given), *_initials(name)}
    return words.union(*(formal_names(word) for word in one.alone))


def _initials(name: Name) -> set[str]:
    middle = "".join(part[0] for part in name.middle)
    return {name.given[0] + name.surname[0], name.given[0] + middle + name.surname[0], name.given[0] + middle} - {
        name.given[0]
    }


_ORDER: Final = {called: place for place, called in enumerate(Called)}
_SCORES: Final = {
    Called.FULL_NAME: 0.99,
    Called.NICKNAME: 0.96,
    Called.INITIAL: 0.93,
    Called.GIVEN_NAME: 0.95,
    Called.SURNAME: 0.92,
    Called.INITIALS: 0.9,
    Called.HANDLE: 0.9,
}
_IN_FULL: Final = {
    Likeness.EXACT: Called.FULL_NAME,
    Likeness.NICKNAME: Called.NICKNAME,
    Likeness.SPELLING: Called.NICKNAME,
    Likeness.INITIAL: Called.INITIAL,
}
_SHORTEST_SLIP: Final = 4
_LONGEST_OPENING: Final = 120
_POINTS: Final = " .,;:!-–—*_"
_POSSESSIVE: Final = re.compile(r"\s*['’]s?$")
_OPENING: Final = re.compile(
    r"(?:(?:hi|hello|hey|dear|good\s+(?:morning|afternoon|evening|day)|hallo|liebe[r]?|bonjour|hola|ciao)\b[\s,]*)?"
    r"(?:[^\W\d_][\w.'’-]*(?:\s*[,/&]\s*|\s+(?:and|und|et|y)\s+|\s+(?:and|und|et|y)$)){0,6}",
    re.IGNORECASE,
)
_AFTER_A_GREETING: Final = re.compile(r"[,:;!/&-]|\.$|and\b|und\b", re.IGNORECASE)
_CLOSING: Final = re.compile(
    r".{0,40}\b"
    + any_of(
        """
        thanks(?: again| a lot| so much| very much)?|thank you|thx|many thanks|regards|best(?: wishes| to all)?|cheers
        sincerely|yours(?: truly| faithfully)?|love|greetings|respectfully|cordially|take care|gr(?:u|ü)(?:ß|ss)e
        merci|saludos
        """
    )
    + r"\s*[,.!-]*|[-–—~*]+|/s/",
    re.IGNORECASE,
)
