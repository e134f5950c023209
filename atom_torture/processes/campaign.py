"""Many runs over several shards, and what came of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atom_torture.campaign import refuse_fewer, running
from atom_torture.processes.bounds import exceeded_together

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
        """Every violation: those of single runs, and bounds that too many measurements are beyond."""
        return [*(words for _, found in self.failed for words in found), *exceeded_together(self.measured)]

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
    *,
    jobs: int = 1,
    product: Path | None = None,
    told: Callable[[Runs], None] | None = None,
) -> Runs:
    """Do the runs of `count` seeds from `first` on. `product`: a folder with another copy of the product."""
    jobs = max(1, min(jobs, count))
    shards = [[*SHARD, str(first + n), str(len(range(n, count, jobs))), str(jobs)] for n in range(jobs)]
    return _gathered(shards, count, product, told)


def replay_processes(schedule: str, *, product: Path | None = None) -> Runs:
    """Do one run, given as JSON."""
    return _gathered([[*SHARD, "--schedule", schedule]], 1, product, None)


def _gathered(commands: list[list[str]], count: int, product: Path | None, told: Callable[[Runs], None] | None) -> Runs:
    runs = Runs()
    with running(commands, product) as lines:
        for line in lines:
            runs.add(json.loads(line))
            if told:
                told(runs)
    refuse_fewer(runs.runs, count)
    return runs
