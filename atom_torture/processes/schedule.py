"""What one run reads, by how many workers, and what strikes them when. It follows from its seed alone."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from atom_torture.documents import ScheduleError, checked, list_of, number, one_of, read_document, whole
from atom_torture.schedule import POISONS

WIRES = ("latency", "reset", "half_open", "cut", "black_hole")
"""What a connection meets; see proxy.py."""
STRIKES: Mapping[str, tuple[str, ...]] = {
    "worker": ("kill", "term", "stop", "starve"),
    "database": (*WIRES, "restart", "crash"),
    "mailbox": WIRES,
    "vectors": WIRES,
    "memory": ("full",),
    "person": ("pause", "cancel"),
}
"""Where something strikes, and what. A worker is killed, told to go, stopped until another has its work, or gets no
more memory; the server is restarted, or killed with all its children; the disk of the memory is full."""
KINDS = tuple(kind for kind in POISONS if kind != "malformed")
"""Of poisons, those that a mailbox of Graph can have."""
_LIMITS = {
    "seed": (0, 2**63),
    "mails": (1, 5_000),
    "folders": (1, 20),
    "page": (1, 1_000),
    "workers": (1, 8),
    "concurrency": (1, 16),
}
_OFTEN = (
    *(("worker", "kill"),) * 5,
    *(("worker", "term"),) * 3,
    *(("worker", "stop"),) * 3,
    *(("database", "restart"), ("database", "crash")) * 2,
    *(("person", "pause"), ("person", "cancel")) * 2,
    ("worker", "starve"),
    ("memory", "full"),
)
_FAIR = tuple((where, kind) for where in ("database", "mailbox", "vectors") for kind in WIRES)
_REAL_LEASES = 0.25


@dataclass(frozen=True, slots=True)
class Strike:
    """Once `after` messages are in the record, this happens.

    `seconds`: how long it lasts, where it lasts by itself. `size`: bytes that `cut` lets through.
    """

    after: int
    where: str
    kind: str
    seconds: float = 0.0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """`hurried`: leases of the dead are let lapse at once, since waiting for it shows nothing; else they last 20 s."""

    seed: int
    mails: int
    folders: int
    page: int
    workers: int
    concurrency: int
    hurried: bool
    strikes: tuple[Strike, ...] = ()
    poison: tuple[str, ...] = ()

    def as_line(self) -> str:
        """One line of JSON, which `parse` takes back."""
        return json.dumps(asdict(self), separators=(",", ":"))


def from_seed(seed: int) -> Schedule:
    """Draw a run: some hundred mails, and one to four strikes while they are read."""
    rng = random.Random(f"processes {seed}")
    mails = rng.randint(60, 300)
    struck = sorted(rng.randrange(int(mails * 0.7)) for _ in range(rng.choice((1, 2, 2, 3, 4))))
    return Schedule(
        seed=seed,
        mails=mails,
        folders=rng.randint(1, 3),
        page=rng.choice((10, 15, 25)),
        workers=rng.choice((1, 2, 2, 3)),
        concurrency=rng.choice((2, 4)),
        hurried=rng.random() >= _REAL_LEASES,
        strikes=tuple(_strike(rng, after) for after in struck),
        poison=tuple(rng.choice(KINDS) for _ in range(rng.choice((0, 1, 1, 2, 3)))),
    )


def _strike(rng: random.Random, after: int) -> Strike:
    where, kind = rng.choice(rng.choice((_OFTEN, _FAIR)))
    # Longer than what a drain may take, now and then.
    seconds = round(rng.uniform(1.0, rng.choice((6.0, 6.0, 6.0, 20.0))), 1)
    return Strike(after, where, kind, seconds, rng.randint(1, 20_000) if kind == "cut" else 0)


def parse(text: str) -> Schedule:
    """Check a run written as JSON. Raises ScheduleError with the first thing that is wrong."""
    document = read_document(text, Schedule)
    hurried = document.get("hurried", True)
    if not isinstance(hurried, bool):
        raise ScheduleError("'hurried' is true or false")
    schedule = Schedule(
        **{name: whole(document, name, *limits) for name, limits in _LIMITS.items()},
        hurried=hurried,
        strikes=tuple(map(_strike_of, list_of(document, "strikes"))),
        poison=tuple(one_of(kind, "poison", KINDS) for kind in list_of(document, "poison")),
    )
    if len(schedule.poison) > schedule.mails:
        raise ScheduleError("there are more poisons than mails")
    return schedule


def _strike_of(told: Any) -> Strike:
    document = {"seconds": 0.0, "size": 0, **checked(told, Strike, "a strike")}
    where = one_of(document.get("where"), "where", tuple(STRIKES))
    return Strike(
        whole(document, "after", 0, 2**31),
        where,
        one_of(document.get("kind"), "kind", STRIKES[where]),
        number(document, "seconds", 0, 600),
        whole(document, "size", 0, 2**31),
    )
