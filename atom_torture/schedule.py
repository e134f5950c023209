"""A schedule: what mailbox is read, by how many workers, and what goes wrong where. It follows from its seed alone.

As JSON it can be kept, edited and replayed; `parse` says in a sentence what is wrong with one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

LIVES = ("crash", "stop", "lose", "slow", "skew")
"""What can happen to a worker between two steps: it dies; it is stopped and goes on when its leases have lapsed; its
renewals do not get through; it takes long; its clock is an hour off."""
STATES = ("40001", "40P01", "57014", "53100", "57P01")
"""SQLSTATEs that a statement fails with: serialization, deadlock, timeout, disk full, shutdown."""
POINTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("leased", "claimed", "fetched", "read", "embedded", "remembered", "committed", "settling"), LIVES),
    "remembering": (*LIVES, "unreachable"),
    "upserted": ("crash", "unanswered"),
    "statement": ("crash", "cut", *STATES),
    "commit": ("crash", "cut", *STATES),
    "answered": ("crash", "unanswered"),
    "settled": ("crash", "slow"),
}
"""Where something can go wrong, and what: the points of a page, of the memory's write, and within a transaction."""
CALLS = ("unavailable", "throttled", "twice", "shuffled", "lost_next", "broken_link", "empty", "slow")
"""What a call for a page can meet; `twice` delivers again what an earlier page had."""
POISONS = ("unreadable", "malformed", "refused")
"""A message that the source cannot give, that cannot be parsed, or that the database refuses."""
HIDING = {"lost_next", "empty"}
"""After such a call a walk may believe that there is no more; the last walk finds what it has passed by."""
MOVES = ("pause", "cancel", "again")
"""What a person does meanwhile, and undoes a minute later: a cancelled job is started anew, `again` to read everything
that is there already once more."""


class ScheduleError(ValueError):
    """The schedule is not one; the message is a sentence for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Event:
    """The n-th time (from 1) that a worker's slot reaches a point, this happens."""

    worker: int
    point: str
    nth: int
    kind: str


@dataclass(frozen=True, slots=True)
class Call:
    """The n-th call for a page (from 1, over all workers) meets this."""

    nth: int
    kind: str


@dataclass(frozen=True, slots=True)
class Move:
    """What a person does once so many messages are in the record."""

    after: int
    kind: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """`poison`: kinds, given to the mailbox's messages in order of chance; `page`: messages a page."""

    seed: int
    mails: int
    folders: int
    page: int
    workers: int
    concurrency: int
    events: tuple[Event, ...] = ()
    calls: tuple[Call, ...] = ()
    poison: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()

    def as_line(self) -> str:
        """One line of JSON, which `parse` takes back."""
        return json.dumps(asdict(self), separators=(",", ":"))


def from_seed(seed: int) -> Schedule:
    """Draw a schedule: a small mailbox, and up to a dozen things that go wrong, most often at the commit path."""
    rng = random.Random(seed)
    workers = rng.choice((1, 2, 2, 3))
    events = tuple(_event(rng, workers) for _ in range(rng.choice((1, 2, 3, 4, 6, 8))))
    calls = {rng.randint(1, 14): rng.choice(CALLS) for _ in range(rng.choice((0, 0, 1, 2, 3)))}
    moves = (Move(rng.randint(1, 20), rng.choice(MOVES)),) if rng.random() < 0.25 else ()
    return Schedule(
        seed=seed,
        mails=rng.randint(6, 26),
        folders=rng.randint(1, 3),
        page=rng.choice((3, 5, 8)),
        workers=workers,
        concurrency=rng.choice((1, 2, 4)),
        events=events,
        calls=tuple(Call(nth, kind) for nth, kind in sorted(calls.items())),
        poison=tuple(rng.choice(POISONS) for _ in range(rng.choice((0, 0, 1, 2)))),
        moves=moves,
    )


def _event(rng: random.Random, workers: int) -> Event:
    point = rng.choice(list(POINTS))
    most = 60 if point == "statement" else 12 if point in ("commit", "answered") else 4
    return Event(rng.randrange(workers), point, rng.randint(1, most), rng.choice(POINTS[point]))


def parse(text: str) -> Schedule:
    """Check a schedule written as JSON. Raises ScheduleError with the first thing that is wrong."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ScheduleError(f"a schedule is one JSON object; this is no JSON ({error})") from None
    if not isinstance(document, dict):
        raise ScheduleError('a schedule is one JSON object like {"seed": 1, "mails": 20, …}')
    unknown = document.keys() - Schedule.__dataclass_fields__.keys()
    if unknown:
        raise ScheduleError(f"a schedule has no {min(unknown)!r}")
    numbers = {name: _whole(document, name) for name in ("seed", "mails", "folders", "page", "workers", "concurrency")}
    schedule = Schedule(
        **numbers,
        events=tuple(_parsed_event(each, numbers["workers"]) for each in _list(document, "events")),
        calls=tuple(Call(_whole(each, "nth"), _one_of(each, "kind", CALLS)) for each in _list(document, "calls")),
        poison=tuple(_poison(each) for each in _list(document, "poison")),
        moves=tuple(Move(_whole(each, "after"), _one_of(each, "kind", MOVES)) for each in _list(document, "moves")),
    )
    if len(schedule.poison) > schedule.mails:
        raise ScheduleError("there are more poisons than mails")
    return schedule


def _parsed_event(document: Any, workers: int) -> Event:
    point = _one_of(document, "point", tuple(POINTS))
    worker = _whole(document, "worker", least=0)
    if worker >= workers:
        raise ScheduleError(f"an event is of worker {worker}, but the workers are 0 to {workers - 1}")
    return Event(worker, point, _whole(document, "nth"), _one_of(document, "kind", POINTS[point]))


def _poison(kind: Any) -> str:
    return _one_of({"poison": kind}, "poison", POISONS)


def _list(document: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = document.get(name, [])
    if not isinstance(value, list):
        raise ScheduleError(f"{name!r} is a list")
    return value


def _whole(document: Any, name: str, *, least: int = 1) -> int:
    value = document.get(name) if isinstance(document, dict) else None
    least = 0 if name == "seed" else least
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 2**63:
        raise ScheduleError(f"{name!r} is a whole number from {least}, not {json.dumps(value)[:40]}")
    return value


def _one_of(document: Any, name: str, known: Sequence[str]) -> str:
    value = document.get(name) if isinstance(document, dict) else None
    if value not in known:
        raise ScheduleError(f"{name!r} is one of {', '.join(known)}, not {json.dumps(value)[:40]}")
    return str(value)
