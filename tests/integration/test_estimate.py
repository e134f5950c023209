"""The census: counted at the mailbox in few requests, by folder and by year; and what the quote makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from atom_backfill.backfill.estimate import Census, quote, take_census
from atom_backfill.cli.accounts import _about
from atom_backfill.errors import NotFoundError
from atom_backfill.sources.ports import Window
from graph_world import Json, a_folder, a_graph_message, graph_world, outlook, write_mailbox
from mail_sources import EVERY_SOURCE, Mail

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ALL = Window(None, None)


def mails(folder: str, *years: int) -> list[Mail]:
    return [
        Mail(folder, f"{folder} {number}", datetime(year, 3, 1, 9, number % 60, tzinfo=UTC))
        for number, year in enumerate(years)
    ]


@pytest.mark.parametrize("kind", sorted(EVERY_SOURCE))
async def test_every_source_is_counted_by_folder_and_year(kind: str, tmp_path: Path) -> None:
    held = [*mails("Inbox", 2024, 2024, 2026), *mails("Projects/Atlas", 2021)]
    async with EVERY_SOURCE[kind](tmp_path, held)() as mailbox:
        census = await take_census(mailbox.source, ALL, (), NOW)
    assert {folder: count for folder, count in census.by_folder.items() if count} == {"Inbox": 3, "Projects/Atlas": 1}
    assert census.by_year == {2021: 1, 2024: 2, 2026: 1}
    assert list(census.by_year) == [2021, 2024, 2026], "the oldest first"
    assert census.messages == 4


def years_of(folder: Json, counts: dict[int, int]) -> list[Json]:
    """Messages of the first of March of each year, one a second."""
    return [
        a_graph_message(folder, receivedDateTime=f"{year}-03-01T00:{number // 60:02}:{number % 60:02}Z")
        for year, count in counts.items()
        for number in range(count)
    ]


async def census_of(
    tmp_path: Path, messages: list[Json], folders: list[Json], window: Window = ALL, *wanted: str
) -> tuple[Census, int]:
    """The census of a simulated mailbox, and how many requests it took beside the sign-in's."""
    write_mailbox(tmp_path, messages, folders)
    async with graph_world(tmp_path) as world, outlook(world) as mailbox:
        census = await take_census(mailbox.source, window, wanted, NOW)
        asked = [line for line in world.requests() if line["operation"] != "token"]
    return census, len(asked)


async def test_a_large_folder_is_counted_year_by_year_until_nothing_is_left(tmp_path: Path) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    counts = {2026: 300, 2025: 200, 2021: 50, 2018: 1}
    census, _ = await census_of(tmp_path, years_of(inbox, counts), [inbox])
    assert census.by_year == {year: counts[year] for year in sorted(counts)}


async def test_a_small_folder_takes_one_request(tmp_path: Path) -> None:
    folders = [a_folder(f"Folder {number}") for number in range(20)]
    messages = [a_graph_message(folder, receivedDateTime="2020-03-01T09:00:00Z") for folder in folders]
    _, without = await census_of(tmp_path / "empty", [], folders)
    census, asked = await census_of(tmp_path / "full", messages, folders)
    assert census.messages == 20
    assert asked - without == 20


async def test_excluded_folders_are_not_in_the_census_unless_named(tmp_path: Path) -> None:
    inbox, junk = a_folder("Inbox", wellKnownName="inbox"), a_folder("Junk Email", wellKnownName="junkemail")
    messages = [a_graph_message(inbox), a_graph_message(junk)]
    usual, _ = await census_of(tmp_path, messages, [inbox, junk])
    assert usual.by_folder == {"Inbox": 1}
    named, _ = await census_of(tmp_path, messages, [inbox, junk], ALL, "junkemail")
    assert named.by_folder == {"Junk Email": 1}
    every, _ = await census_of(tmp_path, messages, [inbox, junk], ALL, "all")
    assert every.by_folder == {"Inbox": 1, "Junk Email": 1}


async def test_a_range_counts_what_lies_in_it(tmp_path: Path) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    messages = years_of(inbox, {2026: 520, 2025: 520, 2024: 3})
    half = Window(datetime(2025, 3, 1, 0, 5, tzinfo=UTC), datetime(2026, 3, 1, 0, 1, tzinfo=UTC))
    census, _ = await census_of(tmp_path, messages, [inbox], half)
    assert census.by_year == {2025: 520 - 300, 2026: 60}


