"""Planted bugs that one process cannot show: of signals, of a thread of its own, of processes that share a disk."""

from __future__ import annotations

from atom_torture.plants import Plant

PATIENCE = 40
"""Runs within which every one of them must be caught."""
PLANTS = (
    Plant(
        "a worker that is told to go finishes its chunks first",
        "app/work.py",
        "grace_s=min(options.grace_s, PAGE_S)",
        "grace_s=600.0",
    ),
)
