"""A mailbox behind a faulty Graph, and how it is walked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.ports import Page, Unreadable, Window
from graph_world import GraphWorld, Json, Outlook, a_folder, a_graph_message, graph_world, outlook, write_mailbox

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
MARCH = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
INBOX = a_folder("Inbox", wellKnownName="inbox")
FOLDER = FolderId(INBOX["id"])
MAILS = [
    a_graph_message(INBOX, receivedDateTime=(NOON - n * timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    for n in range(50)
]
IDS = [mail["id"] for mail in MAILS]


@asynccontextmanager
async def mailbox(
    tmp_path: Path, *faults: Json, quirks: Json | None = None, **about: Any
) -> AsyncIterator[tuple[Outlook, GraphWorld]]:
    """Fifty mails, and a sign-in that was made before the faults begin."""
    write_mailbox(tmp_path, MAILS, [INBOX])
    async with graph_world(tmp_path, quirks=quirks) as world, outlook(world, **about) as found:
        await found.tokens.token()
        world.script(*faults)
        yield found, world


async def walk(source: Outlook, *, size: int = 10, window: Window = MARCH) -> tuple[list[str], list[Unreadable]]:
    """Walk a window as the product does: a broken link goes on from the oldest second seen."""
    ids: list[str] = []
    unreadable: dict[SourceId, Unreadable] = {}
    link, oldest = None, window.end
    for _ in range(200):
        page: Page = await source.source.page(FOLDER, window, size=size, link=link)
        ids += [item.source_id for item in page.items]
        unreadable.update({item.source_id: item for item in page.unreadable})
        dates = [item.received_at for item in (*page.items, *page.unreadable) if item.received_at]
        oldest = min([*dates, oldest]) if oldest else None
        link = page.next
        if page.broken_link:
            window, link = Window(window.start, oldest + timedelta(seconds=1) if oldest else None), None
        elif link is None:
            return ids, list(unreadable.values())
    raise AssertionError("the walk does not end")


def limit_for(fault: Json, seconds: float = 0.4) -> float:
    """A short time limit for what runs into it, and a long one for what must not on a busy machine."""
    return seconds if fault["kind"] in ("hang", "slow") else 20.0
