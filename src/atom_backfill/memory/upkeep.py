"""The memory's housekeeping: when to fold new rows in, what to count, what is lost.

`upkeep` belongs to whoever holds its duty: one owner at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from uuid import UUID

from atom_backfill.memory.ports import Condition, Entry, PassageIndex

MOST_UNINDEXED = 2_000
"""Rows outside the word index are read whole by every search: about 100 ms at this number."""
MOST_SMALL_FILES = 20
"""A file a commit; each costs every search and every write a little."""
YOUNG_ROWS = 8_000
MOST_YOUNG = 6
"""Segments of the word index with fewer rows are young. Each upkeep adds one, and a query reads them all, half a
millisecond each; so many of them are merged into one. That takes 45 MB, and more with every row, so what a merge has
made is left alone: merging all there is took 81 MB and 8 s at 80,000 rows."""

Current = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, str]]]
"""Asks the record for the current generation of messages; those that it does not know are left out."""


@dataclass(frozen=True, slots=True)
class UpkeepReport:
    """What an upkeep found and, if it was due, did."""

    due: bool
    before: Condition
    after: Condition


@dataclass(frozen=True, slots=True)
class Tally:
    """`messages` have passages that search shows; `orphans` are rows that it does not show."""

    messages: int
    passages: int
    orphans: int


def loss(missing: int, what: str = "messages") -> str:
    """Say that the memory lacks so much of the record, and the way out; "" where it lacks nothing."""
    if missing <= 0:
        return ""
    return (
        f"The memory lacks {missing:,} {what} of the record, so search does not find them: `verify --repair` writes "
        "them from the record, or `rebuild` all of it."
    )


async def upkeep(index: PassageIndex) -> UpkeepReport:
    """Fold new rows in if enough have gathered; doing it too often costs time, never a result."""
    before = await index.condition()
    if not is_due(before):
        return UpkeepReport(False, before, before)
    await index.upkeep()
    return UpkeepReport(True, before, await index.condition())


def is_due(condition: Condition) -> bool:
    """Judge whether enough has gathered; without new rows an upkeep would find what the last one left."""
    return condition.unindexed >= MOST_UNINDEXED or (
        condition.unindexed > 0 and condition.small_files >= MOST_SMALL_FILES
    )


def segments_to_merge(rows: Sequence[int]) -> int:
    """Return how many segments, the newest ones, are to be merged into one. `rows`: of each, the oldest first."""
    young = sum(1 for _ in takewhile(lambda count: count < YOUNG_ROWS, reversed(rows)))
    return young if young >= MOST_YOUNG else 0


async def tally(index: PassageIndex, current: Current) -> Tally:
    """Count what search shows and what it does not, against the record, in bounded memory."""
    messages = passages = orphans = 0
    async for entries in index.entries():
        shown = await _shown(entries, current)
        messages += sum(entry.seq == 0 for entry in shown)
        passages += len(shown)
        orphans += len(entries) - len(shown)
    return Tally(messages, passages, orphans)


async def _shown(entries: Sequence[Entry], current: Current) -> list[Entry]:
    generations = await current(list({entry.message_id for entry in entries}))
    return [entry for entry in entries if generations.get(entry.message_id) == entry.generation]
