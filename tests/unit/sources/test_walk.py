"""Positions, links, and the continuations that lead nowhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.errors import BugError
from atom_backfill.sources.outlook.reader import filter_of
from atom_backfill.sources.outlook.walk import WALKS_KEPT, Position, Walks, read_link, write_link
from atom_backfill.sources.ports import Link, Window

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
DAY = Window(START, END)

moments = st.none() | st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year >= 1970)
positions = st.builds(
    Position, st.builds(Window, moments, moments), st.integers(1, 1000), st.integers(0, 10**6), st.text(max_size=50)
)


@given(positions)
def test_a_link_brings_back_its_position(position: Position) -> None:
    assert read_link(write_link(position)) == position


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{}", "null", '["a",null,1,1,""]', '[null,null,"x",1,""]', "https://graph.test"]
)
def test_any_other_text_is_no_link(text: str) -> None:
    with pytest.raises(BugError):
        read_link(Link(text))


def test_pages_halve_down_to_one_and_double_again_up_to_what_was_asked() -> None:
    position = Position(DAY, 100, 40, "https://graph.test/next")
    sizes = []
    while position.size > 1:
        position = position.smaller()
        sizes.append(position.size)
        assert (position.skip, position.url) == (40, "")
    assert sizes == [50, 25, 12, 6, 3, 1]
    grown = []
    for _ in range(8):
        position = position.after(position.size, "https://graph.test/next", 100)
        grown.append((position.size, bool(position.url)))
    own, services = False, True
    assert grown == [(n, own) for n in (2, 4, 8, 16, 32, 64, 100)] + [(100, services)]


def test_the_services_own_count_of_what_is_behind_beats_ours() -> None:
    position = Position(DAY, 100).after(97, "https://graph.test/m?$top=100&%24skip=190", 100)
    assert position.skip == 190
    assert Position(DAY, 100, 5).after(97, "https://graph.test/m?$skiptoken=x", 100).skip == 102
    assert Position(DAY, 100, 5).after(97, "https://graph.test/m?$skip=-4", 100).skip == 102


def test_a_window_narrows_to_its_newer_half_until_it_is_a_second() -> None:
    position: Position | None = Position(DAY, 10)
    spans = []
    while (position := position.narrower()) is not None:
        assert position.within.end == END
        spans.append(END - (position.within.start or END))
    assert spans[0] == timedelta(hours=12)
    assert spans[-1] == timedelta(seconds=1)


@pytest.mark.parametrize("window", [Window(None, None), Window(None, END), Window(START, None)])
def test_an_open_window_does_not_narrow(window: Window) -> None:
    assert Position(window, 10).narrower() is None


def test_what_is_older_follows_a_narrowed_window_and_nothing_follows_a_whole_one() -> None:
    narrowed = Position(DAY, 3).narrower()
    assert narrowed is not None
    assert narrowed.older(DAY, 10) == Position(Window(START, START + timedelta(hours=12)), 10)
    assert Position(DAY, 3).older(DAY, 10) is None


def test_a_cycle_is_noticed_whatever_its_length() -> None:
    for length in (1, 2, 5):
        walks = Walks()
        walks.begin(("inbox",))
        links = [f"link {n}" for n in range(length)]
        came_from = ""
        for link in links:
            assert not walks.loops(("inbox",), link, came_from)
            came_from = link
        assert walks.loops(("inbox",), links[0], came_from)


def test_the_same_page_read_again_gives_the_same_link_without_alarm() -> None:
    walks = Walks()
    assert not walks.loops(("inbox",), "b", "a")
    assert not walks.loops(("inbox",), "b", "a")
    assert not walks.loops(("sent",), "b", "c"), "walks of different windows do not meet"
    walks.begin(("inbox",))
    assert not walks.loops(("inbox",), "b", "c")


def test_what_is_remembered_is_bounded() -> None:
    walks = Walks()
    for number in range(WALKS_KEPT * 3):
        walks.loops((number,), "b", "a")
    assert len(walks._walks) <= WALKS_KEPT


def test_the_filter_follows_the_bounds() -> None:
    assert filter_of(DAY) == "receivedDateTime ge 2026-03-01T00:00:00Z and receivedDateTime lt 2026-03-02T00:00:00Z"
    assert filter_of(Window(None, END)) == "receivedDateTime lt 2026-03-02T00:00:00Z"
    assert filter_of(Window(START, None)) == "receivedDateTime ge 2026-03-01T00:00:00Z"
    assert filter_of(Window(None, None)) == ""
    assert "0950-01-01T00:00:00Z" in filter_of(Window(datetime(950, 1, 1, tzinfo=UTC), None))
