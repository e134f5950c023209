"""What search needs of the record: what it knows of messages, which folders there are, and how far it reaches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class KnownFolder:
    """A folder of an account, as the last job saw it. `well_known` is inbox, junkemail, … or ""."""

    folder_id: str
    path: str
    well_known: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the memory reaches: `start` and `end` are the dates of the oldest and the newest mail stored.

    `complete`: everything that was asked for is there: of each account every job, or a later one that was asked for as
    much, is completed, nothing is among the failures, and the memory has what the record has. While it is false, mail
    between the two dates may be missing. `messages` are those of the record, `missing` those of them that the memory
    lacks.
    """

    start: datetime | None
    end: datetime | None
    complete: bool
    messages: int
    missing: int = 0


class Headlines(Protocol):
    """What the record shows of messages."""

    async def headlines(self, ids: Collection[UUID]) -> Mapping[UUID, Mapping[str, Any]]:
        """Return rows of the messages that the record knows."""
        ...

    async def folders_of(self, ids: Collection[UUID]) -> Mapping[UUID, Sequence[str]]:
        """Return the folders, for people, that hold these messages."""
        ...


class Reach(Protocol):
    """What the record covers, of one account or of all."""

    async def folders(self, account: UUID | None) -> Sequence[KnownFolder]:
        """List the folders."""
        ...

    async def coverage(self, account: UUID | None) -> Coverage:
        """Tell how far the record reaches."""
        ...
