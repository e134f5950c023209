"""How well search finds labelled mail, within each mailbox, beside words alone and vectors alone.

Settings are tuned on the queries whose hashed id is even (`tune`), and only there; the figures that count are those of
the odd (`test`), reported beside all. A query is answered when one of the first ten mails is one of its gold mails;
`thread` also credits other mails of the gold mail's thread. Mails that quote a reply query's own text are dropped from
the results before they are counted.

The mailboxes are kept, embedded, under `ATOM_BENCH_CACHE` (default: the user's cache folder): the first run with a
cleaner embeds some 50,000 passages, later ones none.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import platformdirs

from atom_backfill.identity import content_hash, message_id
from atom_backfill.mail.clean import CLEANER, clean
from atom_backfill.mail.door import Limits
from atom_backfill.memory.embed import embed_rows
from atom_backfill.memory.lance import LancePassages, open_index
from atom_backfill.memory.minilm import MiniLM
from atom_backfill.memory.ports import Embedder, Filter, Hit
from atom_backfill.memory.rows import RECIPE, generation_of, rows_of
from atom_backfill.memory.upkeep import upkeep
from atom_backfill.search.rank import Group, Known, Ranked, rank
from atom_backfill.sources.outlook.parse import read_graph

NAMESPACE = UUID("6f0a1e2c-52b4-4f5e-9a52-6f1c2a0f7d11")
PAGE = 100
TEN = 10
LEG_DEPTH = 200
"""Passages asked of each leg, as search does."""


@dataclass(frozen=True, slots=True)
class Query:
    """A labelled query; ids are those of the mailbox. `excluded` mails are dropped from the results."""

    identity: str
    mailbox: str
    kind: str
    words: str
    gold: frozenset[str]
    thread: frozenset[str]
    excluded: frozenset[str]

    @property
    def half(self) -> str:
        """Tell which half it belongs to; fixed for ever."""
        return "tune" if int(sha256(self.identity.encode()).hexdigest(), 16) % 2 == 0 else "test"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox in the memory: what the record would know, and the source's ids."""

    index: LancePassages
    known: Mapping[UUID, Known]
    source_ids: Mapping[UUID, str]


def main(corpus: Path) -> dict[str, Any]:
    """Load every labelled mailbox and score the queries in each way of searching."""
    return asyncio.run(measure(corpus, MiniLM()))


async def measure(corpus: Path, embedder: Embedder) -> dict[str, Any]:
    """Score by way, half and kind: how many were answered, of how many."""
    queries = [*known_items(corpus), *questions(corpus), *reply_queries(corpus)]
    answered: dict[str, dict[str, bool]] = {}
    for name in sorted({query.mailbox for query in queries}):
        mailbox = await load(corpus, name, embedder)
        for query in queries:
            if query.mailbox == name:
                for way, hit in (await ask(mailbox, embedder, query)).items():
                    answered.setdefault(way, {})[query.identity] = hit
    return {way: figures(queries, hits) for way, hits in answered.items()}


def figures(queries: Sequence[Query], hits: Mapping[str, bool]) -> dict[str, dict[str, str]]:
    """Write `answered/asked share` by half and kind; `known_items` are four kinds together."""
    kinds: dict[str, Callable[[Query], bool]] = {
        "known_items": lambda query: query.kind not in ("question", "reply"),
        **{kind: lambda query, kind=kind: query.kind == kind for kind in dict.fromkeys(q.kind for q in queries)},
    }
    halves: dict[str, Callable[[Query], bool]] = {
        "test": lambda query: query.half == "test",
        "tune": lambda query: query.half == "tune",
        "all": lambda query: True,
    }
    table: dict[str, dict[str, str]] = {}
    for half, in_half in halves.items():
        for kind, of_kind in kinds.items():
            chosen = [hits[query.identity] for query in queries if in_half(query) and of_kind(query)]
            table.setdefault(half, {})[kind] = f"{sum(chosen)}/{len(chosen)} {sum(chosen) / max(1, len(chosen)):.3f}"
    return table


