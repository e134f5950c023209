"""What every MailSource promises, on the same invented mails in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from atom_backfill.errors import NotFoundError, SkipItemError
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.ports import Page, Place, RawItem, Unreadable, Window
from mail_sources import EVERY_SOURCE, Mail, Opener, OpenMailbox

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
EVER = Window(None, None)

With = Callable[[Sequence[Mail]], Opener]


@pytest.fixture(params=EVERY_SOURCE)
def with_mails(request: pytest.FixtureRequest, tmp_path: Path) -> With:
    put = EVERY_SOURCE[request.param]
    return lambda mails: put(tmp_path, mails)


async def pages(mailbox: OpenMailbox, folder: FolderId, window: Window, size: int = 100) -> list[Page]:
    found = [await mailbox.source.page(folder, window, size=size)]
    while (link := found[-1].next) is not None:
        assert not found[-1].broken_link
        assert len(found) < 200, "the walk does not end"
        found.append(await mailbox.source.page(folder, window, size=size, link=link))
    return found


async def items(mailbox: OpenMailbox, folder: FolderId, window: Window, size: int = 100) -> list[RawItem]:
    return [item for page in await pages(mailbox, folder, window, size) for item in page.items]


async def subjects(mailbox: OpenMailbox, folder: FolderId, window: Window, size: int = 100) -> list[str]:
    return [mailbox.read(item).subject for item in await items(mailbox, folder, window, size)]


async def places(mailbox: OpenMailbox, folder: FolderId, window: Window, size: int = 500) -> list[Place]:
    page = await mailbox.source.places(folder, window, size=size)
    found = list(page.places)
    while page.next is not None:
        page = await mailbox.source.places(folder, window, size=size, link=page.next)
        found += page.places
    return found


async def test_every_folder_is_found_with_its_path(with_mails: With) -> None:
    paths = ["Inbox", "Projects", "Projects/Atlas", "Projects/Atlas/Old"]
    async with with_mails([Mail(path, f"In {path}") for path in paths])() as mailbox:
        folders = await mailbox.source.folders()
        assert sorted(folder.path for folder in folders) == paths
        assert len({folder.folder_id for folder in folders}) == len(paths)
        for folder in folders:
            assert await subjects(mailbox, folder.folder_id, EVER) == [f"In {folder.path}"]


async def test_windows_are_half_open_on_whole_seconds(with_mails: With) -> None:
    mails = [Mail("Inbox", f"at {n:+}", NOON + n * SECOND) for n in range(-3, 4)]
    async with with_mails(mails)() as mailbox:
        inbox = await mailbox.folder("Inbox")
        assert await subjects(mailbox, inbox, Window(NOON - SECOND, NOON + SECOND)) == ["at +0", "at -1"]
        assert await subjects(mailbox, inbox, Window(NOON, NOON + SECOND)) == ["at +0"]
        assert await subjects(mailbox, inbox, Window(NOON, NOON)) == []
        assert await subjects(mailbox, inbox, Window(NOON + 2 * SECOND, None)) == ["at +3", "at +2"]
        assert await subjects(mailbox, inbox, Window(None, NOON - SECOND)) == ["at -2", "at -3"]


async def test_count_tells_what_a_window_holds(with_mails: With) -> None:
    mails = [Mail("Inbox", f"at {n}", NOON + n * SECOND) for n in range(7)]
    async with with_mails(mails)() as mailbox:
        inbox = await mailbox.folder("Inbox")
        assert await mailbox.source.count(inbox, EVER) == 7
        assert await mailbox.source.count(inbox, Window(NOON + 2 * SECOND, NOON + 5 * SECOND)) == 3
        assert await mailbox.source.count(inbox, Window(NOON - SECOND, NOON)) == 0


async def test_mail_comes_newest_first_and_never_more_than_asked(with_mails: With) -> None:
    mails = [Mail("Inbox", f"day {n}", NOON - timedelta(days=(n * 7) % 30)) for n in range(30)]
    async with with_mails(mails)() as mailbox:
        found = await pages(mailbox, await mailbox.folder("Inbox"), EVER, size=8)
        assert all(len(page.items) <= 8 for page in found)
        dates = [item.received_at for page in found for item in page.items if item.received_at]
        assert len(dates) == 30
        assert all(newer >= older for newer, older in pairwise(dates))


async def test_many_mails_of_one_second_are_paged_without_loss(with_mails: With) -> None:
    mails = [Mail("Inbox", f"mail {n}", NOON) for n in range(250)]
    mails += [Mail("Inbox", "before", NOON - SECOND), Mail("Inbox", "after", NOON + SECOND)]
    async with with_mails(mails)() as mailbox:
        inbox = await mailbox.folder("Inbox")
        found = Counter(await subjects(mailbox, inbox, Window(NOON, NOON + SECOND)))
        assert found == Counter(f"mail {n}" for n in range(250))
        found = Counter(await subjects(mailbox, inbox, EVER, size=125))
        assert found == Counter(mail.subject for mail in mails)


@pytest.mark.parametrize("count", [99, 100, 101, 200])
async def test_pages_end_exactly_where_the_mail_ends(with_mails: With, count: int) -> None:
    mails = [Mail("Inbox", f"mail {n}", NOON - n * SECOND) for n in range(count)]
    async with with_mails(mails)() as mailbox:
        assert len(await subjects(mailbox, await mailbox.folder("Inbox"), EVER)) == count


async def test_undated_mail_is_listed_where_both_ends_are_open_and_nowhere_else(with_mails: With) -> None:
    mails = [Mail("Inbox", "dated", NOON), Mail("Inbox", "undated", None)]
    async with with_mails(mails)() as mailbox:
        inbox = await mailbox.folder("Inbox")
        found = await items(mailbox, inbox, EVER)
        assert [(mailbox.read(item).subject, item.received_at) for item in found] == [
            ("dated", NOON),
            ("undated", None),
        ]
        listed = await places(mailbox, inbox, EVER)
        assert [place.received_at for place in listed] == [NOON, None]
        for window in (Window(datetime(1970, 1, 1, tzinfo=UTC), None), Window(None, datetime(9999, 1, 1, tzinfo=UTC))):
            assert await subjects(mailbox, inbox, window) == ["dated"]
            assert [place.received_at for place in await places(mailbox, inbox, window)] == [NOON]


async def test_places_are_the_ids_of_the_pages(with_mails: With) -> None:
    mails = [Mail(folder, f"{folder} {n}", NOON - n * SECOND) for folder in ("Inbox", "Projects") for n in range(40)]
    async with with_mails(mails)() as mailbox:
        window = Window(NOON - 30 * SECOND, NOON)
        for folder in await mailbox.source.folders():
            whole = await items(mailbox, folder.folder_id, window, size=7)
            ids = await places(mailbox, folder.folder_id, window, size=9)
            assert len(whole) == 30
            assert [(i.source_id, i.folder_id, i.received_at) for i in whole] == [
                (p.source_id, p.folder_id, p.received_at) for p in ids
            ]
            assert {place.folder_id for place in ids} == {folder.folder_id}
            assert not any(place.duplicate or place.draft for place in ids)


async def test_an_item_says_when_it_came_as_the_message_read_from_it_does(with_mails: With) -> None:
    mails = [Mail("Inbox", f"mail {n}", NOON - n * timedelta(days=500)) for n in range(20)]
    async with with_mails([*mails, Mail("Inbox", "undated", None)])() as mailbox:
        found = await items(mailbox, await mailbox.folder("Inbox"), EVER)
        assert len(found) == 21
        assert [item.received_at for item in found] == [mailbox.read(item).received_at for item in found]
        assert [item.source_id for item in found] == [mailbox.read(item).source_id for item in found]


async def test_ids_and_identity_are_the_same_when_opened_again(with_mails: With) -> None:
    opened = with_mails([Mail("Inbox", f"mail {n}", NOON - n * SECOND) for n in range(5)])
    seen: list[tuple[object, ...]] = []
    for _ in range(2):
        async with opened() as mailbox:
            folders = await mailbox.source.folders()
            ids = [item.source_id for item in await items(mailbox, folders[0].folder_id, EVER)]
            identity = await mailbox.source.identify()
            assert identity.identity
            assert identity.address
            seen.append((folders, ids, identity))
    assert seen[0] == seen[1]


async def test_one_message_can_be_read_by_its_id(with_mails: With) -> None:
    mails = [Mail("Inbox", "one", NOON), Mail("Projects", "two", NOON)]
    async with with_mails(mails)() as mailbox:
        [listed] = await items(mailbox, await mailbox.folder("Projects"), EVER)
        alone = await mailbox.source.message(listed.source_id)
        assert mailbox.read(alone).subject == "two"
        assert (alone.source_id, alone.folder_id, alone.received_at, alone.change_key) == (
            listed.source_id,
            listed.folder_id,
            listed.received_at,
            listed.change_key,
        )


@pytest.mark.parametrize("missing", ["gone", "eml-" + "0" * 64, "AAkALgNobody", "../../etc/passwd", "\x00", "é/+"])
async def test_a_missing_message_is_not_found(with_mails: With, missing: str) -> None:
    async with with_mails([Mail("Inbox", "one")])() as mailbox:
        await mailbox.source.folders()
        with pytest.raises(NotFoundError):
            await mailbox.source.message(SourceId(missing))


async def test_a_missing_folder_is_not_found(with_mails: With) -> None:
    async with with_mails([Mail("Inbox", "one")])() as mailbox:
        await mailbox.source.folders()
        with pytest.raises(NotFoundError):
            await mailbox.source.page(FolderId("no-such-folder"), EVER, size=10)
        with pytest.raises(NotFoundError):
            await mailbox.source.places(FolderId("no-such-folder"), EVER, size=10)


async def test_an_empty_window_is_one_empty_page(with_mails: With) -> None:
    async with with_mails([Mail("Inbox", "one", NOON)])() as mailbox:
        page = await mailbox.source.page(
            await mailbox.folder("Inbox"), Window(NOON + SECOND, NOON + 2 * SECOND), size=10
        )
        assert page == Page((), None)


@pytest.mark.parametrize("where", [0, 13, 39])
async def test_an_unreadable_item_is_told_and_its_neighbours_arrive(with_mails: With, where: int) -> None:
    mails = [Mail("Inbox", f"mail {n}", NOON - n * SECOND, unreadable=n == where) for n in range(40)]
    async with with_mails(mails)() as mailbox:
        inbox = await mailbox.folder("Inbox")
        found = await pages(mailbox, inbox, EVER, size=20)
        arrived = Counter(mailbox.read(item).subject for page in found for item in page.items)
        assert arrived == Counter(f"mail {n}" for n in range(40) if n != where)
        [unreadable] = {item for page in found for item in page.unreadable}
        assert isinstance(unreadable, Unreadable)
        assert unreadable.received_at == NOON - where * SECOND
        assert unreadable.folder_id == inbox
        assert unreadable.code
        assert unreadable.reason.endswith(".")
        assert unreadable.source_id in {place.source_id for place in await places(mailbox, inbox, EVER)}
        with pytest.raises(SkipItemError) as raised:
            await mailbox.source.message(unreadable.source_id)
        assert raised.value.stage == "fetch"
        assert raised.value.code == unreadable.code


async def test_a_link_can_be_followed_again(with_mails: With) -> None:
    """Whoever dies after reading a page reads it again."""
    mails = [Mail("Inbox", f"mail {n}", NOON - n * SECOND) for n in range(30)]
    async with with_mails(mails)() as mailbox:
        inbox = await mailbox.folder("Inbox")
        first = await mailbox.source.page(inbox, EVER, size=10)
        once = await mailbox.source.page(inbox, EVER, size=10, link=first.next)
        again = await mailbox.source.page(inbox, EVER, size=10, link=first.next)
        assert once == again
        assert len(once.items) == 10
