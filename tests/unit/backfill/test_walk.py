"""Walks through a simulated folder whose links get lost, break, loop and lead nowhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atom_backfill.backfill.walk import DEEPEST_SKIP, MOST_IDLE_PAGES, Walk
from atom_backfill.errors import RetryLaterError
from atom_backfill.mail.message import SourceId
from atom_backfill.sources.ports import Link, Window

START = datetime(2024, 5, 1, tzinfo=UTC)
WHOLE = Window(START, START + timedelta(days=1))


@dataclass(frozen=True)
class Item:
    source_id: SourceId
    received_at: datetime | None


@dataclass
class Folder:
    """Answers as a mailbox does: newest first, links that skip. `faults`: what befalls the next visits of a place.

    `always_more`: every page claims more, by a link that leads nowhere.
    """

    items: list[Item]
    faults: dict[tuple[bool, int], list[str]] = field(default_factory=dict)
    requests: int = 0
    always_more: bool = False

    def answer(self, window: Window, link: Link | None, size: int) -> tuple[list[Item], Link | None, bool]:
        self.requests += 1
        assert self.requests < 20_000, "the walk does not end"
        within = [item for item in self.items if _within(item, window)]
        skip = 0 if link is None else int(link.split("#")[0])
        page = within[skip : skip + size]
        more = len(within) > skip + size
        onward = Link(f"{skip + size}#{self.requests}") if more else None
        if self.always_more:
            return page, None, True
        match self._fault(window, skip):
            case "lost":
                return page, None, False
            case "broken" if more:
                return page, None, True
            case "empty":
                return [], Link(f"{skip}#{self.requests}"), False
            case "again" if more:
                return page, Link(f"{skip}#{self.requests}"), False
            case "nowhere":
                return [], None, True
        return page, onward, False

    def _fault(self, window: Window, skip: int) -> str:
        waiting = self.faults.get((window.end == WHOLE.end, skip))
        return waiting.pop() if waiting else ""


def _within(item: Item, window: Window) -> bool:
    if item.received_at is None:
        return window == Window(None, None)
    return (window.start or START) <= item.received_at and (window.end is None or item.received_at < window.end)


def a_folder(seconds: list[int], **about: Any) -> Folder:
    dates = sorted((START + timedelta(seconds=second) for second in seconds), reverse=True)
    return Folder([Item(SourceId(f"m{n}"), date) for n, date in enumerate(dates)], **about)


@dataclass
class Trip:
    """All claims that it takes to walk a folder, and what they listed."""

    folder: Folder
    size: int = 10
    window: Window = WHOLE
    expected: int | None = None
    record: set[SourceId] = field(default_factory=set)
    listed: Counter[SourceId] = field(default_factory=Counter)
    claims: int = 0
    positions: list[str] = field(default_factory=list)

    def go(self, *, dies: Callable[[int], bool] = lambda page: False, patience: int = 20, **how: bool) -> Trip:
        """Walk to the end. `dies`: tells of the n-th page that brought anything whether the worker dies after it."""
        counted, position, stuck = count(1), dict[str, Any](), 0
        while True:
            self.claims += 1
            left = None if self.expected is None else self.expected - len(self.record)
            walk = Walk(self.window, position, left, **how)
            try:
                if self._claim(walk, dies, counted):
                    return self
            except RetryLaterError as error:
                assert error.code == "walk_stuck"
                stuck += 1
                if stuck > patience:
                    raise
            position = json.loads(json.dumps(walk.position))
            self.positions.append(position.get("at", "9999"))

    def _claim(self, walk: Walk, dies: Callable[[int], bool], counted: count[int]) -> bool:
        while not walk.over:
            page, link, broken = self.folder.answer(*walk.request, self.size)
            new = {item.source_id for item in page} - self.record
            walk.learn(page, len(new), link, broken=broken)
            self.record |= new
            self.listed.update(item.source_id for item in page)
            if new and dies(next(counted)):
                return walk.over
        return True

    def missing(self) -> list[SourceId]:
        return [item.source_id for item in self.folder.items if item.source_id not in self.listed]


SECONDS = st.lists(st.integers(0, 40), max_size=120)
KINDS = st.sampled_from(["lost", "broken", "empty", "again", "nowhere"])
FAULTS: st.SearchStrategy[dict[tuple[bool, int], list[str]]] = st.dictionaries(
    st.tuples(st.booleans(), st.integers(0, 12).map(lambda n: n * 10)), KINDS.map(lambda kind: [kind]), max_size=8
)


@given(SECONDS)
def test_a_quiet_folder_is_listed_once_with_one_request_a_page(seconds: list[int]) -> None:
    folder = a_folder(seconds)
    trip = Trip(folder, expected=len(seconds)).go()
    assert trip.missing() == []
    assert set(trip.listed.values()) <= {1}
    assert folder.requests == max(1, -(-len(seconds) // 10))


@settings(max_examples=400)
@given(SECONDS, FAULTS, st.integers(0, 500))
def test_every_item_is_listed_when_links_fail_now_and_then(
    seconds: list[int], faults: Mapping[tuple[bool, int], list[str]], more: int
) -> None:
    """However links fail, as long as none fails twice in the same place, and the census does not count too low."""
    folder = a_folder(seconds, faults={place: list(kinds) for place, kinds in faults.items()})
    trip = Trip(folder, expected=len(seconds) + more).go()
    assert trip.missing() == []
    pages = 1 + len(seconds) // 10
    assert folder.requests <= 4 * (pages + len(faults) + 1) * (1 + len(faults))


@given(SECONDS, FAULTS)
def test_a_walk_ends_whatever_the_census_says(seconds: list[int], faults: dict[tuple[bool, int], list[str]]) -> None:
    for expected in (None, 0, 3, 10_000):
        folder = a_folder(seconds, faults={place: list(kinds) for place, kinds in faults.items()})
        Trip(folder, expected=expected).go()
    broken = {place: kinds for place, kinds in faults.items() if "lost" not in kinds}
    assert Trip(a_folder(seconds, faults=broken), expected=0).go().missing() == []


@settings(max_examples=200)
@given(SECONDS, FAULTS, st.lists(st.booleans(), max_size=40))
def test_a_walk_that_is_resumed_at_any_page_lists_everything(
    seconds: list[int], faults: dict[tuple[bool, int], list[str]], deaths: list[bool]
) -> None:
    folder = a_folder(seconds, faults=faults)
    trip = Trip(folder, expected=len(seconds)).go(dies=lambda page: page <= len(deaths) and deaths[page - 1])
    assert trip.missing() == []
    assert trip.positions == sorted(trip.positions, reverse=True), "a position never goes back"


def test_five_thousand_in_one_second_are_listed_three_times_at_most() -> None:
    folder = a_folder([7] * 5000 + [3] * 20 + [9] * 20)
    trip = Trip(folder, size=100, expected=5040).go()
    assert trip.missing() == []
    assert folder.requests <= 51 + 2 * 50 + 2, "down to where links get slow, then the second alone, and its end again"


def test_a_second_deeper_than_links_go_is_read_to_its_end() -> None:
    folder = a_folder([7] * (2 * DEEPEST_SKIP) + [3, 9])
    trip = Trip(folder, size=500, expected=2 * DEEPEST_SKIP + 2).go()
    assert trip.missing() == []
    assert folder.requests < 4 * 20


def test_five_thousand_in_one_second_are_all_listed_when_the_worker_dies_after_every_page() -> None:
    folder = a_folder([7] * 5000 + [3] * 20)
    trip = Trip(folder, size=100, expected=5020).go(dies=lambda page: True)
    assert trip.missing() == []
    assert trip.claims <= 53
    assert folder.requests <= 53 * 53, "each claim lists the second from its beginning, and gets one page further"


def test_a_folder_whose_every_link_is_lost_is_walked_by_date() -> None:
    folder = a_folder(list(range(200)))
    folder.faults = {(newest, 0): ["lost"] * 500 for newest in (True, False)}
    assert Trip(folder, expected=200).go().missing() == []


def test_a_second_that_cannot_be_read_on_costs_no_more_than_its_rest() -> None:
    folder = a_folder([30] * 3 + [20] * 25 + [10] * 3)
    folder.faults = {(newest, 0): ["broken"] * 500 for newest in (True, False)}
    missing = set(Trip(folder, expected=31).go().missing())
    assert missing == {item.source_id for item in folder.items[13:28]}


def test_a_thorough_walk_says_so_instead() -> None:
    folder = a_folder([30] * 3 + [20] * 25 + [10] * 3)
    folder.faults = {(newest, 0): ["broken"] * 500 for newest in (True, False)}
    with pytest.raises(RetryLaterError, match="in one second"):
        Trip(folder, expected=31).go(patience=3, thorough=True)


def test_links_that_lead_nowhere_end() -> None:
    folder = a_folder([5] * 30 + [4] * 3)
    folder.faults = {(newest, skip): ["empty"] * 500 for newest in (True, False) for skip in (10, 20)}
    with pytest.raises(RetryLaterError):
        Trip(folder, expected=33).go(patience=3, thorough=True)
    assert folder.requests < 20 * MOST_IDLE_PAGES


def test_a_page_that_repeats_itself_under_new_links_ends() -> None:
    folder = a_folder([5] * 30)
    folder.faults = {(newest, 0): ["again"] * 500 for newest in (True, False)}
    assert len(Trip(folder, expected=30).go().listed) == 10


def test_an_empty_first_page_is_asked_about_once_more_when_the_census_expects_mail() -> None:
    page: tuple[list[Item], None] = ([], None)
    walk = Walk(WHOLE, {}, expected=3)
    walk.learn(page[0], 0, None, broken=False)
    assert not walk.over
    walk.learn(page[0], 0, None, broken=False)
    assert walk.over

    empty = Walk(WHOLE, {}, expected=0)
    empty.learn(page[0], 0, None, broken=False)
    assert empty.over


def test_a_date_outside_what_was_asked_for_leads_nowhere() -> None:
    walk = Walk(WHOLE, {}, expected=9)
    strays = [datetime(1601, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC), None]
    walk.learn([Item(SourceId(str(n)), date) for n, date in enumerate(strays)], 3, Link("on"), broken=False)
    assert walk.position == {}
    walk.learn([Item(SourceId("x"), START + timedelta(hours=5, microseconds=77))], 1, Link("on"), broken=False)
    assert walk.position == {"at": "2024-05-01T05:00:00+00:00"}


def test_items_without_a_date_are_found_however_deep() -> None:
    folder = a_folder(list(range(7000)))
    folder.items += [Item(SourceId(f"undated-{n}"), None) for n in range(30)]
    trip = Trip(folder, size=500, window=Window(None, None), expected=0).go(dated=False)
    assert trip.missing() == []
    assert folder.requests == 15
    assert trip.positions == []


def test_a_walk_for_undated_items_begins_anew_after_a_broken_link() -> None:
    folder = a_folder([1, 2, 3] * 10, faults={(False, 10): ["broken"]})
    folder.items += [Item(SourceId("undated"), None)]
    trip = Trip(folder, window=Window(None, None), expected=0).go(dated=False)
    assert trip.missing() == []
    assert (trip.claims, folder.requests) == (1, 2 + 4)


def test_an_empty_end_that_claims_more_is_asked_again_and_believed_where_the_census_expects_no_more() -> None:
    for dated in (True, False):
        empty = a_folder([], faults={(newest, 0): ["nowhere"] * 500 for newest in (True, False)})
        assert Trip(empty, expected=0).go(patience=0, thorough=True, dated=dated).claims == 1
        assert empty.requests == 2
        with pytest.raises(RetryLaterError, match="lists nothing"):
            Trip(empty, expected=1).go(patience=0, dated=dated)
    now_and_then = a_folder([], faults={(newest, 0): ["nowhere"] for newest in (True, False)})
    assert Trip(now_and_then, expected=1).go(patience=0).claims == 1


def test_a_trusting_walk_believes_an_empty_end_whatever_the_census_expects() -> None:
    """Where every link breaks and the census counts one too many, a window must not be listed as failed for ever."""
    folder = a_folder(list(range(5, 35)))
    folder.always_more = True
    with pytest.raises(RetryLaterError, match="lists nothing"):
        Trip(folder, expected=31).go(patience=0)
    assert Trip(folder, expected=31).go(patience=0, trusting=True).missing() == []


def test_nothing_below_the_windows_start_is_asked_for() -> None:
    walk = Walk(WHOLE, {"at": START.isoformat()}, expected=5)
    for _ in range(2):
        walk.learn([Item(SourceId("a"), START)], 1, None, broken=True)
    assert walk.over
