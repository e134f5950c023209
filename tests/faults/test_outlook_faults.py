"""Every fault of the Graph simulator, and whether a whole walk still brings every mail exactly once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from atom_backfill.errors import (
    RetryLaterError,
    SignInNeededError,
    ThrottledError,
)
from atom_backfill.sources.outlook.client import RENEWALS
from atom_backfill.sources.ports import Page
from faulty_mailbox import FOLDER, IDS, INBOX, MAILS, MARCH, limit_for, mailbox, walk
from graph_world import Json, a_folder, a_graph_message, graph_world, outlook, write_mailbox

ONCE_AND_OFTEN = {
    "429 with a wait": {"kind": "429", "retry_after": 1},
    "429 without a wait": {"kind": "429", "retry_after": None},
    "429 in HTML": {"kind": "429", "retry_after": 0, "body": "html"},
    "500": {"kind": "500"},
    "502": {"kind": "502"},
    "502 with nothing in it": {"kind": "502", "body": "empty"},
    "503": {"kind": "503"},
    "503 with a wait": {"kind": "503", "retry_after": 1},
    "503 in HTML": {"kind": "503", "body": "html"},
    "504": {"kind": "504"},
    "hang": {"kind": "hang", "seconds": 60},
    "slow": {"kind": "slow", "seconds": 60},
    "reset": {"kind": "reset"},
    "truncate": {"kind": "truncate"},
    "badjson": {"kind": "badjson"},
    "expire_token": {"kind": "expire_token"},
    "empty_page": {"kind": "empty_page"},
    "dup": {"kind": "dup"},
    "loop_next": {"kind": "loop_next"},
    "lost_next": {"kind": "lost_next"},
    "evil_next": {"kind": "evil_next", "url": "https://graph.microsoft.com.example.net/v1.0"},
}


@pytest.mark.parametrize("call", [1, 2, 5, 6])
@pytest.mark.parametrize("fault", ONCE_AND_OFTEN.values(), ids=list(ONCE_AND_OFTEN))
async def test_a_walk_survives_a_fault_at_any_page(tmp_path: Path, fault: Json, call: int) -> None:
    rule = {"on": "messages", "at": [call], **fault}
    async with mailbox(tmp_path, rule, total_seconds=limit_for(rule)) as (found, world):
        ids, unreadable = await walk(found)
        assert world.service.journal.by_fault, "the fault did not strike"
    assert set(ids) == set(IDS)
    assert unreadable == []


@pytest.mark.parametrize("fault", ONCE_AND_OFTEN.values(), ids=list(ONCE_AND_OFTEN))
async def test_a_walk_survives_a_fault_at_every_third_call(tmp_path: Path, fault: Json) -> None:
    rule = {"on": "any", "every": 3, **fault}
    async with mailbox(tmp_path, rule, total_seconds=limit_for(rule)) as (found, _):
        ids, unreadable = await walk(found)
    assert set(ids) == set(IDS)
    assert unreadable == []


async def test_nothing_is_sent_to_a_foreign_host(tmp_path: Path) -> None:
    write_mailbox(tmp_path / "other", [a_graph_message(INBOX, subject="theirs")], [INBOX])
    async with graph_world(tmp_path / "other") as evil:
        fault = {"on": "messages", "kind": "evil_next", "every": 1, "url": f"{evil.url}/v1.0"}
        async with mailbox(tmp_path, fault) as (found, _):
            page = await found.source.page(FOLDER, MARCH, size=10)
            assert (len(page.items), page.next, page.broken_link) == (10, None, True)
        assert evil.requests() == []


async def test_a_repeated_continuation_is_noticed_and_the_same_call_twice_is_not_one(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as (found, world):
        first = await found.source.page(FOLDER, MARCH, size=10)
        second = await found.source.page(FOLDER, MARCH, size=10, link=first.next)
        again = await found.source.page(FOLDER, MARCH, size=10, link=first.next)
        assert again == second
        assert not again.broken_link
        world.script({"on": "messages", "kind": "loop_next", "every": 1})
        looping = await found.source.page(FOLDER, MARCH, size=10, link=second.next)
        assert (looping.next, looping.broken_link) == (None, True)
        assert [item.source_id for item in looping.items] == IDS[20:30]


async def test_a_retry_after_is_told_to_the_mailbox_and_waited_for(tmp_path: Path) -> None:
    async with mailbox(tmp_path, {"on": "messages", "kind": "429", "at": [1], "retry_after": 7}) as (found, _):
        page = await found.source.page(FOLDER, MARCH, size=10)
        assert len(page.items) == 10
        [told] = found.permits.told
        assert (told.after, told.concurrency, told.code) == (7.0, True, "throttled")
        assert found.clock.slept == [7.0]


async def test_a_wait_that_is_too_long_ends_the_call(tmp_path: Path) -> None:
    fault = {"on": "messages", "kind": "429", "at": [1], "retry_after": 600}
    async with mailbox(tmp_path, fault) as (found, world):
        with pytest.raises(ThrottledError) as raised:
            await found.source.page(FOLDER, MARCH, size=10)
        assert raised.value.after == 600
        assert len(found.permits.told) == 1, "the permits' own refusal is not told to them again"
        assert len(world.requests("messages")) == 1


async def test_throttling_that_does_not_end_is_raised_after_a_few_tries(tmp_path: Path) -> None:
    fault = {"on": "messages", "kind": "429", "every": 1, "retry_after": None}
    async with mailbox(tmp_path, fault) as (found, world):
        with pytest.raises(ThrottledError):
            await found.source.page(FOLDER, MARCH, size=10)
        assert len(world.requests("messages")) == 3
        assert [told.after for told in found.permits.told] == [2.0, 4.0, 8.0]


async def test_a_504_is_tried_again_after_two_seconds_and_then_with_smaller_pages(tmp_path: Path) -> None:
    fault = {"on": "messages", "kind": "504", "at": [1, 2, 3, 4]}
    async with mailbox(tmp_path, fault) as (found, world):
        page = await found.source.page(FOLDER, MARCH, size=10)
        assert [item.source_id for item in page.items] == IDS[:2]
        tops = [parse_qs(request["query"])["$top"][0] for request in world.requests("messages")]
        assert tops == ["10", "10", "10", "5", "2"]
        assert found.clock.slept == [2.0, 4.0, 2.0, 2.0]
        sizes = []
        while page.next:
            page = await found.source.page(FOLDER, MARCH, size=10, link=page.next)
            sizes.append(len(page.items))
        assert sizes[:3] == [4, 8, 10], "pages grow again once they work"
        assert sum(sizes) == 48


async def test_a_page_that_fails_behind_a_link_is_read_smaller_from_the_same_place(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as (found, world):
        first = await found.source.page(FOLDER, MARCH, size=10)
        world.script({"on": "messages", "kind": "504", "at": [1, 2, 3]})
        second = await found.source.page(FOLDER, MARCH, size=10, link=first.next)
        assert [item.source_id for item in second.items] == IDS[10:15]
        third = await found.source.page(FOLDER, MARCH, size=10, link=second.next)
        assert [item.source_id for item in third.items] == IDS[15:25]


@pytest.mark.parametrize("kind", ["500", "503", "504", "hang", "truncate"])
async def test_an_outage_is_an_error_within_minutes_and_blames_no_item(tmp_path: Path, kind: str) -> None:
    fault = {"on": "any", "kind": kind, "every": 1}
    limit = limit_for(fault, 0.15)
    async with mailbox(tmp_path, fault, total_seconds=limit, request_seconds=30) as (found, world):
        with pytest.raises(RetryLaterError) as raised:
            await found.source.page(FOLDER, MARCH, size=100)
        assert not isinstance(raised.value, ThrottledError)
        assert found.clock.monotonic() < 180
        world.script()
        ids, unreadable = await walk(found, size=100)
    assert set(ids) == set(IDS)
    assert unreadable == []


async def test_what_a_call_had_to_come_down_to_is_where_the_next_one_begins(tmp_path: Path) -> None:
    """Where each request runs into its time limit, no call takes much longer than two minutes, and none is in vain."""
    async with mailbox(tmp_path, request_seconds=30) as (found, world):
        first = await found.source.page(FOLDER, MARCH, size=32)
        world.script({"on": "messages", "kind": "504", "every": 1})
        begun, seen = found.clock.monotonic(), len(world.requests())
        with pytest.raises(RetryLaterError) as raised:
            await found.source.page(FOLDER, MARCH, size=32, link=first.next)
        assert raised.value.code == "gateway_timeout"
        assert found.clock.monotonic() - begun < 180
        world.script()
        page = await found.source.page(FOLDER, MARCH, size=32, link=first.next)
        tops = [int(parse_qs(request["query"])["$top"][0]) for request in world.requests("messages", seen)]
        assert tops == [32, 32, 32, 16, 16]
        assert [item.source_id for item in page.items] == IDS[32:48]


async def test_a_window_that_fails_as_a_whole_is_read_from_its_newest_part_on(tmp_path: Path) -> None:
    """Whole, smaller and of one id, the window fails nine times; the newer half of it answers, then the older."""
    async with mailbox(tmp_path) as (found, world):
        world.script({"on": "messages", "kind": "504", "at": list(range(1, 10))})
        ids, unreadable = await walk(found, size=10)
        assert ids == IDS
        assert unreadable == []
        ends = {parse_qs(request["query"])["$filter"][0].split(" lt ")[1] for request in world.requests("messages")}
        assert ends == {"2026-04-01T00:00:00Z", "2026-03-16T12:00:00Z"}


async def test_a_place_that_cannot_be_read_at_all_is_left_to_the_position_once(tmp_path: Path) -> None:
    """Deep in a window not even ids come: the walk goes on from its position, and if that ends here too, it waits."""
    async with mailbox(tmp_path) as (found, world):
        first = await found.source.page(FOLDER, MARCH, size=10)
        world.script({"on": "messages", "kind": "504", "every": 1})
        page = await found.source.page(FOLDER, MARCH, size=10, link=first.next)
        assert page == Page((), None, broken_link=True)
        with pytest.raises(RetryLaterError):
            await found.source.page(FOLDER, MARCH, size=10, link=first.next)


@pytest.mark.parametrize("place", [0, 7, 31, 49])
async def test_a_corrupt_item_is_isolated_wherever_it_lies(tmp_path: Path, place: int) -> None:
    fault = {"on": "any", "kind": "corrupt_item", "id": IDS[place]}
    async with mailbox(tmp_path, fault) as (found, world):
        ids, unreadable = await walk(found, size=50)
        assert Counter(ids) == Counter(IDS) - Counter([IDS[place]])
        assert [(item.source_id, item.code) for item in unreadable] == [(IDS[place], "item_corrupt")]
        assert len(world.requests()) < 40
        assert sum(found.clock.slept) < 8, "only the first page that holds it is worth waiting for"


async def test_several_corrupt_items_side_by_side_are_each_told(tmp_path: Path) -> None:
    bad = IDS[20:23] + IDS[40:41]
    faults = [{"on": "any", "kind": "corrupt_item", "id": one} for one in bad]
    async with mailbox(tmp_path, *faults) as (found, _):
        ids, unreadable = await walk(found, size=25)
    assert Counter(ids) == Counter(IDS) - Counter(bad)
    assert {item.source_id for item in unreadable} == set(bad)


async def test_an_item_that_only_hangs_is_told_once_its_neighbours_answer(tmp_path: Path) -> None:
    """Lists of whole messages and the message itself time out; lists of ids work."""
    async with mailbox(tmp_path, {"on": "message", "kind": "504", "every": 1}) as (found, world):
        world.script(
            {"on": "message", "kind": "504", "every": 1},
            {"on": "any", "kind": "corrupt_item", "id": IDS[3]},
        )
        ids, unreadable = await walk(found, size=10)
    assert Counter(ids) == Counter(IDS) - Counter([IDS[3]])
    assert [(item.source_id, item.code) for item in unreadable] == [(IDS[3], "gateway_timeout")]


async def test_an_answer_over_the_limit_makes_pages_smaller_and_then_blames_the_item(tmp_path: Path) -> None:
    big = a_graph_message(
        INBOX, body={"contentType": "text", "content": "x" * 60_000}, receivedDateTime="2026-03-02T11:30:30Z"
    )
    write_mailbox(tmp_path, [*MAILS, big], [INBOX])
    async with graph_world(tmp_path) as world, outlook(world, body_limit=30_000) as found:
        ids, unreadable = await walk(found, size=50)
        assert set(ids) == set(IDS)
        assert [(item.source_id, item.code) for item in unreadable] == [(big["id"], "item_too_large")]


async def test_a_token_that_expires_is_renewed_once_and_the_call_replayed(tmp_path: Path) -> None:
    async with mailbox(tmp_path, {"on": "messages", "kind": "expire_token", "at": [2]}) as (found, world):
        ids, _ = await walk(found)
        assert ids == IDS
        assert len(world.requests("token")) == 2
        assert [request["status"] for request in world.requests("messages")].count(401) == 1


async def test_tokens_that_never_hold_need_the_owner(tmp_path: Path) -> None:
    async with mailbox(tmp_path, {"on": "messages", "kind": "expire_token", "every": 1}) as (found, world):
        with pytest.raises(SignInNeededError) as raised:
            await found.source.page(FOLDER, MARCH, size=10)
        assert raised.value.code == "token_refused"
        assert len(world.requests("messages")) == 1 + RENEWALS


async def test_tokens_that_end_early_are_no_reason_to_sign_in_again(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as (found, world):
        await found.source.folders()
        world.script({"on": "messages", "kind": "expire_token", "every": 1})
        with pytest.raises(RetryLaterError) as raised:
            await found.source.page(FOLDER, MARCH, size=10)
        assert raised.value.code == "tokens_end_early"


@pytest.mark.parametrize("kind", ["429", "500", "502", "503", "504", "hang", "slow", "reset", "truncate", "badjson"])
async def test_folders_survive_a_fault(tmp_path: Path, kind: str) -> None:
    fault = {"on": "folders", "kind": kind, "at": [1, 4]}
    async with mailbox(tmp_path, fault, total_seconds=limit_for(fault)) as (found, _):
        [inbox] = await found.source.folders()
        assert inbox.path == "Inbox"


@pytest.mark.parametrize("kind", ["loop_next", "evil_next"])
async def test_a_list_of_folders_that_leads_nowhere_is_no_list(tmp_path: Path, kind: str) -> None:
    folders = [a_folder(f"Folder {n}") for n in range(150)]
    write_mailbox(tmp_path, [a_graph_message(folders[0])], folders)
    async with graph_world(tmp_path) as world, outlook(world) as found:
        world.script({"on": "folders", "kind": kind, "every": 1})
        with pytest.raises(RetryLaterError) as raised:
            await found.source.folders()
        assert raised.value.code == "broken_link"
        world.script()
        assert len(await found.source.folders()) == 150
