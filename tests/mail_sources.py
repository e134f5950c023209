"""The same invented mails in every kind of source, for the suite that holds all of them to one contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import FolderId, Message
from atom_backfill.mail.mime import read_mime
from atom_backfill.sources.mbox.source import MboxSource
from atom_backfill.sources.outlook.parse import read_graph
from atom_backfill.sources.ports import MailSource, RawItem
from fakes.skipping_clock import SkippingClock
from graph_world import Json, a_folder, a_graph_message, graph_world, outlook, write_mailbox

TOO_LARGE = 200_000


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail of the suite. `unreadable`: the source lists it and cannot give it."""

    folder: str
    subject: str
    received_at: datetime | None = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """An opened source, with the way to read what it gives."""

    source: MailSource
    read: Callable[[RawItem], Message]

    async def folder(self, path: str) -> FolderId:
        """The id of a folder by its path."""
        return next(folder.folder_id for folder in await self.source.folders() if folder.path == path)


Opener = Callable[[], AbstractAsyncContextManager[OpenMailbox]]


def in_outlook(place: Path, mails: Sequence[Mail]) -> Opener:
    """The mails in a simulated Outlook mailbox."""
    folders: dict[str, Json] = {}
    for path in dict.fromkeys(mail.folder for mail in mails):
        parent = "root-folder-id"
        for name in path.split("/"):
            folder = folders.setdefault(f"{parent}/{name}", a_folder(name, parent=parent))
            parent = folder["id"]
        folders[path] = folder
    messages = [
        a_graph_message(folders[mail.folder], subject=mail.subject, receivedDateTime=_iso(mail.received_at))
        for mail in mails
    ]
    write_mailbox(place, messages, list({folder["id"]: folder for folder in folders.values()}.values()))
    faults = [
        {"on": "any", "kind": "corrupt_item", "id": message["id"]}
        for mail, message in zip(mails, messages, strict=True)
        if mail.unreadable
    ]

    @asynccontextmanager
    async def opened() -> AsyncIterator[OpenMailbox]:
        async with graph_world(place, faults=faults) as world, outlook(world) as mailbox:
            yield OpenMailbox(mailbox.source, lambda raw: read_graph(raw.payload, limits=Limits()))

    return opened


def in_mbox_files(place: Path, mails: Sequence[Mail]) -> Opener:
    """The mails in a folder of mbox files."""
    root = place / "files"
    for mail in mails:
        path = root / f"{mail.folder}.mbox"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(b"From tomasz@example.org Mon Mar  2 09:30:00 2026\n" + as_bytes(mail) + b"\n")
    return _local(root, place)


def in_maildir(place: Path, mails: Sequence[Mail]) -> Opener:
    """The mails in a Maildir; the first folder is its inbox."""
    root = place / "Maildir"
    for number, mail in enumerate(mails):
        directory = root if mail.folder == "Inbox" else root / ("." + mail.folder.replace("/", "."))
        for part in ("cur", "new", "tmp"):
            for maildir in (root, directory):
                (maildir / part).mkdir(parents=True, exist_ok=True)
        name = f"17000000{number:04}.M1P1.host:2,S" if number % 2 else f"17000000{number:04}.M1P1.host"
        (directory / ("cur" if number % 2 else "new") / name).write_bytes(as_bytes(mail))
    return _local(root, place)


def in_eml_files(place: Path, mails: Sequence[Mail]) -> Opener:
    """The mails as .eml files in folders."""
    root = place / "export"
    for number, mail in enumerate(mails):
        path = root / mail.folder / f"{number}.eml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_bytes(mail))
    return _local(root, place)


def as_bytes(mail: Mail) -> bytes:
    """A mail as it travels."""
    date = f"Date: {format_datetime(mail.received_at)}\n" if mail.received_at else ""
    padding = "x" * 70 + "\n"
    body = padding * (TOO_LARGE // 70) if mail.unreadable else "The lease is signed.\n"
    head = "From: Tomasz Reyl <tomasz@example.org>\nTo: Ines Halloran <ines@example.com>\n"
    return f"{head}{date}Subject: {mail.subject}\n\n{body}".encode()


def _local(root: Path, place: Path) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[OpenMailbox]:
        source = MboxSource(root, place / "cache", SkippingClock(), message_bytes=TOO_LARGE)

        def read(raw: RawItem) -> Message:
            return read_mime(raw.payload, source_id=raw.source_id, folder_id=raw.folder_id, limits=Limits())

        yield OpenMailbox(source, read)

    return opened


def _iso(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


EVERY_SOURCE = {
    "outlook": in_outlook,
    "mbox": in_mbox_files,
    "maildir": in_maildir,
    "eml": in_eml_files,
}
