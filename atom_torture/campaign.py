"""Many schedules over several processes, and what came of them; also the planted bugs, one after the other."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
_END = None


class BrokenHarnessError(Exception):
    """A process of the harness ended before its schedules did; the message is what it said last."""


@dataclass(slots=True)
class Outcome:
    """What came of a campaign. `failed`: (the schedule as one line, its violations)."""

    schedules: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    recovered: list[float] = field(default_factory=list)
    failed: list[tuple[str, list[str]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Caught:
    """A planted bug, after how many schedules it was caught (None: it was not), and by what."""

    name: str
    after: int | None
    by: str


def run_campaign(
    first: int,
    count: int,
    outcome: Outcome,
    *,
    jobs: int = 2,
    product: Path | None = None,
    told: Callable[[Outcome], None] | None = None,
    until_caught: bool = False,
) -> None:
    """Run the schedules of `count` seeds from `first` on, and add what comes of them to `outcome`.

    `product`: a folder with another copy of the product.
    """
    jobs = max(1, min(jobs, count))
    shards = [[str(first + n), str(len(range(n, count, jobs))), str(jobs)] for n in range(jobs)]
    with running([["-m", "atom_torture.shard", *shard] for shard in shards], product) as lines:
        for line in lines:
            _add(outcome, json.loads(line))
            if told:
                told(outcome)
            if until_caught and outcome.failed:
                return
    refuse_fewer(outcome.schedules, count)


def replay(schedule: str) -> Outcome:
    """Run one schedule, given as JSON."""
    outcome = Outcome()
    with running([["-m", "atom_torture.shard", "--schedule", schedule]], None) as lines:
        for line in lines:
            _add(outcome, json.loads(line))
    refuse_fewer(outcome.schedules, 1)
    return outcome


def refuse_fewer(told: int, count: int) -> None:
    """Raise BrokenHarnessError where processes have ended well and have not told of every schedule."""
    if told != count:
        raise BrokenHarnessError(f"{told} of {count} schedules were told of")


def _add(outcome: Outcome, told: dict[str, Any]) -> None:
    outcome.schedules += 1
    outcome.fired.update(told["fired"])
    outcome.recovered += told["recovered"]
    if told["violations"]:
        outcome.failed.append((told["schedule"], told["violations"]))


@contextmanager
def running(commands: list[list[str]], product: Path | None = None) -> Iterator[Iterator[str]]:
    """Run Python processes and give their lines as they come; whoever leaves early ends them."""
    path = os.pathsep.join(map(str, (product or ROOT / "src", ROOT)))
    lines: queue.Queue[str | None] = queue.Queue()
    processes: list[subprocess.Popen[str]] = []
    with ExitStack() as stack:
        # Files, since nobody reads what is said there before the end: a pipe that is full would halt the process.
        said = [stack.enter_context(TemporaryFile("w+", errors="replace")) for _ in commands]
        stack.callback(_interrupt, processes)
        for command, err in zip(commands, said, strict=True):
            processes.append(
                subprocess.Popen(
                    [sys.executable, *command],
                    stdout=subprocess.PIPE,
                    stderr=err,
                    text=True,
                    env=os.environ | {"PYTHONPATH": path},
                )
            )
        for process in processes:
            threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        yield _until_all_ended(processes, said, lines)


def _interrupt(processes: Sequence[subprocess.Popen[str]]) -> None:
    """End processes; they are told to, not killed, since each has a server of its own to end."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(_END)


def _until_all_ended(
    processes: Sequence[subprocess.Popen[str]], said: Sequence[IO[str]], lines: queue.Queue[str | None]
) -> Iterator[str]:
    ended = 0
    while ended < len(processes):
        line = lines.get()
        if line is None:
            ended += 1
        else:
            yield line
    for process, err in zip(processes, said, strict=True):
        if process.wait():
            err.seek(0)
            raise BrokenHarnessError(err.read().strip()[-2000:])
