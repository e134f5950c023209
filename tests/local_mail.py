"""Local mail as tests write it, and what a source makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from atom_backfill.mail.message import FolderId
from atom_backfill.sources.mbox.source import MboxSource
from atom_backfill.sources.ports import Place, RawItem, Window
from fakes.skipping_clock import SkippingClock

FROM = b"From tomasz@example.org Mon Mar  2 09:30:00 2026\n"
EVER = Window(None, None)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def mail(subject: str, *, when: datetime | None = NOON, body: str = "The lease is signed.\n") -> bytes:
    date = when.strftime("Date: %a, %d %b %Y %H:%M:%S +0000\n") if when else ""
    return f"From: Tomasz Reyl <tomasz@example.org>\n{date}Subject: {subject}\n\n{body}".encode()


def mbox(*mails: bytes) -> bytes:
    return b"".join(FROM + one + b"\n" for one in mails)


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def opened(root: Path, cache: Path) -> MboxSource:
    return MboxSource(root, cache, SkippingClock())


async def everything(source: MboxSource) -> dict[str, list[str]]:
    """The subjects of each folder, newest first, by its path."""
    return {
        folder.path: [subject(item) for item in await items(source, folder.folder_id)]
        for folder in await source.folders()
    }


async def items(source: MboxSource, folder: str, size: int = 50) -> list[RawItem]:
    page = await source.page(FolderId(folder), EVER, size=size)
    found = list(page.items)
    while page.next:
        page = await source.page(FolderId(folder), EVER, size=size, link=page.next)
        found += page.items
    return found


async def places(source: MboxSource, folder: str) -> tuple[Place, ...]:
    return (await source.places(FolderId(folder), EVER, size=500)).places


def subject(item: RawItem) -> str:
    return item.payload.partition(b"Subject: ")[2].partition(b"\n")[0].decode()
