"""Cuts the new text of threads into units, packs units into calls, and makes smaller ones of what was too much. Pure.

A unit is stored as the messages and spans that it is made of, so it can be made again from the record; what it costs to
ask about it is told beforehand from its size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from atom_backfill.graph.facts import Participant, Piece, Unit, UnitMail
from atom_backfill.graph.folding import fold
from atom_backfill.graph.prompt import GENERATION, MOST_PARTICIPANTS, messages_of
from atom_backfill.identity import unit_id
from atom_backfill.mail.message import Address
from atom_backfill.mail.people import person_of
from atom_backfill.mail.references import base_subject

LEAST_CHARACTERS = 60
"""Of new text; less says little that headers do not."""
UNIT_CHARACTERS, UNIT_MAILS = 4_000, 8
"""Of one unit; longer threads go on in another. An answer grows with its mails, and sets the time of its call."""
CALL_CHARACTERS, CALL_UNITS = 4_500, 3
_LEAST_HALF = 200
"""Characters of either half when a text is cut in two; less cannot be what was too much for a model."""
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MailText:
    """A message as far as units are made of it. `spans`: [start, end) of `text` (its rendering) that are new.

    `people`: (role, name, address) of its headers. `dated`: when it was received, else sent.
    """

    message_id: UUID
    content_hash: str
    subject: str
    dated: datetime | None
    people: tuple[tuple[str, str, str], ...]
    text: str
    spans: tuple[tuple[int, int], ...]

    @property
    def characters(self) -> int:
        """How much new text there is, white space included."""
        return sum(end - start for start, end in self.spans)

    @property
    def text_hash(self) -> bytes:
        """The same for mails that say the same."""
        said = "\n".join(self.text[start:end] for start, end in self.spans)
        return hashlib.sha256(fold(said).casefold().encode("utf-8", "replace")).digest()[:16]


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """A unit to be stored. `mails`: (message, its content's hash, spans); `carried`: (key, name, shared)."""

    unit_id: UUID
    thread_id: UUID
    ordinal: int
    latest_at: datetime
    characters: int
    mails: tuple[tuple[UUID, str, tuple[tuple[int, int], ...]], ...]
    carried: tuple[tuple[str, str, bool], ...]


def new_spans(text: str, segments: Iterable[Sequence[Any]]) -> tuple[tuple[int, int], ...]:
    """Return the stretches of a rendering that are new and hold anything; `segments` as the record has them."""
    spans = ((start, end) for kind, start, end in segments if kind == "new")
    return tuple((start, end) for start, end in spans if text[start:end].strip())


def too_short(mail: MailText) -> bool:
    """Tell whether a mail adds too little to be asked about."""
    return sum(len(text.strip()) for text in (mail.text[s:e] for s, e in mail.spans)) < LEAST_CHARACTERS


def plan_units(
    thread: UUID, mails: Sequence[MailText], *, earlier: Sequence[MailText] = (), first: int = 0
) -> list[UnitPlan]:
    """Cut the new mails of a thread into units, by date. `earlier`: its mails of other units; `first`: their number."""
    parts = [part for mail in sorted(mails, key=_order) for part in _parts(mail)]
    groups: list[list[MailText]] = []
    for part in parts:
        group = groups[-1] if groups else []
        fits = len(group) < UNIT_MAILS and sum(each.characters for each in (*group, part)) <= UNIT_CHARACTERS
        if group and fits:
            group.append(part)
        else:
            groups.append([part])
    before: list[MailText] = list(earlier)
    plans = []
    for number, group in enumerate(groups):
        plans.append(_plan(thread, first + number, group, before))
        before += group
    return plans


def build_unit(plan: UnitPlan, mails: Mapping[UUID, MailText]) -> Unit | None:
    """Make a unit again from the record. None where a mail of it has changed or is gone."""
    if any(message not in mails or mails[message].content_hash != known for message, known, _ in plan.mails):
        return None
    people: dict[str, Participant] = {}
    built = []
    for message, _, spans in plan.mails:
        mail = mails[message]
        author = next((key for key in _people(mail, people, ("from",))), None)
        author = author or next((key for key in _people(mail, people, ("sender",))), None)
        readers = dict.fromkeys(_people(mail, people, ("to", "cc")))
        places = {key: place for place, key in enumerate(people)}
        pieces = tuple(Piece(mail.text[start:end], start) for start, end in spans)
        built.append(
            UnitMail(
                message,
                mail.dated.date() if mail.dated else None,
                None if author is None else places[author],
                tuple(places[key] for key in readers if key != author),
                pieces,
            )
        )
    for key, name, shared in plan.carried:
        if len(people) < MOST_PARTICIPANTS:
            people.setdefault(key, Participant(key, name, shared))
    subject = base_subject(mails[plan.mails[0][0]].subject)
    return Unit(plan.unit_id, subject, tuple(people.values()), tuple(built))


def split_plan(plan: UnitPlan, unit: Unit) -> tuple[UnitPlan, UnitPlan] | None:
    """Make two units of one, of about the same size; None where it is too small for that."""
    if len(plan.mails) > 1:
        at = _middle([sum(end - start for start, end in spans) for _, _, spans in plan.mails])
        return _with_mails(plan, plan.mails[:at], 0), _with_mails(plan, plan.mails[at:], 1)
    message, known, spans = plan.mails[0]
    halves = _halves(spans, {piece.start: piece.text for piece in unit.mails[0].pieces})
    if halves is None:
        return None
    first, second = (_with_mails(plan, ((message, known, half),), n) for n, half in enumerate(halves))
    return first, second


def pack(sizes: Sequence[tuple[int, bool]]) -> int:
    """Tell how many of the first units, by (characters, alone), go into one call: at least one."""
    total, count = 0, 0
    for characters, alone in sizes[:CALL_UNITS]:
        total += characters
        if count and (alone or total > CALL_CHARACTERS):
            break
        count += 1
        if alone:
            break
    return count


def answer_key(unit: Unit, model: str) -> bytes:
    """Hash all that shapes a model's answer about a unit, so that the same is never bought twice."""
    asked = messages_of([unit])[1]["content"]
    return hashlib.sha256("\0".join((GENERATION, model, asked)).encode("utf-8", "replace")).digest()


def likely_tokens(text: str) -> int:
    """Guess how many tokens a text has: for pace and quotes."""
    plain = sum(map(str.isascii, text))
    return round(plain / 4 + (len(text) - plain) * 0.8) + 1


def most_tokens(text: str) -> int:
    """Return how many tokens a text can have at most: each stands for a byte at least."""
    return len(text.encode("utf-8", "replace")) + 16


def most_answer_tokens(units: Sequence[Unit], attempts: int = 0) -> int:
    """Return how long an answer may be; twice as long with each attempt that was cut off."""
    texts = [mail.text for unit in units for mail in unit.mails]
    said = sum(min(1_000, 150 + round(2.5 * likely_tokens(text))) for text in texts)
    return int((100 + 30 * len(units) + said) * 2 ** min(attempts, 3))


def _order(mail: MailText) -> tuple[datetime, UUID]:
    return mail.dated or NO_DATE, mail.message_id


def _parts(mail: MailText) -> list[MailText]:
    """Cut a mail that is too long for a unit at its lines, else anywhere."""
    rest, parts = mail.spans, []
    while sum(end - start for start, end in rest) > UNIT_CHARACTERS:
        taken, rest = _take(mail.text, rest)
        parts.append(taken)
    return [_with_spans(mail, spans) for spans in (*parts, rest) if spans]


def _take(
    text: str, spans: tuple[tuple[int, int], ...]
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """Take as much as a unit holds from the front."""
    taken: list[tuple[int, int]] = []
    room = UNIT_CHARACTERS
    for number, (start, end) in enumerate(spans):
        if end - start > room:
            cut = _line_end(text, start, start + room)
            if cut > start:
                taken.append((start, cut))
            return tuple(taken), ((max(cut, start), end), *spans[number + 1 :])
        taken.append((start, end))
        room -= end - start
    return tuple(taken), ()


def _line_end(text: str, start: int, end: int) -> int:
    """Return where to cut, at `end` at the latest: after a line, else after a word, if that is not too near."""
    for sign in ("\n", " "):
        at = text.rfind(sign, start + (end - start) // 2, end)
        if at >= 0:
            return at + 1
    return end


def _halves(
    spans: tuple[tuple[int, int], ...], texts: Mapping[int, str]
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]] | None:
    half = sum(end - start for start, end in spans) // 2
    if half < _LEAST_HALF:
        return None
    first: list[tuple[int, int]] = []
    for number, (start, end) in enumerate(spans):
        if end - start >= half:
            cut = start + _line_end(texts[start], 0, half)
            return (*first, (start, cut)), ((cut, end), *spans[number + 1 :])
        first.append((start, end))
        half -= end - start
    return None


def _middle(sizes: Sequence[int]) -> int:
    """Return how many of the first are nearest to half of all, at least one and not all."""
    total, so_far = sum(sizes), 0
    distances = []
    for size in sizes[:-1]:
        so_far += size
        distances.append(abs(2 * so_far - total))
    return distances.index(min(distances)) + 1


def _with_spans(mail: MailText, spans: tuple[tuple[int, int], ...]) -> MailText:
    return MailText(mail.message_id, mail.content_hash, mail.subject, mail.dated, mail.people, mail.text, spans)


def _with_mails(
    plan: UnitPlan, mails: tuple[tuple[UUID, str, tuple[tuple[int, int], ...]], ...], half: int
) -> UnitPlan:
    characters = sum(end - start for _, _, spans in mails for start, end in spans)
    ordinal = 2 * plan.ordinal + half
    return UnitPlan(
        _name(plan.thread_id, mails), plan.thread_id, ordinal, plan.latest_at, characters, mails, plan.carried
    )


def _plan(thread: UUID, ordinal: int, group: Sequence[MailText], before: Sequence[MailText]) -> UnitPlan:
    mails = tuple((mail.message_id, mail.content_hash, mail.spans) for mail in group)
    own: dict[str, Participant] = {}
    for mail in group:
        list(_people(mail, own, _ROLES))
    others: dict[str, Participant] = {}
    for mail in reversed(before):
        list(_people(mail, others, _ROLES))
    carried = tuple((each.key, each.name, each.shared) for each in others.values() if each.key not in own)
    latest = max((mail.dated for mail in group if mail.dated), default=NO_DATE)
    characters = sum(mail.characters for mail in group)
    return UnitPlan(
        _name(thread, mails), thread, ordinal, latest, characters, mails, carried[: MOST_PARTICIPANTS - len(own)]
    )


_ROLES = ("from", "sender", "to", "cc")


def _name(thread: UUID, mails: Iterable[tuple[UUID, str, tuple[tuple[int, int], ...]]]) -> UUID:
    return unit_id(thread, [(message, known, spans[0][0], spans[-1][1]) for message, known, spans in mails])


def _people(mail: MailText, known: dict[str, Participant], roles: Sequence[str]) -> Iterable[str]:
    """Yield the keys of who is named in these roles, after adding them to those known, as far as there is room."""
    for role, name, address in mail.people:
        person = person_of(Address(name, address)) if role in roles else None
        if person is None:
            continue
        there = known.get(person.key)
        if there is None and len(known) >= MOST_PARTICIPANTS:
            continue
        if there is None or (person.name and not there.name):
            known[person.key] = Participant(person.key, person.name, person.shared)
        yield person.key
