"""The ledger: what lies at the source, folder by folder, against record, failures and what was left out on purpose.

`at_source` comes from an ids-only walk of the source and never from our own tables or from its counters. Each place is
then looked up: in the record? among the failures? else why was it left out? What none of these explains is the
difference, and the ledger does not balance.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from atom_backfill.backfill.plan import chosen
from atom_backfill.backfill.walk import DEEPEST_SKIP, Walk
from atom_backfill.jobs.job import AccountId
from atom_backfill.sources.ports import Folder, MailSource, Place, Window

PLACES_A_PAGE = 500
FOLDERS_AT_ONCE = 4
REASONS = ("folder_excluded", "out_of_range", "draft", "duplicate", "forgotten", "after_backfill")
_EARLIEST = datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class JobRange:
    """What a job was asked to read: dates in [start, end), and folders by name, none for the usual ones.

    `made_at` is the second in which it was made, whose own mail it leaves to the next.
    """

    start: datetime | None
    end: datetime
    folders: tuple[str, ...]
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """Of the ids asked about: those in the record, and those among the failures."""

    stored: frozenset[str]
    failed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Line:
    """One folder of the ledger."""

    folder: str
    at_source: int
    stored: int
    failed: int
    excluded: dict[str, int]

    @property
    def difference(self) -> int:
        """What is unaccounted for."""
        return self.at_source - self.stored - self.failed - sum(self.excluded.values())


class BalanceRecord(Protocol):
    """What the ledger compares the source with."""

    async def settled(self, account: AccountId, source_ids: Collection[str]) -> Settled:
        """Find which of these are in the record, and which among the failures."""
        ...

    async def ranges(self, account: AccountId) -> Sequence[JobRange]:
        """Tell what the account's jobs were asked to read, whatever became of them."""
        ...


Missing = Callable[[Sequence[Place]], Awaitable[None]]
"""Told of places that nothing explains, as the walk meets them."""


async def nobody(places: Sequence[Place]) -> None:
    """Leave it at counting."""


async def balance_account(
    source: MailSource, record: BalanceRecord, account: AccountId, missing: Missing = nobody
) -> list[Line]:
    """Walk every folder but saved searches, hidden and excluded ones included; `missing` is told what nothing explains.

    Raises what the source raises.
    """
    shown = [folder for folder in await source.folders() if not folder.search]
    folders = sorted(shown, key=lambda folder: folder.path.casefold())
    ranges = await record.ranges(account)
    room = asyncio.Semaphore(FOLDERS_AT_ONCE)

    async def line(folder: Folder) -> Line:
        rules = _Rules(folder, tuple(each for each in ranges if folder in chosen(folders, each.folders)), bool(ranges))
        async with room:
            return await _balance_folder(source, record, account, rules, missing)

    try:
        async with asyncio.TaskGroup() as group:
            walking = [group.create_task(line(folder)) for folder in folders]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None  # one is enough to know what to do
    return [task.result() for task in walking]


@dataclass(frozen=True, slots=True)
class _Rules:
    """Why a folder's mail may be left out on purpose: `ranges` are those of the jobs that read this folder."""

    folder: Folder
    ranges: tuple[JobRange, ...]
    ever_started: bool

    def reason(self, place: Place) -> str | None:
        """Say why a place that is in neither record nor failures was left out; None where nothing explains it."""
        date = place.received_at
        if not self.ranges:
            return "folder_excluded" if self.ever_started else "out_of_range"
        if place.draft and self.folder.well_known != "drafts":
            return "draft"
        if date is None or any((each.start is None or each.start <= date) and date < each.end for each in self.ranges):
            return None
        return "after_backfill" if date >= max(each.made_at for each in self.ranges) else "out_of_range"


async def _balance_folder(
    source: MailSource, record: BalanceRecord, account: AccountId, rules: _Rules, missing: Missing
) -> Line:
    counts: Counter[str] = Counter()
    excluded: Counter[str] = Counter()
    async for places in _walk(source, rules.folder):
        settled = await record.settled(account, {place.source_id for place in places})
        counts["at_source"] += len(places)
        unexplained: list[Place] = []
        for place in places:
            known = place.source_id in settled.stored or place.source_id in settled.failed
            if place.duplicate and known:
                excluded["duplicate"] += 1
            elif place.source_id in settled.stored:
                counts["stored"] += 1
            elif place.source_id in settled.failed:
                counts["failed"] += 1
            elif reason := rules.reason(place):
                excluded[reason] += 1
            else:
                unexplained.append(place)
        if unexplained:
            await missing(unexplained)
    every_reason = {reason: excluded[reason] for reason in REASONS}
    return Line(rules.folder.path, counts["at_source"], counts["stored"], counts["failed"], every_reason)


async def _walk(source: MailSource, folder: Folder) -> AsyncIterator[list[Place]]:
    """Yield a folder's places, each once: what has a date, walked by date; then what has none."""
    with closing(_Seen()) as seen:
        passes = [Walk(Window(_EARLIEST, None), {}, None, thorough=True)]
        if await _may_hold_undated(source, folder):
            passes.append(Walk(Window(None, None), {}, 0, dated=False))
        for walk in passes:
            asked: object = None
            while not walk.over:
                within, link = walk.request
                if link is None or within != asked:
                    seen.begin_anew()
                asked = within
                page = await source.places(folder.folder_id, within, size=PLACES_A_PAGE, link=link)
                walk.learn(page.places, len(page.places), page.next, broken=page.broken_link)
                if fresh := seen.fresh(page.places):
                    yield fresh


async def _may_hold_undated(source: MailSource, folder: Folder) -> bool:
    """Tell whether mail without a date is to be looked for: in a folder too large to be walked without dates, ask."""
    in_all = await source.count(folder.folder_id, Window(None, None))
    if in_all is None or in_all <= DEEPEST_SKIP:
        return True
    return await source.count(folder.folder_id, Window(_EARLIEST, None)) != in_all


@dataclass(slots=True)
class _Seen:
    """Which places of a folder have been listed before, kept in a file of SQLite's own, whatever the folder's size.

    A copy in local files has no name of its own: it is the nth listed in a row with its id.
    """

    _db: sqlite3.Connection = field(default_factory=lambda: sqlite3.connect("", isolation_level=None))
    _last: str = ""
    _copies: int = 0

    def __post_init__(self) -> None:
        self._db.execute("CREATE TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")

    def close(self) -> None:
        """Drop the file."""
        self._db.close()

    def begin_anew(self) -> None:
        """Another request begins: copies are counted from the first again."""
        self._last, self._copies = "", 0

    def fresh(self, places: Sequence[Place]) -> list[Place]:
        """Return the places that were not listed before, and note them."""
        fresh = []
        self._db.execute("BEGIN")
        for place in places:
            added = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (self._key(place),)).rowcount
            if added:
                fresh.append(place)
        self._db.execute("COMMIT")
        return fresh

    def _key(self, place: Place) -> str:
        if place.source_id != self._last:
            self._last, self._copies = place.source_id, 0
        if not place.duplicate:
            return place.source_id
        self._copies += 1
        return f"{place.source_id}\0{self._copies}"


def line_document(line: Line, about: dict[str, Any]) -> dict[str, Any]:
    """Return a folder's line as scripts read it, with what names its account."""
    return {
        "folder": line.folder,
        **about,
        "at_source": line.at_source,
        "stored": line.stored,
        "failed": line.failed,
        "excluded": line.excluded,
        "difference": line.difference,
    }