@pytest.mark.parametrize("kind", sorted(EVERY_SOURCE))
async def test_what_earlier_jobs_have_read_is_not_counted_again(kind: str, tmp_path: Path) -> None:
    held = [*mails("Inbox", 2020, 2022, 2022, 2026), *mails("Projects/Atlas", 2021)]
    async with EVERY_SOURCE[kind](tmp_path, held)() as mailbox:
        (inbox,) = [folder for folder in await mailbox.source.folders() if folder.path == "Inbox"]
        years = [datetime(year, 1, 1, tzinfo=UTC) for year in (2021, 2023, 2024)]
        covered = {inbox.folder_id: [Window(years[0], years[1]), Window(years[1], years[2])]}
        census = await take_census(mailbox.source, ALL, (), NOW, covered)
        assert {folder: count for folder, count in census.by_folder.items() if count} == {
            "Inbox": 4,
            "Projects/Atlas": 1,
        }
        assert {folder: count for folder, count in census.to_read.items() if count} == {"Inbox": 2, "Projects/Atlas": 1}
        narrow = await take_census(mailbox.source, Window(years[0], years[2]), ["Inbox"], NOW, covered)
        assert (narrow.messages, narrow.to_read) == (2, {"Inbox": 0})


def test_what_earlier_jobs_have_read_costs_no_more_than_a_walk_of_its_ids() -> None:
    all_new, all_known = (
        quote(Census({"Inbox": 50_000}, {2024: 50_000}, unread), page_size=100, model="gpt-4o-mini", local=False)
        for unread in ({}, {"Inbox": 0})
    )
    assert (all_new["messages"], all_new["to_read"]) == (50_000, 50_000)
    assert (all_known["messages"], all_known["to_read"]) == (50_000, 0)
    assert all_known["requests"] <= 2 * 50_000 / 500 + 2
    assert all_known["llm"]["calls"] == 0
    assert all_known["seconds"]["high"] < all_new["seconds"]["high"] / 5


async def test_drafts_outside_their_folder_and_mail_without_a_date_are_told_apart(tmp_path: Path) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    draft, undated = a_graph_message(inbox, isDraft=True), a_graph_message(inbox, receivedDateTime=None)
    messages = [a_graph_message(inbox), draft, undated]
    census, _ = await census_of(tmp_path, messages, [inbox])
    assert census.by_year == {2026: 1, None: 1}


async def test_a_folder_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    inbox = a_folder("Inbox", wellKnownName="inbox")
    with pytest.raises(NotFoundError, match=r"no folder 'Atlas'; it has Inbox"):
        await census_of(tmp_path, [], [inbox], ALL, "Atlas")


def test_the_quote_grows_with_the_mailbox_and_knows_its_bounds() -> None:
    small = quote(Census({"Inbox": 100}, {2024: 100}), page_size=100, model="gpt-4o-mini", local=False)
    large = quote(Census({"Inbox": 50_000}, {2024: 50_000}), page_size=100, model="gpt-4o-mini", local=False)
    for document in (small, large):
        assert 0 < document["seconds"]["low"] < document["seconds"]["high"]
        assert document["llm"]["calls"] > 0
        assert document["llm"]["usd"] >= 0
    assert large["requests"] > 500
    assert large["llm"]["usd"] > 100 * small["llm"]["usd"] / 10
    assert small["by_folder"] == [{"folder": "Inbox", "messages": 100}]
    assert small["by_year"] == [{"year": 2024, "messages": 100}]


def test_an_empty_mailbox_costs_nothing() -> None:
    document = quote(Census({}, {}), page_size=100, model="gpt-4o-mini", local=False)
    assert (document["messages"], document["llm"]["calls"], document["llm"]["usd"]) == (0, 0, 0.0)


def test_little_mail_has_a_price_and_not_none() -> None:
    llm = quote(Census({"Inbox": 36}, {2024: 36}), page_size=100, model="gpt-4o-mini", local=True)["llm"]
    assert (llm["input_tokens"], llm["output_tokens"]) == (10_420, 4_900)
    assert llm["usd"] == pytest.approx((10_420 * 0.15 + 4_900 * 0.60) / 1e6)
    assert [_about(usd) for usd in (llm["usd"], 0.0, 0.01, 2.345)] == [
        "less than a cent",
        "nothing to pay",
        "about $0.01",
        "about $2.35",
    ]


def test_a_model_without_a_price_has_none_in_the_quote() -> None:
    document = quote(Census({"Inbox": 10}, {2024: 10}), page_size=100, model="a-local-model", local=True)
    assert document["llm"]["usd"] is None
    assert document["llm"]["input_tokens"] > 0


def test_local_mail_is_not_waited_for() -> None:
    census = Census({"Inbox": 10_000}, {2024: 10_000})
    local, remote = (quote(census, page_size=100, model="m", local=local) for local in (True, False))
    assert local["seconds"]["high"] <= remote["seconds"]["high"]
