"""Two rankings into one: fused by rank, collapsed to messages, copies shown once, threads grouped. Pure.

Which leg to trust depends on the query: somebody who remembers a mail's words is served by words, somebody who asks a
question by meaning. So the semantic leg weighs more the fewer of the query's words any one mail holds, and a mail that
holds most of them rises. The settings were tuned on one half of labelled queries; on the other they answered 0.99 of
the known items, 0.77 of the questions and 0.57 of the reply queries in the first ten, where words alone answered 0.99,
0.62 and 0.48 and vectors alone 0.76, 0.77 and 0.47 (bench/quality_search.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Literal, TypeVar
from uuid import UUID

from atom_backfill.memory.ports import Hit
from atom_backfill.search.words import telling_stems

Group = Literal["thread", "message"]
_T = TypeVar("_T")

DAMPING = 4
"""The k of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009). Their 60, for pools of many systems, let
what both legs find middling push out what one finds first."""
FEW_WORDS, MOST_WORDS = 0.4, 0.8
"""Shares of the query's words in one mail, between which the semantic weight falls from most to least."""
MOST_SEMANTIC, LEAST_SEMANTIC = 2.0, 0.7
"""Weights of the semantic leg beside 1 of the words leg."""
ALL_WORDS_BONUS = 0.1
"""For a mail that holds all the query's words, nothing for one that holds half: half a first place among the words."""
READ_PER_LEG = 60
"""Messages whose passages found are compared with the query's words."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the record knows of a message that was hit. `folders` are display paths."""

    generation: str
    thread_id: str
    internet_message_id: str
    folders: tuple[str, ...]


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
    query: str,
    semantic: Sequence[Hit],
    text: Sequence[Hit],
    known: Mapping[UUID, Known],
    *,
    group: Group = "message",
    limit: int = 10,
) -> list[Ranked]:
    """Fuse both legs, best first; what the record does not know, or knows in another generation, is left out.

    With one leg empty the other's order stands, as in the modes `semantic` and `text`.
    """
    by_meaning, by_words = _messages(semantic, known), _messages(text, known)
    held: dict[UUID, float] = {}
    if by_meaning and by_words:
        read = {*islice(by_meaning, READ_PER_LEG), *islice(by_words, READ_PER_LEG)}
        held = _shares_held(query, (hit for hit in chain(semantic, text) if hit.message_id in read))
    weight = _semantic_weight(max((held.get(message, 0.0) for message in islice(by_words, 3)), default=0.0))
    found = [
        _ranked(known[message], by_meaning.get(message), by_words.get(message), weight, held.get(message, 0.0))
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


def _shares_held(query: str, hits: Iterable[Hit]) -> dict[UUID, float]:
    """Tell which share of the query's words each mail's passages hold, taken together."""
    asked = telling_stems(query)
    held: dict[UUID, set[str]] = {}
    for hit in hits:
        held.setdefault(hit.message_id, set()).update(asked & telling_stems(f"{hit.subject}\n{hit.text}"))
    return {message: len(stems) / max(1, len(asked)) for message, stems in held.items()}


def _semantic_weight(held: float) -> float:
    fallen = min(1.0, max(0.0, (held - FEW_WORDS) / (MOST_WORDS - FEW_WORDS)))
    return MOST_SEMANTIC + fallen * (LEAST_SEMANTIC - MOST_SEMANTIC)


def _ranked(known: Known, meant: Hit | None, worded: Hit | None, semantic_weight: float, held: float) -> Ranked:
    by_meaning = semantic_weight / (DAMPING + meant.rank) if meant else 0.0
    by_words = 1.0 / (DAMPING + worded.rank) if worded else 0.0
    passage = worded if by_words >= by_meaning else meant
    assert passage is not None, "no leg has found it"
    return Ranked(
        message_id=passage.message_id,
        thread_id=known.thread_id,
        score=by_meaning + by_words + ALL_WORDS_BONUS * max(0.0, 2 * held - 1),
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
