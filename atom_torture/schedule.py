"""A schedule: what mailbox is read, by how many workers, and what goes wrong where. It follows from its seed alone.

As JSON it can be kept, edited and replayed; `parse` says in a sentence what is wrong with one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from atom_torture.documents import ScheduleError, checked, list_of, one_of, read_document, whole

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
_TROUBLE = ("unavailable", "throttled", "slow")
CALLS: Mapping[str, tuple[str, ...]] = {
    "page": (*_TROUBLE, "twice", "shuffled", "lost_next", "broken_link", "empty"),
    "places": (*_TROUBLE, "empty"),
    "folders": _TROUBLE,
    "count": _TROUBLE,
    "message": _TROUBLE,
}
"""What calls of the mailbox can meet; `twice` delivers again what an earlier page had."""
POISONS = ("unreadable", "malformed", "refused")
"""A message that the source cannot give, that cannot be parsed, or that the database refuses."""
HIDING = {"page/lost_next", "page/empty"}
"""After such a call a walk may believe that there is no more; the last walk finds what it has passed by."""
MOVES = ("pause", "cancel", "again", "sweep")
"""What a person does meanwhile, and undoes a minute later: a cancelled job is started anew, `again` to read everything
that is there already once more. `sweep`: everything is swept while pages are on their way, which no one undoes."""


NEIGHBOURS = 0.3


@dataclass(frozen=True, slots=True)
class Event:
    """The n-th time (from 1) that a worker's slot reaches a point, this happens."""

    worker: int
    point: str
    nth: int
    kind: str


@dataclass(frozen=True, slots=True)
class Call:
    """The n-th call of one sort (from 1, over all workers) meets this."""

    nth: int
    kind: str
    on: str = "page"


@dataclass(frozen=True, slots=True)
class Move:
    """What a person does once so many messages are in the record."""

    after: int
    kind: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """`poison`: kinds, given to the mailbox's messages in order of chance; `page`: messages a page.

    `neighbour`: mails of another tenant's mailbox, which the same workers read; 0 for none.
    """

    seed: int
    mails: int
    folders: int
    page: int
    workers: int
    concurrency: int
    neighbour: int = 0
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
    calls = {(call.on, call.nth): call for call in (_call(rng) for _ in range(rng.choice((0, 0, 1, 2, 3))))}
    moves = (Move(rng.randint(1, 20), rng.choice(MOVES)),) if rng.random() < 0.25 else ()
    return Schedule(
        seed=seed,
        mails=rng.randint(6, 26),
        folders=rng.randint(1, 3),
        page=rng.choice((3, 5, 8)),
        workers=workers,
        concurrency=rng.choice((1, 2, 4)),
        neighbour=rng.randint(2, 8) if rng.random() < NEIGHBOURS else 0,
        events=events,
        calls=tuple(calls[each] for each in sorted(calls)),
        poison=tuple(rng.choice(POISONS) for _ in range(rng.choice((0, 0, 1, 2)))),
        moves=moves,
    )


def _call(rng: random.Random) -> Call:
    on = "page" if rng.random() < 0.6 else rng.choice(list(CALLS))
    return Call(rng.randint(1, {"page": 14, "places": 4}.get(on, 2)), rng.choice(CALLS[on]), on)


def _event(rng: random.Random, workers: int) -> Event:
    point = rng.choice(list(POINTS))
    most = 60 if point == "statement" else 12 if point in ("commit", "answered") else 4
    return Event(rng.randrange(workers), point, rng.randint(1, most), rng.choice(POINTS[point]))


def parse(text: str) -> Schedule:
    """Check a schedule written as JSON. Raises ScheduleError with the first thing that is wrong."""
    document = read_document(text, Schedule)
    sizes = {name: whole(document, name, 1) for name in ("mails", "folders", "page", "workers", "concurrency")}
    schedule = Schedule(
        seed=whole(document, "seed", 0),
        **sizes,
        neighbour=whole(document, "neighbour", 0),
        events=tuple(_event_of(each, sizes["workers"]) for each in list_of(document, "events")),
        calls=tuple(map(_call_of, list_of(document, "calls"))),
        poison=tuple(one_of(kind, "poison", POISONS) for kind in list_of(document, "poison")),
        moves=tuple(map(_move_of, list_of(document, "moves"))),
    )
    if len(schedule.poison) > schedule.mails:
        raise ScheduleError("there are more poisons than mails")
    return schedule


def _event_of(told: Any, workers: int) -> Event:
    document = checked(told, Event, "an event")
    point = one_of(document.get("point"), "point", tuple(POINTS))
    worker = whole(document, "worker", 0)
    if worker >= workers:
        raise ScheduleError(f"an event is of worker {worker}, but the workers are 0 to {workers - 1}")
    return Event(worker, point, whole(document, "nth", 1), one_of(document.get("kind"), "kind", POINTS[point]))


def _call_of(told: Any) -> Call:
    document = {"on": "page", **checked(told, Call, "a call")}
    on = one_of(document.get("on"), "on", tuple(CALLS))
    return Call(whole(document, "nth", 1), one_of(document.get("kind"), "kind", CALLS[on]), on)


def _move_of(told: Any) -> Move:
    document = checked(told, Move, "a move")
    return Move(whole(document, "after", 1), one_of(document.get("kind"), "kind", MOVES))
