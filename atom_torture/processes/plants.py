"""Planted bugs that one process cannot show: of signals and of drains.

What they break is met by few of the runs that seeds draw, so each names a run that meets it.
"""

from __future__ import annotations

from dataclasses import dataclass

from atom_torture.plants import Plant
from atom_torture.processes.schedule import Schedule, Strike

TIMES = 5
"""How often the run of a planted bug is done: it must be caught by then."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A bug, and the run in which it must be caught."""

    plant: Plant
    schedule: Schedule


_QUIET = Schedule(seed=3, mails=40, folders=2, page=10, workers=1, concurrency=2, hurried=True)
PLANTS = (
    Planted(
        Plant("a worker does not hear SIGTERM", "cli/work.py", "on_signals(stop.set)", "on_signals(lambda: None)"),
        _QUIET,
    ),
    Planted(
        Plant(
            "a drain waits for the page at hand however long it takes",
            "app/work.py",
            "grace_s=min(options.grace_s, PAGE_S)",
            "grace_s=600.0",
        ),
        Schedule(
            seed=4,
            mails=120,
            folders=2,
            page=10,
            workers=1,
            concurrency=2,
            hurried=True,
            strikes=(Strike(10, "vectors", "black_hole", 40.0), Strike(11, "worker", "term")),
        ),
    ),
)
