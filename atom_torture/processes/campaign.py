"""Many runs over several shards, and what came of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atom_torture.campaign import refuse_fewer, running
from atom_torture.processes.bounds import exceeded_together, unjudged

SHARD = ("-m", "atom_torture.processes.shard")


@dataclass(slots=True)
class Runs:
    """What came of runs. `measured`: seconds, by what was measured; `failed`: (a schedule as one line, violations)."""

    runs: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    measured: dict[str, list[float]] = field(default_factory=dict)
    unjudged: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    failed: list[tuple[str, list[str]]] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """Every violation: those of single runs, and of all of them together."""
        return [*(words for _, found in self.failed for words in found), *self.together]

    @property
    def together(self) -> list[str]:
        """Bounds that too many measurements are beyond, or that nothing could be held against."""
        return [*exceeded_together(self.measured), *unjudged(self.measured, self.runs)]

    def add(self, told: dict[str, Any]) -> None:
        """Take in what a shard tells of a run."""
        self.runs += 1
        self.fired.update(told["fired"])
        self.seconds.append(told["seconds"])
        for sort, kept in (("measured", self.measured), ("unjudged", self.unjudged)):
            for name, seconds in told[sort].items():
                kept.setdefault(name, []).extend(seconds)
        if told["violations"]:
            self.failed.append((told["schedule"], told["violations"]))


def run_processes(
    first: int,
    count: int,
    runs: Runs,
    *,
    jobs: int = 1,
    told: Callable[[Runs], None] | None = None,
) -> None:
    """Do the runs of `count` seeds from `first` on, and add what comes of them to `runs`."""
    jobs = max(1, min(jobs, count))
    shards = [[*SHARD, str(first + n), str(len(range(n, count, jobs))), str(jobs)] for n in range(jobs)]
    _gather(shards, count, None, runs, told)


def replay_processes(schedule: str, *, product: Path | None = None) -> Runs:
    """Do one run, given as JSON."""
    runs = Runs()
    _gather([[*SHARD, "--schedule", schedule]], 1, product, runs, None)
    return runs


def _gather(
    commands: list[list[str]], count: int, product: Path | None, runs: Runs, told: Callable[[Runs], None] | None
) -> None:
    with running(commands, product) as lines:
        for line in lines:
            runs.add(json.loads(line))
            if told:
                told(runs)
    refuse_fewer(runs.runs, count)
