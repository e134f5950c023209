"""What a comparison has seen and found, in a file of SQLite's own, however large record and memory are."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

Kind = Literal["missing", "foreign", "differs"]
MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is missing in the memory, that does not belong there, or that is not what the record gives."""

    kind: Kind
    message_id: UUID | None
    passage_id: str


@dataclass(frozen=True, slots=True)
class Foreigner:
    """A row that does not belong there, by its address. `doubled`: since there is another one of its id."""

    address: int
    message: UUID | None
    passage: str
    doubled: bool


@dataclass(slots=True)
class Findings:
    """The differences found: all of them counted, the first ones listed, and what is needed to mend each."""

    listed: list[Difference] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _db: sqlite3.Connection = field(default_factory=lambda: sqlite3.connect("", isolation_level=None))

    def __post_init__(self) -> None:
        self._db.executescript(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;"
            "CREATE TABLE seen (message BLOB, id TEXT, PRIMARY KEY (message, id)) WITHOUT ROWID;"
            "CREATE TABLE suspect (message BLOB PRIMARY KEY) WITHOUT ROWID;"
            "CREATE TABLE mend (message BLOB, id TEXT, PRIMARY KEY (message, id)) WITHOUT ROWID;"
            "CREATE TABLE foreigner (address INTEGER PRIMARY KEY, message BLOB, id TEXT, doubled INTEGER);"
        )

    def close(self) -> None:
        """Drop the file."""
        self._db.close()

    def see(self, message: UUID, passage: str) -> bool:
        """Note a row; False where one of its id was seen before."""
        return self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (message.bytes, passage)).rowcount > 0

    def seen(self, message: UUID) -> int:
        """Count the rows seen of a message."""
        count: int = self._db.execute("SELECT count(*) FROM seen WHERE message = ?", (message.bytes,)).fetchone()[0]
        return count

    def seen_of(self, message: UUID, generation: str) -> int:
        """Count the rows seen of a message in a generation."""
        query = "SELECT count(*) FROM seen WHERE message = ? AND id GLOB ?"
        count: int = self._db.execute(query, (message.bytes, f"*:{generation}:*")).fetchone()[0]
        return count

    def suspect(self, message: UUID) -> None:
        """Note a message whose rows have to be looked at."""
        self._db.execute("INSERT OR IGNORE INTO suspect VALUES (?)", (message.bytes,))

    def suspects(self, size: int) -> Iterator[list[UUID]]:
        """Yield what was noted so far, in order."""
        return self._batches("suspect", size)

    def wrong(self, kind: Kind, message: UUID, passage: str) -> None:
        """Note a row that is missing or differs, once."""
        if self._db.execute("INSERT OR IGNORE INTO mend VALUES (?, ?)", (message.bytes, passage)).rowcount:
            self._found(Difference(kind, message, passage))

    def foreign(self, row: Foreigner) -> None:
        """Note a row that does not belong there, once."""
        values = (row.address, row.message and row.message.bytes, row.passage, row.doubled)
        if self._db.execute("INSERT OR IGNORE INTO foreigner VALUES (?, ?, ?, ?)", values).rowcount:
            self._found(Difference("foreign", row.message, row.passage))

    def to_mend(self, size: int) -> Iterator[list[UUID]]:
        """Yield the messages of which rows are missing or differ."""
        return self._batches("mend", size)

    def wrong_rows(self, messages: Iterable[UUID]) -> int:
        """Count the rows noted of these messages."""
        query = "SELECT count(*) FROM mend WHERE message = ?"
        return sum(self._db.execute(query, (message.bytes,)).fetchone()[0] for message in messages)

    def to_erase(self, size: int) -> Iterator[list[Foreigner]]:
        """Yield the rows that do not belong there."""
        last = -1
        query = "SELECT address, message, id, doubled FROM foreigner WHERE address > ? ORDER BY address LIMIT ?"
        while rows := self._db.execute(query, (last, size)).fetchall():
            last = rows[-1][0]
            yield [
                Foreigner(address, UUID(bytes=raw) if raw else None, passage, bool(doubled))
                for address, raw, passage, doubled in rows
            ]

    def _found(self, difference: Difference) -> None:
        self.counts[difference.kind] += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(difference)

    def _batches(self, table: str, size: int) -> Iterator[list[UUID]]:
        last = b""
        query = f"SELECT DISTINCT message FROM {table} WHERE message > ? ORDER BY message LIMIT ?"  # noqa: S608 - a name of ours
        while rows := self._db.execute(query, (last, size)).fetchall():
            last = rows[-1][0]
            yield [UUID(bytes=raw) for (raw,) in rows]
