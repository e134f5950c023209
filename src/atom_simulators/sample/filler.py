"""Everyday mail without a story: drawn, not written, and different from its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random

from .bulletins import bulletin
from .cast import Cast
from .chatter import exchange, ticket, weekly_note
from .lot import Lot
from .mail import Mail
from .mailing import away, bounce, junk, notice, pass_on
from .meeting import invitation
from .paperwork import bill

Kind = Callable[[Lot], Sequence[Mail]]

KINDS: Sequence[tuple[Kind, int]] = (
    (exchange, 15),
    (bill, 18),
    (bulletin, 20),
    (notice, 24),
    (weekly_note, 12),
    (ticket, 6),
    (invitation, 7),
    (junk, 5),
    (pass_on, 3),
    (away, 3),
    (bounce, 2),
)
"""Each kind of everyday mail and how many of a round of blocks are of it."""

FIRST_DAY = date(2023, 10, 2)
LAST_DAY = date(2026, 10, 23)


def filler_block(seed: int, number: int, cast: Cast) -> tuple[Mail, ...]:
    """The block with this number: one mail, or a short thread, oldest first. Equal arguments, equal mails."""
    rng = Random(f"{seed}/{number}")  # noqa: S311 - variety, not secrecy
    kind, rank, share = _round(seed)[number % len(_round(seed))]
    ordinal = number // len(_round(seed)) * share + rank + seed % 10
    return tuple(kind(Lot(rng, f"filler/{seed}/{number}", _moment(rng), cast, ordinal)))


@cache
def _round(seed: int) -> Sequence[tuple[Kind, int, int]]:
    """One round of blocks in mixed order: kind, rank among its kind, and how many of its kind a round has."""
    slots = [(kind, rank, share) for kind, share in KINDS for rank in range(share)]
    Random(seed).shuffle(slots)  # noqa: S311 - variety, not secrecy
    return slots


def _moment(rng: Random) -> datetime:
    """A moment in office hours, seldom at a weekend."""
    day = FIRST_DAY + timedelta(days=rng.randrange((LAST_DAY - FIRST_DAY).days))
    if day.weekday() >= 5 and rng.random() < 0.85:
        day -= timedelta(days=min(rng.choice((2, 3)), (day - FIRST_DAY).days))
    hour = rng.choices(range(6, 20), (1, 3, 8, 12, 11, 9, 6, 8, 10, 10, 8, 5, 2, 1))[0]
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(seconds=rng.randrange(3600))
