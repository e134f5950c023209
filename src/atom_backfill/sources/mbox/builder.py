"""Builds the index: walks the files, then scans those that are new or changed.

In steps, each one transaction that checks that nobody was faster: any number of processes may build at once, and one
that is killed leaves what it had. Blocking; meant for a thread.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from atom_backfill.sources.mbox.formats import FileKind
from atom_backfill.sources.mbox.index import SQL, UNDATED, MailIndex, seconds_of
from atom_backfill.sources.mbox.scan import Entry, scan
from atom_backfill.sources.mbox.tree import FoundFile, find_files
from atom_backfill.sources.mbox.view import FileView

BATCH = 500
STEP_BYTES = 64 * 2**20
LEFT_OUT = frozenset({"drafts", "deleteditems", "junkemail"})

_WELL_KNOWN = {
    "inbox": "inbox",
    "sent": "sentitems",
    "sent items": "sentitems",
    "sent mail": "sentitems",
    "sent messages": "sentitems",
    "drafts": "drafts",
    "draft": "drafts",
    "trash": "deleteditems",
    "bin": "deleteditems",
    "deleted items": "deleteditems",
    "deleted messages": "deleteditems",
    "junk": "junkemail",
    "spam": "junkemail",
    "junk email": "junkemail",
    "junk e-mail": "junkemail",
    "archive": "archive",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far building is, in bytes of the files."""

    scanned: int
    total: int
    done: bool


@dataclass(frozen=True, slots=True)
class _Step:
    """What one file gave from the position `expected` up to `scanned`."""

    file: sqlite3.Row
    expected: int
    scanned: int
    entries: list[Entry]
    done: bool = False
    unreadable: bool = False


class IndexBuilder:
    """Keeps the index of one root as the files are. `root` is resolved; larger messages are marked, not read."""

    def __init__(self, index: MailIndex, root: Path, *, message_bytes: int) -> None:
        self._index = index
        self._root = root
        self._message_bytes = message_bytes

    def walk(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Compare the files with the index; what is new or changed is left to `scan`. False where it was stopped.

        Raises NeedsOwnerError.
        """
        alone = self._root.is_file()
        with self._index.open() as db:
            seen = db.execute(SQL["begin_walk"]).fetchone()[0]
            found = find_files(self._root)
            while batch := list(islice(found, BATCH)):
                with _transaction(db):
                    for file in batch:
                        _note(db, file, seen, alone=alone)
                if stopped():
                    return False
            with _transaction(db):
                db.execute(SQL["drop_items_of_unseen"], {"seen": seen})
                db.execute(SQL["drop_unseen"], {"seen": seen})
                db.execute(SQL["reopen_problems"])
                db.execute(SQL["drop_problems"])
        return True

    def scan(self, go_on: Callable[[], bool]) -> Progress:
        """Scan what is to do while `go_on`, asked after each step of a few hundred messages or 64 MB."""
        with self._index.open() as db:
            going = True
            while going and (files := db.execute(SQL["to_do"], {"limit": BATCH}).fetchall()):
                with closing(self._steps(files)) as steps:
                    for together in steps:
                        moved = _commit(db, together, self._message_bytes)
                        going = go_on()
                        if not (moved and going):  # another process was faster: see where the files stand now
                            break
            scanned, total = db.execute(SQL["progress"]).fetchone()
            done = not db.execute(SQL["to_do"], {"limit": 1}).fetchall()
        return Progress(scanned, total, done)

    def _steps(self, files: list[sqlite3.Row]) -> Generator[list[_Step], None, None]:
        """Yield steps to be stored together: many small files, or a part of a large one."""
        together: list[_Step] = []
        for file in files:
            for step in self._file_steps(file):
                together.append(step)
                if not step.done or len(together) >= BATCH:
                    yield together
                    together = []
        if together:
            yield together

    def _file_steps(self, file: sqlite3.Row) -> Iterator[_Step]:
        at = file["scanned"]
        try:
            with (self._root / os.fsdecode(file["path"])).open("rb", buffering=0) as opened:
                entries: list[Entry] = []
                read = 0
                for entry in scan(FileView(opened), FileKind(file["kind"]), at):
                    entries.append(entry)
                    read += entry.length
                    if len(entries) >= BATCH or read >= STEP_BYTES:
                        yield _Step(file, at, entry.next_start, entries)
                        at, entries, read = entry.next_start, [], 0
                yield _Step(file, at, max(at, file["size"]), entries, done=True)
        except FileNotFoundError:
            yield _Step(file, at, at, [], done=True)  # the next walk forgets it
        except OSError:
            yield _Step(file, at, at, [], done=True, unreadable=True)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _note(db: sqlite3.Connection, file: FoundFile, seen: int, *, alone: bool) -> None:
    well_known = "" if alone else _WELL_KNOWN.get(file.folder[-1].casefold(), "")
    folder = {
        "folder_id": file.folder_id,
        "segments": json.dumps(file.folder),
        "well_known": well_known,
        "rank": int(well_known in LEFT_OUT),
    }
    row = {
        "path": file.path,
        "folder": db.execute(SQL["add_folder"], folder).fetchone()[0],
        "kind": file.kind.value,
        "size": file.size,
        "mtime_ns": file.mtime_ns,
        "seen": seen,
    }
    known = db.execute(SQL["find_file"], {"path": file.path}).fetchone()
    if known is None:
        db.execute(SQL["add_file"], row)
    elif all(known[name] == row[name] for name in ("folder", "kind", "size", "mtime_ns")):
        db.execute(SQL["see_file"], {"id": known["id"], "seen": seen})
    else:
        db.execute(SQL["drop_items"], {"id": known["id"]})
        db.execute(SQL["change_file"], {**row, "id": known["id"]})


def _commit(db: sqlite3.Connection, steps: list[_Step], message_bytes: int) -> bool:
    """Store the steps; False where another process had moved one of the files."""
    moved = True
    with _transaction(db):
        for step in steps:
            position = {"scanned": step.scanned, "done": step.done, "expected": step.expected}
            same = {name: step.file[name] for name in ("id", "size", "mtime_ns")}
            if db.execute(SQL["advance"], {**position, **same}).rowcount:
                db.executemany(SQL["add_item"], _items(step, message_bytes))
            else:
                moved = False
    return moved


def _items(step: _Step, message_bytes: int) -> Iterator[dict[str, object]]:
    file = {"file": step.file["id"], "folder": step.file["folder"]}
    for entry in step.entries:
        yield {
            **file,
            "start": entry.start,
            "length": entry.length,
            "quoted": entry.quoted,
            "digest": entry.digest,
            "received": seconds_of(entry.received_at),
            "problem": "item_too_large" if entry.size > message_bytes else "",
        }
    if step.unreadable:
        digest = hashlib.sha256(b"unreadable\0" + step.file["path"]).digest()
        nothing = {"start": 0, "length": 0, "quoted": False, "received": UNDATED}
        yield {**file, **nothing, "digest": digest, "problem": "unreadable_file"}
