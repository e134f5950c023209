"""When a relation held that holds for one target at a time: by the mails' dates, never by order of arrival. Pure.

Told in order of their dates, the mails about somebody's employer are runs of the same one: A, A, B, A. Each run is a
period: it is valid from its first mail, and no longer from the first mail of the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Mention:
    """That a mail states the relation: of which target, in which evidence row, and when the mail was sent, if known."""

    target: UUID
    evidence: UUID
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time for which a target is stated. `ordinal`: which of the target's, from 0, the earliest first.

    `valid_from` is None where no mail about it has a date, `invalid_at` where nothing newer contradicts it.
    """

    target: UUID
    ordinal: int
    valid_from: datetime | None
    invalid_at: datetime | None
    evidence: tuple[UUID, ...]


def periods(mentions: Iterable[Mention]) -> tuple[Period, ...]:
    """Return the periods of one relation of one source, the earliest first; those without any date last.

    Of two targets stated at the same moment, the one with the greater id counts as the newer: somebody has to. A mail
    without a date ends no period; it is evidence of its target's latest.
    """
    dated: list[tuple[datetime, Mention]] = []
    undated: dict[UUID, set[UUID]] = {}
    for mention in mentions:
        if mention.at is None:
            undated.setdefault(mention.target, set()).add(mention.evidence)
        else:
            dated.append((mention.at, mention))
    dated.sort(key=lambda each: (each[0], each[1].target, each[1].evidence))
    runs = [list(run) for _, run in groupby(dated, key=lambda each: each[1].target)]
    latest = {run[0][1].target: number for number, run in enumerate(runs)}
    seen: dict[UUID, int] = {}
    found = []
    for number, run in enumerate(runs):
        target = run[0][1].target
        ordinal = seen[target] = seen.get(target, -1) + 1
        without_date = undated.pop(target, set()) if latest[target] == number else set()
        evidence = {mention.evidence for _, mention in run} | without_date
        found.append(Period(target, ordinal, run[0][0], _begin(runs, number + 1), tuple(sorted(evidence))))
    found += [Period(target, 0, None, None, tuple(sorted(rows))) for target, rows in sorted(undated.items())]
    return tuple(found)


def _begin(runs: Sequence[Sequence[tuple[datetime, Mention]]], number: int) -> datetime | None:
    return runs[number][0][0] if number < len(runs) else None
