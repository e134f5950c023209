"""What a benchmark runs against: mail, a Graph simulator in a process of its own, a home, and the main job beside."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atom_backfill.db.embedded import EmbeddedPostgres
from atom_backfill.db.pool import Database
from atom_backfill.db.scope import Owner
from bench.processes import Load, Watcher, load, parent_of

PAGE_LATENCY_S = 2.0
"""What the issue sets for a page of the simulator."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A folder of mailboxes, as `simulate graph --data` reads it, and the names of those to be used."""

    folder: Path
    names: tuple[str, ...]

    def newest(self, name: str, count: int) -> tuple[str, str]:
        """Return the date from which on a mailbox holds about `count` mails, and the subject of its newest."""
        dates, subject = [], ""
        with gzip.open(self.folder / "mailboxes" / f"{name}.jsonl.gz") as lines:
            for line in lines:
                message = json.loads(line)
                subject = subject or message.get("subject") or ""
                dates.append(message.get("receivedDateTime") or "")
                if len(dates) == count:
                    break
        return min(filter(None, dates)), subject


def tenfold(box: Mail, name: str, into: Path) -> None:
    """Write a mailbox that holds every mail of another ten times, each time as another mail of another thread."""
    (into / "mailboxes").mkdir()
    there, here = (folder / "mailboxes" / f"{name}.jsonl.gz" for folder in (box.folder, into))
    shutil.copyfile(there.with_name(f"{name}.folders.json"), here.with_name(f"{name}.folders.json"))
    with gzip.open(there) as lines, gzip.open(here, "wt", compresslevel=1) as written:
        for line in lines:
            message = json.loads(line)
            for copy in range(10):
                others = {key: f"{copy}{message[key][1:]}" for key in ("id", "conversationId") if message.get(key)}
                others["internetMessageId"] = f"<{copy}.{message['id'][:60]}@tenfold.example>"
                written.write(json.dumps(message | others) + "\n")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of the main job told, the memory that it took in MB, and how busy the machine was when it began."""

    told: dict[str, Any]
    memory: Watcher
    load: Load


@contextmanager
def mail(corpus: Path | None, *names: str, sample: int = 800) -> Iterator[Mail]:
    """Give the named mailboxes of the corpus alone; without a corpus one sample mailbox of `sample` mails."""
    with tempfile.TemporaryDirectory(prefix="atom-bench-mail-") as scratch:
        folder = Path(scratch)
        if corpus is None:
            from atom_simulators.sample import write_mailbox

            write_mailbox(folder, mails=sample)
            yield Mail(folder, ("sample",))
            return
        (folder / "mailboxes").mkdir()
        for name in names:
            for file in (corpus / "mailboxes").glob(f"{name}.*"):
                (folder / "mailboxes" / file.name).symlink_to(file)
        yield Mail(folder, names)


@contextmanager
def simulator(*arguments: str) -> Iterator[str]:
    """Run the Graph simulator; gives its URL."""
    command = [sys.executable, "-m", "atom_simulators.graph", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@contextmanager
def home() -> Iterator[Path]:
    """Make a home with its database running, and leave nothing of it.

    Whoever starts the server has it among its descendants, and it is no part of a worker.
    """
    folder = Path(tempfile.mkdtemp(prefix="atom-bench-home-"))
    server = EmbeddedPostgres(folder)
    try:
        server.start()
        yield folder
    finally:
        server.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def run_lane(url: str, mailbox: str, *arguments: str) -> Ran:
    """Run the main job on one mailbox in a new home; see lane.py. Raises RuntimeError where it does not complete."""
    began = load()
    with home() as folder:
        command = [sys.executable, "-m", "bench.lane", url, mailbox, str(folder), *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
            assert process.stdout is not None
            with Watcher(process.pid) as watcher:
                answer = process.stdout.read()
        if process.returncode:
            raise RuntimeError(f"the main job ended with status {process.returncode}")
    return Ran(json.loads(answer), watcher, began)


async def server_of(database: Database) -> int:
    """Return the process id of the database's server, which runs on this machine."""
    async with database.transaction(Owner()) as tx:
        return parent_of(await tx.fetch_value("SELECT pg_backend_pid()"))


def environment() -> dict[str, str]:
    """Return this process's environment without settings of the product: a benchmark makes its own."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("ATOM_") and name != "DATABASE_URL"
    }
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def median(values: Sequence[float]) -> float:
    """Return the middle one of an odd number of values, the lower middle of an even number."""
    return sorted(values)[(len(values) - 1) // 2]
