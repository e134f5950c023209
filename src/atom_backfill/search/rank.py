"""Two rankings into one: fused by rank, collapsed to messages, copies shown once, threads grouped. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar
from uuid import UUID

from atom_backfill.memory.ports import Hit

Group = Literal["thread", "message"]
_T = TypeVar("_T")

DAMPING = 20
"""The k of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the record knows of a message that was hit. `folders` are display paths."""

    generation: str
    thread_id: str
    internet_message_id: str
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each leg counts; 0 leaves it out."""

    semantic: float
    text: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """A result: a message, or the best message of a thread.

    `passage` shows why. Ranks count messages from 1 in each leg, None where the leg has not found it. `folders` are
    those of all copies, `copies` the other messages with the same internet message id, `others` counts further messages
    of its thread that were found.
    """

    message_id: UUID
    thread_id: str
    score: float
    semantic_rank: int | None
    text_rank: int | None
    passage: Hit
    folders: tuple[str, ...]
    copies: tuple[UUID, ...] = ()
    others: int = 0


def rank(
    semantic: Sequence[Hit],
    text: Sequence[Hit],
    known: Mapping[UUID, Known],
    *,
    weights: Weights,
    group: Group = "message",
    limit: int = 10,
) -> list[Ranked]:
    """Fuse both legs, best first; what the record does not know, or knows in another generation, is left out."""
    by_meaning, by_words = _messages(semantic, known), _messages(text, known)
    found = [
        _ranked(message, known[message], by_meaning.get(message), by_words.get(message), weights)
        for message in by_words | by_meaning
    ]
    found.sort(key=lambda result: (-result.score, str(result.message_id)))
    mails = [_with_copies(*same) for same in _gather(found, lambda result: _mail(result, known))]
    if group == "message":
        return mails[:limit]
    threads = _gather(mails, lambda result: result.thread_id)
    return [replace(best, others=len(others)) for best, *others in threads[:limit]]


def _messages(hits: Iterable[Hit], known: Mapping[UUID, Known]) -> dict[UUID, Hit]:
    """Keep each message's best passage, its rank counted in messages."""
    best: dict[UUID, Hit] = {}
    for hit in hits:
        recorded = known.get(hit.message_id)
        if recorded and recorded.generation == hit.generation and hit.message_id not in best:
            best[hit.message_id] = replace(hit, rank=len(best) + 1)
    return best


def _ranked(message: UUID, known: Known, meant: Hit | None, worded: Hit | None, weights: Weights) -> Ranked:
    by_meaning = weights.semantic / (DAMPING + meant.rank) if meant else 0.0
    by_words = weights.text / (DAMPING + worded.rank) if worded else 0.0
    passage = worded if by_words >= by_meaning else meant
    assert passage is not None, "no leg has found it"
    return Ranked(
        message_id=message,
        thread_id=known.thread_id,
        score=by_meaning + by_words,
        semantic_rank=meant.rank if meant else None,
        text_rank=worded.rank if worded else None,
        passage=passage,
        folders=known.folders,
    )


def _mail(result: Ranked, known: Mapping[UUID, Known]) -> str:
    return known[result.message_id].internet_message_id or str(result.message_id)


def _with_copies(best: Ranked, *copies: Ranked) -> Ranked:
    folders = dict.fromkeys(folder for result in (best, *copies) for folder in result.folders)
    return replace(best, folders=tuple(folders), copies=tuple(copy.message_id for copy in copies))


def _gather(results: Iterable[_T], key: Callable[[_T], str]) -> list[list[_T]]:
    """Gather what has the same key, in the order of each key's first."""
    groups: dict[str, list[_T]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return list(groups.values())
