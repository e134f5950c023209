"""Which folders are read, and how their time is cut."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atom_backfill.backfill.plan import (
    MOST_WINDOWS,
    WINDOW_MESSAGES,
    chosen,
    cut,
    gaps,
    included,
    on_seconds,
    unknown_names,
)
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.ports import Folder, Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)


def a_folder(path: str, well_known: str = "", **about: bool) -> Folder:
    return Folder(FolderId(f"id-of-{path}"), path, well_known, **about)


INBOX, JUNK = a_folder("Posteingang", "inbox"), a_folder("Junk-E-Mail", "junkemail")
DELETED, DRAFTS = a_folder("Deleted Items", "deleteditems"), a_folder("Entwürfe", "drafts")
ATLAS, HIDDEN = a_folder("Projects/Atlas"), a_folder("Conversation History", hidden=True)
UNREAD = a_folder("Unread", search=True)
FOLDERS = (INBOX, JUNK, DELETED, DRAFTS, ATLAS, HIDDEN, UNREAD)


@pytest.mark.parametrize(
    ("wanted", "read"),
    [
        ([], [INBOX, ATLAS, HIDDEN]),
        (["all"], [INBOX, JUNK, DELETED, DRAFTS, ATLAS, HIDDEN]),
        (["ALL"], [INBOX, JUNK, DELETED, DRAFTS, ATLAS, HIDDEN]),
        (["junkemail"], [JUNK]),
        (["ENTWÜRFE", "inbox"], [INBOX, DRAFTS]),
        (["/projects/atlas/"], [ATLAS]),
        (["projects"], []),
        (["id-of-Projects/Atlas"], [ATLAS]),
        (["Unread"], []),
        ([""], []),
    ],
)
def test_folders_are_read_unless_excluded_or_when_named(wanted: list[str], read: list[Folder]) -> None:
    assert [folder for folder in FOLDERS if included(folder, wanted)] == read


def test_what_lies_below_an_excluded_folder_is_excluded_with_it() -> None:
    thrown_away, namesake = a_folder("Deleted Items/Old"), a_folder("Deleted Items 2")
    folders = [*FOLDERS, thrown_away, namesake]
    assert chosen(folders, []) == [INBOX, ATLAS, HIDDEN, namesake]
    assert chosen(folders, ["Deleted Items/Old"]) == [thrown_away]
    assert thrown_away in chosen(folders, ["all"])


def test_names_that_mean_no_folder_are_told() -> None:
    wanted = ["inbox", "Projects/Atals", "all", "All", "Unread", "id-of-Entwürfe"]
    assert unknown_names(FOLDERS, wanted) == ["Projects/Atals", "Unread"]


def test_a_range_is_widened_to_whole_seconds_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    odd = datetime(2024, 3, 1, 14, 0, 0, 250_000, tzinfo=east)
    assert on_seconds(odd, odd) == Window(
        datetime(2024, 3, 1, 12, 0, 0, tzinfo=UTC), datetime(2024, 3, 1, 12, 0, 1, tzinfo=UTC)
    )
    assert on_seconds(END, END) == Window(END, END)
    assert on_seconds(None, None) == Window(None, None)


# Windows on a small line of time, where every second can be looked at.
LINE = 60
moments = st.integers(1, LINE).map(lambda n: EPOCH + timedelta(seconds=n))
ends = st.tuples(st.none() | moments, moments).filter(lambda w: w[0] is None or w[0] < w[1])
windows = ends.map(lambda w: Window(*w))


def seconds_of(window: Window) -> set[int]:
    first = 0 if window.start is None else int((window.start - EPOCH).total_seconds())
    assert window.end is not None
    return set(range(first, int((window.end - EPOCH).total_seconds())))


@settings(max_examples=300)
@given(windows, st.lists(windows, max_size=6))
def test_gaps_and_what_is_covered_make_the_window_and_do_not_overlap(window: Window, covered: list[Window]) -> None:
    left = gaps(window, covered)
    parts = [seconds_of(gap) for gap in left]
    done = set[int]().union(*(seconds_of(each) for each in covered))
    assert set[int]().union(*parts) == seconds_of(window) - done
    assert sum(map(len, parts)) == len(seconds_of(window) - done), "no second is in two gaps"
    assert all(newer.start is not None and older.end <= newer.start for newer, older in pairwise(left) if older.end)


def test_a_gap_that_reaches_back_for_ever_stays_open() -> None:
    assert gaps(Window(None, END), [Window(END - timedelta(days=9), END)]) == [Window(None, END - timedelta(days=9))]
    assert gaps(Window(None, END), []) == [Window(None, END)]
    assert gaps(Window(None, END), [Window(None, END)]) == []


def assert_cut_well(window: Window, parts: list[Window]) -> None:
    """Newest first, next to each other, from end to start, and half-open on whole seconds."""
    assert parts[0].end == window.end
    assert parts[-1].start == window.start
    for newer, older in pairwise(parts):
        assert newer.start is not None
        assert newer.start == older.end
        assert newer.start.microsecond == 0
    assert all(part.start is None or part.start < part.end for part in parts if part.end)


Counting = Callable[[Window], int | None]


async def cut_of(window: Window, hint: int | None, counting: Counting) -> list[tuple[Window, int | None]]:
    async def count(part: Window) -> int | None:
        return counting(part)

    return await cut(window, hint, count)


def mailbox_of(dates: list[datetime]) -> Counting:
    return lambda w: sum((w.start or EPOCH) <= date and (w.end is None or date < w.end) for date in dates)


async def test_a_small_folder_is_one_window() -> None:
    window = Window(None, END)
    for hint in (None, 0, 1, WINDOW_MESSAGES, -1):
        parts = await cut_of(window, hint, lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
        assert parts == [(window, None if hint in (None, -1) else hint)]


async def test_a_large_folder_is_cut_into_windows_of_about_two_thousand() -> None:
    dates = [END - timedelta(hours=n) for n in range(1, 20_001)]
    parts = await cut_of(Window(None, END), 20_000, mailbox_of(dates))
    assert_cut_well(Window(None, END), [part for part, _ in parts])
    sizes = [mailbox_of(dates)(part) or 0 for part, _ in parts]
    assert sum(sizes) == 20_000
    assert max(sizes) <= WINDOW_MESSAGES
    assert [size for _, size in parts] == sizes
    assert len(parts) < 40


LIES: dict[str, Counting] = {
    "nothing": lambda _: 0,
    "everything": lambda _: 10**9,
    "minus one": lambda _: -1,
    "unknown": lambda _: None,
    "odd": lambda w: hash((w.start, w.end)) % 7000 - 500,
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("hint", [2001, 50_000, 2**31])
async def test_the_windows_cover_the_time_whatever_counts_say(lie: str, hint: int) -> None:
    for window in (Window(None, END), Window(END - timedelta(seconds=3), END), Window(END - timedelta(days=900), END)):
        parts = await cut_of(window, hint, LIES[lie])
        assert_cut_well(window, [part for part, _ in parts])
        assert len(parts) <= MOST_WINDOWS + 1
        assert all(size is not None and size >= 0 for _, size in parts)


async def test_five_thousand_in_one_second_are_one_window_of_one_second_at_least() -> None:
    dates = [END - timedelta(days=3)] * 5000
    parts = await cut_of(Window(None, END), 5000, mailbox_of(dates))
    assert_cut_well(Window(None, END), [part for part, _ in parts])
    assert [mailbox_of(dates)(part) for part, _ in parts if mailbox_of(dates)(part)] == [5000]
