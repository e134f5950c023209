"""What is no fault but an answer: folders, counts, refusals, and what every request carries."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from atom_backfill.errors import (
    AtomError,
    NeedsOwnerError,
    NotFoundError,
)
from atom_backfill.mail.message import FolderId, SourceId
from faulty_mailbox import FOLDER, IDS, MARCH, limit_for, mailbox, walk
from graph_world import Json


@pytest.mark.parametrize("kind", ["500", "502", "503", "504", "hang", "reset", "truncate"])
async def test_a_count_that_cannot_be_had_is_none(tmp_path: Path, kind: str) -> None:
    fault = {"on": "count", "kind": kind, "every": 1}
    async with mailbox(tmp_path, fault, total_seconds=limit_for(fault, 0.15)) as (found, _):
        assert await found.source.count(FOLDER, MARCH) is None


async def test_a_count_is_read_past_a_byte_order_mark_and_minus_one_is_none(tmp_path: Path) -> None:
    async with mailbox(tmp_path, quirks={"count_bom": True}) as (found, _):
        assert await found.source.count(FOLDER, MARCH) == 50
    async with mailbox(tmp_path, quirks={"count_always": {"*": -1}}) as (found, _):
        assert await found.source.count(FOLDER, MARCH) is None


REFUSED: list[tuple[str, Json, str, type[AtomError], str]] = [
    ("no permission", {"app_roles": []}, "ines@example.com", NeedsOwnerError, "access_denied"),
    ("out of scope", {"allowed_mailboxes": ["other"]}, "ines@example.com", NeedsOwnerError, "access_denied"),
    ("no such user", {}, "nobody@example.com", NeedsOwnerError, "mailbox_not_found"),
    ("inactive", {"inactive_mailboxes": ["ines"]}, "ines@example.com", NeedsOwnerError, "mailbox_not_found"),
]


@pytest.mark.parametrize(
    ("quirks", "address", "kind", "code"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
async def test_what_only_the_owner_can_change_is_said_at_once(
    tmp_path: Path, quirks: Json, address: str, kind: type[AtomError], code: str
) -> None:
    async with mailbox(tmp_path, quirks=quirks, address=address) as (found, world):
        with pytest.raises(kind) as raised:
            await found.source.identify()
        assert raised.value.code == code
        assert "request-id" in raised.value.detail
        assert address not in raised.value.message + raised.value.detail
        assert len(world.requests("messages")) <= 1


async def test_a_permission_that_hides_bodies_is_refused(tmp_path: Path) -> None:
    async with mailbox(tmp_path, quirks={"app_roles": ["Mail.ReadBasic.All"]}) as (found, _):
        with pytest.raises(NeedsOwnerError) as raised:
            await found.source.identify()
        assert raised.value.code == "access_denied"
        assert "Mail.Read" in raised.value.message


async def test_a_corrupt_newest_message_does_not_hide_whose_mailbox_it_is(tmp_path: Path) -> None:
    async with mailbox(tmp_path, {"on": "any", "kind": "corrupt_item", "id": IDS[0]}) as (found, world):
        identity = await found.source.identify()
        assert identity.identity == world.service.mailboxes["ines"].user_id


async def test_without_a_user_id_the_root_folder_is_the_identity(tmp_path: Path) -> None:
    async with mailbox(tmp_path, quirks={"context_user": "as_requested"}) as (found, world):
        identity = await found.source.identify()
        assert identity.identity == world.service.mailboxes["ines"].tree.root.id


async def test_a_folder_that_is_gone_is_not_found(tmp_path: Path) -> None:
    for code in ("ErrorFolderNotFound", "ErrorItemNotFound"):
        async with mailbox(tmp_path, quirks={"missing_folder_code": code}) as (found, _):
            with pytest.raises(NotFoundError):
                await found.source.page(FolderId("AAMkNoFolder="), MARCH, size=10)


async def test_a_message_that_goes_away_during_a_walk_is_no_failure(tmp_path: Path) -> None:
    async with mailbox(tmp_path, {"on": "any", "kind": "corrupt_item", "id": IDS[4]}) as (found, world):
        box = world.service.mailboxes["ines"]
        entry = box.find(IDS[4])
        assert entry is not None
        page = await found.source.page(FOLDER, MARCH, size=4)
        box.delete(entry)
        ids, unreadable = [item.source_id for item in page.items], list(page.unreadable)
        while page.next:
            page = await found.source.page(FOLDER, MARCH, size=4, link=page.next)
            ids += [item.source_id for item in page.items]
            unreadable += page.unreadable
    assert set(ids) == set(IDS) - {IDS[4]}
    assert unreadable == []


async def test_short_pages_lose_nothing(tmp_path: Path) -> None:
    """Graph counts items that are no messages into $skip, and shows fewer than asked for."""
    async with mailbox(tmp_path, quirks={"short_pages": 3}) as (found, _):
        ids, _ = await walk(found)
        assert ids == IDS
    async with mailbox(tmp_path, {"on": "messages", "kind": "504", "at": [3, 4, 5]}) as (found, _):
        ids, _ = await walk(found)
        assert ids == IDS


async def test_every_request_asks_for_immutable_ids_and_holds_a_permit(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as (found, world):
        await found.source.identify()
        await found.source.folders()
        ids, _ = await walk(found)
        assert ids == IDS, "the simulator gives other ids to whoever does not ask for immutable ones"
        assert found.permits.peak <= 4
        kinds = Counter(kind for kind, status, _ in found.seen if status)
        assert kinds["messages"] == 7
        assert sum(kinds.values()) == len([r for r in world.requests() if r["path"].startswith("/v1.0")])


async def test_what_is_told_of_requests_holds_no_ids_and_no_addresses(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as (found, _):
        await found.source.folders()
        await walk(found)
        await found.source.message(SourceId(IDS[0]))
        assert {kind for kind, _, _ in found.seen} <= {"messages", "message", "folders", "count", "user"}