async def ask(mailbox: Mailbox, embedder: Embedder, query: Query) -> dict[str, bool]:
    """Search in each way; tell by way whether the query was answered."""
    vector = (await embedder.embed([query.words]))[0]
    near = await mailbox.index.search_vectors(vector, Filter(), LEG_DEPTH)
    worded = await mailbox.index.search_words(query.words, Filter(), LEG_DEPTH)

    def ranked(semantic: Sequence[Hit], text: Sequence[Hit], group: Group = "message") -> list[Ranked]:
        limit = TEN + len(query.excluded)
        return rank(query.words, semantic, text, mailbox.known, group=group, limit=limit)

    ways = {"hybrid": ranked(near, worded), "words alone": ranked([], worded), "vectors alone": ranked(near, [])}
    credited = {way: _is_answered(mailbox, query, results, query.gold) for way, results in ways.items()}
    by_thread = ranked(near, worded, "thread")
    credited["hybrid by thread"] = _is_answered(mailbox, query, by_thread, query.gold)
    credited["hybrid, thread credited"] = _is_answered(mailbox, query, ways["hybrid"], query.gold | query.thread)
    credited["hybrid by thread, thread credited"] = _is_answered(mailbox, query, by_thread, query.gold | query.thread)
    return credited


def _is_answered(mailbox: Mailbox, query: Query, results: Sequence[Ranked], gold: frozenset[str]) -> bool:
    shown = [[mailbox.source_ids[m] for m in (result.message_id, *result.copies)] for result in results]
    counted = [ids for ids in shown if ids[0] not in query.excluded]
    return any(gold.intersection(ids) for ids in counted[:TEN])


async def load(corpus: Path, name: str, embedder: Embedder) -> Mailbox:
    """Bring a mailbox into the memory, or up to date in it, as the main job does."""
    account = uuid5(NAMESPACE, name)
    cache = Path(os.environ.get("ATOM_BENCH_CACHE") or platformdirs.user_cache_path("atom-backfill-bench"))
    # Rows of another cleaner would crowd a leg's depth, so that each cleaner has a folder of its own.
    index = await open_index(str(cache / f"{CLEANER}-{RECIPE}"), account, embedder.identity, embedder.dim)
    known: dict[UUID, Known] = {}
    source_ids: dict[UUID, str] = {}
    limits = Limits()
    for page in _pages(corpus / "mailboxes" / f"{name}.jsonl.gz"):
        rows = []
        for payload in page:
            digest = clean(read_graph(payload, limits=limits), limits)
            message = digest.message
            identity = message_id(account, message.source_id)
            generation = generation_of(CLEANER, embedder.identity, content_hash(message.subject, digest.text))
            thread = message.conversation_id or message.source_id
            known[identity] = Known(generation, thread, message.internet_message_id, (message.folder_id,))
            source_ids[identity] = message.source_id
            rows += rows_of(
                digest,
                message_id=identity,
                account_id=account,
                thread_id=thread,
                folder_ids=[message.folder_id],
                fence=0,
                generation=generation,
            )
        await index.upsert(rows, await embed_rows(index, embedder, rows))
        await upkeep(index)

    await index.upkeep()
    print(f"{name}: {await index.condition()}", file=sys.stderr, flush=True)
    return Mailbox(index, known, source_ids)


def _pages(file: Path) -> Iterator[list[bytes]]:
    page: list[bytes] = []
    with gzip.open(file) as lines:
        for line in lines:
            page.append(line)
            if len(page) == PAGE:
                yield page
                page = []
    yield page


def known_items(corpus: Path) -> Iterator[Query]:
    """Read the queries made of a mail's own words; every mail that holds the sentence counts."""
    for label in _labels(corpus, "known_items"):
        gold = frozenset([label["id"], *label["acceptable_ids"]])
        yield _query(label, label["type"], label["query"], gold)


def questions(corpus: Path) -> Iterator[Query]:
    """Read the hand-written questions, which share few words with their answer."""
    for label in _labels(corpus, "questions"):
        yield _query(label, "question", label["question"], frozenset(label["acceptable_ids"]))


def reply_queries(corpus: Path) -> Iterator[Query]:
    """Read the replies' first sentences; gold is the mail that was answered."""
    for label in _labels(corpus, "reply_queries"):
        yield _query(label, "reply", label["query"], frozenset([label["id"]]))


def _query(label: dict[str, Any], kind: str, words: str, gold: frozenset[str]) -> Query:
    thread, excluded = frozenset(label["thread_ids"]), frozenset(label.get("exclude_ids", ()))
    return Query(label["qid"], label["mailbox"], kind, words, gold, thread, excluded)


def _labels(corpus: Path, name: str) -> Iterator[dict[str, Any]]:
    with (corpus / "labels" / f"{name}.jsonl").open() as file:
        yield from map(json.loads, file)


if __name__ == "__main__":
    folder = os.environ.get("ATOM_CORPUS")
    sys.exit("skipped: ATOM_CORPUS is not set") if not folder else print(json.dumps(main(Path(folder)), indent=2))
