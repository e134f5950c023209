"""A question becomes results: both legs, what the record knows of their hits, one ranking, and how far it reaches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from atom_backfill.errors import NotFoundError, UsageError
from atom_backfill.mail.door import repair_line
from atom_backfill.memory.ports import Embedder, Filter, Hit, Mode, PassageIndex
from atom_backfill.search.ports import Coverage, Headlines, KnownFolder, Reach
from atom_backfill.search.rank import Group, Known, Ranked, rank
from atom_backfill.search.snippets import snippet

LONGEST_QUERY = 2000
MOST_RESULTS = 200
EVERY_FOLDER = ("", "/", "all")
_FIRST_FETCH, _SECOND_FETCH = 200, 2000
"""Passages asked of each leg; the second time where the first were too few: long threads, copies, old generations."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for, and where. `folder`: as `folders_named` reads it; `after` inclusive, `before` exclusive."""

    text: str
    account_id: UUID | None = None
    from_address: str = ""
    to_address: str = ""
    after: datetime | None = None
    before: datetime | None = None
    folder: str = ""
    has_attachment: bool | None = None
    mode: Mode = "hybrid"
    group: Group = "message"
    limit: int = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """Results, best first, as `ranked` with what the record knows of each; and what the memory covers."""

    results: tuple[dict[str, Any], ...]
    coverage: Coverage
    seconds: float = field(compare=False)

    def document(self) -> dict[str, Any]:
        """Return the answer as scripts read it."""
        reach = self.coverage
        coverage = {"from": reach.start, "to": reach.end, "complete": reach.complete, "missing": reach.missing}
        return {"results": list(self.results), "coverage": coverage, "took_ms": round(self.seconds * 1000)}


@dataclass(frozen=True, slots=True)
class Searcher:
    """Searches one tenant's memory. `embedder` is opened for questions that need it."""

    record: Headlines
    reach: Reach
    index: PassageIndex
    embedder: Callable[[], Awaitable[Embedder]]
    monotonic: Callable[[], float]

    async def search(self, question: Question) -> Answer:
        """Answer a question. Raises UsageError for an unusable one, NotFoundError for a folder that is not there."""
        began = self.monotonic()
        text = _checked(question)
        narrowed = await self._filter(question)
        vector = None
        if question.mode != "text":
            vector = (await (await self.embedder()).embed([text]))[0]
        ranked, headlines = await self._ranked(question, text, vector, narrowed)
        coverage = await self._coverage(question.account_id)
        results = tuple(_result(each, headlines[each.message_id], text) for each in ranked)
        return Answer(results, coverage, self.monotonic() - began)

    async def _coverage(self, account: UUID | None) -> Coverage:
        """Compare record and memory; in this order, since a page is in the memory before it is in the record."""
        coverage = await self.reach.coverage(account)
        missing = max(0, coverage.messages - await self.index.messages(account))
        return replace(coverage, complete=coverage.complete and not missing, missing=missing)

    async def _filter(self, question: Question) -> Filter:
        folder_ids: Sequence[str] = ()
        if question.folder.casefold() not in EVERY_FOLDER:
            folder_ids = folders_named(question.folder, await self.reach.folders(question.account_id))
        return Filter(
            account_id=question.account_id,
            from_address=question.from_address.strip(),
            to_address=question.to_address.strip(),
            after=question.after,
            before=question.before,
            folder_ids=tuple(folder_ids),
            has_attachment=question.has_attachment,
        )

    async def _ranked(
        self, question: Question, text: str, vector: Any, narrowed: Filter
    ) -> tuple[list[Ranked], Mapping[UUID, Mapping[str, Any]]]:
        """Rank what both legs find; ask for more passages where that leaves room and there may be more."""
        for size in (_FIRST_FETCH, _SECOND_FETCH):
            meant, worded = await asyncio.gather(
                self._nearest(vector, narrowed, size), self._by_words(question, text, narrowed, size)
            )
            headlines, known = await self._known({hit.message_id for hit in (*meant, *worded)})
            ranked = rank(text, meant, worded, known, group=question.group, limit=question.limit)
            if len(ranked) >= question.limit or max(len(meant), len(worded)) < size:
                break
        return ranked, headlines

    async def _nearest(self, vector: Any, narrowed: Filter, size: int) -> list[Hit]:
        return [] if vector is None else await self.index.search_vectors(vector, narrowed, size)

    async def _by_words(self, question: Question, text: str, narrowed: Filter, size: int) -> list[Hit]:
        return [] if question.mode == "semantic" else await self.index.search_words(text, narrowed, size)

    async def _known(self, ids: Collection[UUID]) -> tuple[Mapping[UUID, Mapping[str, Any]], dict[UUID, Known]]:
        headlines = await self.record.headlines(ids)
        folders = await self.record.folders_of(ids)
        return headlines, {
            message: Known(
                generation=row["generation"],
                thread_id=str(row["thread_id"]),
                internet_message_id=row["internet_message_id"],
                folders=tuple(folders.get(message, ())),
            )
            for message, row in headlines.items()
        }


def folders_named(named: str, folders: Sequence[KnownFolder]) -> list[str]:
    """Return the ids of the folders that a name means: a path, a well-known name or an id; case does not matter.

    A name that ends with `/` also means everything below. Raises NotFoundError.
    """
    wanted = named.casefold().strip("/")
    below = f"{wanted}/" if named.endswith("/") else None
    found = [
        folder.folder_id
        for folder in folders
        if wanted in (folder.path.casefold(), folder.well_known)
        or folder.folder_id == named
        or (below and folder.path.casefold().startswith(below))
    ]
    if not found:
        raise NotFoundError("no_such_folder", f"There is no folder {named!r} in the mail read so far.")
    return found


def _checked(question: Question) -> str:
    text = repair_line(question.text)[:LONGEST_QUERY].strip()
    if not text:
        raise UsageError("empty_query", "The query is empty: give words or a sentence to search for.")
    if not 1 <= question.limit <= MOST_RESULTS:
        raise UsageError("bad_limit", f"The limit must be from 1 to {MOST_RESULTS}.")
    if question.after and question.before and question.after >= question.before:
        raise UsageError("empty_range", "The range is empty: --after must be earlier than --before.")
    return text


def _result(ranked: Ranked, headline: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {
        "message_id": ranked.message_id,
        "source_id": headline["source_id"],
        "thread_id": ranked.thread_id,
        "account_id": headline["account_id"],
        "subject": headline["subject"],
        "from": headline["from_address"],
        "from_name": headline["from_name"],
        "received_at": headline["received_at"],
        "folders": list(ranked.folders),
        "snippet": snippet(text, ranked.passage.text, headline["subject"]),
        "score": round(ranked.score, 6),
        "why": {"semantic_rank": ranked.semantic_rank, "text_rank": ranked.text_rank},
        "copies": len(ranked.copies),
        "more_in_thread": ranked.others,
        "web_link": headline["web_link"] or None,
    }
