"""The index of local mail: where each message lies and when it came, in an SQLite file that may be lost at any time.

Every call is blocking, opens its own connection and may run in any thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atom_backfill.db.named_sql import load_queries
from atom_backfill.errors import NeedsOperatorError, RetryLaterError
from atom_backfill.private import make_private
from atom_backfill.sources.ports import Window

UNDATED = -(2**62)
NEWEST = 2**62
BUSY_SECONDS = 30.0

SQL = load_queries(__package__, "index.sql")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Key:
    """A place in a walk, newest first: everything up to and with it is behind."""

    received: int = NEWEST
    digest: bytes = b""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the index. `problem` is the code of what keeps it from being read, "" for nothing."""

    key: Key
    path: bytes
    start: int
    length: int
    quoted: bool
    problem: str
    folder_id: str

    @property
    def received_at(self) -> datetime | None:
        """When it came; None where its header does not say."""
        return moment_of(self.key.received)


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder with how many different messages it holds."""

    folder_id: str
    segments: tuple[str, ...]
    well_known: str
    messages: int


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A place of a message; `duplicate` where the same content lies before it."""

    key: Key
    duplicate: bool


class MailIndex:
    """Reads the index. Raises RetryLaterError where it is busy, NeedsOperatorError where the disk refuses it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def folders(self) -> list[FolderRow]:
        """List the folders that have a file, by id."""
        with self.open() as db:
            rows = db.execute(SQL["folders"]).fetchall()
        return [FolderRow(row[0], tuple(json.loads(row[1])), row[2], row[3]) for row in rows]

    def has_folder(self, folder_id: str) -> bool:
        """Tell whether a folder is there."""
        with self.open() as db:
            return self._folder(db, folder_id) is not None

    def count(self, folder_id: str, window: Window) -> int:
        """Count the different messages of a folder in a window."""
        with self.open() as db:
            bounds = {"folder": self._folder(db, folder_id), **_bounds(window)}
            return int(db.execute(SQL["count"], bounds).fetchone()[0])

    def messages(self, folder_id: str, window: Window, after: Key, limit: int) -> list[Row]:
        """List messages of a window, newest first, each once."""
        with self.open() as db:
            asked = {"folder": self._folder(db, folder_id), **_bounds(window), **_after(after), "limit": limit}
            return [_row(row, folder_id) for row in db.execute(SQL["messages"], asked)]

    def places(self, folder_id: str, window: Window, after: Key, limit: int) -> list[PlaceRow]:
        """List places of a window, newest first."""
        with self.open() as db:
            asked = {"folder": self._folder(db, folder_id), **_bounds(window), **_after(after), "limit": limit}
            rows = db.execute(SQL["places"], asked).fetchall()
        return [PlaceRow(Key(row["received"], row["digest"], row["id"]), bool(row["duplicate"])) for row in rows]

    def find(self, digest: bytes) -> Row | None:
        """Find a message's first place."""
        with self.open() as db:
            row = db.execute(SQL["find_message"], {"digest": digest}).fetchone()
        return _row(row, row["folder_id"]) if row else None

    def distrust(self, path: bytes) -> None:
        """Have the next walk take a file for changed."""
        with self.open() as db:
            db.execute(SQL["distrust_file"], {"path": path})

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Open the index, made where it is missing and made anew where it is damaged."""
        try:
            with closing(self._connect()) as db:
                yield db
        except sqlite3.Error as error:
            raise self._sorted(error) from error
        except OSError as error:
            raise _unwritable(self.path) from error

    def _connect(self) -> sqlite3.Connection:
        make_private(self.path.parent)
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            for name in SQL.names():
                if name.startswith("create_"):
                    db.execute(SQL[name])
        except BaseException:
            db.close()
            raise
        return db

    def _folder(self, db: sqlite3.Connection, folder_id: str) -> int | None:
        row = db.execute(SQL["folder_row"], {"folder_id": folder_id}).fetchone()
        return row[0] if row else None

    def _sorted(self, error: sqlite3.Error) -> NeedsOperatorError | RetryLaterError:
        code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            return RetryLaterError(
                "index_damaged", "The index of the local mail was damaged; it is made anew.", after=0
            )
        if code == sqlite3.SQLITE_FULL:
            return NeedsOperatorError("disk_full", f"The disk of {self.path.parent} is full: make room and go on.")
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return _unwritable(self.path)
        return RetryLaterError("index_busy", "The index of the local mail is in use.", detail=type(error).__name__)


def moment_of(received: int) -> datetime | None:
    """Turn the index's seconds into a moment; None for undated."""
    return None if received == UNDATED else _EPOCH + timedelta(seconds=received)


def seconds_of(moment: datetime | None) -> int:
    """Turn a moment into the index's whole seconds."""
    return UNDATED if moment is None else (moment - _EPOCH) // timedelta(seconds=1)


def _bounds(window: Window) -> dict[str, int]:
    undated_too = window.start is None and window.end is None
    start = seconds_of(window.start) if window.start else UNDATED if undated_too else UNDATED + 1
    return {"start": start, "end": seconds_of(window.end) if window.end else NEWEST}


def _after(key: Key) -> dict[str, Any]:
    return {"after_received": key.received, "after_digest": key.digest, "after_id": key.id}


def _row(row: sqlite3.Row, folder_id: str) -> Row:
    key = Key(row["received"], row["digest"], row["id"])
    return Row(key, row["path"], row["start"], row["length"], bool(row["quoted"]), row["problem"], folder_id)


def _unwritable(path: Path) -> NeedsOperatorError:
    return NeedsOperatorError(
        "cache_unwritable",
        f"The folder {path.parent} cannot be written: give this user the right to, or set ATOM_HOME.",
    )
