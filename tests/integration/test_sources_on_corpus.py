"""The sources on real mail: nothing lost, nothing twice, nothing that stops a walk."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from atom_backfill.errors import SkipItemError
from atom_backfill.mail.door import Limits
from atom_backfill.mail.mime import read_mime
from atom_backfill.sources.mbox.source import MboxSource
from atom_backfill.sources.ports import MailSource, Place, RawItem, Window
from fakes.skipping_clock import SkippingClock
from graph_world import graph_world, outlook

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif("ATOM_CORPUS" not in os.environ, reason="ATOM_CORPUS does not name the development mail"),
]
EVER = Window(None, None)
SHARED = "lee.duncan"


def corpus() -> Path:
    return Path(os.environ["ATOM_CORPUS"])


async def whole_walk(source: MailSource) -> tuple[list[RawItem], list[Place]]:
    items: list[RawItem] = []
    places: list[Place] = []
    for folder in await source.folders():
        if folder.search:
            continue
        page = await source.page(folder.folder_id, EVER, size=100)
        items += page.items
        assert page.unreadable == ()
        while page.next:
            page = await source.page(folder.folder_id, EVER, size=100, link=page.next)
            items += page.items
        listed = await source.places(folder.folder_id, EVER, size=500)
        places += listed.places
        while listed.next:
            listed = await source.places(folder.folder_id, EVER, size=500, link=listed.next)
            places += listed.places
    return items, places


async def test_every_mail_of_a_real_mailbox_is_listed_once() -> None:
    address = f"{SHARED}@example.com"
    async with graph_world(corpus()) as world, outlook(world, address=address, total_seconds=30) as mailbox:
        items, places = await whole_walk(mailbox.source)
        expected = Counter(entry.id for entry in world.service.mailboxes[SHARED].messages())
    assert Counter(item.source_id for item in items) == expected
    assert Counter(place.source_id for place in places) == expected


async def test_every_odd_mail_file_is_an_item_and_dated_as_it_is_read(tmp_path: Path) -> None:
    root = corpus() / "robustness" / "eml"
    items, places = await whole_walk(MboxSource(root, tmp_path, SkippingClock()))
    files = [path for path in root.iterdir() if path.is_file()]
    assert len(items) == len({item.source_id for item in items})
    assert len(files) * 0.95 <= len(places) <= len(files) * 1.05
    for item in items:
        try:
            read = read_mime(item.payload, source_id=item.source_id, folder_id=item.folder_id, limits=Limits())
        except SkipItemError:
            continue
        assert read.received_at == item.received_at
