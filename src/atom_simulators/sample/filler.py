"""Everyday mail without a story: drawn, not written, and different from its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random

from .cast import Cast
from .chatter import exchange
from .mail import Mail

Kind = Callable[[Random, str, datetime, Cast], Sequence[Mail]]

KINDS: Sequence[tuple[Kind, int]] = ((exchange, 30),)
"""Each kind of everyday mail and how often it is drawn, in no unit."""

FIRST_DAY = date(2023, 10, 2)
LAST_DAY = date(2026, 10, 30)


def filler_block(seed: int, number: int, cast: Cast) -> tuple[Mail, ...]:
    """The block with this number: one mail, or a short thread, oldest first. Equal arguments, equal mails."""
    rng = Random(f"{seed}/{number}")  # noqa: S311 - variety, not secrecy
    kinds, weights = zip(*KINDS, strict=True)
    kind: Kind = rng.choices(kinds, weights)[0]
    return tuple(kind(rng, f"filler/{seed}/{number}", _moment(rng), cast))


def _moment(rng: Random) -> datetime:
    """A moment in office hours, seldom at a weekend."""
    span = (LAST_DAY - FIRST_DAY).days - 7
    day = FIRST_DAY + timedelta(days=rng.randrange(span))
    if day.weekday() >= 5 and rng.random() < 0.85:
        day -= timedelta(days=rng.choice((2, 3)))
    return datetime(day.year, day.month, day.day, rng.choices(range(6, 20), _HOURS)[0], tzinfo=UTC) + timedelta(
        seconds=rng.randrange(3600)
    )


_HOURS = (1, 3, 8, 12, 11, 9, 6, 8, 10, 10, 8, 5, 2, 1)
