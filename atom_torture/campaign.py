"""Many schedules over several processes, and what came of them; also the planted bugs, one after the other."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    *,
    jobs: int = 2,
    product: Path | None = None,
    told: Callable[[Outcome], None] | None = None,
    until_caught: bool = False,
) -> Outcome:
    """Run the schedules of `count` seeds from `first` on. `product`: a folder with another copy of the product."""
    outcome = Outcome()
    jobs = min(jobs, count)
    shards = [[str(first + n), str(len(range(n, count, jobs))), str(jobs)] for n in range(jobs)]
    with running([["-m", "atom_torture.shard", *shard] for shard in shards], product) as lines:
        for line in lines:
            _add(outcome, json.loads(line))
            if told:
                told(outcome)
            if until_caught and outcome.failed:
                break
    return outcome


def replay(schedule: str) -> Outcome:
    """Run one schedule, given as JSON."""
    outcome = Outcome()
    with running([["-m", "atom_torture.shard", "--schedule", schedule]], None) as lines:
        for line in lines:
            _add(outcome, json.loads(line))
    return outcome


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
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        )
        for command in commands
    ]
    readers = [threading.Thread(target=_read, args=(process, lines), daemon=True) for process in processes]
    for reader in readers:
        reader.start()
    try:
        yield _until_all_ended(processes, lines)
    finally:
        # Interrupted, not killed: each has a server of its own to end.
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            process.wait()


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(_END)


def _until_all_ended(processes: list[subprocess.Popen[str]], lines: queue.Queue[str | None]) -> Iterator[str]:
    ended = 0
    while ended < len(processes):
        line = lines.get()
        if line is None:
            ended += 1
        else:
            yield line
    for process in processes:
        assert process.stderr is not None
        said = process.stderr.read()
        if process.wait():
            raise BrokenHarnessError(said.strip()[-2000:])
