"""The census and the quote, before anything is spent: how much mail, how long, and what a model would cost.

Counts come from the mailbox in a few requests; the rest is arithmetic with the constants below, so it is a range.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from atom_backfill.backfill.plan import WINDOW_MESSAGES, chosen, gaps, on_seconds, unknown_names
from atom_backfill.errors import NotFoundError
from atom_backfill.llm.prices import Price, price_of
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.ports import Folder, MailSource, Place, Window

PLACES_A_PAGE = 500
AT_ONCE = 4
_FIRST_YEAR = 1990
_EMPTY_YEARS = 2
"""After so many in a row, one more question settles whether there is anything older."""

PAGE_S = (0.4, 3.0)
"""Seconds that a page of 100 whole messages takes, four of them at once: a quick mailbox, and a throttled one."""
MAIL_S = (0.025, 0.12)
"""Seconds that reading, cleaning, embedding and storing one mail takes: two free cores, and one busy one."""
START_S = 3.0

SENT_SHARE = 0.72
"""Of mail that adds something a model should read; the rest is bulk mail, short, or repeats what was quoted. Measured
on the sample mailbox, as what follows."""
MAILS_A_CALL = 4
"""One to three threads are packed into a call."""
TOKENS_A_MAIL, TOKENS_A_CALL, ANSWER_A_CALL = 250, 560, 700
"""New text of a mail with its participants; instructions and schema; entities and relations with their quotes."""


@dataclass(frozen=True, slots=True)
class Census:
    """What a mailbox holds in a range: messages by folder path, and by year (None: without a date).

    `unread`: by folder path, how many no earlier job has read; a folder that is missing there has none that one has.
    """

    by_folder: dict[str, int]
    by_year: dict[int | None, int]
    unread: dict[str, int] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """All of them."""
        return sum(self.by_folder.values())

    @property
    def to_read(self) -> dict[str, int]:
        """By folder path, what a job would read; of the rest it walks the ids alone."""
        return {path: min(count, self.unread.get(path, count)) for path, count in self.by_folder.items()}


async def take_census(
    source: MailSource,
    window: Window,
    wanted: Sequence[str],
    now: datetime,
    covered: Mapping[FolderId, Sequence[Window]] | None = None,
) -> Census:
    """Count the mail of a range, and what of it a job would read: not what earlier jobs have `covered` of a folder.

    Raises NotFoundError for a folder that is not there.
    """
    done = covered or {}
    folders = await source.folders()
    missing = unknown_names(folders, wanted)
    if missing:
        there = ", ".join(sorted(folder.path for folder in folders if not folder.search))
        names = ", ".join(map(repr, missing))
        raise NotFoundError("no_such_folder", f"The mailbox has no folder {names}; it has {there}.")
    room = asyncio.Semaphore(AT_ONCE)

    async def count(folder: Folder) -> tuple[Counter[int | None], int | None]:
        async with room:
            years = await _count_folder(source, folder, window, now)
            known = done.get(folder.folder_id)
            return years, await _count_gaps(source, folder, window, now, known) if known else None

    to_read = chosen(folders, wanted)
    try:
        async with asyncio.TaskGroup() as group:
            counting = {folder.path: group.create_task(count(folder)) for folder in to_read}
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None  # one is enough to know what comes next
    counted = {path: task.result() for path, task in counting.items()}
    years: Counter[int | None] = sum((years for years, _ in counted.values()), Counter())
    return Census(
        by_folder={path: of_folder.total() for path, (of_folder, _) in counted.items()},
        by_year={year: years[year] for year in sorted(years, key=_oldest_first)},
        unread={path: unread for path, (_, unread) in counted.items() if unread is not None},
    )


def quote(
    census: Census, *, page_size: int, model: str, local: bool, prices: Mapping[str, Price] | None = None
) -> dict[str, Any]:
    """Return the estimate as scripts read it: the census of all, and the cost of what a job would read of it.

    `local`: the mail lies in files, so fetching costs nothing. `prices`: the user's own.
    """
    to_read, folders = census.to_read, len(census.by_folder)
    messages = sum(to_read.values())
    pages = sum(math.ceil(count / page_size) for count in to_read.values())
    walks = sum(math.ceil(count / PLACES_A_PAGE) for count in census.by_folder.values())
    counts = 2 * sum(count // WINDOW_MESSAGES for count in to_read.values())
    requests = 1 + folders + counts + pages + 2 * walks
    low, high = (
        START_S + max(0.0 if local else requests * page_s / AT_ONCE, messages * mail_s)
        for page_s, mail_s in zip(PAGE_S, MAIL_S, strict=True)
    )
    return {
        "messages": census.messages,
        "to_read": messages,
        "by_folder": [{"folder": path, "messages": count} for path, count in census.by_folder.items()],
        "by_year": [{"year": year, "messages": count} for year, count in census.by_year.items()],
        "requests": requests,
        "seconds": {"low": round(low), "high": round(high)},
        "llm": _model_quote(messages, model, prices or {}),
    }


def _model_quote(messages: int, model: str, prices: Mapping[str, Price]) -> dict[str, Any]:
    sent = math.ceil(messages * SENT_SHARE)
    calls = math.ceil(sent / MAILS_A_CALL)
    given, answered = sent * TOKENS_A_MAIL + calls * TOKENS_A_CALL, calls * ANSWER_A_CALL
    price = price_of(model, prices)
    usd = None if price is None else float(price.of(given, answered))
    return {"calls": calls, "input_tokens": given, "output_tokens": answered, "usd": usd, "model": model}


async def _count_gaps(
    source: MailSource, folder: Folder, window: Window, now: datetime, covered: Sequence[Window]
) -> int:
    """Count what no earlier job has read of a folder."""
    left = gaps(on_seconds(window.start, window.end or now), covered)
    return sum([await source.count(folder.folder_id, gap) or 0 for gap in left])


async def _count_folder(source: MailSource, folder: Folder, window: Window, now: datetime) -> Counter[int | None]:
    """Count a folder by year: a small one from its ids' dates in one request, a large one by asking for each year."""
    everything = window == Window(None, None)
    hint = folder.messages_hint if everything else await source.count(folder.folder_id, window)
    total = folder.messages_hint or 0 if hint is None else hint
    if total == 0:
        return Counter()
    if total <= PLACES_A_PAGE:
        page = await source.places(folder.folder_id, window, size=PLACES_A_PAGE)
        if page.next is None and not page.broken_link:
            once = {place.source_id: place for place in page.places}.values()
            return Counter(_year_of(place) for place in once if folder.well_known == "drafts" or not place.draft)
    return await _count_years(source, folder, window, total, now)


async def _count_years(
    source: MailSource, folder: Folder, window: Window, total: int, now: datetime
) -> Counter[int | None]:
    """Ask year by year, the newest first, until the total is reached or nothing older is left."""
    years: Counter[int | None] = Counter()
    empty = 0
    last = (window.end or now).year + (window.end is None)
    for year in range(last, (window.start.year if window.start else _FIRST_YEAR) - 1, -1):
        part = _within(window, datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
        found = await source.count(folder.folder_id, part) or 0
        if found:
            years[year] = found
        empty = 0 if found else empty + 1
        if years.total() >= total:
            break
        if empty == _EMPTY_YEARS and not await source.count(folder.folder_id, _within(window, None, part.start)):
            break
    if years.total() < total:
        years[None] = total - years.total()
    return years


def _within(window: Window, start: datetime | None, end: datetime | None) -> Window:
    starts = [moment for moment in (window.start, start) if moment is not None]
    ends = [moment for moment in (window.end, end) if moment is not None]
    return Window(max(starts, default=None), min(ends, default=None))


def _year_of(place: Place) -> int | None:
    return place.received_at.year if place.received_at else None


def _oldest_first(year: int | None) -> tuple[bool, int]:
    return year is None, year or 0
