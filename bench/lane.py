"""The main job in a process of its own: connects a mailbox, starts a job, works until it is done, tells what it took.

`python -m bench.lane URL MAILBOX HOME …` prints one JSON document. With `--find WORDS` it works only until a search for
them has a result, and tells how long that took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from atom_backfill import telemetry
from atom_backfill.app.connecting import Registration, connect_outlook
from atom_backfill.app.core import App, Tenancy, open_app
from atom_backfill.app.outside import Outside
from atom_backfill.app.runtime import settle_in
from atom_backfill.app.work import run_worker, worker_name
from atom_backfill.backfill.start import Request, start
from atom_backfill.jobs.worker import WorkerOptions
from atom_backfill.memory.ports import Embedder, Vectors
from atom_backfill.search.query import Question
from atom_backfill.settings import Settings, load_settings
from bench.embedders import FreeEmbedder
from bench.processes import cpu_seconds
from bench.world import server_of

REGISTRATION = Registration("contoso.example", "11111111-1111-1111-1111-111111111111", "good")
ALONE = 150
"""Texts embedded once more, with nothing beside, to compare with."""
LOOK_EVERY_S = 0.2


@dataclass(slots=True)
class Marks:
    """When each step of each page was reached, in seconds of the monotonic clock."""

    at: dict[str, list[float]] = field(default_factory=dict)

    async def reached(self, step: str) -> None:
        """Note it; the fault point of the main job."""
        self.at.setdefault(step, []).append(time.monotonic())

    def first(self, step: str) -> float:
        """Return when a step was first reached."""
        return min(self.at[step])

    def last(self, step: str) -> float:
        """Return when a step was last reached."""
        return max(self.at[step])


@dataclass(slots=True)
class Remembering:
    """An embedder that keeps some of the texts that it was given, each as likely as any other."""

    inner: Embedder
    texts: list[str] = field(default_factory=list)
    _given: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    @property
    def identity(self) -> str:
        """Name the inner one."""
        return self.inner.identity

    @property
    def dim(self) -> int:
        """Count the inner one's columns."""
        return self.inner.dim

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed as the inner one does."""
        for text in texts:
            self._given += 1
            if len(self.texts) < ALONE:
                self.texts.append(text)
            elif (place := self._chance.randrange(self._given)) < ALONE:
                self.texts[place] = text
        return await self.inner.embed(texts)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds so far: wall, this process's CPU, its ended and living children's, the database server's."""

    wall: float
    own: float
    children: float
    server: float


def main(arguments: list[str]) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.lane")
    parser.add_argument("url")
    parser.add_argument("mailbox")
    parser.add_argument("home", type=Path)
    parser.add_argument("--embedder", choices=("real", "free"), default="real")
    parser.add_argument("--since", type=datetime.fromisoformat, help="read mail from this moment on")
    parser.add_argument("--find", metavar="WORDS", help="stop at the first result of this search")
    asked = parser.parse_args(arguments)
    telemetry.configure("text", "warning")
    # The memory is opened here before the worker starts, and some of it must come before its libraries.
    settle_in()
    print(json.dumps(asyncio.run(_run(asked))))
    return 0


async def _run(asked: argparse.Namespace) -> dict[str, Any]:
    marks, embedder = Marks(), Remembering(_embedder(asked.embedder))
    outside = Outside(reached=marks.reached, embedder=embedder)
    async with open_app(_settings(asked.url, asked.home), outside) as app:
        tenancy = await app.tenant()
        account = await connect_outlook(tenancy, REGISTRATION, f"{asked.mailbox}@example.com", lambda _: None)
        # Libraries, model and dataset are paid once a process, not once a mail.
        index = await app.memories.index(tenancy.id)
        await embedder.embed(["ready"])
        if asked.find:
            return await _until_found(tenancy, Request(account.account_id), asked.find)
        source = await app.mailboxes.open(tenancy.id, account)
        request = Request(account.account_id, since=asked.since)
        job = await start(request, source, tenancy.control, app.outside.new_id)
        before = await _spent(app)
        await run_worker(app, asyncio.Event(), WorkerOptions(worker_name(app), drain=True))
        after = await _spent(app)
        document = await tenancy.jobs.job(job)
        rows = (await index.condition()).rows
        return _told(document, rows, before, after, marks) | {"alone_s_a_passage": await _alone(embedder)}


async def _until_found(tenancy: Tenancy, request: Request, words: str) -> dict[str, Any]:
    """Let an idle worker come upon a new job, and look for a mail until a search finds it."""
    app, stop = tenancy.app, asyncio.Event()
    searcher = await tenancy.searcher()
    working = asyncio.create_task(run_worker(app, stop, WorkerOptions(worker_name(app))))
    source = await app.mailboxes.open(tenancy.id, await tenancy.accounts.read(request.account))
    began = time.monotonic()
    await start(request, source, tenancy.control, app.outside.new_id)
    while not (answer := await searcher.search(Question(words))).results:  # noqa: ASYNC110 - as a person would
        await asyncio.sleep(LOOK_EVERY_S)
    found_s = time.monotonic() - began
    stop.set()
    await working
    return {"found_s": found_s, "search_s": answer.seconds}


def _told(job: dict[str, Any], rows: int, before: Spent, after: Spent, marks: Marks) -> dict[str, Any]:
    if job["status"] != "completed":
        raise RuntimeError(f"the job is {job['status']}: {job['last_error']}")
    return {
        "mails": job["records_processed"],
        "failures": job["failures"],
        "passages": rows,
        "wall_s": after.wall - before.wall,
        "first_page_s": marks.first("fetched") - before.wall,
        "after_first_page_s": marks.last("committed") - marks.first("fetched"),
        "own_cpu_s": after.own - before.own,
        "children_cpu_s": after.children - before.children,
        "server_cpu_s": after.server - before.server,
    }


async def _alone(embedder: Remembering) -> float:
    """Return the seconds that a passage takes when nothing else is done."""
    texts = list(embedder.texts)
    began = time.monotonic()
    await embedder.inner.embed(texts)
    return (time.monotonic() - began) / max(1, len(texts))


async def _spent(app: App) -> Spent:
    server = await server_of(app.database)
    times = os.times()
    own = times.user + times.system
    return Spent(time.monotonic(), own, cpu_seconds(os.getpid()) - own, cpu_seconds(server))


def _embedder(named: str) -> Embedder:
    if named == "free":
        return FreeEmbedder()
    from atom_backfill.memory.minilm import MiniLM

    return MiniLM()


def _settings(url: str, home: Path) -> Settings:
    environment = {"ATOM_HOME": str(home), "ATOM_GRAPH_BASE_URL": f"{url}/v1.0", "ATOM_LOGIN_BASE_URL": url}
    return load_settings(environment, home)[0]


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
