"""What the main job and search need from an embedder and a passage index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""float32, (n, dim), rows of unit length."""


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A passage as the memory keeps it. `id` = passage_id(message_id, generation, seq).

    `embedded` is the text that the vector is made of (subject and passage); `content_hash` its hash: rows with equal
    hashes share a vector. `to_addresses` (to, cc and bcc) and `from_address` are lower-case for filters;
    `folder_ids` are as the source has them: Outlook's may differ in case alone.
    `header` is what the words leg sees besides subject and text: the names and addresses of the sender and others.
    """

    id: str
    message_id: UUID
    account_id: UUID
    thread_id: str
    seq: int
    start: int
    end: int
    subject: str
    text: str
    embedded: str
    content_hash: str
    from_address: str
    to_addresses: tuple[str, ...]
    folder_ids: tuple[str, ...]
    has_attachments: bool
    received_at: datetime | None
    generation: str
    fence: int
    header: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a search is narrowed to; empty fields narrow nothing. `after` inclusive, `before` exclusive."""

    account_id: UUID | None = None
    from_address: str = ""
    to_address: str = ""
    after: datetime | None = None
    before: datetime | None = None
    folder_ids: tuple[str, ...] = ()
    has_attachment: bool | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found by one leg, best first: `rank` from 1. `score` is the leg's own (higher is better)."""

    id: str
    message_id: UUID
    thread_id: str
    subject: str
    text: str
    start: int
    end: int
    generation: str
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A row without its text and vector, for comparing the memory with the record. Each message has one of `seq` 0."""

    id: str
    message_id: UUID
    generation: str
    seq: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A row as it lies in the memory, for comparing it with what the record gives.

    `fingerprint` is `rows.fingerprint` of all that is kept but vector, folders and fence; `sound`: its vector has unit
    length. `address` names this very row as it was written: one written again under its id has another. A message or
    account that is no id any more is None.
    """

    id: str
    message_id: UUID | None
    account_id: UUID | None
    generation: str
    seq: int
    fence: int
    folder_ids: frozenset[str]
    fingerprint: str
    sound: bool
    address: int


@dataclass(frozen=True, slots=True)
class Condition:
    """How much upkeep an index needs: rows in all, rows outside the word index, files smaller than they should be."""

    rows: int
    unindexed: int
    small_files: int


class Embedder(Protocol):
    """Texts to vectors. `identity` names model and settings, and is kept with the dataset."""

    @property
    def identity(self) -> str:
        """Name the model, its revision and what shapes its vectors."""
        ...

    @property
    def dim(self) -> int:
        """Count the columns of a vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, in order; equal text gives equal rows. Raises RetryLaterError or NeedsOwnerError."""
        ...


class PassageIndex(Protocol):
    """One tenant's passages. Everything is idempotent; concurrent writers of the same ids leave one row each."""

    async def known_vectors(self, content_hashes: Sequence[str]) -> dict[str, Vectors]:
        """Find vectors already made for these hashes, each of shape (dim,)."""
        ...

    async def upsert(self, rows: Sequence[PassageRow], vectors: Vectors) -> None:
        """Write rows by id."""
        ...

    async def search_vectors(self, vector: Vectors, narrowed: Filter, limit: int) -> list[Hit]:
        """Find the nearest passages to a vector of shape (dim,)."""
        ...

    async def search_words(self, words: str, narrowed: Filter, limit: int) -> list[Hit]:
        """Find passages by words in text or subject. Any string is allowed; no words find nothing."""
        ...

    async def place(self, folders: Mapping[UUID, Collection[str]]) -> None:
        """Note in which folders messages lie now: folder ids by message. Those without rows are passed over."""
        ...

    async def upkeep(self) -> None:
        """Compact, fold new rows into the indexes, drop old versions. One owner at a time."""
        ...

    async def condition(self) -> Condition:
        """Tell how much upkeep is needed; cheap."""
        ...

    async def messages(self, account: UUID | None) -> int:
        """Count the messages, of one account or of all, that have rows; cheap. Rows of older generations count too."""
        ...

    def entries(self) -> AsyncIterator[list[Entry]]:
        """Read all rows as of now, in no order, a bounded list at a time."""
        ...


class PassageStore(PassageIndex, Protocol):
    """A passage index whose rows can be looked at and taken away one by one."""

    @property
    def made(self) -> str:
        """Name the rebuild that has made it, "" if none has."""
        ...

    def rows(self, messages: Collection[UUID] | None = None) -> AsyncIterator[list[Kept]]:
        """Read rows as of now, all or those of some messages, in no order, a bounded list at a time."""
        ...

    async def erase(self, addresses: Collection[int]) -> int:
        """Take rows away by their addresses; returns how many were still there."""
        ...


@dataclass(frozen=True, slots=True)
class Building:
    """A rebuild that was begun. Every transaction that it may not have seen is `mark` or a later one."""

    name: str
    mark: int


Mode = Literal["hybrid", "semantic", "text"]
